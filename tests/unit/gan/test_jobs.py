"""The job gan-train on a store in memory: publishing, resuming from the bucket, refusing."""

import json
import os
import time
from types import SimpleNamespace

import numpy as np
import pytest

from pika_gan.card import faults_of
from pika_gan.jobs import _forget_old
from pika_gan.presets import PRESETS
from pika_gan.runs import RunFolder, list_runs
from pika_gan.step_tensorflow import Gan
from pika_kit import datasets
from pika_kit.models import Registry
from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobCancelled, JobError
from pika_kit.stages import Bucket
from pika_kit.store_errors import StoreUnavailable
from pika_kit.testing import MemoryStore, VanishingStore
from pika_kit.withdrawn import withdraw

from .conftest import fill, run_job


def test_the_result_is_published_with_a_card(trained_store):
    store, result = trained_store
    assert result["model_version"] == "v1"
    assert result["steps"] == 12
    assert result["num_pictures"] == 60
    assert result["best_of"] is None  # it has no critic
    json.dumps(result)
    registry = Registry(store, "gan")
    card = registry.card("v1")
    assert card["preset"]["name"] == "tiny"
    assert card["data"]["sha256"] == json.loads(RunFolder(store, "first").read("manifest.json"))["sha256"]
    assert card["runtimes_differ_by"] <= 1e-4
    assert card["versions"]["keras"]


def test_a_cancelled_run_keeps_a_checkpoint_and_goes_on_from_the_bucket(tmp_path, monkeypatch):
    monkeypatch.setattr("pika_kit.runner._PROGRESS_INTERVAL_SECONDS", 0.0)  # each report checks it
    store = MemoryStore()
    fill(store)
    with pytest.raises(JobCancelled):
        run_job(store, tmp_path / "one", "again", cancelled=Countdown(60 + 5))
    folder = RunFolder(store, "again")
    assert folder.status()["status"] == "cancelled"
    assert folder.names("checkpoints/") == ["checkpoints/step-00000006.npz"]
    # Simulates another host: an empty scratch folder, and one more picture in the bucket.
    fill(store, 61)
    result = run_job(store, tmp_path / "other", "again")
    assert result["resumed_from"] == 6
    assert result["steps"] == 12
    assert result["num_pictures"] == 60
    assert [run_id for run_id, _ in list_runs(store)] == ["again"]
    # Run again after it was done: nothing is published twice.
    assert run_job(store, tmp_path / "third", "again") == result
    assert [card["version"] for card in Registry(store, "gan").versions()] == ["v1"]
    assert not any((tmp_path / "other").rglob("*.npz"))


def test_what_old_runs_left_on_the_disk_goes(tmp_path):
    for name, days in (("old", 15), ("young", 13), ("old-but-written-to", 15)):
        folder = tmp_path / name
        (folder / "checkpoints").mkdir(parents=True)
        for path in (folder / "checkpoints" / "step.npz", tmp_path / f"{name}-pictures.npz"):
            path.touch()
        for path in (tmp_path / f"{name}-pictures.npz", *folder.rglob("*"), folder):
            os.utime(path, (time.time() - days * 86_400,) * 2)
    os.utime(tmp_path / "old-but-written-to" / "checkpoints" / "step.npz")
    _forget_old(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"young", "young-pictures.npz", "old-but-written-to"}


def test_a_collapsed_generator_is_published_and_not_served(tmp_path, monkeypatch):
    """A generator that draws one thing only can be viewed, and activated by hand."""
    store = MemoryStore()
    blob = np.zeros((16, 16, 3), np.uint8)
    blob[4:12, 4:12] = (250, 210, 40)
    monkeypatch.setattr(Gan, "draw", lambda self, latents, batch_size=64: np.stack([blob] * len(latents)))
    fill(store)
    result = run_job(store, tmp_path, "collapsed")
    registry = Registry(store, "gan")
    assert result["collapsed"]
    assert registry.current() is None
    assert any("its pictures are alike" in fault for fault in registry.card("v1")["gate"]["faults"])
    assert any(warning.startswith("not activated: ") for warning in result["warnings"])


