r"""Train presets for the same time on the same pictures and compare their pictures' quality.

    .venv/bin/python tests/benchmarks/gan_quality.py --pictures POOL --truth pool_labels.csv \
        [--duplicates pool_near_duplicates.csv] [--presets cpu-32 article fastgan-32] [--minutes 15] \
        [--squares] --out FOLDER

The truth (columns filename and label) selects the Pikachus; duplicates (column filename) are left out. A
tenth is held out by the pictures' hashes, as in every run. All presets get the same pictures: figures cut out
and selected or, with --squares, whole squares. Prints for each preset KID × 1000 with its 95 % interval in
both feature spaces, precision and recall, near copies and likeness, and below it the same of what the judge
chooses. Sheets, films and logs are written to the folder; they are derived from other people's pictures and
must stay there. The last line is a JSON object.

With PIKA_GAN_BACKEND=jax it trains on JAX, and TensorFlow need not be installed.
"""

import argparse
import csv
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from pika_gan.candidates import CANDIDATES
from pika_gan.choice import choose
from pika_gan.config import Preset
from pika_gan.data import Dataset, make_dataset
from pika_gan.evaluate import Evaluation
from pika_gan.figures import WORKING_SIDE, cut_out
from pika_gan.presets import PRESETS, preset_named
from pika_gan.spaces import look
from pika_gan.train import TrainingResult, train
from pika_kit.images import decode, sha256, square

SPACES = ("pyramid", "lite2")


def main() -> None:
    """Train each preset and print its line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--duplicates", type=Path)
    parser.add_argument("--presets", nargs="+", default=["cpu-32", "article", "fastgan-32"], choices=PRESETS)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--squares", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    chosen = names_of(arguments.truth, arguments.duplicates)
    told = {}
    for name in arguments.presets:
        preset = preset_named(name)
        dataset = dataset_of(arguments.pictures, chosen, preset, figures=not arguments.squares)
        print(f"{name}: {len(dataset.train)} pictures, {len(dataset.held_out)} held out", flush=True)
        folder = arguments.out / name
        result = train(
            dataset, preset, folder, seed=arguments.seed, minutes=arguments.minutes, progress=Progress()
        )
        told[name] = figures_of(result)
        print(f"{name}: {told[name]['steps']} steps, {line_of(told[name])}", flush=True)
        if told[name]["preferred"]:
            print(f"  of up to {CANDIDATES}: {line_of(told[name]['preferred'])}", flush=True)
    print(json.dumps({"minutes": arguments.minutes, "seed": arguments.seed, "presets": told}))


def names_of(truth: Path, duplicates: Path | None) -> list[str]:
    """Return the file names of the Pikachus."""
    left_out = set()
    if duplicates is not None:
        with duplicates.open(newline="") as file:
            left_out = {row["filename"] for row in csv.DictReader(file)}
    with truth.open(newline="") as file:
        rows = [row["filename"] for row in csv.DictReader(file) if row["label"] == "pikachu"]
    return [name for name in rows if name not in left_out]


def dataset_of(folder: Path, names: list[str], preset: Preset, *, figures: bool) -> Dataset:
    """Build the data set that a job would train on if the filter had selected these pictures."""
    data = [(folder / name).read_bytes() for name in names]
    side = max(128, preset.resolution)
    if figures:
        cuts = [(sha256(one), cut_out(decode(one, at_least=WORKING_SIDE).pixels, side)) for one in data]
        whole = [(key, cut.pixels) for key, cut in cuts if cut.pixels is not None]
        pixels = np.stack([picture for _, picture in whole])
        kept = choose(pixels, look("lite2", pixels), look("lite2", pixels[:, :, ::-1])).kept
        pictures = [figure for figure, keep in zip(whole, kept, strict=True) if keep]
    else:
        pictures = [(sha256(one), square(decode(one, at_least=256).pixels, 256)) for one in data]
    return make_dataset(pictures, preset.resolution, poses=preset.poses)


class Progress:
    """Print one line per minute."""

    def __init__(self) -> None:
        self.told = time.monotonic()

    def __call__(self, done: int, total: int | None, message: str, **details: object) -> None:
        """See `pika_kit.queue.OnProgress`."""
        if time.monotonic() - self.told > 60:
            self.told = time.monotonic()
            print(f"  {message}", flush=True)


def figures_of(result: TrainingResult) -> dict[str, object]:
    """Return the figures of the chosen generator that are printed and compared."""
    return {
        "steps": result.state.step,
        "chosen_step": result.state.best_step,
        **measured_by(result.evaluation),
        "preferred": measured_by(result.of_preferred) if result.of_preferred else None,
        "warnings": list(result.warnings),
    }


def measured_by(measured: Evaluation) -> dict[str, object]:
    """Return the figures of one measurement."""
    return {
        "kid": {name: [measured.spaces[name].kid, measured.spaces[name].kid_interval] for name in SPACES},
        "precision": measured.spaces["lite2"].precision,
        "recall": measured.spaces["lite2"].recall,
        "near_copy_rate": measured.near_copy_rate,
        "likeness": measured.likeness,
        "likeness_of_real": measured.likeness_of_real,
        "diversity": measured.diversity,
        "reference": f"{measured.num_reference} {measured.reference}",
    }


def line_of(told: dict) -> str:
    """Format the figures of one measurement."""
    kids = []
    for space, (kid, interval) in told["kid"].items():
        low, high = interval
        kids.append(f"{space} {1000 * kid:.0f} ({1000 * low:.0f}–{1000 * high:.0f})")
    likeness = "unclear" if told["likeness"] is None else f"{told['likeness']:.2f}"
    return (
        f"KID × 1000 {', '.join(kids)}; precision {told['precision']:.2f}, "
        f"recall {told['recall']:.2f}, near copies {told['near_copy_rate']:.3f}, "
        f"likeness {likeness}, diversity {told['diversity']:.2f}"
    )


if __name__ == "__main__":
    main()
