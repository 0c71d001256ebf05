r"""Rank a labelled pile with our classifier and three baselines; print ranking and calibration.

    .venv/bin/python tests/benchmarks/classifier.py --pictures POOL --labels FOLDER --truth pool_labels.csv \
        [--scratch FOLDER] [--article] [--finetuned] [--curve N]

POOL is the pile, FOLDER has the labels as trains|valids/pikachu|others, and the CSV file has the true labels
of the pile (columns filename and label). The truth is used to judge and, with `--curve`, to simulate the
annotator; nothing else learns from it. `--article` adds the preset `article`, whose epoch is selected on the
validation labels, and `--finetuned` the preset `finetuned`. Features are cached in the scratch folder. The
last line is a JSON object.
"""

import argparse
import csv
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from pika_classifier.config import IMAGE_SIZE, PRESETS, FinetunedPreset, FrozenPreset, Preset
from pika_classifier.features.bank import Features
from pika_classifier.features.extractor import FEATURES_NAME
from pika_classifier.features.network import build_features
from pika_classifier.features.variations import choose_varied
from pika_classifier.finetuning import look, lower_network
from pika_classifier.learn.augment import augment
from pika_classifier.learn.batches import compiled, predict_in_batches
from pika_classifier.learn.calibrate import logit, sigmoid
from pika_classifier.learn.data import LabelledPictures
from pika_classifier.learn.finetune import Pictures, fine_tune
from pika_classifier.learn.frozen import LabelledFeatures, TrainedHead, train_head
from pika_classifier.learn.metrics import calibration_error, pr_auc, pr_curve, roc_auc
from pika_classifier.learn.networks import finetuned_model
from pika_classifier.learn.recommend import most_informative
from pika_classifier.learn.threshold import threshold_for
from pika_classifier.learn.train import train
from pika_classifier.serve.predictor import OUTPUT_NAME, prepare
from pika_eyes.heads import fit_logistic, folds, log_loss

PRECISIONS = (0.9, 0.95, 0.98)
BUDGETS = (200, 400, 800)
PER_ROUND, RANDOM_PER_ROUND = 40, 10
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


@dataclass(frozen=True, eq=False)
class Data:
    """All pictures, labelled ones first: features float32 (N, F), truth bool (N,)."""

    names: list[str]
    features: np.ndarray
    truth: np.ndarray
    is_train: np.ndarray
    is_labelled: np.ndarray
    variations: np.ndarray
    pixels: Path

    def rows(self, mask: np.ndarray) -> np.ndarray:
        """Select rows by number."""
        return np.flatnonzero(mask)


def default_preset() -> FrozenPreset:
    """Return what `default` stands for."""
    preset = PRESETS["default"]
    assert isinstance(preset, FrozenPreset)
    return preset


def read(arguments: argparse.Namespace, scratch: Path) -> Data:
    """Return the pictures' features, computed or read from the scratch folder."""
    with arguments.truth.open(newline="", encoding="utf-8") as file:
        truth_of = {row["filename"]: row["label"] == "pikachu" for row in csv.DictReader(file)}
    labelled = [
        (path, label == "pikachu", split == "trains")
        for split in ("trains", "valids")
        for label in ("pikachu", "others")
        for path in sorted((arguments.labels / split / label).iterdir())
    ]
    pool = [(path, truth_of[path.name], False) for path in sorted(arguments.pictures.iterdir())]
    paths = [path for path, _, _ in labelled + pool]
    pixels = _pixels(paths, scratch)
    features, variations = _features(pixels, len(labelled), default_preset(), scratch)
    return Data(
        [str(path) for path in paths],
        features,
        np.array([is_pikachu for _, is_pikachu, _ in labelled + pool]),
        np.array([is_train for _, _, is_train in labelled + pool]),
        np.arange(len(paths)) < len(labelled),
        variations,
        pixels,
    )


def _pixels(paths: list[Path], scratch: Path) -> Path:
    digest = hashlib.sha256("".join(map(str, paths)).encode()).hexdigest()[:16]
    kept = scratch / f"pixels-{digest}.npy"
    if not kept.exists():
        squares = np.lib.format.open_memmap(
            kept.with_suffix(".part"),
            mode="w+",
            dtype=np.uint8,
            shape=(len(paths), IMAGE_SIZE, IMAGE_SIZE, 3),
        )
        for row, path in enumerate(paths):
            squares[row] = prepare(path.read_bytes())
        squares.flush()
        kept.with_suffix(".part").rename(kept)
    return kept


