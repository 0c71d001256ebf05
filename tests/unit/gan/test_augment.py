"""DiffAugment: the effect of each kind, its dependence on the draws alone, and its probability."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from pika_gan.augment import KINDS, NUM_DRAWS, augment


def apply(pictures, draws, **options):
    return ops.convert_to_numpy(
        augment(ops.convert_to_tensor(pictures), ops.convert_to_tensor(draws), **options)
    )


@pytest.fixture
def pictures():
    return np.random.default_rng(0).uniform(-1, 1, (6, 16, 16, 3)).astype("float32")


@pytest.fixture
def draws():
    return np.random.default_rng(1).uniform(0, 1, (6, NUM_DRAWS)).astype("float32")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_pictures_and_only_when_it_happens(pictures, draws, kind):
    changed = apply(pictures, draws, kinds=(kind,))
    assert changed.shape == pictures.shape
    assert np.abs(changed - pictures).max() > 0.1
    np.testing.assert_allclose(apply(pictures, draws, kinds=(kind,), probability=0.0), pictures, atol=1e-6)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_both_networks_are_judged_and_taught_on_augmented_pictures(tiny, monkeypatch, network):
    """Without augmentation the same step gives different gradients."""
    from pika_gan import augment as augment_module
    from pika_gan.step_tensorflow import Gan

    batch = np.random.default_rng(2).integers(0, 256, (tiny.batch_size, 16, 16, 3), dtype=np.uint8)

    def after_one_step():
        gan = Gan(tiny, seed=0)
        gan.train_step(batch, 0, 0.0, 0)
        return {name: value for name, value in gan.state().items() if name.startswith(f"{network}/")}

    with_it = after_one_step()
    monkeypatch.setattr(augment_module, "augment", lambda pictures, *_: pictures)
    without = after_one_step()
    assert with_it
    assert any(np.abs(with_it[name] - without[name]).max() > 1e-6 for name in with_it)


def test_the_steps_own_colour_strength_is_used(tiny, pictures, draws):
    """Strength 0 leaves colours as they are, and half of it changes them half as much."""
    from pika_gan.schedule import inputs_of, noise_of, settings_at
    from pika_gan.state import GanState

    preset = dataclasses.replace(tiny, augment=("colour",), augment_probability=1.0)

    class Only:
        augmented = GanState.augmented

    state = Only()
    state.preset = preset

    def changed(strength):
        settings = dataclasses.replace(settings_at(preset, 0, 0.0), colour_strength=strength)
        inputs = inputs_of(pictures, noise_of(preset, 0, 0), settings)
        return np.abs(np.asarray(state.augmented(pictures, draws, inputs)) - pictures).mean()

    assert changed(0.0) < 1e-6
    assert changed(0.5) == pytest.approx(changed(1.0) / 2, rel=0.2)


def test_a_picture_is_augmented_alike_in_any_batch(pictures, draws):
    np.testing.assert_allclose(apply(pictures, draws)[2:4], apply(pictures[2:4], draws[2:4]), atol=1e-5)


def test_translation_moves_whole_pixels_and_fills_with_zero(pictures, draws):
    moved = apply(pictures, draws, kinds=("translation",))
    for before, after, draw in zip(pictures, moved, draws, strict=True):
        down, right = (int(np.floor(value * 5)) - 2 for value in draw[3:5])
        expected = np.zeros_like(before)
        for row in range(16):
            for column in range(16):
                if 0 <= row + down < 16 and 0 <= column + right < 16:
                    expected[row, column] = before[row + down, column + right]
        np.testing.assert_allclose(after, expected, atol=1e-6)


def test_cutout_removes_at_most_a_quarter(pictures, draws):
    cut = apply(pictures, draws, kinds=("cutout",))
    removed = (cut == 0).all(axis=3).mean(axis=(1, 2))
    assert (removed <= 0.25 + 1e-6).all()
    assert (removed >= 0.25 / 4 - 0.05).all()


def test_an_unknown_kind_is_refused(pictures, draws):
    with pytest.raises(ValueError, match=r"received \['rotation'\]"):
        apply(pictures, draws, kinds=("rotation",))
