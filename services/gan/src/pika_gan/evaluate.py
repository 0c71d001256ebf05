"""Measure drawn pictures: `measures` and `likeness` against one fixed set of real pictures.

The reference is the held-out pictures if there are a hundred; otherwise all pictures including the training
set, because a figure from a few dozen pictures depends more on their selection than on the model. Memorised
pictures are detected separately, by `near_copy_rate`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pika_gan.data import Dataset
from pika_gan.likeness import Likeness, torn
from pika_gan.measures import (
    Reference,
    distances,
    effective_number,
    fid,
    kid,
    kid_interval,
    manifolds,
    mean_pairwise_distance,
)
from pika_gan.spaces import look, version_of

ENOUGH_HELD_OUT = 100
MOST_REFERENCE = 2000
"""With more pictures the figures hardly change, and memory and time grow with the square."""
NEAR_COPY_QUANTILE = 0.05
_COPY_SHARE = 0.02
"""However near held-out pictures lie: a picture counts as a copy within this share of the usual distance."""
COLLAPSE_BELOW = 0.25
CLIP = 5.0  # standard deviations


@dataclass(frozen=True)
class InSpace:
    """Measurements in one feature space; see `measures`."""

    version: str
    kid: float
    kid_interval: tuple[float, float] | None
    fid: float
    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True)
class Evaluation:
    """One measurement.

    Attributes:
        spaces: name of the space → figures in it. The last one's `kid` is the headline.
        diversity: effective number of different pictures (`measures.effective_number`), or mean distance of
            their pixels, whichever is smaller, relative to as many real ones.
        near_copy_rate: share of the drawn pictures closer to a training picture, or its mirror image, than
            all but 5 % of the held-out pictures are.
        likeness: share with the structure of real pictures, see `likeness`; None if no space keeps places
            apart, or if real pictures do not stand out from torn ones.
        likeness_of_real: the share of the reference that passes.
    """

    spaces: dict[str, InSpace]
    diversity: float
    near_copy_rate: float
    likeness: float | None
    likeness_of_real: float | None
    num_generated: int
    num_reference: int
    reference: str

    @property
    def kid(self) -> float:
        """The headline figure."""
        return self._headline.kid

    @property
    def kid_interval(self) -> tuple[float, float] | None:
        """Its 95 % interval, if requested."""
        return self._headline.kid_interval

    @property
    def _headline(self) -> InSpace:
        return list(self.spaces.values())[-1]

    @property
    def collapsed(self) -> bool:
        """Whether the pictures are copies of one or a few."""
        return self.diversity < COLLAPSE_BELOW

    def to_json(self) -> dict[str, Any]:
        """Return values for logs and cards; headline figures are repeated at the top level."""
        spaces = {name: asdict(space) for name, space in self.spaces.items()}
        for space in spaces.values():
            space["kid_interval"] = list(space["kid_interval"]) if space["kid_interval"] else None
        headline = list(spaces.values())[-1]
        return {
            **{name: headline[name] for name in ("kid", "kid_interval", "fid", "precision", "recall")},
            "diversity": self.diversity,
            "near_copy_rate": self.near_copy_rate,
            "near_copy_rate_of_held_out": NEAR_COPY_QUANTILE,
            "likeness": self.likeness,
            "likeness_of_real": self.likeness_of_real,
            "num_generated": self.num_generated,
            "num_reference": self.num_reference,
            "reference": self.reference,
            "feature_version": headline["version"],
            "collapsed": self.collapsed,
            "spaces": spaces,
        }


@dataclass(frozen=True, eq=False)
class _Space:
    """The reference in one feature space; the pyramid's features are standardised by the training set."""

    name: str
    mean: np.ndarray
    deviation: np.ndarray
    reference: Reference
    train: np.ndarray
    """Trained pictures and their mirror images, (2N, D)."""
    held_out: np.ndarray
    places: tuple[np.ndarray, np.ndarray, np.ndarray] | None = field(default=None, repr=False)
    """Of the reference, mirrored, and torn."""

    @classmethod
    def of(cls, name: str, dataset: Dataset, in_reference: np.ndarray) -> _Space:
        pictures = np.concatenate([dataset.train, dataset.held_out])
        upright, mirrored = look(name, pictures), look(name, pictures[:, :, ::-1])
        places = None
        if upright.places is not None and mirrored.places is not None:
            broken = look(name, torn(pictures[in_reference])).places
            if broken is not None:
                places = upright.places[in_reference], mirrored.places[in_reference], broken
        num = len(dataset.train)
        rows = upright.features[:num]
        mean, deviation = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        if name == "pyramid":
            mean, deviation = rows.mean(axis=0), rows.std(axis=0) + 1e-6
        both = [_standardised(seen.features, mean, deviation) for seen in (upright, mirrored)]
        return cls(
            name,
            mean,
            deviation,
            Reference(both[0][in_reference], both[1][in_reference]),
            np.concatenate([rows[:num] for rows in both]),
            both[0][num:],
            places,
        )

    def standardised(self, features: np.ndarray) -> np.ndarray:
        return _standardised(features, self.mean, self.deviation)

    def measure(self, rows: np.ndarray, interval: bool) -> InSpace:
        around = manifolds(rows, self.reference.both)
        return InSpace(
            version=version_of(self.name),
            kid=kid(rows, self.reference),
            kid_interval=kid_interval(rows, self.reference) if interval else None,
            fid=fid(rows, self.reference.both),
            **asdict(around),
        )


