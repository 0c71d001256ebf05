"""Calibrate probabilities: of the pictures called 0.9, nine in ten should show Pikachu."""

from dataclasses import dataclass

import numpy as np

TEMPERATURES = np.exp(np.linspace(np.log(0.2), np.log(10.0), 200))
"""The range that is searched: below, a few separable pictures would ask for certainty without end."""
ENOUGH_PILE = 100
"""With fewer pictures than these a pile tells nothing of its share of Pikachus."""
_EM_STEPS = 200
_NEWTON_STEPS = 50


@dataclass(frozen=True)
class Platt:
    """logit = slope · score + offset, and how well few labels determine both.

    `covariance` is that of (slope, offset): ((ss, so), (so, oo)).
    """

    slope: float
    offset: float
    covariance: tuple[tuple[float, float], tuple[float, float]]

    def logits(self, scores: np.ndarray) -> np.ndarray:
        """Return calibrated logits for raw scores."""
        return self.slope * scores + self.offset

    def variances(self, scores: np.ndarray) -> np.ndarray:
        """Return the variances of those logits, from the uncertainty of slope and offset."""
        (ss, so), (_, oo) = self.covariance
        return ss * scores**2 + 2 * so * scores + oo


def fit_platt(scores: np.ndarray, is_pikachu: np.ndarray) -> Platt:
    """Fit slope and offset by cross-entropy against Platt's targets (Platt 1999; Lin et al. 2007).

    Their covariance is Laplace's approximation: the inverse curvature at the optimum.

    Args:
        scores: float (repeats, N), of pictures by models that had not learned from them.
        is_pikachu: bool (N,), both kinds present.
    """
    repeats = len(scores)
    # Targets use the counts over all repeats: the covariance alone accounts for the small number of labels.
    targets = _platt_targets(np.tile(is_pikachu, repeats))
    rows = np.stack([np.asarray(scores, float).ravel(), np.ones(scores.size)], axis=1)
    coefficients = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        probabilities = sigmoid(rows @ coefficients)
        gradient = rows.T @ (probabilities - targets)
        curvature = (rows * (probabilities * (1 - probabilities))[:, None]).T @ rows + 1e-9 * np.eye(2)
        step, size = np.linalg.solve(curvature, gradient), 1.0
        before = _cross_entropy(rows @ coefficients, targets)
        while _cross_entropy(rows @ (coefficients - size * step), targets) > before and size > 1e-6:
            size /= 2
        coefficients = coefficients - size * step
        if np.abs(size * step).max() < 1e-9:
            break
    probabilities = sigmoid(rows @ coefficients)
    curvature = (rows * (probabilities * (1 - probabilities))[:, None]).T @ rows + 1e-9 * np.eye(2)
    # Repeats see the same labels again and are no additional evidence.
    (ss, so), (_, oo) = np.linalg.inv(curvature / repeats).tolist()
    return Platt(float(coefficients[0]), float(coefficients[1]), ((ss, so), (so, oo)))


def expected_logits(logits: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Return logits of the mean probability: logit / √(1 + π · variance / 8) (MacKay 1992).

    Uncertain logits become less extreme.
    """
    moderated: np.ndarray = logits / np.sqrt(1 + np.pi / 8 * variances)
    return moderated


def pile_prior(logits: np.ndarray, labelled_share: float) -> tuple[float | None, float]:
    """Estimate the share of Pikachus in a pile, and the shift of logits calibrated for another share.

    Expectation maximisation (Saerens, Latinne and Decaestecker 2002): the mean probability under a prior is
    the next prior, until they agree.

    Args:
        logits: float (N,), of the pile's pictures, calibrated for `labelled_share` Pikachus.
        labelled_share: of Pikachus among the labels.

    Returns:
        (share, shift); (None, 0.0) for fewer than ENOUGH_PILE pictures.
    """
    if len(logits) < ENOUGH_PILE:
        return None, 0.0
    before = np.log(labelled_share / (1 - labelled_share))
    share = labelled_share
    for _ in range(_EM_STEPS):
        shift = np.log(share / (1 - share)) - before
        # Never 0 or 1, which the iteration cannot leave.
        share = float(np.clip(sigmoid(logits + shift).mean(), 1e-4, 1 - 1e-4))
    return share, float(np.log(share / (1 - share)) - before)


def fit_temperature(logits: np.ndarray, is_pikachu: np.ndarray) -> float:
    """Fit the temperature T that minimises the cross-entropy of sigmoid(logit / T) (Guo et al. 2017).

    Platt's targets keep a few dozen separable pictures from demanding infinite confidence.

    Args:
        logits: float (N,).
        is_pikachu: bool (N,), both kinds present.
    """
    return float(TEMPERATURES[np.argmin(_losses(logits, is_pikachu))])


def calibrated_loss(logits: np.ndarray, is_pikachu: np.ndarray) -> float:
    """Return the cross-entropy at the temperature of `fit_temperature`, in nats."""
    return float(_losses(logits, is_pikachu).min())


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^−x) without overflow."""
    probabilities: np.ndarray = np.exp(-np.logaddexp(0.0, -np.asarray(values, float)))
    return probabilities


def logit(probabilities: np.ndarray) -> np.ndarray:
    """Return log(p / (1 − p)), bounded to ±16."""
    bounded = np.clip(np.asarray(probabilities, float), 1e-7, 1 - 1e-7)
    logits: np.ndarray = np.log(bounded / (1 - bounded))
    return logits


def _platt_targets(is_pikachu: np.ndarray) -> np.ndarray:
    """Return (n₊ + 1) / (n₊ + 2) and 1 / (n₋ + 2) instead of 1 and 0 (Platt 1999)."""
    truth = np.asarray(is_pikachu, bool)
    num_pikachu = int(truth.sum())
    num_others = truth.size - num_pikachu
    return np.where(truth, (num_pikachu + 1) / (num_pikachu + 2), 1 / (num_others + 2))


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    # log(1 + e^x) − y·x is the cross-entropy of sigmoid(x) against y.
    return float((np.logaddexp(0.0, logits) - targets * logits).mean())


def _losses(logits: np.ndarray, is_pikachu: np.ndarray) -> np.ndarray:
    targets = _platt_targets(is_pikachu)
    scaled = np.asarray(logits, float)[None, :] / TEMPERATURES[:, None]
    losses: np.ndarray = (np.logaddexp(0.0, scaled) - targets * scaled).mean(axis=1)
    return losses
