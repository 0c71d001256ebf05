"""Limited places, and results that many callers share."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pika_kit.gates import Cached, Gate
from pika_kit.problems import Problem


def test_no_more_than_so_many_are_inside_and_all_get_their_turn():
    gate, inside, most = Gate("drawing", at_once=3), [], []

    def enter(number):
        with gate:
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.01)
            inside.remove(number)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(enter, range(40)))
    assert len(most) == 40
    assert max(most) == 3


def test_too_many_who_wait_are_turned_away_and_so_is_who_waits_too_long():
    gate = Gate("drawing", at_once=1, max_waiting=1, seconds=0.3)
    results = []

    def wait():
        try:
            with gate:
                results.append("in")
        except Problem as problem:
            results.append(problem.status)

    with gate:
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.1)
        with pytest.raises(Problem, match="429 busy") as raised, gate:
            pass
        assert raised.value.headers == {"Retry-After": "5"}
        waiting.join()
    assert results == [429]
    with gate:
        pass


def test_an_error_inside_gives_the_place_back():
    gate = Gate("drawing", at_once=1, max_waiting=0)
    with pytest.raises(ZeroDivisionError), gate:
        raise ZeroDivisionError
    with gate:
        pass


def test_one_fetches_and_the_others_get_the_last_answer_without_waiting():
    release, calls = threading.Event(), []

    def fetch():
        calls.append(threading.current_thread().name)
        if len(calls) > 1:
            release.wait(5)
        return len(calls)

    cached = Cached(fetch, seconds=0.05)
    assert cached.get() == cached.get() == 1
    time.sleep(0.06)
    slow = threading.Thread(target=cached.get)
    slow.start()
    while len(calls) < 2:
        time.sleep(0.01)
    began = time.monotonic()
    assert [cached.get() for _ in range(50)] == [1] * 50
    assert time.monotonic() - began < 1
    release.set()
    slow.join()
    assert cached.get() in (2, 3)
    assert len(calls) <= 3
