"""Train the default preset: a calibrated linear head on frozen features of all pictures, labelled or not.

features ─▶ projection (from the pile) ─▶ head on the labels ─▶ answers for all, smoothed over neighbours
         ─▶ one linear head: the score ─▶ logit, calibrated by cross-fitting ─▶ less extreme where labels
         leave doubt ─▶ shifted to the pile's share of Pikachus ─▶ probability
"""

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pika_classifier.config import FrozenPreset
from pika_classifier.features.bank import Features
from pika_classifier.learn import metrics
from pika_classifier.learn.calibrate import Platt, expected_logits, fit_platt, pile_prior, sigmoid
from pika_classifier.learn.projection import Projection, fit_projection
from pika_classifier.learn.recommend import recommendations
from pika_classifier.learn.unlabelled import Smoother
from pika_eyes.heads import Head, fit_logistic, folds, log_loss
from pika_kit.queue import OnProgress

NUM_FOLDS = 10
_NUM_REFERENCES = 512
_JACKKNIFE_REPEATS = 3
_ENOUGH_TYPICAL = 20
"""Of each kind; with fewer the hard ones are better than nothing."""


@dataclass(frozen=True, eq=False)
class LabelledFeatures:
    """The labelled pictures: values float32 (N, F) and is_pikachu bool (N,) in the order of `ids`.

    `is_hard`, bool (N,): labelled because a model was unsure of them; None for none.
    """

    ids: tuple[str, ...]
    values: np.ndarray
    is_pikachu: np.ndarray
    is_hard: np.ndarray | None = None

    def typical(self) -> np.ndarray:
        """Return the rows to calibrate on: without the hard ones, if enough others are left.

        Of two pictures with the same score, one that was hard before is more likely to be a mistake. Hard
        pictures make every head look worse than it is.
        """
        every = np.arange(len(self.ids))
        if self.is_hard is None:
            return every
        rows = np.flatnonzero(~self.is_hard)
        num_pikachu = int(self.is_pikachu[rows].sum())
        return rows if min(num_pikachu, rows.size - num_pikachu) >= _ENOUGH_TYPICAL else every


@dataclass(frozen=True, eq=False)
class FrozenHead:
    """What serving needs, over raw features (F,).

    Attributes:
        weights, bias: float (F,) and a number: the score.
        platt: score → logit.
        doubts, doubt_biases: float (F, J) and (J,): deviations of heads on nine tenths of the labels, scaled
            so that their sum of squares is the variance of the logit (jackknife).
        shift: added to the logit, from the labels' share of Pikachus to the pile's.
        projection: into the space in which novelty is measured.
        references: float32 (R, K): known pictures there.
        usual_distance: to the nearest reference; 99 % of known pictures are closer.
    """

    weights: np.ndarray
    bias: float
    platt: Platt
    doubts: np.ndarray
    doubt_biases: np.ndarray
    shift: float
    projection: Projection
    references: np.ndarray
    usual_distance: float

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Map raw features (N, F) to probabilities (N,)."""
        return sigmoid(self.unshifted_logits(features) + self.shift)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Map raw features (N, F) to scores (N,)."""
        scores: np.ndarray = features @ self.weights + self.bias
        return scores

    def unshifted_logits(self, features: np.ndarray) -> np.ndarray:
        """Return logits (N,) for a pile with the labels' share of Pikachus."""
        scores = self.scores(features)
        doubts = features @ self.doubts + self.doubt_biases
        variances = self.platt.variances(scores) + (doubts**2).sum(axis=1)
        return expected_logits(self.platt.logits(scores), variances)


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """A head and its evaluation.

    Attributes:
        validation: `metrics.report` on cross-fitted probabilities of the typical labels.
        label_probabilities: float (N,), those probabilities, in the order of the labels.
        facts: for the card.
    """

    head: FrozenHead
    validation: dict[str, Any]
    label_probabilities: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)


