"""The job `gan-train`: pictures of the pikachu bucket → a published generator.

Runs in the worker of the queue `gan`. The run's id is the job's. Its folder is mirrored to the RUNS bucket
with every checkpoint, so that a job whose worker was killed continues from there, on any host.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pika_gan import checkpoints
from pika_gan.card import card_of, faults_of
from pika_gan.config import Preset
from pika_gan.data import Dataset, load_dataset, save_dataset
from pika_gan.export import export_best
from pika_gan.keeping import BEST_FILE, TrainingDiverged
from pika_gan.pictures import gather
from pika_gan.presets import DEFAULT_PRESET, preset_named
from pika_gan.runs import RunFolder
from pika_gan.serving import FILES, REGISTRY_NAME
from pika_gan.train import TrainingResult
from pika_gan.train import train as train_folder
from pika_kit.datasets import Manifest, UnknownDataset
from pika_kit.datasets import load as load_manifest
from pika_kit.models import Registry
from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobCancelled, JobContext, JobError, JobInterrupted
from pika_kit.stages import Bucket
from pika_kit.store_errors import StoreUnavailable
from pika_kit.tensorflow_runtime import limit_gpu_memory
from pika_kit.withdrawn import withdrawn_ids

MINIMUM_PICTURES = 30
CHECKPOINT_SECONDS = 60.0
_TOLD = ("kid", "kid_interval", "recall", "diversity", "near_copy_rate", "likeness", "collapsed")
_KEPT_SECONDS = 14 * 86_400.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Work:
    """One job: what to train, and its working folder."""

    context: JobContext
    run: RunFolder
    recipe: Preset
    seed: int
    folder: Path
    chosen: Manifest | None
    """The data set that was asked for; None for all of the bucket."""

    @property
    def cache(self) -> Path:
        """The pictures at the preset's size."""
        return self.folder.parent / f"{self.folder.name}-pictures.npz"


def train(
    context: JobContext,
    *,
    preset: str = DEFAULT_PRESET,
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    minimum_pictures: int = MINIMUM_PICTURES,
    dataset: str | None = None,
    activate: bool = True,
) -> dict[str, Any]:
    """Train on the pikachu bucket, or on a data set of it, and publish the result.

    Args:
        minutes: training time.
        steps: training steps; with both, whichever ends first.

    Returns:
        {"run_id", "model_version", "steps", "resumed_from", "minutes", "num_pictures", "pictures",
        "passed_gate", "warnings"} and the figures named in _TOLD; "best_of": {"candidates", "kid",
        "likeness"} of what the critic accepts among so many for each seed, None without a critic.

    Raises:
        JobError: too few pictures, an unknown preset, or training that diverged.
    """
    run = RunFolder(context.store, context.job_id)
    known = run.status() or {}
    if "result" in known:  # killed after publishing and before returning
        return dict(known["result"])
    try:
        recipe = preset_named(preset)
    except ValueError as error:
        raise JobError(str(error)) from error
    # A resumed run keeps the data set version it began with.
    chosen = _chosen(context, known.get("dataset") or dataset)
    folder = context.settings.state_dir / "gan-runs" / context.job_id
    work = _Work(context, run, recipe, seed, folder, chosen)
    work.folder.mkdir(parents=True, exist_ok=True)
    _forget_old(work.folder.parent)
    limit_gpu_memory(context.settings.gpu_memory_mb)
    if not any((work.folder / "checkpoints").glob(checkpoints.PATTERN)):
        run.download(work.folder)
    started_at = known.get("started_at") or _now()
    facts = {"run_id": context.job_id, "preset": preset, "seed": seed, "started_at": started_at}
    facts["dataset"] = chosen.reference if chosen else None
    run.set_status(**facts, status="running", updated_at=_now())
    try:
        pictures = _dataset(work, minimum_pictures)
        result = _train(work, pictures, steps, minutes)
        told = _publish(work, pictures, result, activate)
    except JobCancelled:
        run.set_status(status="cancelled", updated_at=_now())
        raise
    except JobInterrupted:
        run.set_status(status="interrupted", updated_at=_now())
        raise
    except (TrainingDiverged, JobError) as error:
        run.set_status(status="failed", error=str(error), updated_at=_now())
        raise JobError(str(error)) from error
    run.upload(work.folder)
    version, step = told["model_version"], told["steps"]
    run.set_status(status="finished", result=told, model_version=version, step=step, updated_at=_now())
    work.cache.unlink(missing_ok=True)
    shutil.rmtree(work.folder, ignore_errors=True)
    return told


