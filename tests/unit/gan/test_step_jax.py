"""The step on JAX against the step on TensorFlow: equal inputs give equal losses, penalties and updates.

Keras has one backend per process, so JAX runs in a separate one.
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pika_gan.config import Preset
from pika_gan.presets import PRESETS
from pika_gan.step_tensorflow import Gan
from pika_kit.runtimes import OnnxRuntime

PROGRAM = """
import json, sys
import numpy as np
from pika_gan.backend import make_gan
from pika_gan.config import Preset

folder = sys.argv[1]
for name, preset in json.load(open(folder + "/presets.json")).items():
    gan = make_gan(Preset.from_json(preset))
    assert type(gan).__module__ == "pika_gan.step_jax"
    with np.load(f"{folder}/{name}-before.npz") as before:
        gan.load_state(dict(before))
    pictures = np.load(f"{folder}/{name}-pictures.npy")
    told = []
    for step in range(2):
        figures = gan.train_step(pictures, step, fraction=0.4 * step, gentleness=step)
        told.append({key: float(value) for key, value in figures.items()})
    gan.count_statistics(2)
    np.savez(f"{folder}/{name}-after.npz", **gan.state())
    np.save(f"{folder}/{name}-drawn.npy", gan.draw(np.ones((2, gan.preset.latent_dim), np.float32)))
    np.save(f"{folder}/{name}-scores.npy", gan.score(pictures))
    print(json.dumps({"name": name, "figures": told}), flush=True)
"""
# Adam divides by the gradient's magnitude: where that is tiny, rounding decides the sign of a step.
LARGE_RATE_STEPS = 2

# Compiling is all that takes time here: code that XLA does not optimise is ready in half of it.
JAX_ENVIRON = {
    **os.environ,
    "PIKA_GAN_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
}
TINY = PRESETS["tiny"]
# A case takes most of a minute on two backends, so each one covers several things: every loss, with and
# without penalties, augmentation and averages, and every part of a run.
CASES: dict[str, Preset] = {
    "hinge": dataclasses.replace(TINY, loss="hinge", penalty_every=2),
    "non_saturating": dataclasses.replace(
        TINY,
        loss="non_saturating",
        augment=(),
        average=False,
        upsample_every=1,
        coarse_share=0.3,
        projected_size=32,
    ),
    # First the projected critic with the base alone, then with all of the generator; both in two parts.
    "rpgan": dataclasses.replace(
        TINY,
        penalty_every=2,
        upsample_every=1,
        joint_from=0.3,
        projected_ratio=1.0,
        projected_size=32,
        accumulate=2,
    ),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """name → (the TensorFlow state after two steps, its figures, the JAX folder's results)."""
    folder = tmp_path_factory.mktemp("jax")
    random = np.random.default_rng(3)
    (folder / "presets.json").write_text(json.dumps({name: p.to_json() for name, p in CASES.items()}))
    expected = {}
    for name, preset in CASES.items():
        gan = Gan(preset, seed=0)
        pictures = random.integers(0, 256, (8, 16, 16, 3), np.uint8)
        # Without biases a hole of zeros stays zero, where the backends' derivatives of a leaky ReLU differ.
        for variable in gan.discriminator.trainable_variables:
            if "bias" in variable.path:
                variable.assign(random.normal(0, 0.05, variable.shape))
        np.savez(folder / f"{name}-before.npz", **gan.state())
        np.save(folder / f"{name}-pictures.npy", pictures)
        figures = [
            {
                key: float(value)
                for key, value in gan.train_step(pictures, step, 0.4 * step, gentleness=step).items()
            }
            for step in range(2)
        ]
        gan.count_statistics(2)
        drawn = gan.draw(np.ones((2, preset.latent_dim), np.float32))
        expected[name] = (gan.state(), figures, drawn, gan.score(pictures))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        capture_output=True,
        text=True,
        env=JAX_ENVIRON,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    received = {line["name"]: line["figures"] for line in map(json.loads, done.stdout.splitlines())}
    return folder, expected, received


@pytest.mark.parametrize("name", CASES)
def test_losses_and_penalties_agree(both, name):
    _, expected, received = both
    assert [set(figures) for figures in received[name]] == [set(figures) for figures in expected[name][1]]
    for theirs, ours in zip(expected[name][1], received[name], strict=True):
        for key, value in theirs.items():
            assert ours[key] == pytest.approx(value, abs=1e-4, rel=1e-4), key
    assert any("r1" in figures for figures in received[name])


@pytest.mark.parametrize("name", CASES)
def test_weights_agree_after_two_steps(both, name):
    folder, expected, _ = both
    rate = CASES[name].generator_learning_rate
    with np.load(folder / f"{name}-after.npz") as after:
        assert set(after.files) == set(expected[name][0])
        for key, value in expected[name][0].items():
            if "optimizer" in key:
                continue
            difference = np.abs(after[key].astype(float) - value)
            assert difference.max() <= 2 * LARGE_RATE_STEPS * rate + 1e-3, key
            assert np.quantile(difference, 0.9) < 1e-4, key


@pytest.mark.parametrize("name", CASES)
def test_it_draws_and_scores_alike(both, name):
    folder, expected, _ = both
    drawn, scores = np.load(folder / f"{name}-drawn.npy"), np.load(folder / f"{name}-scores.npy")
    assert np.abs(drawn.astype(int) - expected[name][2]).max() <= 2
    np.testing.assert_allclose(scores, expected[name][3], atol=0.02)


JOB = """
import importlib.util, sys
from pathlib import Path
import pika_gan
import keras
assert keras.backend.backend() == "jax"
spec = importlib.util.spec_from_file_location("helpers", sys.argv[1])
helpers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(helpers)
from pika_kit.models import Registry

store = helpers.MemoryStore()
helpers.fill(store)
result = helpers.run_job(store, Path(sys.argv[2]) / "state", job_id="by-jax", steps=4)
registry = Registry(store, "gan")
registry.activate(result["model_version"])
registry.fetch(None, Path(sys.argv[2]) / "model")
"""


def test_a_job_on_jax_publishes_what_front_ends_serve(tmp_path):
    helpers = str(Path(__file__).with_name("conftest.py"))
    done = subprocess.run(
        [sys.executable, "-c", JOB, helpers, str(tmp_path)],
        capture_output=True,
        text=True,
        env=JAX_ENVIRON,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    model = next(tmp_path.glob("model/**/model.onnx"))
    pictures = OnnxRuntime(model).run({"latents": np.zeros((1, 16), np.float32)})["pictures"]
    assert pictures.shape == (1, 16, 16, 3)