def _standardised(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    # Clipped, because one extreme picture would otherwise dominate the cubic kernel.
    return np.clip((features - mean) / deviation, -CLIP, CLIP)


class Evaluator:
    """Reference statistics of one data set, computed once.

    Args:
        dataset: its training and held-out pictures are the reference.
        spaces: names of `spaces.SPACES`; the last one gives the headline figures.
    """

    def __init__(self, dataset: Dataset, spaces: tuple[str, ...]) -> None:
        num_train, num = len(dataset.train), len(dataset.train) + len(dataset.held_out)
        has_enough = len(dataset.held_out) >= ENOUGH_HELD_OUT
        self.reference = "held_out" if has_enough else "all"
        in_reference = np.arange(num_train if has_enough else 0, num)
        in_reference = in_reference[:: -(-len(in_reference) // MOST_REFERENCE)]
        self._spaces = [_Space.of(name, dataset, in_reference) for name in spaces]
        with_places = next((space.places for space in self._spaces if space.places is not None), None)
        self._likeness = Likeness(*with_places) if with_places is not None else None
        headline = self._spaces[-1]
        self._copy_distance = _copy_distance(headline)
        real = headline.reference.originals
        self._usual_distance = float(np.median(distances(real, real)[~np.eye(len(real), dtype=bool)]))
        self._real_numbers: dict[int, float] = {}
        self._pixel_distance = mean_pairwise_distance(dataset.train)

    def evaluate(self, pictures: np.ndarray, *, interval: bool = False) -> Evaluation:
        """Measure drawn pictures uint8 (N, S, S, 3); `interval` takes a few seconds more."""
        seen = {space.name: look(space.name, pictures) for space in self._spaces}
        rows = {space.name: space.standardised(seen[space.name].features) for space in self._spaces}
        headline = self._spaces[-1]
        places = next((features.places for features in seen.values() if features.places is not None), None)
        nearest = distances(rows[headline.name], headline.train).min(axis=1)
        return Evaluation(
            spaces={space.name: space.measure(rows[space.name], interval) for space in self._spaces},
            diversity=min(
                self._diversity(rows[headline.name]),
                mean_pairwise_distance(pictures) / max(self._pixel_distance, 1e-9),
            ),
            near_copy_rate=float((nearest <= self._copy_distance).mean()),
            likeness=None if places is None or self._likeness is None else self._likeness.share(places),
            likeness_of_real=None if self._likeness is None else self._likeness.real_share,
            num_generated=len(pictures),
            num_reference=len(headline.reference.originals),
            reference=self.reference,
        )

    def nearest_training(self, pictures: np.ndarray) -> np.ndarray:
        """Return the index of each picture's nearest training picture, for uint8 (N, S, S, 3)."""
        headline = self._spaces[-1]
        rows = headline.standardised(look(headline.name, pictures).features)
        return distances(rows, headline.train).argmin(axis=1) % (len(headline.train) // 2)

    def _diversity(self, rows: np.ndarray) -> float:
        """Compare with as many real pictures, because the number grows with the size of the set."""
        real = self._spaces[-1].reference.originals
        num = min(len(rows), len(real))
        if num not in self._real_numbers:
            self._real_numbers[num] = effective_number(real[:num], self._usual_distance)
        return effective_number(rows[:num], self._usual_distance) / self._real_numbers[num]


def _copy_distance(space: _Space) -> float:
    """Return the distance below which pictures count as copies; always above 0."""
    held_out = distances(space.held_out, space.train).min(axis=1)
    usual = float(np.median(distances(space.held_out, space.train)))
    return max(float(np.quantile(held_out, NEAR_COPY_QUANTILE)), _COPY_SHARE * usual)
