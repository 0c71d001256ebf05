"""Figures are cut out whole from plain grounds, odd ones are left out, and poses remain figures."""

import numpy as np
import pytest

from pika_gan.choice import choose, loneliness, yellow_share
from pika_gan.figures import cut_out
from pika_gan.jitter import pose

YELLOW, BLUE = (250, 210, 40), (90, 140, 220)


def scene(ground, *, size=200, centre=(120, 70), radius=40, colour=YELLOW):
    """A disc with a hole of the ground's colour on a ground, which may be an array."""
    rows, columns = np.mgrid[0:size, 0:size]
    picture = np.full((size, size, 3), ground, np.uint8) if isinstance(ground, tuple) else ground.copy()
    away = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
    picture[away < radius**2] = colour
    return picture


@pytest.mark.parametrize("ground", [(255, 255, 255), BLUE, (20, 20, 20)])
def test_a_figure_on_a_plain_ground_is_laid_on_white_and_centred(ground):
    figure = cut_out(scene(ground), 64).pixels
    assert figure.shape == (64, 64, 3)
    is_yellow = (np.abs(figure.astype(int) - YELLOW) < 30).all(axis=2)
    rows, columns = np.nonzero(is_yellow)
    # 92 % of the side, in the middle.
    assert rows.max() - rows.min() == pytest.approx(0.92 * 64, abs=4)
    assert abs(rows.mean() - 31.5) < 1.5
    assert abs(columns.mean() - 31.5) < 1.5
    assert (figure[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()


def test_what_the_ground_encloses_stays_and_crumbs_go():
    picture = scene((255, 255, 255))
    picture[115:125, 65:75] = 255  # a white eye inside
    picture[5:9, 180:184] = 0  # a speck in the corner
    figure = cut_out(picture, 64).pixels
    assert (figure[30:34, 30:34] > 240).all()
    assert (figure[31, 4:8] < 250).any()  # the speck did not enlarge the box


def test_why_there_is_no_figure():
    random = np.random.default_rng(0)
    assert cut_out(random.integers(0, 256, (100, 100, 3), np.uint8), 64).reason == "busy_ground"
    assert cut_out(np.full((100, 100, 3), 200, np.uint8), 64).reason == "nothing_on_it"
    assert cut_out(scene((255, 255, 255), radius=8), 64).reason == "too_small"
    assert cut_out(np.zeros((1, 1, 3), np.uint8), 64).pixels is None


def test_odd_figures_and_hardly_yellow_ones_are_left_out():
    random = np.random.default_rng(1)
    yellow = np.stack([cut_out(scene((255, 255, 255)), 32).pixels] * 50)
    white = np.stack([cut_out(scene((255, 255, 255), colour=(180, 180, 180)), 32).pixels] * 5)
    features = random.random((55, 40))
    features[7] += 10  # unlike all others
    chosen = choose(np.concatenate([yellow, white]), features)
    assert chosen.left_out == {"hardly_yellow": 5, "not_typical": 8}
    assert chosen.kept.sum() == 42
    assert not chosen.kept[7]
    assert not chosen.kept[50:].any()
    assert yellow_share(yellow[0]) > 0.9
    assert yellow_share(white[0]) == 0


def test_loneliness_of_the_odd_one_out():
    random = np.random.default_rng(2)
    features = random.random((30, 12))
    features[3] += 4
    assert loneliness(features).argmax() == 3
    assert loneliness(features[:1]).tolist() == [0.0]


def test_poses_are_different_figures_on_white_and_always_the_same():
    figure = cut_out(scene((255, 255, 255)), 64).pixels.copy()
    figure[20:30, 20:30] = (200, 30, 30)  # so that a turn can be seen
    poses = np.stack([pose(figure, number) for number in range(1, 7)])
    assert (poses == np.stack([pose(figure, number) for number in range(1, 7)])).all()
    assert len({one.tobytes() for one in poses}) == 6
    for one in poses:
        assert 0.8 < (one.min(axis=2) < 245).sum() / (figure.min(axis=2) < 245).sum() < 1.25
        assert (one[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()
        assert 0.5 < np.abs(one.astype(int) - figure).mean() < 40
