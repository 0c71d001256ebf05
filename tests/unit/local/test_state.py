import os
import stat
import subprocess
import sys

import pytest

from pikastack.stack.state import StateError, StateFolder, find_process, identity, is_alive


@pytest.fixture
def state(tmp_path):
    folder = StateFolder(tmp_path / "state")
    folder.create()
    return folder


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(state):
    first = state.secret("valkey-password")
    assert len(first) >= 32
    assert state.secret("valkey-password") == first
    assert state.secret("s3-secret-key") != first
    assert stat.S_IMODE((state.secrets / "valkey-password").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.secrets.stat().st_mode) == 0o700


def test_state_is_read_back_as_it_was_written(state):
    assert state.read() is None
    state.write({"status": "ready", "supervisor": identity(os.getpid())})
    assert state.read()["status"] == "ready"
    assert state.running() == state.read()


def test_a_pid_that_another_process_has_now_is_not_the_process(state):
    other = identity(os.getpid())
    assert is_alive(other)
    # The kernel assigned this pid to us; its user of a minute ago is gone.
    state.write({"status": "ready", "supervisor": {**other, "create_time": other["create_time"] - 60}})
    assert state.running() is None


def test_an_ended_process_is_not_found_even_before_it_is_waited_for():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    who = identity(child.pid)
    assert find_process(who).pid == child.pid
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert find_process(who) is None
    child.wait()


def test_one_holder_of_the_lock_at_a_time(state):
    with state.lock():
        assert state.lock() is None
    again = state.lock()
    assert again is not None
    again.close()


def test_a_damaged_state_file_is_told_with_its_path(state):
    (state.run / "state.json").write_text("{")
    with pytest.raises(StateError, match=r"state\.json"):
        state.read()


def test_a_file_where_the_folder_should_be_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="file"):
        StateFolder(tmp_path / "file").create()
