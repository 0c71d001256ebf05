"""One job at a time, on a real Valkey."""

import threading
import time

import pytest

from pika_kit import exclusive
from pika_kit.exclusive import exclusively


class GiveUp(Exception):
    pass


def give_up():
    raise GiveUp


def nothing():
    pass


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(exclusive, "ASK_SECONDS", 0.02)
    monkeypatch.setattr(exclusive, "RENEW_SECONDS", 0.1)


def test_one_at_a_time_and_the_others_wait_their_turn(queue):
    inside, most, waited = [], [], []

    def work(number):
        with exclusively(queue.connection, "filter", f"job{number}", lambda: waited.append(number), nothing):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.03)
            inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1] * 6
    assert waited


def test_who_waits_can_be_told_to_stop_and_other_names_are_free(queue):
    with exclusively(queue.connection, "filter", "one", give_up, nothing):
        with (
            pytest.raises(GiveUp),
            exclusively(queue.connection, "filter", "two", give_up, nothing),
        ):
            pass
        with exclusively(queue.connection, "prepare", "two", give_up, nothing):
            pass
    with exclusively(queue.connection, "filter", "two", give_up, nothing):
        pass


def test_a_job_that_runs_again_gets_its_own_lock_back_at_once(queue):
    queue.connection.set("pika:exclusive:filter", "killed-job", px=60_000)
    with exclusively(queue.connection, "filter", "killed-job", give_up, nothing):
        pass
    queue.connection.set("pika:exclusive:filter", "killed-job", px=60_000)
    with pytest.raises(GiveUp), exclusively(queue.connection, "filter", "another", give_up, nothing):
        pass


def test_the_lease_is_renewed_and_a_loss_is_told(queue, monkeypatch):
    monkeypatch.setattr(exclusive, "LEASE_SECONDS", 0.5)
    lost = threading.Event()
    with exclusively(queue.connection, "filter", "one", give_up, lost.set):
        time.sleep(1.0)
        assert queue.connection.get("pika:exclusive:filter") == b"one"
        assert not lost.is_set()
        queue.connection.set("pika:exclusive:filter", "thief")
        assert lost.wait(5)
    assert queue.connection.get("pika:exclusive:filter") == b"thief"
