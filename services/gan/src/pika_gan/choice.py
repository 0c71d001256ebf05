"""Select typical figures: a GAN with little data learns more from four similar figures than from an odd one.

Instance selection (DeVries, Drozdzal and Taylor 2020, arXiv:2007.15255): figures far from their neighbours in
the features of a frozen network are left out. Pooled features set costumes and toys apart, those at places
figures that lie, turn away or are two; the ranks in both are added. Line drawings and costumes, which are
hardly yellow, are left out by colour.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from pika_gan.likeness import unit_vectors
from pika_gan.measures import distances
from pika_gan.spaces import Seen

NUM_AXES = 32
NUM_NEIGHBOURS = 10
KEPT_SHARE = 0.7
LEAST_YELLOW = 0.6
"""Share of the figure's pixels that are of Pikachu's yellow: less have line drawings and costumes."""
_WHITE = 245

# Hue, saturation and value as in Pillow, 0–255: hue 31° to 71°, not pale, not dark.
_HUES, _SATURATION, _VALUE = (22, 50), 90, 120


@dataclass(frozen=True, eq=False)
class Chosen:
    """The selection: bool (N,), and how many were left out as "hardly_yellow" and as "not_typical"."""

    kept: np.ndarray
    left_out: dict[str, int]


def choose(figures: np.ndarray, seen: Seen, mirrored: Seen, at_least: int = 1) -> Chosen:
    """Select the typical ones among figures.

    Args:
        figures: uint8 (N, S, S, 3) on white.
        seen, mirrored: what a network sees in them and in their mirror images; without places, pooled
            features decide alone.
        at_least: number of yellow ones to keep, if there are so many, even if that is a larger share.
    """
    is_yellow = np.array([yellow_share(figure) > LEAST_YELLOW for figure in figures], bool)
    is_typical = np.zeros(len(figures), bool)
    rows = np.flatnonzero(is_yellow)
    if rows.size:
        odd = _ranks(loneliness(seen.features[rows]))
        if seen.places is not None and mirrored.places is not None:
            odd = odd + _ranks(-conformity(seen.places[rows], mirrored.places[rows]))
        num = max(at_least, round(KEPT_SHARE * rows.size))
        is_typical[rows[np.argsort(odd, kind="stable")[:num]]] = True
    return Chosen(
        is_typical,
        {"hardly_yellow": int((~is_yellow).sum()), "not_typical": int((is_yellow & ~is_typical).sum())},
    )


def conformity(places: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Return each row's mean cosine to its ten nearest, or to their mirror images, float (N,).

    Args:
        places, mirrored: float (N, P, C), features at P places of pictures and of their mirror images.
    """
    mean, deviation = places.mean(axis=(0, 1)), places.std(axis=(0, 1)) + 1e-3
    rows = unit_vectors(places, mean, deviation)
    between = np.maximum(rows @ rows.T, rows @ unit_vectors(mirrored, mean, deviation).T)
    np.fill_diagonal(between, -np.inf)
    num = min(NUM_NEIGHBOURS, max(len(rows) - 1, 1))
    nearest = -np.sort(-between, axis=1)[:, :num]
    return np.where(np.isfinite(nearest), nearest, 0.0).mean(axis=1)


def loneliness(features: np.ndarray) -> np.ndarray:
    """Return each row's mean distance to its ten nearest in 32 principal components, float (N,)."""
    scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    left, values, _ = np.linalg.svd(scaled, full_matrices=False)
    rows = left[:, :NUM_AXES] * values[:NUM_AXES]
    between = distances(rows, rows)
    np.fill_diagonal(between, np.inf)
    num = min(NUM_NEIGHBOURS, max(len(rows) - 1, 1))
    nearest = np.sort(between, axis=1)[:, :num]
    return np.where(np.isfinite(nearest), nearest, 0.0).mean(axis=1)


def _ranks(values: np.ndarray) -> np.ndarray:
    ranks: np.ndarray = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return ranks


def yellow_share(figure: np.ndarray) -> float:
    """Return the share of yellow pixels of a figure uint8 (S, S, 3) on white, 0–1."""
    hue, saturation, value = np.moveaxis(np.asarray(Image.fromarray(figure).convert("HSV")).astype(int), 2, 0)
    is_figure = figure.min(axis=2) < _WHITE
    is_yellow = (hue > _HUES[0]) & (hue < _HUES[1]) & (saturation > _SATURATION) & (value > _VALUE)
    return float((is_yellow & is_figure).sum() / max(int(is_figure.sum()), 1))
