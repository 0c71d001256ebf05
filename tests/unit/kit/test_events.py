"""Server-sent events: many watchers, one poller."""

import time
from dataclasses import replace

import pytest

from pika_kit import events
from pika_kit.events import EventHub, TooManyWatchers
from pika_kit.queue import JobView, Progress
from pika_kit.valkey import QueueUnavailable

VIEW = JobView("a", "filter", "running", {}, Progress(), None, None, None, None, None)


class Queue:
    """Count the polls and return what the test sets."""

    def __init__(self):
        self.views = {"a": VIEW}
        self.num_calls = 0
        self.is_away = False

    def get_many(self, ids):
        self.num_calls += 1
        if self.is_away:
            raise QueueUnavailable("away")
        return {job_id: self.views[job_id] for job_id in ids if job_id in self.views}


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(events, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.3)


@pytest.fixture
def queue():
    return Queue()


def named(lines):
    return [line.split("event: ")[1].split("\n")[0] for line in lines if "event: " in line]


def test_each_change_is_an_event_and_the_last_one_ends(queue):
    stream = EventHub(queue).events("a")
    first = next(stream)
    assert first.startswith("retry: 2000\nid: 1\nevent: progress\ndata: {")
    queue.views["a"] = replace(VIEW, status="finished")
    assert named(list(stream)) == ["end"]


def test_all_watchers_share_one_poller_which_ends_with_them(queue):
    hub = EventHub(queue)
    streams = [hub.events("a") for _ in range(20)]
    for stream in streams:
        next(stream)
    queue.num_calls = 0
    time.sleep(0.3)
    assert queue.num_calls < 30, "20 watchers cost as much as one"
    queue.views["a"] = replace(VIEW, status="finished")
    assert [named(list(stream)) for stream in streams] == [["end"]] * 20
    time.sleep(0.1)
    queue.num_calls = 0
    time.sleep(0.1)
    assert queue.num_calls == 0


def test_one_watcher_too_many_is_refused_until_another_leaves(queue):
    hub = EventHub(queue, max_watchers=2)
    first, _second = hub.events("a"), hub.events("a")
    with pytest.raises(TooManyWatchers):
        hub.events("a")
    first.close()
    hub.events("a")


def test_a_stream_ends_when_its_time_is_over_and_shows_signs_of_life(queue):
    lines = list(EventHub(queue).events("a", lifetime_seconds=0.8))
    assert named(lines) == ["progress"]
    assert lines.count(": still here\n\n") >= 1


def test_a_queue_that_is_away_is_waited_out(queue):
    queue.is_away = True
    stream = EventHub(queue).events("a")
    assert next(stream) == ": still here\n\n"
    queue.is_away = False
    assert "event: progress" in next(stream)


def test_a_job_that_is_gone_ends_the_stream(queue):
    stream = EventHub(queue).events("a")
    next(stream)
    queue.views.clear()
    assert list(stream) == []
