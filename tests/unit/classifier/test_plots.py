"""The card's plots are well-formed and show the right values."""

from xml.etree import ElementTree

import numpy as np

from pika_classifier.config import MISTAKES
from pika_classifier.http.schemas import PLOT_NAMES
from pika_classifier.learn.plots import (
    PLOTS,
    precision_recall_plot,
    reliability_plot,
    surest_mistakes,
)

TRUTH = np.array([True, True, False, True, False, False])
SAID = np.array([0.95, 0.9, 0.85, 0.4, 0.15, 0.1])
_SVG = "{http://www.w3.org/2000/svg}"


def test_a_circle_stands_where_what_is_said_meets_what_is_true():
    plot = ElementTree.fromstring(reliability_plot(TRUTH, SAID))
    told = [circle.findtext(f"{_SVG}title") for circle in plot.iter(f"{_SVG}circle")]
    assert told == [
        "2 pictures: said 0.12, true 0.00",
        "1 pictures: said 0.40, true 1.00",
        "1 pictures: said 0.85, true 0.00",
        "2 pictures: said 0.93, true 1.00",
    ]
    # The side is 320 pixels within a margin of 48; y grows downwards.
    first = next(plot.iter(f"{_SVG}circle"))
    assert (float(first.get("cx")), float(first.get("cy"))) == (48 + 0.125 * 320, 48 + 320)


def test_the_curve_has_a_point_for_every_threshold():
    plot = ElementTree.fromstring(precision_recall_plot(TRUTH, SAID))
    (line,) = plot.iter(f"{_SVG}polyline")
    places = [tuple(map(float, place.split(","))) for place in line.get("points").split()]
    assert len(places) == 6
    assert places[-1] == (368.0, 48 + 160)  # all found, half of them right


def test_the_surest_mistakes_come_first():
    assert surest_mistakes(TRUTH, SAID) == [2, 3]
    assert surest_mistakes(TRUTH, TRUTH.astype(float)) == []


def test_what_is_drawn_is_what_is_served():
    assert (*PLOTS, MISTAKES) == PLOT_NAMES
