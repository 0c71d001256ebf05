"""Heads for frozen features: logistic regression with an L2 penalty by Newton's method, in numpy."""

from dataclasses import dataclass

import numpy as np

_MAX_STEPS = 50
_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Head:
    """logit = x · weights + bias; weights float64 (F,)."""

    weights: np.ndarray
    bias: float

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Map features (N, F) to logits (N,)."""
        logits: np.ndarray = x @ self.weights + self.bias
        return logits


def fit_logistic(x: np.ndarray, is_positive: np.ndarray, penalty: float) -> Head:
    """Fit the head that minimises Σ log(1 + exp(−s · logit)) + penalty / 2 · |weights|², where s = ±1.

    The bias is not penalised. Newton's method with step halving (Boyd and Vandenberghe 2004, 9.5). With fewer
    rows than features the optimum lies in the span of the rows, in whose coordinates it is found.

    Args:
        x: float (N, F).
        is_positive: bool (N,), both kinds present.
        penalty: above 0.

    Raises:
        ValueError: one of the kinds is missing, or the penalty is not positive.
    """
    truth = np.asarray(is_positive, bool)
    if penalty <= 0 or truth.all() or not truth.any():
        raise ValueError(f"expected both kinds and a penalty above 0, received {truth.sum()} of {truth.size}")
    span = None
    if x.shape[0] < x.shape[1]:
        left, values, span = np.linalg.svd(x, full_matrices=False)
        x = left * values
    rows = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    penalties = np.append(np.full(x.shape[1], float(penalty)), 0.0)
    coefficients = np.zeros(rows.shape[1])
    loss = _loss(rows, truth, penalties, coefficients)
    for _ in range(_MAX_STEPS):
        probabilities = _sigmoid(rows @ coefficients)
        gradient = rows.T @ (probabilities - truth) + penalties * coefficients
        curvature = (rows * (probabilities * (1 - probabilities))[:, None]).T @ rows + np.diag(penalties)
        curvature[-1, -1] += 1e-9  # the bias is not penalised, and its curvature may vanish
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (next_loss := _loss(rows, truth, penalties, coefficients - size * step)) > loss and size > 1e-6:
            size /= 2
        coefficients = coefficients - size * step
        if loss - next_loss <= _TOLERANCE * max(1.0, abs(loss)):
            break
        loss = next_loss
    weights = coefficients[:-1] if span is None else coefficients[:-1] @ span
    return Head(weights, float(coefficients[-1]))


def folds(is_positive: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """Return each row's fold, int (N,): shuffled, with each kind spread evenly over the folds."""
    truth = np.asarray(is_positive, bool)
    rng = np.random.default_rng(seed)
    folds = np.zeros(truth.size, int)
    for kind in (True, False):
        rows = rng.permutation(np.flatnonzero(truth == kind))
        folds[rows] = (np.arange(rows.size) + rng.integers(num_folds)) % num_folds
    return folds


def log_loss(is_positive: np.ndarray, logits: np.ndarray) -> float:
    """Return the mean cross-entropy of sigmoid(logit), in nats."""
    signs = np.where(np.asarray(is_positive, bool), 1.0, -1.0)
    return float(np.logaddexp(0.0, -signs * logits).mean())


def _loss(rows: np.ndarray, truth: np.ndarray, penalties: np.ndarray, coefficients: np.ndarray) -> float:
    return log_loss(truth, rows @ coefficients) * len(rows) + float(penalties @ coefficients**2) / 2


def _sigmoid(values: np.ndarray) -> np.ndarray:
    probabilities: np.ndarray = np.exp(-np.logaddexp(0.0, -values))
    return probabilities
