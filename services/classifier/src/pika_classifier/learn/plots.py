"""The pictures of a model card: two plots as SVG and a sheet of the most confident mistakes."""

import math
from collections.abc import Callable
from xml.sax.saxutils import escape

import numpy as np

from pika_classifier.learn.intervals import wilson
from pika_classifier.learn.metrics import pr_curve

NUM_BINS = 10
NUM_MISTAKES = 16
_SIDE, _MARGIN = 320, 48


def reliability_plot(is_pikachu: np.ndarray, probabilities: np.ndarray) -> str:
    """Plot observed over predicted shares in ten bins, with 95 % intervals (Wilson 1927), as SVG."""
    truth = np.asarray(is_pikachu, float)
    bins = np.minimum((np.asarray(probabilities) * NUM_BINS).astype(int), NUM_BINS - 1)
    marks = [_line([(0.0, 0.0), (1.0, 1.0)], "grey", dashed=True)]
    for index in np.unique(bins):
        inside = bins == index
        said, true, num = float(probabilities[inside].mean()), float(truth[inside].mean()), int(inside.sum())
        low, high = wilson(true, num)
        x, y = _place(said, true)
        marks.append(_line([(said, low), (said, high)], "#888"))
        marks.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{3 + math.sqrt(num) / 2:.1f}" fill="#e0a800">'
            f"<title>{num} pictures: said {said:.2f}, true {true:.2f}</title></circle>"
        )
    return _plot("Reliability", "probability", "share that is Pikachu", marks)


def precision_recall_plot(is_pikachu: np.ndarray, probabilities: np.ndarray) -> str:
    """Plot precision over recall for every threshold, as SVG."""
    precision, recall, _ = pr_curve(is_pikachu, probabilities)
    points = [(float(x), float(y)) for x, y in zip(recall, precision, strict=True)]
    return _plot("Precision and recall", "recall", "precision", [_line(points, "#e0a800")])


def surest_mistakes(is_pikachu: np.ndarray, probabilities: np.ndarray, num: int = NUM_MISTAKES) -> list[int]:
    """Return rows that are wrong at 0.5, most confident first."""
    wrongness = np.where(is_pikachu, 1 - np.asarray(probabilities), probabilities)
    return [int(row) for row in np.argsort(-wrongness)[:num] if wrongness[row] > 0.5]


def _place(x: float, y: float) -> tuple[float, float]:
    """Map a point of the unit square to pixels."""
    return _MARGIN + x * _SIDE, _MARGIN + (1 - y) * _SIDE


def _line(points: list[tuple[float, float]], colour: str, dashed: bool = False) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(*point) for point in points))
    dashes = ' stroke-dasharray="4"' if dashed else ""
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'


def _plot(title: str, across: str, up: str, marks: list[str]) -> str:
    size = _SIDE + 2 * _MARGIN
    middle = size / 2
    ticks = []
    for value in (0.0, 0.5, 1.0):
        x, y = _place(value, value)
        ticks.append(_text(x, size - _MARGIN + 16, f"{value:g}"))
        ticks.append(_text(_MARGIN - 14, y + 4, f"{value:g}"))
    frame = f'<rect x="{_MARGIN}" y="{_MARGIN}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#888"/>'
    turned = f'transform="rotate(-90 14 {middle})"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" font-family="sans-serif" '
            'font-size="12" role="img">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{size}" height="{size}" fill="white"/>',
            _text(middle, 24, title),
            _text(middle, size - 10, across),
            _text(14, middle, up, turned),
            frame,
            *ticks,
            *marks,
            "</svg>",
        ]
    )


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" {more}>{escape(words)}</text>'


Draw = Callable[[np.ndarray, np.ndarray], str]
PLOTS: dict[str, Draw] = {
    "reliability.svg": reliability_plot,
    "precision-recall.svg": precision_recall_plot,
}