def train_head(
    labelled: LabelledFeatures,
    pile: Features,
    variations: np.ndarray,
    preset: FrozenPreset,
    *,
    seed: int = 0,
    on_progress: OnProgress = lambda *_args, **_details: None,
) -> TrainedHead:
    """Learn from labels and from the unlabelled pictures.

    Args:
        labelled: the labels.
        pile: the unlabelled pictures' features; labelled ones may be among them.
        variations: raw features (V, M, F), see `fit_projection`.
        on_progress: an exception ends the training.
    """
    started = time.monotonic()
    unlabelled = _without(pile, labelled.ids)
    on_progress(0, None, "projecting the features")
    rows = _graph_rows(labelled, unlabelled, preset.max_graph, seed)
    projection = fit_projection(
        rows,
        variations,
        list(preset.features.blocks.values()),
        [1.0, 1.0, preset.colour_weight],
        invariance=preset.invariance,
        num_axes=preset.num_axes,
        seed=seed,
    )
    x = projection.apply(rows).astype(np.float64)
    learner = _Learner(x, labelled.is_pikachu, preset)
    penalty, scores = learner.cross_fit(seed, on_progress)
    typical = labelled.typical()
    platt = fit_platt(scores[:, typical], labelled.is_pikachu[typical])
    weights, bias = _over_features(projection, *learner.refit(penalty))
    doubts = _over_features(projection, *learner.jackknife(penalty, seed))
    head = FrozenHead(
        weights,
        float(bias),
        platt,
        platt.slope * doubts[0],
        platt.slope * np.asarray(doubts[1]),
        0.0,
        projection,
        *_references(x, seed),
    )
    labelled_share = float(labelled.is_pikachu[typical].mean())
    share, shift = pile_prior(head.unshifted_logits(unlabelled.values), labelled_share)
    head = replace(head, shift=shift)
    of_labels = sigmoid(platt.logits(scores)).mean(axis=0)
    everything = np.concatenate([unlabelled.values, labelled.values])
    return TrainedHead(
        head,
        metrics.report(labelled.is_pikachu[typical], of_labels[typical]),
        of_labels,
        {
            "penalty": penalty,
            "cross_fitted_log_loss": _log_loss(labelled.is_pikachu, platt.logits(scores)),
            "platt": {"slope": platt.slope, "offset": platt.offset},
            "num_typical_labels": len(typical),
            "head_seconds": round(time.monotonic() - started, 1),
            **recommendations(
                head.probabilities(everything),
                num_labels=len(labelled.ids),
                num_unlabelled=len(unlabelled.ids),
                share=share,
                shift=shift,
            ),
        },
    )


