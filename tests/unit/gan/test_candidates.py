"""Candidates: several latents per seed, the critic that chooses among them, and what /generate returns."""

import dataclasses
import io
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from pika_gan import export as exporting
from pika_gan.app import create_app
from pika_gan.candidates import CANDIDATES, candidate_latents, preferred
from pika_gan.latents import latent
from pika_gan.presets import PRESETS
from pika_gan.runs import RunFolder
from pika_gan.serving import LoadedModel
from pika_kit.models import Registry
from pika_kit.runtimes import OnnxRuntime
from pika_kit.testing import MemoryStore, settings_for_tests

from .conftest import fill, run_job


@pytest.fixture(scope="module")
def with_critic(tmp_path_factory):
    """A store with v1 of a preset that has a judge, the folder of its ONNX files, and the job's result."""
    preset = dataclasses.replace(PRESETS["tiny"], name="judged", judged=True)
    store = MemoryStore()
    fill(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "judged", preset)
        result = run_job(store, tmp_path_factory.mktemp("state"), job_id="first", preset="judged")
    registry = Registry(store, "gan")
    registry.activate("v1")
    _, folder, _ = registry.fetch("v1", tmp_path_factory.mktemp("files"))
    return store, folder, result


@pytest.fixture
def client(with_critic, tmp_path):
    return create_app(settings_for_tests(tmp_path), store=with_critic[0]).test_client()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_the_first_candidate_is_the_seeds_own_latent():
    latents = candidate_latents(7, 4, 33, 0.5)
    assert latents.shape == (4, 33)
    np.testing.assert_array_equal(latents[0], latent(7, 33) * np.float32(0.5))
    np.testing.assert_array_equal(latents[:2], candidate_latents(7, 2, 33, 0.5))


def test_candidates_are_independent_and_normal():
    rows = np.concatenate([candidate_latents(seed, 8, 256) for seed in range(8)])
    assert len(np.unique(rows[:, 0])) == 64
    correlations = np.corrcoef(rows)[~np.eye(64, dtype=bool)]
    assert abs(rows.mean()) < 0.03
    assert rows.std() == pytest.approx(1.0, abs=0.03)
    assert np.abs(correlations).max() < 0.35  # 5.6 standard deviations


def test_the_first_accepted_candidate_is_preferred_or_else_the_best():
    scores = np.array([1, 3, 2, 3])
    assert preferred(scores, np.array([False, False, True, True])) == 2
    assert preferred(scores, np.zeros(4, bool)) == 1


def test_candidates_are_drawn_until_the_critic_accepts_one():
    drawn = []

    def draw(inputs):
        drawn.append(inputs["latents"][0, 0])
        return {"pictures": np.full((1, 2, 2, 3), inputs["latents"][0, 0] / 10)}

    def judge(inputs):
        score = inputs["pictures"][:, 0, 0, 0]
        return {"scores": score, "accepted": score >= 0.3}

    def of_an_earlier_release(inputs):
        return {"scores": judge(inputs)["scores"]}

    candidates = [np.array(rows, np.float32)[:, None] for rows in ([1, 3, 5, 0], [2, 1, 0, 0])]
    for critic, expected, in_all in ((judge, [3, 2], 6), (of_an_earlier_release, [5, 2], 8)):
        drawn.clear()
        runtimes = [SimpleNamespace(run=function) for function in (draw, critic)]
        model = LoadedModel("v1", 1, 2, runtimes[0], lambda critic=runtimes[1]: critic)
        _, latents = model.draw_preferred(candidates)
        np.testing.assert_array_equal(latents[:, 0], expected)
        assert len(drawn) == in_all