def _train(work: _Work, dataset: Dataset, steps: int | None, minutes: float | None) -> TrainingResult:
    last: dict[str, Any] = {}

    def progress(done: int, total: int | None, message: str, **details: Any) -> None:
        last.update(step=done, total=total, message=message)
        work.context.progress(done, total, message, run_id=work.context.job_id, **details)

    def keep(step: int) -> None:
        # The checkpoint is on this disk already; if the store is down, it receives the next one.
        try:
            work.run.upload(work.folder)
            work.run.set_status(updated_at=_now(), checkpoint_step=step, **last)
        except StoreUnavailable as error:
            log.warning("the checkpoint of step %d stays here for now: %s", step, error)

    return train_folder(
        dataset,
        work.recipe,
        work.folder,
        seed=work.seed,
        steps=steps,
        minutes=minutes,
        progress=progress,
        on_checkpoint=keep,
        checkpoint_seconds=CHECKPOINT_SECONDS,
    )


def _forget_old(runs: Path) -> None:
    """Delete local folders of cancelled or failed runs; their copy in the store stays."""
    for path in runs.iterdir():
        # Another worker may be training there: the time of the last written file decides.
        newest = max(file.stat().st_mtime for file in (path, *path.rglob("*")))
        if time.time() - newest > _KEPT_SECONDS:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _chosen(context: JobContext, reference: str | None) -> Manifest | None:
    if reference is None:
        return None
    try:
        manifest = load_manifest(context.store, reference)
    except UnknownDataset as error:
        raise JobError(f"there is no data set {reference!r}: make one with POST /datasets") from error
    if manifest.bucket != Bucket.PIKACHU:
        raise JobError(
            f"expected a data set of the bucket pikachu, and {reference!r} is of {manifest.bucket}"
        )
    return manifest


def _dataset(work: _Work, minimum: int) -> Dataset:
    """Return the pictures as this run first saw them, or all of the bucket for a new run.

    They come from the local cache or by the run's manifest. Pictures withdrawn since are left out, also when
    a run resumes.
    """
    gone = set(withdrawn_ids(work.context.store))
    if work.cache.exists():
        kept = load_dataset(work.cache)
        if gone.isdisjoint(kept.ids):
            return kept
    pictures = PictureBucket(work.context.store, Bucket.PIKACHU)
    manifest = work.folder / "manifest.json"
    wanted = set(work.chosen.ids) if work.chosen else None
    before = None
    if manifest.exists():
        seen = json.loads(manifest.read_text())
        wanted, before = set(seen["train"]) | set(seen["held_out"]), seen.get("pictures", {"kind": "squares"})
    entries = [
        entry
        for entry in pictures.entries()
        if entry.picture_id not in gone and (wanted is None or entry.picture_id in wanted)
    ]
    if len(entries) < minimum:
        raise JobError(
            f"expected at least {minimum} pictures in the bucket pikachu to train on, received "
            f"{len(entries)}: collect more, or filter with a lower threshold"
        )

    try:
        dataset = gather(
            work.context.store,
            entries,
            work.recipe,
            minimum,
            on_progress=work.context.progress,
            before=before,
        )
    except ValueError as error:
        raise JobError(str(error)) from error
    save_dataset(dataset, work.cache)
    return dataset


def _publish(work: _Work, dataset: Dataset, result: TrainingResult, activate: bool) -> dict[str, Any]:
    """Export the chosen generator, publish it with its card, and return the job's result."""
    step = result.state.step
    work.context.progress(step, step, "exporting the chosen generator", run_id=work.context.job_id)
    with tempfile.TemporaryDirectory(dir=work.folder.parent) as temporary:
        publication = Path(temporary)
        agreement = export_best(work.recipe, work.folder / BEST_FILE, publication)
        for name in FILES.values():
            shutil.copy(work.folder / name, publication / name)
        card = {
            "run_id": work.context.job_id,
            "seed": work.seed,
            **card_of(work.recipe, dataset, result, work.chosen),
            "runtimes_differ_by": agreement,
        }
        faults = faults_of(work.recipe, result)
        version = Registry(work.context.store, REGISTRY_NAME).publish(
            publication,
            card,
            run_id=work.context.job_id,
            activate=activate,
            faults=faults,
            pictures=dataset.ids,
        )
    measured = card["evaluation"]
    return {
        "run_id": work.context.job_id,
        "model_version": version,
        "steps": card["steps"],
        "resumed_from": result.resumed_from,
        "minutes": card["minutes"],
        "num_pictures": len(dataset.ids),
        "passed_gate": not faults,
        "warnings": [*card["warnings"], *(f"not activated: {fault}" for fault in faults)],
        "pictures": card["data"]["pictures"],
        **{name: measured[name] for name in _TOLD},
        "best_of": _best_of(card["critic"]),
    }


def _best_of(critic: dict[str, Any] | None) -> dict[str, Any] | None:
    if critic is None:
        return None
    measured = critic["evaluation"]
    return {"candidates": critic["candidates"], "kid": measured["kid"], "likeness": measured["likeness"]}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