class _Learner:
    """Heads on any part of the labels, in the projected space, whose first rows are the labelled ones."""

    def __init__(self, x: np.ndarray, is_pikachu: np.ndarray, preset: FrozenPreset) -> None:
        self._x, self._truth, self._preset = x, is_pikachu, preset
        self._smoother = Smoother(x, preset.num_neighbours, preset.smoothing, preset.ridge)

    def refit(self, penalty: float, mask: np.ndarray | None = None) -> tuple[np.ndarray, float]:
        """Return weights and bias of the head trained on the labels in `mask` (by default all)."""
        num = self._truth.size
        rows = np.arange(num) if mask is None else np.flatnonzero(mask)
        head: Head = fit_logistic(self._x[rows], self._truth[rows], penalty)
        # 2p − 1 for everything, and the known answers of the labelled.
        answers = np.tanh(head.logits(self._x) / 2)
        answers[rows] = np.where(self._truth[rows], 1.0, -1.0)
        return self._smoother.refit(answers)

    def jackknife(self, penalty: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return weights (K, J) and biases (J,) of heads without a tenth of the labels, minus their mean.

        Scaled so that the sum of their squared answers estimates the variance of the score (Efron 1982, the
        grouped jackknife; the mean over several groupings).
        """
        num_folds, deviations = _num_folds(self._truth), []
        for number in range(_JACKKNIFE_REPEATS):
            group = folds(self._truth, num_folds, seed + number)
            heads = [self.refit(penalty, group != fold) for fold in range(num_folds)]
            rows = np.array([[*weights, bias] for weights, bias in heads])
            deviations.append(rows - rows.mean(axis=0))
        rows = np.concatenate(deviations) * np.sqrt((num_folds - 1) / num_folds / _JACKKNIFE_REPEATS)
        return rows[:, :-1].T, rows[:, -1]

    def cross_fit(self, seed: int, on_progress: OnProgress) -> tuple[float, np.ndarray]:
        """Choose the penalty with the least calibrated log-loss.

        Returns:
            (penalty, each label's scores by heads trained without it, float (repeats, N)).
        """
        repeats = max(2, min(self._preset.repeats, round(100 * self._preset.repeats / self._truth.size)))
        few = max(1, repeats // 3)
        by_penalty = {}
        for done, penalty in enumerate(self._preset.penalties):
            on_progress(done, len(self._preset.penalties), "choosing the head by cross-validation")
            by_penalty[penalty] = self._out_of_fold(penalty, range(seed, seed + few))
        best = min(by_penalty, key=lambda penalty: self._loss(by_penalty[penalty]))
        more = self._out_of_fold(best, range(seed + few, seed + repeats))
        return best, np.concatenate([by_penalty[best], more])

    def _out_of_fold(self, penalty: float, seeds: range) -> np.ndarray:
        num = self._truth.size
        num_folds = _num_folds(self._truth)
        scores = np.zeros((len(seeds), num))
        for row, seed in enumerate(seeds):
            number = folds(self._truth, num_folds, seed)
            for fold in range(num_folds):
                held_out = number == fold
                weights, bias = self.refit(penalty, ~held_out)
                scores[row, held_out] = self._x[:num][held_out] @ weights + bias
        return scores

    def _loss(self, scores: np.ndarray) -> float:
        return _log_loss(self._truth, fit_platt(scores, self._truth).logits(scores))


def _without(pile: Features, ids: tuple[str, ...]) -> Features:
    known = set(ids)
    return pile.of([picture_id not in known for picture_id in pile.ids])


def _graph_rows(labelled: LabelledFeatures, unlabelled: Features, most: int, seed: int) -> np.ndarray:
    """Return raw features: the labelled pictures first, then as many others as the graph may hold."""
    room = max(0, most - len(labelled.ids))
    others = unlabelled.values
    if len(others) > room:
        others = others[np.sort(np.random.default_rng(seed).permutation(len(others))[:room])]
    return np.concatenate([labelled.values, others])


def _num_folds(is_pikachu: np.ndarray) -> int:
    """Return the number of folds: few enough for each to contain a picture of both kinds, if possible."""
    return min(NUM_FOLDS, int(is_pikachu.sum()), int((~is_pikachu).sum()))


def _over_features(projection: Projection, weights: np.ndarray, bias: Any) -> tuple[np.ndarray, Any]:
    """Convert weights (K,) or (K, J) and bias over the projected space to the raw features."""
    raw = projection.axes.astype(np.float64) @ weights
    return raw, bias - projection.mean.astype(np.float64) @ raw


def _log_loss(is_pikachu: np.ndarray, logits: np.ndarray) -> float:
    """Return the mean probability of several repeats' logits (R, N)."""
    return log_loss(np.tile(is_pikachu, len(logits)), logits.ravel())


def _references(x: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """Choose reference pictures for all known ones, and the usual distance to them."""
    order = np.random.default_rng(seed).permutation(len(x))
    references, others = x[order[:_NUM_REFERENCES]], x[order[_NUM_REFERENCES : 2 * _NUM_REFERENCES]]
    if not len(others):  # few pictures: the distance to each one's nearest other one
        others = references
    squares = ((others**2).sum(1)[:, None] - 2 * others @ references.T + (references**2).sum(1)).clip(0)
    if others is references:
        np.fill_diagonal(squares, np.inf)
    nearest = np.sqrt(squares.min(axis=1))
    usual = float(np.quantile(nearest, 0.99)) if len(x) > 1 else 1.0
    return references.astype(np.float32), max(usual, 1e-6)
