"""Export what draws, and what judges it: `saved_model/`, `model.onnx`, `seeds.onnx`, `critic.onnx`.

All of it is cross-checked.

Signatures of the SavedModel and their ONNX files; pictures are (N, S, S, 3) float32 in [-1, 1]:

- `serving_default`, model.onnx: `latents` (N, latent_dim) float32 → `pictures`.
- `from_seeds`, seeds.onnx: `seeds` (N,) int64 and `truncation` () float32 → `pictures`, the same that POST
  /generate draws for these seeds.
- `score`, critic.onnx, of runs with a judge: `pictures` → `scores` (N,) float32, high for good ones, and
  `accepted` (N,) bool, whether they are high enough.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pika_gan import checkpoints, judge
from pika_gan.config import Preset
from pika_gan.latents import MAX_SEED, latents_of
from pika_gan.networks import build_generator
from pika_gan.networks.judge import build_features, build_judge
from pika_gan.seeds import latents_from_seeds
from pika_kit.runtimes import OnnxRuntime

AGREEMENT = 1e-4
ONNX_OPSET = 18  # the first version with bitwise operations
CHECKED_SEEDS = (0, 1, 2, MAX_SEED)
CHECKED_TRUNCATION = 0.7


class ExportDisagrees(RuntimeError):
    """SavedModel and ONNX files produce different pictures."""


def export_best(preset: Preset, best: Path, folder: Path) -> float:
    """Export the averaged generator saved in a run's `best.npz`, and its judge; see `export`.

    TensorFlow writes the files. If Keras runs on another backend, a child process does it.
    """
    if keras.backend.backend() == "tensorflow":
        generator, critic = build_generator(preset, precision="float32"), None
        arrays, _ = checkpoints.load(best)
        for index, variable in enumerate(generator.variables):
            variable.assign(arrays[f"ema/{index:04d}"])
        fitted = judge.load(best.parent)
        if fitted is not None:
            critic = build_judge(fitted, build_features(preset.resolution))
        return export(generator, folder, critic)
    done = subprocess.run(
        [sys.executable, "-m", __name__, json.dumps(preset.to_json()), str(best), str(folder)],
        env=os.environ | {"PIKA_GAN_BACKEND": "tensorflow", "TF_FORCE_GPU_ALLOW_GROWTH": "true"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return float(done.stdout.splitlines()[-1])


def export(generator: keras.Model, folder: Path, critic: keras.Model | None = None) -> float:
    """Write the files into `folder` and return their largest difference over a few latents and seeds.

    Args:
        generator: latents → pictures.
        folder: is created.
        critic: pictures → scores and accepted, see `build_judge`.

    Raises:
        ExportDisagrees: the difference is above AGREEMENT.
    """
    latent_dim = generator.input_shape[-1]
    folder.mkdir(parents=True, exist_ok=True)

    def of_latents(latents: Any) -> dict[str, Any]:
        return {"pictures": generator(latents, training=False)}

    def of_seeds(seeds: Any, truncation: Any) -> dict[str, Any]:
        return of_latents(latents_from_seeds(seeds, truncation, latent_dim))

    latents = [tf.TensorSpec([None, latent_dim], tf.float32, name="latents")]
    seeds = [tf.TensorSpec([None], tf.int64, name="seeds"), tf.TensorSpec([], tf.float32, name="truncation")]
    archive = keras.export.ExportArchive()
    archive.track(generator)
    archive.add_endpoint("serve", of_latents, input_signature=latents)
    archive.add_endpoint("from_seeds", of_seeds, input_signature=seeds)
    if critic is not None:

        def scores_of(pictures: Any) -> dict[str, Any]:
            scores, accepted = critic(pictures, training=False)
            return {"scores": scores, "accepted": accepted}

        pictures = [tf.TensorSpec([None, *critic.input_shape[1:]], tf.float32, name="pictures")]
        archive.track(critic)
        archive.add_endpoint("score", scores_of, input_signature=pictures)
        _save_onnx(scores_of, pictures, folder / "critic.onnx")
    archive.write_out(str(folder / "saved_model"), verbose=False)
    _save_onnx(of_latents, latents, folder / "model.onnx")
    _save_onnx(of_seeds, seeds, folder / "seeds.onnx")
    return _largest_difference(folder, latent_dim)


def _save_onnx(function: Any, signature: list[tf.TensorSpec], path: Path) -> None:
    import tf2onnx

    tf2onnx.convert.from_function(
        tf.function(function, input_signature=signature),
        input_signature=signature,
        opset=ONNX_OPSET,
        output_path=str(path),
    )


def _largest_difference(folder: Path, latent_dim: int) -> float:
    """Compare the pictures and scores of all files and signatures."""
    latents = latents_of(list(CHECKED_SEEDS), latent_dim, CHECKED_TRUNCATION)
    truncation = np.array(CHECKED_TRUNCATION, np.float32)
    seeds: dict[str, np.ndarray] = {"seeds": np.array(CHECKED_SEEDS, np.int64), "truncation": truncation}
    served = tf.saved_model.load(str(folder / "saved_model")).signatures
    expected = served["serving_default"](latents=tf.constant(latents))["pictures"].numpy()
    received = {
        "SavedModel from seeds": served["from_seeds"](**{k: tf.constant(v) for k, v in seeds.items()})[
            "pictures"
        ].numpy(),
        "model.onnx": OnnxRuntime(folder / "model.onnx").run({"latents": latents})["pictures"],
        "seeds.onnx": OnnxRuntime(folder / "seeds.onnx").run(seeds)["pictures"],
    }
    pairs = {name: (expected, pictures) for name, pictures in received.items()}
    if "score" in served:
        scores = served["score"](pictures=tf.constant(expected))["scores"].numpy()
        received_scores = OnnxRuntime(folder / "critic.onnx").run({"pictures": expected})["scores"]
        scale = max(1.0, float(np.abs(scores).max()))
        pairs["critic.onnx"] = (scores / scale, received_scores / scale)
    largest = 0.0
    for name, (one, other) in pairs.items():
        difference = float(np.abs(one - other).max())
        if not difference <= AGREEMENT:
            raise ExportDisagrees(
                f"{name}: expected what the SavedModel gives within {AGREEMENT}, received {difference:.2e}"
            )
        largest = max(largest, difference)
    return largest


if __name__ == "__main__":
    told_preset, told_best, told_folder = sys.argv[1:]
    print(export_best(Preset.from_json(json.loads(told_preset)), Path(told_best), Path(told_folder)))
