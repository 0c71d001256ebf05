"""The drawn pictures: seeded, varied, not separable by colour alone, and laid out as documented."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from pika_drawings import draw_other, draw_pikachu, write_collection, write_labels

NUM_DRAWN = 60


@pytest.fixture(scope="module")
def pikachus() -> np.ndarray:
    return np.stack([draw_pikachu(np.random.default_rng([1, index]), 64) for index in range(NUM_DRAWN)])


@pytest.fixture(scope="module")
def others() -> np.ndarray:
    return np.stack([draw_other(np.random.default_rng([2, index]), 64) for index in range(NUM_DRAWN)])


def yellow_share(pictures: np.ndarray) -> np.ndarray:
    """Return the share of each picture that is strongly yellow."""
    red, green, blue = (pictures[..., channel].astype(int) for channel in range(3))
    is_yellow = (red > 130) & (green > 0.6 * red) & (green < 1.02 * red) & (blue < 0.6 * green)
    return is_yellow.mean(axis=(1, 2))


@pytest.mark.parametrize("draw", [draw_pikachu, draw_other])
def test_same_seed_same_picture_and_another_seed_another(draw):
    first, again, another = (draw(np.random.default_rng(seed)) for seed in ([5, 1], [5, 1], [5, 2]))
    assert first.shape == (256, 256, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, another)


def test_width_comes_first_in_a_size_and_height_first_in_an_array():
    assert draw_pikachu(np.random.default_rng(0), (90, 60)).shape == (60, 90, 3)


def test_too_small_a_size_is_refused():
    with pytest.raises(ValueError, match="at least 16"):
        draw_other(np.random.default_rng(0), 8)


def test_pikachus_are_yellow_with_black_and_red(pikachus):
    assert np.median(yellow_share(pikachus)) > 0.2
    red, green, blue = (pikachus[..., channel].astype(int) for channel in range(3))
    has_black = (pikachus.max(axis=-1) < 70).mean(axis=(1, 2)) > 0.005
    has_red = ((red > 140) & (green < 0.6 * red) & (blue < 0.6 * red)).mean(axis=(1, 2)) > 0.002
    assert (has_black & has_red).mean() > 0.9


def test_pikachus_differ_from_each_other(pikachus):
    """If a GAN drew only one of them, the mean pairwise distance would show it."""
    flat = pikachus[:, ::2, ::2].reshape(NUM_DRAWN, -1) / 255
    distances = np.array(
        [np.sqrt(((flat[i] - flat[j]) ** 2).mean()) for i in range(NUM_DRAWN) for j in range(i)]
    )
    assert distances.mean() > 0.25
    assert distances.min() > 0.08


def test_the_best_threshold_on_yellow_does_not_separate_the_classes(pikachus, others):
    """A classifier that only measures yellow must fail on many."""
    ours, theirs = yellow_share(pikachus), yellow_share(others)
    right = [((ours >= cut).mean() + (theirs < cut).mean()) / 2 for cut in np.linspace(0, 1, 101)]
    assert max(right) < 0.88


@pytest.fixture(scope="module")
def pile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pile")
    calls: list[tuple[int, int]] = []
    truth = write_collection(
        folder, num_pikachu=14, num_others=10, seed=3, progress=lambda *counts: calls.append(counts)
    )
    return folder, truth, calls


def test_pile_holds_what_its_truth_says(pile):
    folder, truth, calls = pile
    assert (len(truth.pikachu), len(truth.others), len(truth.broken)) == (14, 10, 5)
    repeats = {**truth.duplicates, **truth.near_duplicates}
    told = [*truth.pikachu, *truth.others, *repeats, *truth.broken]
    assert sorted(told) == sorted(path.name for path in folder.iterdir())
    assert sorted(int(Path(name).stem) for name in told) == list(range(1, len(told) + 1))
    assert calls == [(done, 24) for done in range(1, 25)]


def test_names_do_not_tell_the_classes(pile):
    _, truth, _ = pile
    assert sorted(truth.pikachu)[-1] > sorted(truth.others)[0]
    assert sorted(truth.others)[-1] > sorted(truth.pikachu)[0]


def test_whole_files_decode_and_broken_ones_do_not(pile):
    folder, truth, _ = pile
    sizes = set()
    for name in [*truth.pikachu, *truth.others, *truth.near_duplicates]:
        with Image.open(folder / name) as picture:
            picture.load()
            sizes.add(picture.size)
            assert picture.format == {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}[Path(name).suffix]
    assert len(sizes) > 5
    assert any(width != height for width, height in sizes)
    for name in truth.broken:
        with pytest.raises((UnidentifiedImageError, OSError)), Image.open(folder / name) as picture:
            picture.load()


def test_repeats_repeat(pile):
    folder, truth, _ = pile
    for copy, original in truth.duplicates.items():
        assert (folder / copy).read_bytes() == (folder / original).read_bytes()
    for copy, original in truth.near_duplicates.items():
        with Image.open(folder / copy) as small, Image.open(folder / original) as large:
            assert small.size < large.size
            pair = [np.asarray(picture.convert("RGB").resize((32, 32)), int) for picture in (small, large)]
        assert np.abs(pair[0] - pair[1]).mean() < 12


def test_two_processes_write_what_one_does(tmp_path):
    folders = tmp_path / "one", tmp_path / "two"
    one, two = (
        write_collection(folder, num_pikachu=2, num_others=2, seed=3, processes=processes)
        for processes, folder in enumerate(folders, start=1)
    )
    assert one == two
    for path in folders[0].iterdir():
        assert (folders[1] / path.name).read_bytes() == path.read_bytes()


def test_a_folder_with_files_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="expected an empty folder"):
        write_collection(tmp_path, num_pikachu=1, num_others=1, seed=0)


def test_labels_are_laid_out_by_part_and_class_and_repeat_nothing(tmp_path):
    write_labels(tmp_path, num_trains=4, num_valids=2, seed=3)
    files = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    folders = sorted(str(path.parent) for path in files)
    assert (
        folders
        == ["trains/others"] * 4 + ["trains/pikachu"] * 4 + ["valids/others"] * 2 + ["valids/pikachu"] * 2
    )
    assert len(set(files.values())) == 12
    for data in files.values():
        Image.open(BytesIO(data)).load()
