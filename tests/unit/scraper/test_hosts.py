"""Requests per host are limited, on a clock that only advances during sleeps."""

import threading

import pytest

from pika_scraper.config import FetchLimits, Politeness
from pika_scraper.errors import Refused
from pika_scraper.web.fetch import Fetcher
from pika_scraper.web.hosts import HostBusy, Hosts


class Clock:
    def __init__(self):
        self.now, self.slept = 100.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def hosts(clock):
    return Hosts(Politeness(at_once=2, seconds_between=0.5), clock, clock.sleep)


def ask(hosts, name="a.test", deadline=1000.0):
    with hosts.turn(name, deadline):
        pass


def test_two_requests_to_a_host_have_a_rest_between_them(hosts, clock):
    for _ in range(3):
        ask(hosts)
    assert clock.slept == [0.0, 0.5, 0.5]
    ask(hosts, "b.test")
    assert clock.slept[-1] == 0.0


def test_a_host_that_wants_peace_is_left_alone_by_all(hosts, clock):
    hosts.leave_alone("a.test", 7)
    hosts.leave_alone("a.test", 3)
    ask(hosts)
    assert clock.slept == [7.0]
    hosts.leave_alone("a.test", 60)
    with pytest.raises(HostBusy):
        ask(hosts, deadline=clock.now + 59)
    # A caller that gave up has not used up a slot.
    ask(hosts, deadline=clock.now + 61)


def test_no_more_than_two_requests_are_under_way(hosts):
    inside, most, lock = set(), [], threading.Lock()
    real = Hosts(Politeness(at_once=2, seconds_between=0))

    def work(number):
        with real.turn("a.test", 1e9):
            with lock:
                inside.add(number)
                most.append(len(inside))
            threading.Event().wait(0.02)
            with lock:
                inside.discard(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(most) == 8
    assert max(most) == 2
    with real.turn("a.test", 1e9), real.turn("a.test", 1e9), pytest.raises(HostBusy):
        ask(real, deadline=0.0)


def test_a_host_whose_turn_does_not_come_is_a_reason(hosts, clock):
    hosts.leave_alone("a.test", 1e9)
    fetcher = Fetcher(limits=FetchLimits(total_seconds=1), hosts=hosts)
    with pytest.raises(Refused) as caught:
        fetcher.fetch("http://a.test/1.png")
    assert caught.value.code == "host_busy"
