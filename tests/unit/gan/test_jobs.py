"""The job gan-train on a store in memory: publishing, resuming from the bucket, refusing."""

import json

import pytest

from pika_gan.runs import RunFolder, list_runs
from pika_kit.models import Registry
from pika_kit.runner import JobCancelled, JobError
from pika_kit.stages import Bucket
from pika_kit.testing import MemoryStore

from .conftest import fill, run_job


def test_the_result_is_published_with_a_card(trained_store):
    store, result = trained_store
    assert result["model_version"] == "v1"
    assert result["steps"] == 12
    assert result["num_pictures"] == 60
    json.dumps(result)
    registry = Registry(store, "gan")
    assert registry.current() == "v1"
    card = registry.card("v1")
    assert card["preset"]["name"] == "tiny"
    assert card["data"]["sha256"] == json.loads(RunFolder(store, "first").read("manifest.json"))["sha256"]
    assert card["runtimes_differ_by"] <= 1e-4
    assert card["versions"]["keras"]


def test_a_cancelled_run_keeps_a_checkpoint_and_goes_on_from_the_bucket(tmp_path, monkeypatch):
    monkeypatch.setattr("pika_kit.runner._PROGRESS_INTERVAL_SECONDS", 0.0)  # each report asks
    store = MemoryStore()
    fill(store)
    with pytest.raises(JobCancelled):
        run_job(store, tmp_path / "one", "again", cancelled=Countdown(60 + 5))
    folder = RunFolder(store, "again")
    assert folder.status()["status"] == "cancelled"
    assert folder.names("checkpoints/") == ["checkpoints/step-00000006.npz"]
    # Another host: an empty scratch folder, and meanwhile a picture more in the bucket.
    fill(store, 61)
    result = run_job(store, tmp_path / "other", "again")
    assert result["resumed_from"] == 6
    assert result["steps"] == 12
    assert result["num_pictures"] == 60
    assert [run_id for run_id, _ in list_runs(store)] == ["again"]
    # Told again after it was done: nothing is published twice.
    assert run_job(store, tmp_path / "third", "again") == result
    assert [card["version"] for card in Registry(store, "gan").versions()] == ["v1"]
    assert not any((tmp_path / "other").rglob("*.npz"))


def test_too_few_pictures_are_refused_with_what_to_do(tmp_path):
    store = MemoryStore()
    fill(store, 20)
    with pytest.raises(JobError, match=r"expected at least 30 pictures .* received 20: collect more"):
        run_job(store, tmp_path, "few")
    assert RunFolder(store, "few").status()["status"] == "failed"
    assert not list(store.list(Bucket.MODELS))


def test_an_unknown_preset_is_refused(tmp_path):
    with pytest.raises(JobError, match="expected one of"):
        run_job(MemoryStore(), tmp_path, "x", preset="none")


class Countdown:
    """False so many times, then true."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0
