r"""Compare alternatives to the default classifier by nested cross-validation on the labels alone.

    .venv/bin/python tests/benchmarks/classifier_nested.py --pictures POOL --labels FOLDER \
        --truth pool_labels.csv [--scratch FOLDER] [--repeats N] [--only NAME …]

Arguments are those of `classifier.py`, whose features it reads. Of the pile's truth nothing is used: each
label is judged by a head that has not seen it, and that head's penalty is chosen by cross-validation on the
other labels (Varma and Simon 2006). The last column but one is the paired difference of the log-loss from
that of the first line, with its standard error over the pictures.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from classifier import Data, default_preset, ours, plain, read

from pika_classifier.config import FrozenPreset
from pika_classifier.learn.calibrate import fit_platt
from pika_classifier.learn.metrics import pr_auc, roc_auc
from pika_eyes.heads import folds

FOLDS = 10
Scorer = Callable[[Data, np.ndarray, np.ndarray], np.ndarray]
"""(data, rows to learn from, rows to judge) → calibrated logits of the latter."""


def _frozen(preset: FrozenPreset, *, varied: bool = True) -> Scorer:
    def score(data: Data, learned: np.ndarray, judged: np.ndarray) -> np.ndarray:
        seen = data if varied else replace(data, variations=data.variations[:0])
        return ours(seen, learned, preset=preset).head.unshifted_logits(data.features[judged])

    return score


def _plain(block: slice) -> Scorer:
    def score(data: Data, learned: np.ndarray, judged: np.ndarray) -> np.ndarray:
        scores = plain(data.features[:, block], data, learned)
        # In favour of the baseline: its slope and offset are fitted on labels that it has learned from.
        return fit_platt(scores[None, learned], data.truth[learned]).logits(scores[judged])

    return score


def alternatives() -> dict[str, Scorer]:
    """Return what is compared, the default first."""
    default = default_preset()
    widths = np.cumsum([0, *default.features.blocks.values()])
    return {
        "default": _frozen(default),
        "colours at a quarter, 256 axes (0.2.0)": _frozen(replace(default, colour_weight=0.25, num_axes=256)),
        "colours at full weight": _frozen(replace(default, colour_weight=1.0)),
        "without colours": _frozen(replace(default, colour_weight=1e-3)),
        "256 axes": _frozen(replace(default, num_axes=256)),
        "512 axes": _frozen(replace(default, num_axes=512)),
        "without smoothing": _frozen(replace(default, smoothing=0.0)),
        "without variations": _frozen(default, varied=False),
        "Lite0 means, logistic regression": _plain(slice(0, int(widths[1]))),
        "colours alone, logistic regression": _plain(slice(int(widths[2]), int(widths[3]))),
    }


def cross_fit(data: Data, score: Scorer, repeats: int) -> np.ndarray:
    """Return each label's logits by heads that had not seen it, float (repeats, N)."""
    labelled = data.rows(data.is_labelled)
    logits = np.zeros((repeats, labelled.size))
    for row in range(repeats):
        fold_of = folds(data.truth[labelled], FOLDS, 1000 + row)  # others than those of the inner choice
        for fold in range(FOLDS):
            held_out = fold_of == fold
            logits[row, held_out] = score(data, labelled[~held_out], labelled[held_out])
    return logits


def main() -> None:
    """Print a table of alternatives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("--pictures", "--labels", "--truth"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=list(alternatives()))
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    with tempfile.TemporaryDirectory() as temporary:
        scratch = arguments.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        data = read(arguments, scratch)
        truth = data.truth[data.is_labelled]
        reference = None
        print("| | ROC-AUC | PR-AUC | log-loss | against the default | seconds |")
        print("| --- | --- | --- | --- | --- | --- |")
        for name in arguments.only:
            began = time.monotonic()
            logits = cross_fit(data, alternatives()[name], arguments.repeats)
            losses = np.logaddexp(0.0, np.where(truth, -logits, logits)).mean(axis=0)
            reference = losses if reference is None else reference
            worse = losses - reference
            areas = [np.mean([area(truth, row) for row in logits]) for area in (roc_auc, pr_auc)]
            print(
                f"| {name} | {areas[0]:.3f} | {areas[1]:.3f} | {losses.mean():.3f} "
                f"| {worse.mean():+.3f} ± {worse.std(ddof=1) / np.sqrt(truth.size):.3f} "
                f"| {time.monotonic() - began:.0f} |"
            )


if __name__ == "__main__":
    main()
