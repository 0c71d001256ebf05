"""Calls at deadlines: in time, in order, never after their block has ended, also in a forked process."""

import os
import threading
import time

import pytest

from pika_scraper.web.deadlines import Watchdog, in_time


@pytest.fixture
def watchdog():
    return Watchdog()


def test_what_lasts_too_long_is_called_at_its_deadline(watchdog):
    called = threading.Event()
    began = time.monotonic()
    with watchdog.calls(called.set, began + 0.2):
        assert called.wait(5)
        assert time.monotonic() - began >= 0.2


def test_a_block_that_ends_in_time_is_not_called(watchdog):
    called, later = threading.Event(), threading.Event()
    with watchdog.calls(called.set, time.monotonic() + 0.1):
        pass
    with watchdog.calls(later.set, time.monotonic() + 0.2):
        assert later.wait(5)
    assert not called.is_set()


def test_an_earlier_deadline_is_kept_beside_a_later_one(watchdog):
    order = []
    done = threading.Event()
    now = time.monotonic()
    with (
        watchdog.calls(lambda: order.append("late") or done.set(), now + 0.3),
        watchdog.calls(lambda: order.append("soon"), now + 0.1),
        watchdog.calls(lambda: order.append("passed"), now - 1),
    ):
        assert done.wait(5)
    assert order == ["passed", "soon", "late"]


def test_a_forked_process_has_a_thread_of_its_own(watchdog):
    with watchdog.calls(lambda: None, time.monotonic() + 60):
        pass
    child = os.fork()
    if child == 0:
        called = threading.Event()
        with watchdog.calls(called.set, time.monotonic() + 0.1):
            os._exit(0 if called.wait(5) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_call_that_does_not_return_is_abandoned_at_its_deadline():
    assert in_time(lambda: 7, time.monotonic() + 5) == 7
    with pytest.raises(ZeroDivisionError):
        in_time(lambda: 1 / 0, time.monotonic() + 5)
    blocked = threading.Event()
    with pytest.raises(TimeoutError):
        in_time(blocked.wait, time.monotonic() + 0.1)
    blocked.set()
