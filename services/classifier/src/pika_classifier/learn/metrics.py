"""Quality of a classifier, in numpy: ranking, thresholds, calibration.

All functions take `is_pikachu` bool (N,) and `scores` float (N,), larger for more like Pikachu.
"""

from typing import Any

import numpy as np

from pika_classifier.learn.intervals import interval, wilson

THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


def roc_auc(is_pikachu: np.ndarray, scores: np.ndarray) -> float:
    """Return the chance that a Pikachu scores above another picture, ties counting half (Mann–Whitney U).

    NaN if one of the two kinds is missing.
    """
    truth = np.asarray(is_pikachu, bool)
    num_positive = int(truth.sum())
    num_negative = truth.size - num_positive
    if num_positive == 0 or num_negative == 0:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last_ranks = np.cumsum(counts)
    ranks = (last_ranks - (counts - 1) / 2)[inverse]  # tied scores share their mean rank
    u = ranks[truth].sum() - num_positive * (num_positive + 1) / 2
    return float(u / (num_positive * num_negative))


def pr_curve(is_pikachu: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (precision, recall, thresholds), one point per distinct score, highest first."""
    truth = np.asarray(is_pikachu, bool)
    order = np.argsort(-np.asarray(scores), kind="stable")
    sorted_scores = np.asarray(scores)[order]
    true_positives = np.cumsum(truth[order])
    ends = np.flatnonzero(np.diff(sorted_scores, append=-np.inf))  # the last of each run of equal scores
    precision = true_positives[ends] / (ends + 1)
    recall = true_positives[ends] / max(int(truth.sum()), 1)
    return precision, recall, sorted_scores[ends]


def pr_auc(is_pikachu: np.ndarray, scores: np.ndarray) -> float:
    """Return average precision: Σ (recall step) × precision; NaN without any Pikachu."""
    if not np.any(is_pikachu):
        return float("nan")
    precision, recall, _ = pr_curve(is_pikachu, scores)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def at_threshold(is_pikachu: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, Any]:
    """Return accuracy, precision and recall if a score ≥ `threshold` counts as Pikachu, with intervals.

    Precision is None if nothing is accepted, recall is None without Pikachus. Intervals are 95 %.
    """
    truth = np.asarray(is_pikachu, bool)
    passed = np.asarray(scores) >= threshold
    hits = int((truth & passed).sum())
    num_passed, num_pikachu = int(passed.sum()), int(truth.sum())
    return {
        "threshold": threshold,
        "num_passed": num_passed,
        "accuracy": float((truth == passed).mean()) if truth.size else None,
        "precision": hits / num_passed if num_passed else None,
        "precision_interval": wilson(hits / num_passed, num_passed) if num_passed else None,
        "recall": hits / num_pikachu if num_pikachu else None,
        "recall_interval": wilson(hits / num_pikachu, num_pikachu) if num_pikachu else None,
    }


def recommended_threshold(is_pikachu: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the threshold with the best F½ on these pictures: false positives weigh more than misses.

    F½ = 1.25 · precision · recall / (0.25 · precision + recall) (van Rijsbergen 1979). It lies midway between
    the last accepted probability and the next; 0.5 without any Pikachu.
    """
    if not np.any(is_pikachu):
        return 0.5
    precision, recall, scores = pr_curve(is_pikachu, np.asarray(probabilities, float))
    f_half = 1.25 * precision * recall / np.maximum(0.25 * precision + recall, 1e-12)
    best = int(np.argmax(f_half))
    below = scores[best + 1] if best + 1 < scores.size else 0.0
    # Keep it away from 0 and 1, which a threshold cannot be.
    return float(np.clip((scores[best] + below) / 2, 0.01, 0.99))


def calibration_error(is_pikachu: np.ndarray, probabilities: np.ndarray, num_bins: int = 15) -> float:
    """Return the expected calibration error over equal-width bins (Guo et al. 2017, eq. 3); 0 is perfect."""
    truth = np.asarray(is_pikachu, float)
    bins = np.minimum((np.asarray(probabilities) * num_bins).astype(int), num_bins - 1)
    gaps = [
        abs(truth[bins == index].mean() - probabilities[bins == index].mean()) * np.mean(bins == index)
        for index in np.unique(bins)
    ]
    return float(sum(gaps))


def report(is_pikachu: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return everything above as JSON-able data, for cards and job results."""
    recommended = recommended_threshold(is_pikachu, probabilities)
    thresholds = sorted({*THRESHOLDS, recommended})
    return {
        "num_pictures": int(np.size(is_pikachu)),
        "num_pikachu": int(np.sum(is_pikachu)),
        "roc_auc": _number(roc_auc(is_pikachu, probabilities)),
        "roc_auc_interval": interval(roc_auc, is_pikachu, probabilities),
        "pr_auc": _number(pr_auc(is_pikachu, probabilities)),
        "pr_auc_interval": interval(pr_auc, is_pikachu, probabilities),
        "calibration_error": _number(calibration_error(is_pikachu, probabilities)),
        "recommended_threshold": recommended,
        "at_thresholds": [at_threshold(is_pikachu, probabilities, value) for value in thresholds],
    }


def _number(value: float) -> float | None:
    """Replace NaN, which JSON does not have, by None."""
    return None if np.isnan(value) else value
