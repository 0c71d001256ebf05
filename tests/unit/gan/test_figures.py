"""Figures are cut out whole from plain grounds, odd ones are left out, and poses remain figures."""

import numpy as np
import pytest

from pika_gan.choice import cheek_height, choose, conformity, loneliness, yellow_share
from pika_gan.figures import cut_out
from pika_gan.jitter import pose
from pika_gan.spaces import Seen

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


def test_captions_beside_the_figure_and_frames_around_it_go():
    picture = scene((255, 255, 255), centre=(100, 100))
    plain = cut_out(picture, 64).pixels
    picture[58:70, 58:70] = (200, 30, 30)  # a heart within the figure's box
    picture[165:171, 40:160] = 0  # a line of text below it
    picture[[10, -11], 10:-10] = picture[10:-10, [10, -11]] = 0  # a frame, which encloses all of it
    assert np.abs(cut_out(picture, 64).pixels.astype(int) - plain).max() < 3


def test_a_pair_is_no_figure_and_a_detached_tail_is_no_second_one():
    one = scene((255, 255, 255), centre=(100, 50))
    assert cut_out(scene(one, centre=(100, 150)), 64).reason == "several"
    with_tail = scene(one, centre=(100, 110), radius=17)
    box = np.nonzero(cut_out(with_tail, 64).pixels.min(axis=2) < 200)
    assert np.ptp(box[1]) > 1.3 * np.ptp(box[0])


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
    features, places = random.random((55, 40)), random.random((55, 9, 4))
    places[:, 2:4] += 3
    features[[7, 8]] += random.random((2, 40)) * 10  # unlike all others in what they show
    places[[7, 8]] = places[[7, 8], ::-1]  # and in where they show it
    seen = Seen(features, places)
    chosen = choose(np.concatenate([yellow, white]), seen, seen)
    assert chosen.left_out == {"hardly_yellow": 5, "head_alone": 0, "not_typical": 15}
    assert chosen.kept.sum() == 35
    assert not chosen.kept[[7, 8]].any()
    assert not chosen.kept[50:].any()
    assert yellow_share(yellow[0]) > 0.9
    assert yellow_share(white[0]) == 0


def test_a_head_alone_is_left_out():
    """Its cheeks are far down; a whole figure's are in the middle, or hidden."""

    def with_cheeks(row):
        figure = cut_out(scene((255, 255, 255)), 64).pixels.copy()
        if row is not None:
            figure[row - 2 : row + 2, [18, 19, 20, 44, 45, 46]] = (230, 40, 30)
        return figure

    rows = [None] * 10 + [20, 32, 44] * 10 + [52]
    figures = np.stack([with_cheeks(row) for row in rows])
    heights = [cheek_height(figure) for figure in figures]
    expected = [0 if row is None else (row - 0.5 - 2.5) / 58 for row in rows]
    np.testing.assert_allclose(heights, expected, atol=0.03)
    seen = Seen(np.random.default_rng(3).random((len(figures), 8)))
    chosen = choose(figures, seen, seen, at_least=len(figures))
    assert chosen.left_out == {"hardly_yellow": 0, "head_alone": 1, "not_typical": 0}
    np.testing.assert_array_equal(np.flatnonzero(~chosen.kept), [40])


def test_a_figure_with_the_usual_things_in_unusual_places_is_left_out():
    random = np.random.default_rng(4)
    figures = np.stack([cut_out(scene((255, 255, 255)), 32).pixels] * 50)
    features, places = random.random((50, 40)), random.random((50, 9, 4))
    places[:, 2:4] += 3
    usual = int(np.argsort(loneliness(features))[25])
    places[usual] = places[usual, ::-1]
    seen = Seen(features, places)
    assert not choose(figures, seen, seen).kept[usual]
    assert choose(figures, Seen(features), Seen(features)).kept[usual]
    assert choose(figures, seen, seen, at_least=45).kept.sum() == 45


def test_a_figure_that_looks_the_other_way_conforms():
    random = np.random.default_rng(3)
    places = random.random((30, 9, 4))
    places[:, 0] += 3
    mirrored = places[:, ::-1].copy()
    places[4], mirrored[4] = mirrored[4].copy(), places[4].copy()
    places[5] = mirrored[5] = np.roll(places[5], 4, axis=0)
    nearness = conformity(places, mirrored)
    assert nearness.argmin() == 5
    assert nearness[4] > np.quantile(nearness, 0.1)
    assert conformity(places[:1], mirrored[:1]).tolist() == [0.0]


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