def test_generate_returns_the_first_candidate_that_the_critic_accepts(client, with_critic):
    generator, critic = (OnnxRuntime(with_critic[1] / name) for name in ("model.onnx", "critic.onnx"))
    chosen = set()
    for seed in range(6):
        latents = candidate_latents(seed, 4, 16, 0.9)
        judged = [
            critic.run({"pictures": generator.run({"latents": row[None]})["pictures"]}) for row in latents
        ]
        scores, accepted = (np.array([one[name][0] for one in judged]) for name in ("scores", "accepted"))
        best = preferred(scores, accepted)
        chosen.add(best)
        alone = client.post("/generate", json={"latents": [latents[best].tolist()]})
        received = client.get(f"/generate?seed={seed}&candidates=4&truncation=0.9")
        np.testing.assert_array_equal(pixels(received.data), pixels(alone.data))
        assert received.headers["X-Candidates"] == "4"
    assert len(chosen) > 1, "one candidate is always preferred"


def test_json_tells_the_candidates_and_the_chosen_latents(client):
    asked = {"seeds": [3, 4], "candidates": 2, "return_latents": True, "response_format": "b64_json"}
    answer = client.post("/generate", json=asked).get_json()
    assert answer["candidates"] == 2
    for item in answer["data"]:
        given = np.array(item["latent"], np.float32)
        assert any((given == row).all() for row in candidate_latents(item["seed"], 2, 16))


def test_without_candidates_nothing_changes(client, with_critic):
    drawn = OnnxRuntime(with_critic[1] / "model.onnx").run({"latents": latent(5, 16)[None]})["pictures"][0]
    expected = np.clip(np.rint((drawn + 1) * 127.5), 0, 255)
    answer = client.get("/generate?seed=5")
    np.testing.assert_array_equal(pixels(answer.data), expected)
    assert answer.headers["X-Candidates"] == "1"
    assert client.get("/generate?seed=5&candidates=4").headers["ETag"] != answer.headers["ETag"]


def test_the_card_has_figures_of_what_the_critic_accepts(with_critic):
    card = Registry(with_critic[0], "gan").card("v1")
    assert card["critic"]["candidates"] == CANDIDATES
    preferred_ones, all_of_them = card["critic"]["evaluation"], card["evaluation"]
    assert preferred_ones["num_generated"] == all_of_them["num_generated"]
    assert preferred_ones["kid"] != all_of_them["kid"]
    assert preferred_ones["kid_interval"] is not None
    best_of = {"candidates": CANDIDATES, "kid": preferred_ones["kid"], "likeness": preferred_ones["likeness"]}
    assert with_critic[2]["best_of"] == best_of
    run = RunFolder(with_critic[0], "first")
    assert pixels(run.read("preferred.png")).shape == pixels(run.read("best.png")).shape


def test_a_critic_that_judges_otherwise_in_onnx_is_not_exported(tmp_path, monkeypatch):
    class Wrong(OnnxRuntime):
        def run(self, inputs):
            values = super().run(inputs)
            return {name: array + 0.01 * (name == "scores") for name, array in values.items()}

    generator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(12), keras.layers.Reshape((2, 2, 3))])
    pictures = keras.Input((2, 2, 3))
    scores = keras.layers.Dense(1)(keras.layers.Flatten()(pictures))
    critic = keras.Model(pictures, [scores, scores >= 0.0])
    assert exporting.export(generator, tmp_path / "right", critic) <= exporting.AGREEMENT
    monkeypatch.setattr(exporting, "OnnxRuntime", Wrong)
    with pytest.raises(exporting.ExportDisagrees, match=r"critic\.onnx"):
        exporting.export(generator, tmp_path / "wrong", critic)


def test_a_model_without_a_critic_refuses_candidates(trained_store, tmp_path):
    client = create_app(settings_for_tests(tmp_path), store=trained_store[0]).test_client()
    answer = client.get("/generate?seed=1&candidates=3")
    assert answer.status_code == 422
    problem = answer.get_json()
    assert problem["type"].endswith("no-critic")
    assert (problem["expected"], problem["received"]) == (1, 3)
    assert Registry(trained_store[0], "gan").card("v1")["critic"] is None


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"candidates": 0}, "1"),
        ({"candidates": 9}, "8"),
        ({"candidates": 2, "latents": [[0.0] * 16]}, "latents"),
    ],
)
def test_impossible_candidates_are_refused(client, asked, message):
    answer = client.post("/generate", json=asked)
    assert answer.status_code == 422
    assert "candidates" in answer.text
    assert message in answer.text
