"""What unlabelled pictures add: neighbours in feature space mostly show the same.

A head's answers for all pictures are smoothed over the graph of nearest neighbours (Zhou et al. 2004,
"Learning with local and global consistency"), and one linear head is fitted to the smoothed answers by ridge
regression. Both steps are linear in the answers, so that one matrix serves all labels and folds.
"""

import numpy as np

_NUM_TERMS = 30
_SHARPNESS = 3


class Smoother:
    """The pile's graph. Distances are angles.

    Args:
        x: projected features (N, K) of labelled and unlabelled pictures.
        num_neighbours: of each picture in the graph.
        smoothing: 0 … 1, the share of an answer that comes from the neighbours.
        ridge: penalty of the regression.
    """

    def __init__(self, x: np.ndarray, num_neighbours: int, smoothing: float, ridge: float) -> None:
        rows = np.concatenate([x, np.ones((len(x), 1), x.dtype)], axis=1)
        spread = rows.T.astype(np.float32)
        if smoothing > 0 and len(x) > num_neighbours:
            graph = _neighbours(x, num_neighbours)
            term = spread
            # (1 − s) Σ (s · graph)^i: the solution of f = s · graph · f + (1 − s) · answers.
            for _ in range(_NUM_TERMS):
                term = smoothing * (term @ graph)
                spread = spread + term
            spread = (1 - smoothing) * spread
        penalties = np.append(np.full(x.shape[1], float(ridge)), 1e-6)
        self._operator = np.linalg.solve(rows.T @ rows + np.diag(penalties), spread.astype(np.float64))

    def refit(self, answers: np.ndarray) -> tuple[np.ndarray, float]:
        """Map answers float (N,), −1 … 1, to weights (K,) and bias of a head for the smoothed ones."""
        solution = self._operator @ answers
        return solution[:-1], float(solution[-1])


def _neighbours(x: np.ndarray, num: int) -> np.ndarray:
    """Return the graph's normalised weights D^−½ W D^−½, float32 (N, N): cubed cosines of nearest rows."""
    unit = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1.0)
    nearest = np.argpartition(-cosines, num, axis=1)[:, :num]
    weights = np.zeros_like(cosines)
    rows = np.arange(len(x))[:, None]
    weights[rows, nearest] = np.maximum(cosines[rows, nearest], 0.0) ** _SHARPNESS
    weights = (weights + weights.T) / 2
    degrees = 1 / np.sqrt(weights.sum(axis=1) + 1e-9)
    return degrees[:, None] * weights * degrees