def test_a_handful_of_steps_is_a_fault(tiny):
    evaluation = SimpleNamespace(kid=0.1, collapsed=False, diversity=0.9, near_copy_rate=0.1)
    result = SimpleNamespace(evaluation=evaluation, state=SimpleNamespace(step=12))
    assert faults_of(tiny, result) == []
    assert faults_of(PRESETS["cpu-32"], result) == ["it was trained for 12 steps, of 200 at least"]
    evaluation.near_copy_rate = 0.6
    assert faults_of(tiny, result) == ["it has learned by heart: 60% are near copies"]
    evaluation.near_copy_rate, evaluation.kid = 0.1, float("nan")
    assert faults_of(tiny, result) == ["its pictures are not finite"]


def test_a_store_that_is_away_during_a_checkpoint_does_not_end_the_training(tmp_path, monkeypatch):
    store = MemoryStore()
    fill(store)
    monkeypatch.setattr("pika_gan.jobs.CHECKPOINT_SECONDS", 0.0)
    upload, tries = RunFolder.upload, []

    def fails_twice(self, folder):
        tries.append(folder)
        if len(tries) <= 2:
            raise StoreUnavailable("away")
        upload(self, folder)

    monkeypatch.setattr(RunFolder, "upload", fails_twice)
    result = run_job(store, tmp_path, "steady")
    assert (result["steps"], result["resumed_from"]) == (12, 0)
    assert len(tries) > 3
    assert RunFolder(store, "steady").names("checkpoints/")


def test_a_picture_that_is_deleted_meanwhile_is_left_out(tmp_path):
    store = MemoryStore()
    fill(store)
    first = next(PictureBucket(store, Bucket.PIKACHU).ids())
    result = run_job(VanishingStore(store, f"pictures/{first}"), tmp_path, "one-less", steps=1)
    assert result["num_pictures"] == 59


def test_withdrawn_pictures_are_left_out_also_of_a_run_that_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("pika_kit.runner._PROGRESS_INTERVAL_SECONDS", 0.0)
    store = MemoryStore()
    fill(store)
    with pytest.raises(JobCancelled):
        run_job(store, tmp_path, "again", cancelled=Countdown(60 + 5))
    first = next(PictureBucket(store, Bucket.PIKACHU).ids())
    withdraw(store, first, "by request")
    result = run_job(store, tmp_path, "again")
    assert (result["resumed_from"], result["num_pictures"]) == (6, 59)
    assert "withdrawn" not in Registry(store, "gan").versions()[0]
    withdraw(store, list(PictureBucket(store, Bucket.PIKACHU).ids())[1], "by request")
    assert len(Registry(store, "gan").versions()[0]["withdrawn"]) == 1


def test_a_data_set_is_trained_on_and_the_card_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setattr("pika_kit.runner._PROGRESS_INTERVAL_SECONDS", 0.0)
    store = MemoryStore()
    fill(store)
    ids = list(PictureBucket(store, Bucket.PIKACHU).ids())
    made = datasets.save(store, "half", Bucket.PIKACHU, {}, [(one, "etag") for one in ids[:40]])
    with pytest.raises(JobCancelled):
        run_job(store, tmp_path / "one", "run", dataset="half", cancelled=Countdown(40 + 5))
    # A later version does not affect a run that has started.
    datasets.save(store, "half", Bucket.PIKACHU, {}, [(one, "etag") for one in ids[:50]])
    result = run_job(store, tmp_path / "other", "run", dataset="half")
    assert result["num_pictures"] == 40
    card = Registry(store, "gan").card("v1")
    assert card["data"]["dataset"] == made.summary()
    assert made.reference == "half/v1"


@pytest.mark.parametrize(
    ("reference", "message"), [("none", "there is no data set"), ("squares", "of the bucket pikachu")]
)
def test_a_data_set_that_cannot_be_trained_on_is_refused(tmp_path, reference, message):
    store = MemoryStore()
    fill(store)
    datasets.save(store, "squares", Bucket.IMAGES, {}, [])
    with pytest.raises(JobError, match=message):
        run_job(store, tmp_path, "run", dataset=reference)


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
    """Return False this many times, then True."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0
