"""Shapes, learning, and the preprocessing inside the model."""

import dataclasses

import keras
import numpy as np
import pytest
from classifier_samples import drawn

from pika_classifier.config import PRESETS, FrozenPreset, preset_named
from pika_classifier.features.preprocessing import picture_input, shrink
from pika_classifier.learn.data import BatchSource, LabelledPictures, TooFewLabels
from pika_classifier.learn.networks import logit_model, residual_network, serving_model
from pika_classifier.learn.train import train


def labelled(num: int, seed: int) -> LabelledPictures:
    pikachu, others = drawn(num, is_yellow=True, seed=seed), drawn(num, is_yellow=False, seed=seed + 100)
    rows = [(f"p{number:03d}", pixels, "pikachu") for number, pixels in enumerate(pikachu)]
    return LabelledPictures.of(
        rows + [(f"o{number:03d}", pixels, "others") for number, pixels in enumerate(others)]
    )


def test_shrinking_takes_the_mean_of_blocks():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3), np.uint8)
    inputs = picture_input()
    small = keras.Model(inputs, shrink(inputs, 64, 1 / 128, -127 / 128))(pictures)
    means = pictures.reshape(2, 64, 4, 64, 4, 3).astype(float).mean((2, 4))
    np.testing.assert_allclose(np.asarray(small), (means - 127) / 128, atol=1e-5)


def test_the_residual_network_gives_one_logit_for_each_picture():
    network = residual_network(64, 0.3)
    assert network(np.zeros((3, 256, 256, 3), np.uint8)).shape == (3, 1)
    assert network.count_params() < 500_000


def test_serving_averages_both_sides_and_divides_by_the_temperature():
    keras.utils.set_random_seed(1)
    head = residual_network(32, 0.0, widths=(8, 8))
    picture = np.stack(drawn(2, is_yellow=True, seed=3))
    one, other = (np.asarray(head(sent))[:, 0] for sent in (picture, picture[:, :, ::-1]))
    served = serving_model(logit_model(head, mirror=True), 2.0)
    expected = 1 / (1 + np.exp(-(one + other) / 2 / 2.0))
    np.testing.assert_allclose(np.asarray(served(picture)["probability"]), expected, atol=1e-6)


def test_too_few_labels_are_told():
    with pytest.raises(TooFewLabels, match=r"valids: expected at least 2 .*'pikachu', received 1"):
        train(labelled(4, 1), labelled(1, 2), PRESETS["tiny"])


def test_progress_may_stop_the_run():
    class Stopped(Exception):
        pass

    def stop(done, total, message, **details):
        raise Stopped

    with pytest.raises(Stopped):
        train(labelled(4, 1), labelled(3, 2), PRESETS["scratch"], on_progress=stop)


def test_every_row_comes_once_before_any_comes_again():
    source = BatchSource(10, 4, seed=0)
    drawn_rows = np.concatenate([source.next() for _ in range(5)])
    assert sorted(drawn_rows[:10]) == sorted(drawn_rows[10:]) == list(range(10))


def test_presets_say_what_they_expect():
    with pytest.raises(ValueError, match=r"expected one of .*, received 'best'"):
        preset_named("best")
    with pytest.raises(ValueError, match="divisor of 256, received 100"):
        dataclasses.replace(PRESETS["scratch"], input_size=100)
    assert isinstance(preset_named(None), FrozenPreset)
