"""From calibrated probabilities to a threshold for a stated precision, and what audits certify about it."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Chosen:
    """A threshold and the precision expected of it.

    `expected_precision` is the mean probability of the accepted pictures, None if there are none.
    """

    threshold: float
    num_accepted: int
    expected_precision: float | None


def threshold_for(probabilities: np.ndarray, precision: float) -> Chosen:
    """Return the lowest threshold whose accepted pictures have a mean probability of at least `precision`.

    It lies midway between the last accepted picture and the next. If even the most probable picture does not
    suffice, nothing is accepted.

    Args:
        probabilities: float (N,), calibrated for this pile.
        precision: 0 … 1, both excluded.
    """
    ordered = np.sort(np.asarray(probabilities, float))[::-1]
    means = np.cumsum(ordered) / np.arange(1, ordered.size + 1)
    # The means only fall, so those that suffice come first; equal probabilities are accepted together.
    num = int((means >= precision).sum())
    while 0 < num < ordered.size and ordered[num] == ordered[num - 1]:
        num -= 1
    if num == 0:
        highest = float(ordered[0]) if ordered.size else precision
        return Chosen(min((1.0 + highest) / 2, 1.0 - 1e-9), 0, None)
    return Chosen(_below(ordered, num), num, float(means[num - 1]))


def balanced_threshold(probabilities: np.ndarray) -> float:
    """Return the threshold with the best expected F1: misses weigh as much as false positives.

    Accepting the k most probable of N pictures, the expected F1 is 2 Σ_k p / (k + Σ_N p) (Lewis 1995, as a
    ratio of means). 0.5 without any picture.
    """
    ordered = np.sort(np.asarray(probabilities, float))[::-1]
    if not ordered.size:
        return 0.5
    f1 = 2 * np.cumsum(ordered) / (np.arange(1, ordered.size + 1) + ordered.sum())
    return _below(ordered, int(np.argmax(f1)) + 1)


def _below(ordered: np.ndarray, num: int) -> float:
    """Return a threshold between the last of `num` accepted probabilities and the next; never 0 or 1."""
    below = float(ordered[num]) if num < ordered.size else 0.0
    return float(np.clip((ordered[num - 1] + below) / 2, 1e-9, 1 - 1e-9))


def lower_bound(num_right: int, num_audited: int, confidence: float = 0.95) -> float:
    """Return the precision certified by an audit: Clopper and Pearson's (1934) one-sided lower bound.

    Args:
        num_right: correct among `num_audited` accepted pictures that were drawn at random and labelled.
    """
    if not 0 <= num_right <= num_audited:
        raise ValueError(f"expected at most {num_audited} right answers, received {num_right}")
    if num_right == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if _tail(num_right, num_audited, middle) < 1 - confidence else (low, middle)
        )
    return low


def audits_needed(precision: float, confidence: float = 0.95) -> int:
    """Return how many audited pictures without an error certify `precision`.

    Their number n satisfies precision^n ≤ 1 − confidence.
    """
    return math.ceil(math.log(1 - confidence) / math.log(precision))


def _tail(num_right: int, num: int, share: float) -> float:
    """Return the binomial probability of at least `num_right` successes in `num` trials."""
    if share <= 0.0:
        return 0.0
    if share >= 1.0:
        return 1.0
    logs = [
        math.lgamma(num + 1) - math.lgamma(k + 1) - math.lgamma(num - k + 1)
        + k * math.log(share) + (num - k) * math.log1p(-share)
        for k in range(num_right, num + 1)
    ]  # fmt: skip
    return math.fsum(math.exp(value) for value in logs)
