"""Compare two models' answers to the same labels: which is better, and whether the labels can tell."""

from typing import Any

import numpy as np

from pika_classifier.learn.intervals import paired_difference
from pika_classifier.learn.metrics import pr_auc, roc_auc

_FIGURES = {"roc_auc": roc_auc, "pr_auc": pr_auc}


def compare(is_pikachu: np.ndarray, base: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """Return figures of `other` minus those of `base`; labels bool (N,) and probabilities float (N,).

    Returns:
        {"roc_auc": {"value", "interval", "is_clear"}, "pr_auc": …}, with None instead of a figure if one
        of the two kinds is missing. `is_clear`: the 95 % interval does not contain 0.
    """
    comparison: dict[str, Any] = {}
    for name, figure in _FIGURES.items():
        difference = paired_difference(figure, is_pikachu, base, other)
        if difference is None:
            comparison[name] = None
            continue
        value, (low, high) = difference
        comparison[name] = {"value": value, "interval": [low, high], "is_clear": not low <= 0.0 <= high}
    return comparison
