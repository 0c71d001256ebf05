"""What a model's card recommends, from its probabilities of all pictures: thresholds and next labels."""

from typing import Any

import numpy as np

from pika_classifier.learn.calibrate import sigmoid
from pika_classifier.learn.threshold import balanced_threshold, threshold_for

_PRECISIONS = (0.8, 0.9, 0.92, 0.94, 0.95, 0.98, 0.99)
DEFAULT_PRECISION = 0.94
"""What a filter aims at unless it is told otherwise: of seventeen chosen pictures sixteen show Pikachu."""
_ASK_ABOVE = 120.0


def recommendations(
    probabilities: np.ndarray, *, num_labels: int, num_unlabelled: int, share: float | None, shift: float
) -> dict[str, Any]:
    """Return the card's fields about the pile and what to do with it.

    Args:
        probabilities: float (N,), of all pictures, calibrated for the pile.
        num_labels, num_unlabelled: labels, and pictures of the pile without one.
        share: of Pikachus in the pile, None if it is too small to tell.
        shift: of the logits, from the labels' share of Pikachus to the pile's.
    """
    chosen = {value: threshold_for(probabilities, value) for value in _PRECISIONS}
    return {
        "recommended_threshold": balanced_threshold(probabilities),
        "recommended_precision": DEFAULT_PRECISION,
        "doubtful_probability": float(sigmoid(np.array(shift + most_informative(num_labels)))),
        "pile": {"num_pictures": num_unlabelled, "share_of_pikachu": share},
        "thresholds": [
            {
                "precision": value,
                "threshold": choice.threshold,
                "num_accepted": choice.num_accepted,
                "expected_precision": choice.expected_precision,
            }
            for value, choice in chosen.items()
        ],
    }


def most_informative(num_labels: int) -> float:
    """Return the logit, before the shift to the pile's share, of the pictures whose labels teach the most.

    With few labels it is above 0, where a head is undecided: there most pictures are others, of which enough
    are known, and what is wrongly accepted lies higher up. See docs/experiments.md, "What to label next".
    """
    return _ASK_ABOVE / num_labels
