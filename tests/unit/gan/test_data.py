"""The data set: a tenth held out by id, every picture once per epoch, the same batches for the same seed."""

import numpy as np
import pytest

from pika_gan import data
from pika_gan.data import is_held_out, load_dataset, make_dataset, resize, save_dataset


def test_about_a_tenth_is_held_out_by_id_alone():
    ids = [f"{number:064x}" for number in range(5000)]
    share = np.mean([is_held_out(picture_id) for picture_id in ids])
    assert 0.08 < share < 0.12


def test_the_split_does_not_depend_on_order_and_nothing_is_in_both(dataset):
    pairs = list(zip(dataset.train_ids, dataset.train, strict=True))
    pairs += list(zip(dataset.held_out_ids, dataset.held_out, strict=True))
    again = make_dataset(reversed(pairs), dataset.size)
    assert again.train_ids == dataset.train_ids
    assert again.manifest() == dataset.manifest()
    assert not set(dataset.train_ids) & set(dataset.held_out_ids)
    assert len(pairs) == 60


@pytest.mark.parametrize(("most", "poses"), [(10.0, 5), (2.5, 2), (0.5, 1)])
def test_there_are_fewer_poses_where_figures_are_many(dataset, monkeypatch, most, poses):
    monkeypatch.setattr(data, "MOST_SHOWN", int(most * len(dataset.train)))
    pairs = zip(dataset.train_ids + dataset.held_out_ids, [*dataset.train, *dataset.held_out], strict=True)
    posed = make_dataset(pairs, dataset.size, poses=5)
    assert len(posed.shown) == poses * len(posed.train)
    assert posed.train_ids == dataset.train_ids


def test_each_picture_comes_once_an_epoch(dataset):
    num = len(dataset.train)
    seen = np.concatenate([dataset.batch(step, 1, seed=4, flip=False) for step in range(num)])
    keys = {picture.tobytes() for picture in seen}
    assert len(keys) == num
    second = np.concatenate([dataset.batch(step, 1, seed=4, flip=False) for step in range(num, 2 * num)])
    assert (second != seen).any()


def test_a_batch_depends_on_seed_and_step_alone(dataset):
    np.testing.assert_array_equal(dataset.batch(7, 8, 1, True), dataset.batch(7, 8, 1, True))
    assert (dataset.batch(7, 8, 1, True) != dataset.batch(7, 8, 2, True)).any()


def test_flips_mirror_about_half(dataset):
    plain, flipped = dataset.batch(0, 50, 1, False), dataset.batch(0, 50, 1, True)
    mirrored = [(a[:, ::-1] == b).all() and (a != b).any() for a, b in zip(plain, flipped, strict=True)]
    same = [(a == b).all() for a, b in zip(plain, flipped, strict=True)]
    assert all(a or b for a, b in zip(mirrored, same, strict=True))
    assert 10 < sum(mirrored) < 40


def test_resizing_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 255
    small = resize(stripes, 16)
    assert np.abs(small[2:-2].astype(int) - 128).max() < 10


def test_the_cache_gives_the_same_back(dataset, tmp_path):
    save_dataset(dataset, tmp_path / "pictures.npz")
    again = load_dataset(tmp_path / "pictures.npz")
    assert again.manifest() == dataset.manifest()
    np.testing.assert_array_equal(again.train, dataset.train)


def test_a_cache_of_an_earlier_release_is_read(dataset, tmp_path):
    np.savez(
        tmp_path / "old.npz",
        train=dataset.train,
        held_out=dataset.held_out,
        train_ids=np.array(dataset.train_ids),
        held_out_ids=np.array(dataset.held_out_ids),
    )
    again = load_dataset(tmp_path / "old.npz")
    assert again.ids == dataset.ids
    assert again.facts == {"kind": "squares"}
    np.testing.assert_array_equal(again.shown, dataset.train)


def test_too_few_pictures_are_refused(dataset):
    with pytest.raises(ValueError, match=r"expected at least 16 .* that show something, received 3"):
        make_dataset([(str(i), dataset.train[i]) for i in range(3)], dataset.size)