def _features(
    pixels: Path, num_labelled: int, preset: FrozenPreset, scratch: Path
) -> tuple[np.ndarray, np.ndarray]:
    path = scratch / f"{pixels.stem}-{preset.features.key}.npz"
    if not path.exists():
        squares = np.load(pixels, mmap_mode="r")
        network = build_features(preset.features)
        began = time.monotonic()
        features = predict_in_batches(network, squares)[FEATURES_NAME]
        print(f"features: {len(squares) / (time.monotonic() - began):.1f} pictures a second", flush=True)
        # By the hashes of the squares; the product selects by the hashes of the files.
        rows = {
            hashlib.sha256(squares[row].tobytes()).hexdigest(): row
            for row in range(num_labelled, len(squares))
        }
        chosen = [rows[name] for name in choose_varied(tuple(rows), preset.num_varied)]
        varied = np.stack(
            [
                augment(squares[row], rng, preset.variation, IMAGE_SIZE)
                for number, row in enumerate(chosen)
                for rng in [np.random.default_rng(number)]
                for _ in range(preset.num_variations)
            ]
        )
        looked = predict_in_batches(network, varied)[FEATURES_NAME]
        shape = (len(chosen), preset.num_variations, -1)
        np.savez(path, features=features, variations=looked.reshape(shape).swapaxes(0, 1))
    with np.load(path) as kept:
        return kept["features"], kept["variations"]


def ours(
    data: Data, labelled: np.ndarray, hard: np.ndarray | None = None, preset: FrozenPreset | None = None
) -> TrainedHead:
    """Fit a preset on these rows' labels; the pile is everything unlabelled at the start.

    Args:
        hard: bool, which of the rows were labelled because the model was unsure about them.
        preset: the default one if None.
    """
    preset = preset or default_preset()
    pile = data.rows(~data.is_labelled)
    return train_head(
        LabelledFeatures(
            tuple(data.names[row] for row in labelled), data.features[labelled], data.truth[labelled], hard
        ),
        Features(tuple(data.names[row] for row in pile), data.features[pile]),
        data.variations,
        preset,
    )


