"""The outcomes of addresses are remembered across jobs and processes, for a limited time."""

import pytest

from pika_kit.stages import Bucket
from pika_scraper.intake import seen as seen_module
from pika_scraper.intake.seen import KEPT_SECONDS, Seen

URLS = [f"https://pictures.test/{number}.png" for number in range(200)]


def test_what_is_saved_is_found_by_the_next_job(memory_store):
    first = Seen(memory_store)
    for number, url in enumerate(URLS):
        assert first.find(url) is None
        first.note(url, f"{number:064x}")
    assert first.find(URLS[7]) == f"{7:064x}"
    first.save()
    second = Seen(memory_store)
    assert [second.find(url) for url in URLS] == [f"{number:064x}" for number in range(200)]
    assert second.find("https://pictures.test/other.png") is None
    assert len(list(memory_store.list(Bucket.RAW, "seen/"))) == 16


def test_two_jobs_at_once_lose_nothing_of_each_other(memory_store):
    jobs = [Seen(memory_store), Seen(memory_store)]
    for number, url in enumerate(URLS):
        jobs[number % 2].find(url)
        jobs[number % 2].note(url, f"{number:064x}")
    for job in jobs:
        job.save()
    third = Seen(memory_store)
    assert all(third.find(url) for url in URLS)


def test_after_a_month_an_address_is_asked_again_and_forgotten_at_the_next_saving(memory_store):
    now = [1_000_000.0]
    seen = Seen(memory_store, clock=lambda: now[0])
    seen.note(URLS[0], "a" * 64)
    seen.save()
    now[0] += KEPT_SECONDS + 1
    assert Seen(memory_store, clock=lambda: now[0]).find(URLS[0]) is None
    for url in URLS:
        seen.note(url, "b" * 64)
    seen.save()
    kept = [memory_store.get_json(Bucket.RAW, info.key) for info in memory_store.list(Bucket.RAW, "seen/")]
    assert sum(len(shard) for shard in kept) == len(URLS)


def test_it_is_written_down_now_and_then_in_a_long_job(memory_store, monkeypatch):
    monkeypatch.setattr(seen_module, "_SAVED_EVERY_SECONDS", 0.0)
    Seen(memory_store).note(URLS[0], "a" * 64)
    assert Seen(memory_store).find(URLS[0]) == "a" * 64


@pytest.mark.parametrize("url", ["", "http://\udcff", "http://a.test/" + "x" * 5000])
def test_any_text_can_be_an_address(memory_store, url):
    seen = Seen(memory_store)
    seen.note(url, "a" * 64)
    seen.save()
    assert Seen(memory_store).find(url) == "a" * 64
