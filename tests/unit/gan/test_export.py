"""The exported files agree, and are not published if they do not."""

import dataclasses

import numpy as np
import pytest

from pika_gan import export as exporting
from pika_gan import judge
from pika_gan.data import make_dataset
from pika_gan.latents import latents_of
from pika_gan.networks.judge import build_features, build_judge
from pika_gan.step_tensorflow import Gan
from pika_kit.runtimes import OnnxRuntime
from pika_kit.tensorflow_runtime import TensorflowRuntime

from .conftest import some_pictures


@pytest.fixture(scope="module")
def exported(tiny, tmp_path_factory):
    gan = Gan(tiny)
    random = np.random.default_rng(0)
    for weight in gan.ema.weights:  # batch statistics too must differ from their initial values
        weight.assign(weight + random.uniform(0.1, 0.5, weight.shape))
    folder = tmp_path_factory.mktemp("export")
    return gan, folder, exporting.export(gan.ema, folder)


def test_saved_model_onnx_and_keras_agree(exported):
    gan, folder, difference = exported
    assert difference <= 1e-4
    latents = latents_of([3, 1, 2], 16)
    by_onnx = OnnxRuntime(folder / "model.onnx").run({"latents": latents})["pictures"]
    by_tensorflow = TensorflowRuntime(folder).run({"latents": latents})["pictures"]
    assert by_onnx.shape == (3, 16, 16, 3)
    assert by_onnx.dtype == np.float32
    np.testing.assert_allclose(by_onnx, by_tensorflow, atol=1e-4)
    np.testing.assert_allclose(by_onnx, np.asarray(gan.ema(latents, training=False)), atol=1e-4)


def test_a_picture_does_not_depend_on_the_others_of_its_batch(exported):
    model = OnnxRuntime(exported[1] / "seeds.onnx")
    seeds, few = np.array([3, 1, 2], np.int64), np.array(0.8, np.float32)
    together = model.run({"seeds": seeds, "truncation": few})["pictures"]
    alone = [model.run({"seeds": seeds[row : row + 1], "truncation": few})["pictures"][0] for row in range(3)]
    np.testing.assert_array_equal(together, alone)
    latents = OnnxRuntime(exported[1] / "model.onnx")
    assert len(latents.run({"latents": np.zeros((0, 16), np.float32)})["pictures"]) == 0
    with pytest.raises(ValueError, match=r"as many rows in each input, received \{'latents': 2, 'more': 3\}"):
        latents.run({"latents": np.zeros((2, 16), np.float32), "more": np.zeros(3)})


def test_an_upsampler_and_a_judge_are_in_the_files(tiny, tmp_path):
    discs = make_dataset(some_pictures(40), 16)
    preset = dataclasses.replace(tiny, upsample_every=1)
    gan = Gan(preset)
    random = np.random.default_rng(0)
    for weight in gan.ema.weights:
        weight.assign(weight + random.uniform(0.0, 0.1, weight.shape))
    latents = latents_of([3, 1], 16)
    fitted, features, drawn = judge.fit(discs), build_features(16), gan.draw(latents)
    scores, _ = judge.judged_by(build_judge(fitted, features), drawn)
    critic = build_judge(dataclasses.replace(fitted, threshold=scores.mean()), features)
    assert exporting.export(gan.ema, tmp_path, critic) <= 1e-4
    pictures = OnnxRuntime(tmp_path / "model.onnx").run({"latents": latents})["pictures"]
    assert pictures.shape == (2, 16, 16, 3)
    assert np.abs(pictures).max() <= 1
    judged = OnnxRuntime(tmp_path / "critic.onnx").run({"pictures": pictures})
    np.testing.assert_allclose(judged["scores"], scores, atol=0.02)
    np.testing.assert_array_equal(judged["accepted"], scores > scores.min())


def test_a_disagreement_stops_the_export(exported, tmp_path, monkeypatch):
    class Wrong(OnnxRuntime):
        def run(self, inputs):
            return {name: values + 0.01 for name, values in super().run(inputs).items()}

    monkeypatch.setattr(exporting, "OnnxRuntime", Wrong)
    with pytest.raises(exporting.ExportDisagrees, match=r"model.onnx: .* within 0\.0001, received 1"):
        exporting.export(exported[0].ema, tmp_path)


def test_seeds_draw_what_their_latents_draw(exported):
    _, folder, _ = exported
    seeds = [5, 2**32 - 1]
    expected = OnnxRuntime(folder / "model.onnx").run({"latents": latents_of(seeds, 16, 0.8)})["pictures"]
    asked = {"seeds": np.array(seeds, np.int64), "truncation": np.array(0.8, np.float32)}
    received = OnnxRuntime(folder / "seeds.onnx").run(asked)["pictures"]
    np.testing.assert_allclose(received, expected, atol=1e-4)
