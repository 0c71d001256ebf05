"""Two whole stacks on one machine, started as a user starts them; killed parts restart."""

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import urllib3
from PIL import Image

PROGRAM = Path(sys.executable).with_name("pikastack")
WISHED_PORT = 18_480


class Stack:
    """One stack: its state folder, and its processes as descendants of its supervisor."""

    def __init__(self, root: Path, home: Path):
        self.root = root
        self.home = home

    def cli(self, *words, status=0, **environ):
        done = subprocess.run(
            [PROGRAM, *words, "--state", str(self.root), "--json"],
            env={**os.environ, "HOME": str(self.home), **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        self.said = done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def up(self):
        return self.cli("up", "--port", str(WISHED_PORT))

    @property
    def state(self):
        return json.loads((self.root / "run" / "state.json").read_text())

    def processes(self):
        supervisor = psutil.Process(self.state["supervisor"]["pid"])
        return [supervisor, *supervisor.children(recursive=True)]

    def request(self, method, path, **more):
        return urllib3.request(method, self.state["url"] + path, timeout=30, retries=False, **more)

    def num_raw(self):
        return self.request("GET", "/buckets").json()["buckets"]["raw"]

    def upload(self, colour):
        buffer = io.BytesIO()
        Image.linear_gradient("L").convert("RGB").point(lambda v: (v * colour) % 256).save(buffer, "PNG")
        answer = self.request(
            "POST", "/images", body=buffer.getvalue(), headers={"Content-Type": "image/png"}
        )
        assert answer.status == 201, answer.data


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def stacks(tmp_path_factory, home):
    """Two stacks, each started twice, all at the same moment and with the same preferred ports.

    One folder's name contains a space; the other's path is longer than a socket address may be.
    """
    roots = [tmp_path_factory.mktemp("one") / "a state", tmp_path_factory.mktemp("two") / ("deep" * 20)]
    both = [Stack(root, home) for root in roots]
    try:
        with ThreadPoolExecutor() as pool:
            urls = [answer["url"] for answer in pool.map(Stack.up, [*both, *both])]
        assert urls == [stack.state["url"] for stack in both] * 2
        assert len(set(urls)) == 2
        yield both
    finally:
        for stack in both:
            stack.cli("down")


def wait_until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def test_both_answer_at_ports_of_their_own(stacks):
    ports = [set(stack.state["ports"].values()) for stack in stacks]
    assert not ports[0] & ports[1]
    for stack in stacks:
        assert stack.request("GET", "/health/ready").status == 200
        assert stack.cli("status")["status"] == "ready"


def test_nothing_listens_on_anything_but_loopback(stacks):
    listening = []
    for stack in stacks:
        for process in stack.processes():
            for connection in process.net_connections("inet"):
                if connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE):
                    listening.append((process.name(), connection.laddr))
    # All ports of both stacks are among them, so the right processes were inspected.
    expected = {port for stack in stacks for port in stack.state["ports"].values()}
    assert {address.port for _, address in listening} == expected
    assert {address.ip for _, address in listening} == {"127.0.0.1"}


def test_what_one_holds_the_other_does_not_see(stacks):
    one, other = stacks
    before = other.num_raw()
    one.upload(1)
    assert one.num_raw() == 1
    assert other.num_raw() == before == 0


def test_one_cannot_open_the_others_store(stacks):
    names = ("s3-access-key", "s3-secret-key", "valkey-password")
    for name in names:
        paths = [stack.root / "secrets" / name for stack in stacks]
        assert paths[0].read_text() != paths[1].read_text()
        assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    answer = urllib3.request("GET", f"http://127.0.0.1:{stacks[1].state['ports']['s3']}/", retries=False)
    assert answer.status == 403


def test_no_secret_stands_on_a_command_line(stacks):
    for stack in stacks:
        secrets = {path.read_text().strip() for path in (stack.root / "secrets").iterdir()}
        lines = [" ".join(process.cmdline()) for process in stack.processes()]
        assert not [line for line in lines for secret in secrets if secret in line]


def test_a_second_up_finds_the_first(stacks):
    supervisor = stacks[0].state["supervisor"]
    again = stacks[0].up()
    assert again["ran_already"]
    assert again["other_settings"] == []
    assert again["url"] == stacks[0].state["url"]
    assert stacks[0].state["supervisor"] == supervisor


def test_a_running_stack_with_other_settings_is_said_to_have_them(stacks, tmp_path):
    (tmp_path / "pictures").mkdir()
    root = str(tmp_path / "pictures")
    again = stacks[0].cli("up", "--scrape-root", root, PIKA_IS_PIKACHU_THRESHOLD="0.5")
    assert again["other_settings"] == ["PIKA_IS_PIKACHU_THRESHOLD", f"--scrape-root {root}"]
    assert "other settings" in stacks[0].said


def test_a_part_that_cannot_start_is_named_and_nothing_is_left(tmp_path, home):
    stack = Stack(tmp_path / "state", home)
    assert stack.cli("up", status=1, PIKA_FETCH_ALLOW="", PIKA_OUTAGE_SECONDS="soon") is None
    assert re.search(r"(scraper|classifier|gan)(-worker)? does not start", stack.said)
    assert "PIKA_OUTAGE_SECONDS: " in stack.said
    assert stack.cli("status", status=1)["status"] == "down"


def test_what_libraries_write_stays_in_the_state_folder(stacks):
    """TensorFlow's generated code and spooled uploads: each part has its own folder for them."""
    for process in stacks[0].processes():
        line = " ".join(process.cmdline())
        if "gunicorn" in line or "pika_kit.worker" in line:
            assert process.environ()["TMPDIR"].startswith(f"{stacks[0].root}/scratch/")


@pytest.mark.parametrize("part", ["gan", "scraper-worker", "valkey", "seaweedfs", "front"])
def test_a_killed_part_comes_back_and_data_with_it(stacks, part):
    stack = stacks[0]
    stack.upload(50 + len(part))
    before, restarts = stack.num_raw(), stack.state["parts"][part]["restarts"]
    os.kill(stack.state["parts"][part]["pid"], signal.SIGKILL)
    wait_until(lambda: stack.state["parts"][part]["restarts"] == restarts + 1, f"{part} started again")
    wait_until(lambda: stack.state["parts"][part]["status"] == "up", f"{part} up")
    wait_until(lambda: stack.request("GET", "/health/ready").status == 200, "the gateway ready")
    assert stack.num_raw() == before
    view = stack.request("POST", "/prepare", json={}).json()
    wait_until(lambda: stack.request("GET", f"/jobs/{view['id']}").json()["status"] == "finished", "a job")


def test_a_service_that_is_away_is_a_problem_of_the_gateway(stacks):
    stack = stacks[0]
    process = psutil.Process(stack.state["parts"]["gan"]["pid"])
    frozen = [process, *process.children()]
    for one in frozen:
        one.kill()
    answer = stack.request("GET", "/generate")
    # It is back before the gateway times out, or the client gets Retry-After.
    assert answer.status == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"]
    wait_until(lambda: stack.state["parts"]["gan"]["status"] == "up", "gan up")


def test_the_parts_of_a_killed_supervisor_end_and_up_starts_anew_with_all_data(stacks):
    stack = stacks[0]
    before, ports, members = stack.num_raw(), stack.state["ports"], stack.processes()
    os.kill(stack.state["supervisor"]["pid"], signal.SIGKILL)
    wait_until(lambda: not any(alive(process) for process in members), "all parts ended", 60)
    assert stack.cli("down") == {"stopped": False}
    stack.up()
    assert stack.num_raw() == before
    assert stack.state["ports"] == ports


def test_with_keys_every_path_behind_the_gateway_asks_for_one(tmp_path, home):
    key = "a-key-of-an-app-0123456789"
    stack = Stack(tmp_path / "state", home)
    try:
        stack.cli("up", PIKA_API_KEYS=f"app:{key}")
        bearer = {"Authorization": f"Bearer {key}"}
        for method, path in (
            ("GET", "/generate"),
            ("POST", "/is-pikachu"),
            ("GET", "/images"),
            ("GET", "/buckets"),
            ("POST", "/scrape"),
            ("DELETE", "/labels/last"),
            ("GET", "/jobs"),
            ("GET", "/jobs/any/events"),
            ("PUT", "/gan/models/current"),
            *(
                ("GET", f"/{name}/{rest}")
                for name in ("scraper", "classifier", "gan")
                for rest in ("metrics", "openapi.json")
            ),
        ):
            refused = stack.request(method, path)
            assert refused.status == 401, path
            assert refused.json()["type"] == "urn:pikastack:problem:api-key-required"
            assert stack.request(method, path, headers=bearer).status != 401, path
        assert stack.request("GET", "/health/ready").status == 200
        # No model exists, which a client with a key is told.
        answer = stack.request("GET", "/generate", headers=bearer)
        assert (answer.status, answer.json()["type"]) == (503, "urn:pikastack:problem:model-missing")
        stack.cli("jobs", "list", status=1)
        assert "API key" in stack.said
        assert stack.cli("jobs", "list", PIKA_API_KEY=key) == {"jobs": []}
    finally:
        stack.cli("down")


def test_down_leaves_no_process_no_socket_and_nothing_in_the_home_folder(stacks, home):
    stack = stacks[1]
    members = stack.processes()
    ports = stack.state["ports"]
    assert stack.cli("down") == {"stopped": True}
    assert not [process for process in members if alive(process)]
    assert not [path for port in ports.values() for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")]
    assert not list(home.iterdir())
    # The other stack is unaffected.
    assert stacks[0].request("GET", "/health/ready").status == 200


def alive(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
