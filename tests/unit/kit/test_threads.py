"""Work in threads: in order or as completed, bounded, and fair to groups."""

import threading
import time
from collections import Counter

import pytest

from pika_kit import threads
from pika_kit.threads import as_finished, in_threads, usable_cores


def test_results_come_in_order_or_as_they_are_finished():
    def slow_first(number: int) -> int:
        time.sleep(0.3 if number == 0 else 0.0)
        return number * number

    assert list(in_threads(slow_first, range(20), 4)) == [(n, n * n) for n in range(20)]
    results = list(as_finished(slow_first, range(20), 4))
    assert sorted(results) == [(n, n * n) for n in range(20)]
    assert results[-1] == (0, 0)


@pytest.mark.parametrize("run", [in_threads, as_finished])
def test_an_endless_stream_is_drawn_no_faster_than_it_is_worked_on(run):
    drawn = []

    def endless():
        while True:
            drawn.append(1)
            yield len(drawn)

    results = run(lambda number: number, endless(), 4)
    for _ in range(50):
        next(results)
    assert len(drawn) <= 50 + 16
    results.close()


@pytest.mark.parametrize("run", [in_threads, as_finished])
def test_an_error_rises_and_what_has_not_begun_is_dropped(run):
    begun = []

    def fails(number: int) -> int:
        begun.append(number)
        if number == 5:
            raise RuntimeError("five")
        return number

    with pytest.raises(RuntimeError, match="five"):
        list(run(fails, range(1000), 2))
    assert len(begun) < 50


def test_a_slow_group_holds_two_threads_and_the_others_go_ahead():
    """A hundred pictures of a host that does not answer precede those of ten others."""
    release, under_way, most = threading.Event(), Counter(), Counter()
    lock = threading.Lock()

    def work(item: tuple[str, int]) -> None:
        with lock:
            under_way[item[0]] += 1
            most[item[0]] = max(most[item[0]], under_way[item[0]])
        if item[0] == "slow":
            release.wait(10)
        with lock:
            under_way[item[0]] -= 1

    items = [("slow", number) for number in range(100)] + [(f"host{n % 10}", n) for n in range(200)]
    finished = []
    for item, _ in as_finished(work, items, 8, group=lambda item: item[0]):
        finished.append(item)
        if len(finished) == 200:
            assert all(item[0] != "slow" for item in finished)
            release.set()
    assert sorted(finished) == sorted(items)
    assert max(most.values()) <= 2


def test_within_a_group_the_order_stays():
    """With one thread work completes in order; with more, the scheduler would decide."""
    items = [(f"host{number % 3}", number) for number in range(60)]
    finished = [item for item, _ in as_finished(str, items, 1, group=lambda item: item[0])]
    for host in ("host0", "host1", "host2"):
        numbers = [number for name, number in finished if name == host]
        assert numbers == sorted(numbers)
        assert len(numbers) == 20


def test_few_items_are_kept_aside():
    drawn = []
    release = threading.Event()

    def items():
        for number in range(10_000):
            drawn.append(number)
            yield number

    def work(_number: int) -> None:
        release.wait(10)

    results = as_finished(work, items(), 4, group=lambda _: "one host", look_ahead=100)
    threading.Timer(0.3, lambda: (most.append(len(drawn)), release.set())).start()
    most: list[int] = []
    assert sum(1 for _ in results) == 10_000
    assert most[0] <= 102


@pytest.mark.parametrize(
    ("told", "cores"),
    [("200000 100000", 2), ("50000 100000", 1), ("max 100000", 6), ("nonsense", 6), (None, 6)],
)
def test_a_containers_share_of_cores_counts(tmp_path, monkeypatch, told, cores):
    if told is not None:
        (tmp_path / "cpu.max").write_text(told)
    monkeypatch.setattr(threads, "_CGROUP_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(6)))
    assert usable_cores() == cores
