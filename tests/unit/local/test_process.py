"""The process of one part, with small real programs instead of the parts."""

import errno
import signal
import sys
import time

import pytest

from pikastack.stack import supervisor
from pikastack.stack.lifecycle import tail
from pikastack.stack.parts import Part
from pikastack.stack.process import PartProcess, environment_of
from pikastack.stack.state import StateFolder


@pytest.fixture
def state(tmp_path):
    folder = StateFolder(tmp_path / "state")
    folder.create()
    return folder


@pytest.fixture
def start(state):
    started = []

    def make(program: str, check=lambda _pid: None, **more) -> PartProcess:
        process = PartProcess(Part("part", 0, [sys.executable, "-c", program], check, **more), state)
        process.start()
        started.append(process)
        return process

    yield make
    for process in started:
        process.kill()


def tick_until(process: PartProcess, condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, process.view()
        process.tick()
        time.sleep(0.02)


def test_a_part_is_up_when_it_answers_and_not_before(start, tmp_path):
    answer = tmp_path / "answers"
    process = start("import time; time.sleep(60)", lambda _pid: None if answer.exists() else "not yet")
    tick_until(process, lambda: process.problem == "not yet")
    assert process.status == "starting"
    answer.touch()
    tick_until(process, lambda: process.status == "up")


def test_a_part_that_is_killed_is_started_again(start):
    process = start("import time; time.sleep(60)")
    tick_until(process, lambda: process.status == "up")
    first = process.view()["pid"]
    process._process.send_signal(signal.SIGKILL)
    tick_until(process, lambda: process.status == "restarting")
    assert "SIGKILL" in process.problem
    tick_until(process, lambda: process.status == "up")
    assert process.view()["pid"] != first
    assert process.restarts == 1


def test_waits_grow_while_a_part_keeps_dying(start):
    process = start("raise SystemExit(3)")
    tick_until(process, lambda: process.restarts == 2)
    began = time.monotonic()
    tick_until(process, lambda: process.restarts == 3)
    assert time.monotonic() - began >= 1.9
    tick_until(process, lambda: process.status == "restarting")
    assert process.problem == "ended by itself: exit status 3"


def test_a_part_that_stops_answering_is_said_to_be_silent_and_left_alone(start, monkeypatch):
    monkeypatch.setattr("pikastack.stack.process.CHECK_SECONDS", 0.05)
    problems = [None, "no answer"]
    process = start(
        "import time; time.sleep(60)", lambda _pid: problems.pop(0) if len(problems) > 1 else problems[0]
    )
    tick_until(process, lambda: process.status == "silent")
    pid = process.view()["pid"]
    problems[:] = [None]
    tick_until(process, lambda: process.status == "up")
    assert process.view()["pid"] == pid


def test_a_part_that_never_answers_is_started_again(start, monkeypatch):
    monkeypatch.setattr("pikastack.stack.process.START_TIMEOUT_SECONDS", 0.3)
    process = start("import time; time.sleep(60)", lambda _pid: "never")
    tick_until(process, lambda: process.restarts == 1)


def test_what_a_part_started_ends_with_it(start, state):
    process = start(
        "import subprocess, time; child = subprocess.Popen(['sleep', '60']);"
        "print('child', child.pid, flush=True); time.sleep(60)"
    )
    tick_until(process, lambda: "child" in tail(state, "part"))
    child = int(tail(state, "part").split()[-1])
    process.terminate()
    tick_until(process, lambda: not process.is_running)
    process.has_stopped()
    deadline = time.monotonic() + 5
    while _runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_a_part_that_cannot_be_started_is_tried_again_and_says_why(state):
    process = PartProcess(Part("part", 0, ["/nowhere/program"], lambda _pid: None), state)
    process.start()
    assert process.status == "restarting"
    assert "cannot be started: [Errno 2]" in process.problem
    assert process.view()["pid"] is None
    tick_until(process, lambda: process.restarts == 2)
    process.terminate()
    process.has_stopped()
    assert process.status == "stopped"


def test_a_full_disk_does_not_end_the_supervisor_but_delays_a_part(start, state):
    """/dev/full fails every write with "no space left"."""
    log = state.logs / "part.log"
    log.symlink_to("/dev/full")
    process = start("import time; time.sleep(60)")
    assert process.status == "restarting"
    assert "No space left on device" in process.problem
    log.unlink()
    tick_until(process, lambda: process.status == "up")


def test_a_state_that_cannot_be_written_keeps_no_part_from_being_stopped(state, monkeypatch):
    parts = [
        Part(name, level, [sys.executable, "-c", "import time; time.sleep(60)"], lambda _pid: None)
        for level, name in enumerate(("store", "service"))
    ]
    monkeypatch.setattr(supervisor, "build_parts", lambda *_: parts)
    watched = supervisor.Supervisor(state, {"front": 1}, [])
    for process in watched._parts:
        process.start()

    def full(_state):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(state, "write", full)
    watched._write()
    watched._stop()
    assert [process.is_running for process in watched._parts] == [False, False]


def test_what_is_exported_does_not_replace_a_parts_own_settings(monkeypatch):
    monkeypatch.setenv("PIKA_VALKEY_URL", "redis://another-queue/0")
    monkeypatch.setenv("PIKA_S3_URL_FILE", "/another/store")
    monkeypatch.setenv("PIKA_MODEL_RUNTIME", "tensorflow")
    own = {"PIKA_VALKEY_URL_FILE": "secrets/valkey-url", "PIKA_S3_URL": "http://127.0.0.1:1"}
    environment = environment_of(Part("part", 0, ["true"], lambda _pid: None, own))
    assert {name: value for name, value in environment.items() if name.startswith("PIKA_")} == own | {
        "PIKA_MODEL_RUNTIME": "tensorflow"
    }


def test_a_long_log_is_moved_aside_and_the_part_writes_on(start, state, monkeypatch):
    monkeypatch.setattr("pikastack.stack.process.LOG_BYTES", 1000)
    process = start(
        "import time\nprint('x' * 2000, flush=True)\nwhile True: time.sleep(0.05); print('y', flush=True)"
    )
    log = state.logs / "part.log"
    tick_until(process, lambda: log.stat().st_size > 2000)
    process.rotate_log()
    assert (state.logs / "part.log.1").stat().st_size > 2000
    tick_until(process, lambda: tail(state, "part").endswith("y"))
    assert log.stat().st_size < 1000
