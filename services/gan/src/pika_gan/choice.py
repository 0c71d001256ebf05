"""Select typical figures: a GAN with little data learns more from four similar figures than from an odd one.

Instance selection (DeVries, Drozdzal and Taylor 2020, arXiv:2007.15255): figures far from their neighbours in
the features of a frozen network are left out. Pooled features set costumes and toys apart, those at places
figures that lie, turn away or are two; the ranks in both are added. Colours say what is left out before: line
drawings and costumes are hardly yellow, and of a head alone the cheeks are far down.
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
LOWEST_CHEEKS = 0.74
"""How far down the red of a whole figure lies: 0 is the top of its ears, 1 the soles of its feet."""
_LEAST_RED = 0.003
"""Share of the figure's pixels: with less red its cheeks are not seen, and it is taken for whole."""
_WHITE = 245

# Hue, saturation and value as in Pillow, 0–255. Yellow: hue 31° to 71°, not pale, not dark.
_YELLOW_HUES, _YELLOW_SATURATION, _YELLOW_VALUE = (22, 50), 90, 120
# Red: hue from 340° on or up to 18°.
_RED_HUES, _RED_SATURATION, _RED_VALUE = (240, 14), 120, 130


@dataclass(frozen=True, eq=False)
class Chosen:
    """The selection: bool (N,), and how many were left out, by reason.

    Reasons are "hardly_yellow", "head_alone" and "not_typical".
    """

    kept: np.ndarray
    left_out: dict[str, int]


def choose(figures: np.ndarray, seen: Seen, mirrored: Seen, at_least: int = 1) -> Chosen:
    """Select the typical ones among figures.

    Args:
        figures: uint8 (N, S, S, 3) on white.
        seen, mirrored: what a network sees in them and in their mirror images; without places, pooled
            features decide alone.
        at_least: number of whole yellow ones to keep, if there are so many, even if that is a larger share.
    """
    is_yellow = np.array([yellow_share(figure) > LEAST_YELLOW for figure in figures], bool)
    is_whole = np.array([cheek_height(figure) <= LOWEST_CHEEKS for figure in figures], bool)
    is_typical = np.zeros(len(figures), bool)
    rows = np.flatnonzero(is_yellow & is_whole)
    if rows.size:
        odd = _ranks(loneliness(seen.features[rows]))
        if seen.places is not None and mirrored.places is not None:
            odd = odd + _ranks(-conformity(seen.places[rows], mirrored.places[rows]))
        num = max(at_least, round(KEPT_SHARE * rows.size))
        is_typical[rows[np.argsort(odd, kind="stable")[:num]]] = True
    left_out = {
        "hardly_yellow": ~is_yellow,
        "head_alone": is_yellow & ~is_whole,
        "not_typical": is_yellow & is_whole & ~is_typical,
    }
    return Chosen(is_typical, {reason: int(which.sum()) for reason, which in left_out.items()})


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
    hue, saturation, value = _hsv(figure)
    is_figure = figure.min(axis=2) < _WHITE
    is_yellow = (hue > _YELLOW_HUES[0]) & (hue < _YELLOW_HUES[1]) & is_figure
    is_yellow &= (saturation > _YELLOW_SATURATION) & (value > _YELLOW_VALUE)
    return float(is_yellow.sum() / max(int(is_figure.sum()), 1))


def cheek_height(figure: np.ndarray) -> float:
    """Return how far down the red pixels of a figure uint8 (S, S, 3) on white lie: their mean, 0–1.

    A figure with hardly any red has 0.
    """
    hue, saturation, value = _hsv(figure)
    is_figure = figure.min(axis=2) < _WHITE
    is_red = ((hue > _RED_HUES[0]) | (hue < _RED_HUES[1])) & is_figure
    is_red &= (saturation > _RED_SATURATION) & (value > _RED_VALUE)
    if is_red.sum() <= _LEAST_RED * is_figure.sum():
        return 0.0
    rows = np.flatnonzero(is_figure.any(axis=1))
    return float((np.nonzero(is_red)[0].mean() - rows[0]) / max(rows[-1] - rows[0], 1))


def _hsv(figure: np.ndarray) -> np.ndarray:
    """Return hue, saturation and value of uint8 (S, S, 3): int (3, S, S)."""
    return np.moveaxis(np.asarray(Image.fromarray(figure).convert("HSV")).astype(int), 2, 0)
