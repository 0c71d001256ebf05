"""The averaged generator as files that serve: `saved_model/` and `model.onnx`, checked against each other.

Both take `latents` (N, latent_dim) float32 and give `pictures` (N, S, S, 3) float32 in [-1, 1].
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pika_gan.generate import latents_of
from pika_kit.runtimes import OnnxRuntime

AGREEMENT = 1e-4
ONNX_OPSET = 17
NUM_CHECKED = 4


class ExportDisagrees(RuntimeError):
    """SavedModel and ONNX file give different pictures."""


def export(generator: keras.Model, folder: Path) -> float:
    """Writes both files into `folder` and returns their largest difference over a few latents.

    Raises ExportDisagrees above AGREEMENT.
    """
    latent_dim = generator.input_shape[-1]
    folder.mkdir(parents=True, exist_ok=True)
    _save_saved_model(generator, latent_dim, folder / "saved_model")
    _save_onnx(generator, latent_dim, folder / "model.onnx")
    latents = latents_of(list(range(NUM_CHECKED)), latent_dim)
    served = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    expected = served(latents=tf.constant(latents))["pictures"].numpy()
    received = OnnxRuntime(folder / "model.onnx").run({"latents": latents})["pictures"]
    difference = float(np.abs(expected - received).max())
    if not difference <= AGREEMENT:
        raise ExportDisagrees(f"expected SavedModel and ONNX within {AGREEMENT}, received {difference:.2e}")
    return difference


def _signature(latent_dim: int) -> tf.TensorSpec:
    return tf.TensorSpec([None, latent_dim], tf.float32, name="latents")


def _save_saved_model(generator: keras.Model, latent_dim: int, folder: Path) -> None:
    archive = keras.export.ExportArchive()
    archive.track(generator)
    archive.add_endpoint(
        "serve",
        lambda latents: {"pictures": generator(latents, training=False)},
        input_signature=[_signature(latent_dim)],
    )
    archive.write_out(str(folder), verbose=False)


def _save_onnx(generator: keras.Model, latent_dim: int, path: Path) -> None:
    import tf2onnx

    @tf.function(input_signature=[_signature(latent_dim)])
    def pictures_of(latents: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"pictures": generator(latents, training=False)}

    tf2onnx.convert.from_function(
        pictures_of, input_signature=[_signature(latent_dim)], opset=ONNX_OPSET, output_path=str(path)
    )
