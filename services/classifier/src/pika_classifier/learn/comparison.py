"""Two models' answers to the same labels: which one is better, and whether the labels can tell."""

from typing import Any

import numpy as np

from pika_classifier.learn.intervals import paired_difference
from pika_classifier.learn.metrics import pr_auc, roc_auc

_FIGURES = {"roc_auc": roc_auc, "pr_auc": pr_auc}


def compare(is_pikachu: np.ndarray, base: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """What `other` has more than `base`, bool (N,) and float (N,) each.

    Returns:
        {"roc_auc": {"value", "interval", "is_clear"}, "pr_auc": …}, or None in place of a figure where one of
        the two kinds is missing. `is_clear`: the 95 % interval does not hold 0.
    """
    found: dict[str, Any] = {}
    for name, figure in _FIGURES.items():
        difference = paired_difference(figure, is_pikachu, base, other)
        if difference is None:
            found[name] = None
            continue
        value, (low, high) = difference
        found[name] = {"value": value, "interval": [low, high], "is_clear": not low <= 0.0 <= high}
    return found
