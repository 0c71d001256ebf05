"""Temperature scaling: make a probability mean what it says (Guo et al. 2017, arXiv 1706.04599)."""

import numpy as np

TEMPERATURES = np.exp(np.linspace(np.log(0.2), np.log(10.0), 200))
"""The range that is searched: below, a few separable pictures would ask for certainty without end."""


def fit_temperature(logits: np.ndarray, is_pikachu: np.ndarray) -> float:
    """The temperature T for which sigmoid(logit / T) has the least cross-entropy.

    The targets are not 0 and 1 but Platt's (1999) (n₊+1)/(n₊+2) and 1/(n₋+2), so that a few dozen pictures
    that a model separates do not ask for infinite confidence.

    Args:
        logits: float (N,). is_pikachu: bool (N,), both kinds present.
    """
    return float(TEMPERATURES[np.argmin(_losses(logits, is_pikachu))])


def calibrated_loss(logits: np.ndarray, is_pikachu: np.ndarray) -> float:
    """The cross-entropy at the temperature of `fit_temperature`, in nats."""
    return float(_losses(logits, is_pikachu).min())


def _losses(logits: np.ndarray, is_pikachu: np.ndarray) -> np.ndarray:
    truth = np.asarray(is_pikachu, bool)
    num_pikachu = int(truth.sum())
    num_others = truth.size - num_pikachu
    targets = np.where(truth, (num_pikachu + 1) / (num_pikachu + 2), 1 / (num_others + 2))
    scaled = np.asarray(logits, float)[None, :] / TEMPERATURES[:, None]
    # log(1 + e^x) − y·x is the cross-entropy of sigmoid(x) against y.
    losses: np.ndarray = (np.logaddexp(0.0, scaled) - targets * scaled).mean(axis=1)
    return losses
