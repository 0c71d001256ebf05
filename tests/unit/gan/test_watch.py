"""What steers a run: settings that fall, augmentation that follows overfitting, verdicts on evaluations."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from pika_gan import watch
from pika_gan.checkpoints import RunState
from pika_gan.presets import PRESETS
from pika_gan.schedule import inputs_of, noise_of, settings_at
from pika_gan.step_tensorflow import Gan


def seen(kid=0.1, collapsed=False):
    return SimpleNamespace(kid=kid, collapsed=collapsed, diversity=0.1)


def test_overfitting_is_where_held_out_pictures_lie_between_trained_and_drawn_ones():
    trained, drawn = np.array([3.0, 5.0]), np.array([-1.0, 1.0])
    assert watch.overfitting(trained, np.array([4.0]), drawn) == 0
    assert watch.overfitting(trained, np.array([1.0]), drawn) == 0.75
    assert watch.overfitting(trained, np.array([-9.0]), drawn) == 1
    assert watch.overfitting(drawn, np.array([0.0]), trained) == 0, "a critic that knows nothing"


def test_overfitting_raises_the_augmentation_and_its_end_lowers_it():
    preset, state = dataclasses.replace(PRESETS["tiny"], augment_target=0.5), RunState()
    watch.steer(preset, state, 0.9, num_pictures=10_000)
    assert state.augment_probability == pytest.approx(preset.augment_probability + 0.1)
    for _ in range(20):
        watch.steer(preset, state, 1.0, num_pictures=10_000)
    assert state.augment_probability == watch.MOST_AUGMENTED
    for _ in range(40):
        watch.steer(preset, state, 0.0, num_pictures=10_000)
    assert watch.probability_of(preset, state) == preset.augment_probability, "never less"
    steady = RunState()
    watch.steer(PRESETS["tiny"], steady, 1.0, num_pictures=10_000)
    assert watch.probability_of(PRESETS["tiny"], steady) == PRESETS["tiny"].augment_probability


def test_three_bad_evaluations_in_a_row_are_a_judgement_and_two_are_none():
    state = RunState(step=9, best_kid=0.1, best_step=4)
    bad = seen(collapsed=True)
    assert [watch.judge(state, each) for each in (bad, bad, seen(), bad, bad)] == [None] * 5
    assert "collapse at step 9" in watch.judge(state, bad)
    state = RunState(step=9, best_kid=0.1, best_step=4)
    assert [watch.judge(state, seen(0.31)) for _ in range(2)] == [None, None]
    assert "divergence at step 9: KID × 1000 is 310, after 100 at step 4" in watch.judge(state, seen(0.31))
    lucky = RunState(best_kid=-0.001)
    assert [watch.judge(lucky, seen(0.05)) for _ in range(3)] == [None] * 3


def test_colour_changes_fall_to_a_share_of_their_strength():
    preset = dataclasses.replace(PRESETS["tiny"], colour_strength=0.8, colour_strength_end=0.25)
    strengths = [settings_at(preset, 0, fraction).colour_strength for fraction in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(strengths, [0.8, 0.5, 0.2])


def test_rates_and_penalty_fall_and_a_roll_back_makes_them_gentler():
    preset = dataclasses.replace(PRESETS["tiny"], learning_rate_end=0.1, penalty_every=2, coarse_share=0.3)
    first, last = settings_at(preset, 0, 0.0), settings_at(preset, 100, 1.0)
    assert first.generator_rate == preset.generator_learning_rate
    assert last.generator_rate == pytest.approx(0.1 * preset.generator_learning_rate)
    assert first.penalty_weight == pytest.approx(2 * preset.penalty_weight)
    assert last.penalty_weight == pytest.approx(2 * preset.penalty_weight_end)
    assert settings_at(preset, 1, 0.0).penalty_weight is None
    assert (first.part, last.part) == ("coarse", "full")
    whole = dataclasses.replace(preset, upsample_every=2, joint_from=0.6)
    parts = [settings_at(whole, 0, fraction).part for fraction in (0.0, 0.3, 0.59, 0.6, 1.0)]
    assert parts == ["coarse", "full", "full", "joint", "joint"]
    gentler = settings_at(preset, 0, 0.0, gentleness=1)
    assert gentler.discriminator_rate == first.discriminator_rate / 2
    assert gentler.penalty_weight == first.penalty_weight * 2


def test_a_run_of_few_steps_keeps_to_half_the_size_for_longer():
    preset = dataclasses.replace(
        PRESETS["tiny"], coarse_share=0.3, coarse_steps=100, upsample_every=2, joint_from=0.7,
        projected_ratio=1.0, projected_size=32, projected_from=0.6,
    )  # fmt: skip

    def seen(step: int, fraction: float) -> tuple[str, bool]:
        settings = settings_at(preset, step, fraction)
        return settings.part, settings.with_heads

    # Enough steps at 30 % of the run, at 65 %, and never.
    assert [seen(99, 0.29), seen(100, 0.29), seen(100, 0.3)] == 2 * [("coarse", False)] + [("full", False)]
    assert [seen(99, 0.65), seen(100, 0.65)] == [("coarse", False), ("full", True)]
    assert [seen(50, 0.69), seen(50, 0.7), seen(60, 1.0)] == [("coarse", False)] + 2 * [("joint", True)]


def test_a_steps_random_numbers_are_its_own():
    preset = PRESETS["tiny"]
    latents, draws = noise_of(preset, seed=1, step=5)
    assert latents.shape == (8, 16)
    assert draws.shape == (16, 10)
    assert latents.dtype == draws.dtype == np.float32
    np.testing.assert_array_equal(noise_of(preset, seed=1, step=5)[0], latents)
    others = [noise_of(preset, *key)[0] for key in ((2, 5), (1, 6), (1, 5, 1))]
    assert all((other != latents).any() for other in others)


def test_a_batch_in_parts_gives_the_gradients_of_its_parts():
    """Two halves with equal pictures and random numbers give the same step as one half alone."""
    preset = dataclasses.replace(PRESETS["tiny"], batch_size=8)
    whole = Gan(dataclasses.replace(preset, accumulate=2), seed=1)
    half = Gan(dataclasses.replace(preset, batch_size=4), seed=1)
    real = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    noise = noise_of(preset, 1, 0, num=4)
    settings = settings_at(preset, 0, 0.0)
    one = half.update(inputs_of(real, noise, settings), part="full", with_penalty=True, with_heads=False)
    twice = [np.concatenate([array, array]) for array in (real, *noise)]
    two = whole.update(
        inputs_of(twice[0], tuple(twice[1:]), settings), part="full", with_penalty=True, with_heads=False
    )
    for name, value in one.items():
        assert float(two[name]) == pytest.approx(float(value), rel=1e-4), name
    for expected, summed in zip(
        half.generator.trainable_variables, whole.generator.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(summed, expected, atol=2e-4, err_msg=expected.path)