def judge(data: Data, rows: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Compute the figures on these rows."""
    truth = data.truth[rows]
    precision, recall, _ = pr_curve(truth, probabilities)
    figures = {
        "roc_auc": round(roc_auc(truth, probabilities), 4),
        "pr_auc": round(pr_auc(truth, probabilities), 4),
        "recall_at_0.98": round(float(recall[precision >= 0.98].max(initial=0.0)), 3),
        "calibration_error": round(calibration_error(truth, probabilities), 3),
    }
    for value in PRECISIONS:
        chosen = threshold_for(probabilities, value)
        accepted = probabilities >= chosen.threshold
        figures[f"aim_{value}"] = {
            "accepted": int(accepted.sum()),
            "true_precision": round(float(truth[accepted].mean()), 3) if accepted.any() else None,
        }
    return figures


def plain(values: np.ndarray, data: Data, labelled: np.ndarray) -> np.ndarray:
    """Fit a cross-validated logistic regression on standardised values (N, F); return all scores."""
    x = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6) / np.sqrt(values.shape[1])
    truth = data.truth[labelled]

    def loss(penalty: float) -> float:
        total = 0.0
        for seed in range(3):
            number = folds(truth, 10, seed)
            for fold in range(10):
                head = fit_logistic(x[labelled[number != fold]], truth[number != fold], penalty)
                held_out = number == fold
                total += log_loss(truth[held_out], head.logits(x[labelled[held_out]])) * held_out.sum()
        return total

    return fit_logistic(x[labelled], truth, min(PENALTIES, key=loss)).logits(x)


def article(data: Data) -> np.ndarray:
    """Train the 2018 network on the training labels; the validation labels select its epoch."""
    squares = np.load(data.pixels, mmap_mode="r")

    def pictures(mask: np.ndarray) -> LabelledPictures:
        rows = data.rows(mask)
        return LabelledPictures(squares[rows], data.truth[rows], tuple(data.names[row] for row in rows))

    preset = PRESETS["article"]
    assert isinstance(preset, Preset)
    trained = train(pictures(data.is_train), pictures(data.is_labelled & ~data.is_train), preset)
    print(f"article: {trained.model.count_params()} weights, {len(trained.history['loss'])} epochs")
    return predict_in_batches(trained.model, squares)[OUTPUT_NAME]


def finetuned(data: Data, labelled: np.ndarray) -> np.ndarray:
    """Train the preset `finetuned` on these rows' labels; return all probabilities."""
    preset = PRESETS["finetuned"]
    assert isinstance(preset, FinetunedPreset)
    squares = np.load(data.pixels, mmap_mode="r")
    trained = ours(data, labelled, preset=preset.frozen)
    row_of = {data.names[row]: row for row in np.setdiff1d(data.rows(~data.is_labelled), labelled)}
    pile = [row_of[name] for name in choose_varied(tuple(row_of), preset.max_pile)]
    began = time.monotonic()
    maps, pile_maps = look(
        compiled(lower_network(preset)),
        ((data.names[row], squares[row]) for row in labelled),
        ((data.names[row], squares[row]) for row in pile),
        preset,
        labelled.size,
    )
    looked = time.monotonic()
    head = trained.head
    pictures = Pictures(
        maps,
        data.truth[labelled],
        np.arange(labelled.size),
        logit(trained.label_probabilities),
        pile_maps,
        head.platt.logits(head.scores(data.features[pile])),
    )
    tuned = fine_tune(pictures, preset)
    print(f"finetuned: maps {looked - began:.0f} s, networks {time.monotonic() - looked:.0f} s")
    model = finetuned_model(preset.frozen.features, head, preset.tap, tuned)
    return predict_in_batches(model, squares)[OUTPUT_NAME]


def curve(data: Data, num_seeds: int) -> list[dict[str, Any]]:
    """Compare labels selected by uncertainty with as many random ones, on the rest of the pile.

    Each is done `num_seeds` times, with other random pictures.
    """
    rows = []
    for is_active in (True, False):
        for seed in range(num_seeds):
            for row in _annotate(data, is_active, seed):
                rows.append({"chosen": "by doubt" if is_active else "by chance", "seed": seed} | row)
                print(json.dumps(rows[-1]), flush=True)
    return rows


def _annotate(data: Data, is_active: bool, seed: int) -> Iterator[dict[str, Any]]:
    """Answer what is asked from the truth, and yield the figures at each of BUDGETS."""
    rng = np.random.default_rng(seed)
    labelled = data.rows(data.is_labelled)
    hard = np.zeros(len(labelled), bool)
    while True:
        trained = ours(data, labelled, hard)
        rest = np.setdiff1d(data.rows(~data.is_labelled), labelled)
        if len(labelled) in BUDGETS:
            figures = judge(data, rest, trained.head.probabilities(data.features[rest]))
            yield {"labels": len(labelled)} | figures
        if len(labelled) >= max(BUDGETS):
            return
        num = min(PER_ROUND, min(size for size in BUDGETS if size > len(labelled)) - len(labelled))
        # As `labels.queue` does with the card's `doubtful_probability`.
        logits = trained.head.unshifted_logits(data.features[rest])
        doubtful = rest[np.argsort(np.abs(logits - most_informative(len(labelled))))]
        sure = num - num * RANDOM_PER_ROUND // PER_ROUND if is_active else 0
        chance = rng.permutation(np.setdiff1d(rest, doubtful[:sure]))[: num - sure]
        labelled = np.concatenate([labelled, doubtful[:sure], chance])
        hard = np.concatenate([hard, np.arange(num) < sure])


def main() -> None:
    """Print the figures of each classifier on the pile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--article", action="store_true")
    parser.add_argument("--finetuned", action="store_true")
    parser.add_argument("--curve", type=int, default=0, metavar="N", help="annotate N times")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    with tempfile.TemporaryDirectory() as temporary:
        scratch = arguments.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        data = read(arguments, scratch)
        pool = data.rows(~data.is_labelled)
        summary: dict[str, Any] = {}
        for name, labelled in (("trains", data.rows(data.is_train)), ("all", data.rows(data.is_labelled))):
            began = time.monotonic()
            trained = ours(data, labelled)
            seconds = time.monotonic() - began
            colours, means = data.features[:, 2560:], data.features[:, :1280]
            by_kind = {
                "num_labels": len(labelled),
                "default": judge(data, pool, trained.head.probabilities(data.features[pool]))
                | {"seconds": round(seconds, 1)},
                "lite0_logistic": judge(data, pool, sigmoid(plain(means, data, labelled)[pool])),
                "colours_logistic": judge(data, pool, sigmoid(plain(colours, data, labelled)[pool])),
            }
            if arguments.finetuned:
                by_kind["finetuned"] = judge(data, pool, finetuned(data, labelled)[pool])
            summary[name] = by_kind
            for kind, figures in by_kind.items():
                print(name, kind, json.dumps(figures))
        if arguments.article:
            summary["article"] = judge(data, pool, article(data)[pool])
            print("article", json.dumps(summary["article"]))
        if arguments.curve:
            summary["curve"] = curve(data, arguments.curve)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
