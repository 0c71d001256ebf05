"""A batch on two devices: two virtual CPU devices instead of two GPUs, in a separate process."""

import os
import subprocess
import sys

PROGRAM = """
import dataclasses
import numpy as np
import tensorflow as tf

processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)

from pika_gan.presets import PRESETS
from pika_gan.schedule import inputs_of, noise_of, pair_noise_of, settings_at
from pika_gan.step_tensorflow import Gan

tiny = dataclasses.replace(
    PRESETS["tiny"], projected_ratio=0.5, projected_size=32, upsample_every=1, joint_from=0.0
)
both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert both.num_replicas_in_sync == 2
spread = Gan(dataclasses.replace(tiny, batch_size=8), seed=1, strategy=both)
alone = Gan(dataclasses.replace(tiny, batch_size=4), seed=1)
real = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
latents, draws = noise_of(tiny, 1, 0, num=4)
settings = settings_at(tiny, 0, 0.0)
kinds = {"part": "joint", "with_penalty": True, "with_heads": True}
one = alone.update(inputs_of(real, (latents, draws), settings), **kinds)
# The same pictures on either device: as on one device with half of them.
noise = np.concatenate([latents] * 2), np.concatenate([draws[:4], draws[:4], draws[4:], draws[4:]])
two = spread.update(
    inputs_of(np.concatenate([real] * 2), noise, settings), **kinds
)
one["pairs"] = alone.learn_pairs(real, pair_noise_of(alone.preset, 1, 0))
two["pairs"] = spread.learn_pairs(
    np.concatenate([real] * 2), np.concatenate([pair_noise_of(alone.preset, 1, 0)] * 2)
)
for name, value in one.items():
    np.testing.assert_allclose(two[name], value, rtol=1e-4, err_msg=name)
expected, of_both = alone.state(), spread.state()
assert set(expected) == set(of_both)
for name, array in expected.items():
    difference = np.abs(of_both[name].astype(float) - array)
    assert np.quantile(difference, 0.95) < 1e-4, name
for variable in (*spread.generator.weights, *spread.ema.weights, *spread.heads.weights):
    values = [part.numpy() for part in variable.value.values]
    np.testing.assert_array_equal(*values)
spread.load_state(of_both)
for name, array in spread.state().items():
    np.testing.assert_array_equal(array, of_both[name], err_msg=name)

# A whole run, with everything around it.
import pathlib
import tempfile
from pika_gan import train
from pika_gan.data import make_dataset

train.make_gan = lambda preset, seed=0: Gan(preset, seed, strategy=both)
random = np.random.default_rng(3)
pictures = [(f"{i:02}", random.integers(0, 256, (16, 16, 3), np.uint8)) for i in range(40)]
with tempfile.TemporaryDirectory() as folder:
    result = train.train(make_dataset(pictures, 16), PRESETS["tiny"], pathlib.Path(folder), steps=3)
assert result.state.step == 3
try:
    Gan(dataclasses.replace(tiny, batch_size=7), strategy=both)
except ValueError as error:
    print(error)
"""


def test_two_devices_learn_what_one_learns():
    environ = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "batch_size: expected a multiple of 2 (2 devices × 1 parts), received 7" in done.stdout
