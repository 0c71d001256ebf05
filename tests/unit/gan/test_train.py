"""The training loop writes all its files, resumes exactly, ends in time, and detects failures."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pika_gan import checkpoints
from pika_gan.budget import Budget
from pika_gan.checkpoints import RunState
from pika_gan.keeping import TrainingDiverged
from pika_gan.presets import PRESETS
from pika_gan.runlog import RunLog
from pika_gan.step_tensorflow import Gan
from pika_gan.train import train


class Stopped(Exception):
    """How a worker's interruption reaches the loop."""


def curve(folder):
    return [
        (line["step"], line["discriminator_loss"], line["r1"])
        for line in RunLog.read(folder)
        if line["kind"] == "train"
    ]


@pytest.fixture(scope="module")
def whole(dataset, tiny, tmp_path_factory):
    """An uninterrupted run of 12 steps."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(dataset, tiny, folder, steps=12)


def test_a_run_leaves_everything_behind(whole, dataset):
    folder, result = whole
    assert result.state.step == 12
    assert json.loads((folder / "manifest.json").read_text()) == dataset.manifest()
    assert json.loads((folder / "config.json").read_text())["preset"]["name"] == "tiny"
    assert [step for step, *_ in curve(folder)] == list(range(1, 13))
    steps = [int(path.stem.removeprefix("step-")) for path in sorted((folder / "samples").iterdir())]
    assert steps == [0, 5, 10, 12]
    film = Image.open(folder / "film.webp")
    assert film.n_frames == 4
    told = EventAccumulator(str(folder / "tensorboard")).Reload().Scalars("train/discriminator_loss")
    assert [(one.step, pytest.approx(one.value, abs=1e-6)) for one in told] == [
        (step, loss) for step, loss, _ in curve(folder)
    ]
    assert Image.open(folder / "walk.webp").n_frames == 72
    assert Image.open(folder / "nearest.png").size == (8 * 18 - 2, 4 * 18 - 2)
    assert set(result.nearest_ids) <= set(dataset.train_ids)
    evaluations = [line for line in RunLog.read(folder) if line["kind"] == "evaluation"]
    lowest = min(evaluations, key=lambda line: line["kid"])
    assert result.state.best_step == lowest["step"]
    assert result.evaluation.kid_interval is not None


def test_an_interrupted_run_resumes_with_the_same_curve(whole, dataset, tiny, tmp_path):
    calls = []

    def interrupt(done, total, message, **details):
        calls.append((done, total, message, details))
        if done == 7:
            raise Stopped

    with pytest.raises(Stopped):
        train(dataset, tiny, tmp_path, steps=12, progress=interrupt)
    assert checkpoints.latest(tmp_path / "checkpoints")[1].step == 7
    assert calls[-1][1] == 12
    assert calls[-1][3]["remaining_seconds"] >= 0
    result = train(dataset, tiny, tmp_path, steps=12)
    assert curve(tmp_path) == curve(whole[0])
    resumed, expected = (
        checkpoints.load(checkpoints.path_of(f / "checkpoints", 12)) for f in (tmp_path, whole[0])
    )
    for name, array in expected[0].items():
        np.testing.assert_array_equal(resumed[0][name], array, err_msg=name)
    assert result.evaluation.kid == whole[1].evaluation.kid


def test_a_run_resumes_in_each_of_its_parts(dataset, tiny, tmp_path):
    """Half size, full size, projected critic, whole generator: interrupted in and between all of them."""
    recipe = dataclasses.replace(
        tiny,
        coarse_share=0.25,
        upsample_every=3,
        joint_from=0.75,
        projected_ratio=1.0,
        projected_from=0.5,
        projected_size=32,
    )
    train(dataset, recipe, tmp_path / "whole", steps=12)
    for stop in (2, 3, 5, 6, 8, 9, 11):

        def interrupt(done, total, message, stop=stop, **details):
            if done == stop:
                raise Stopped

        with pytest.raises(Stopped):
            train(dataset, recipe, tmp_path / "parts", steps=12, progress=interrupt)
    train(dataset, recipe, tmp_path / "parts", steps=12)
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")
    lines = [line for line in RunLog.read(tmp_path / "parts") if line["kind"] == "train"]
    assert [line["step"] for line in lines if "heads_loss" in line] == list(range(7, 13))
    assert [line["step"] for line in lines if "pair_loss" in line] == [1, 4, 7, 10]
    resumed, expected = (
        checkpoints.load(checkpoints.path_of(tmp_path / name / "checkpoints", 12))[0]
        for name in ("parts", "whole")
    )
    for name, array in expected.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name)


def test_a_killed_run_goes_on_from_its_last_whole_checkpoint(whole, dataset, tiny, tmp_path):
    """A kill leaves log lines after the checkpoint, and possibly half a file."""
    with pytest.raises(Stopped):
        train(
            dataset,
            tiny,
            tmp_path,
            steps=12,
            progress=lambda done, *_, **_details: (_ for _ in ()).throw(Stopped) if done == 4 else None,
        )
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"kind": "train", "step": 5, "discriminator_loss": 99}\n{"kind": "tra')
    (tmp_path / "checkpoints" / "step-00000009.npz").write_bytes(b"PK\x03\x04 half a file")
    train(dataset, tiny, tmp_path, steps=12)
    assert curve(tmp_path) == curve(whole[0])


def test_a_run_that_is_stopped_while_it_is_measured_is_only_measured_again(whole, dataset, tiny, tmp_path):
    """Its last checkpoint contains its own weights, not those of the best version that was loaded."""

    def stop(_done, _total, message, **_details):
        if message.startswith("measuring"):
            raise Stopped

    with pytest.raises(Stopped):
        train(dataset, tiny, tmp_path, steps=12, progress=stop)
    said = []
    result = train(dataset, tiny, tmp_path, steps=12, progress=lambda *told, **_: said.append(told))
    assert result.resumed_from == 12
    assert [done for done, *_ in said] == [12] * len(said)
    assert "measuring" in said[0][2]
    assert result.evaluation == whole[1].evaluation
    last, expected = (checkpoints.latest(folder / "checkpoints")[0] for folder in (tmp_path, whole[0]))
    for name, array in expected.items():
        np.testing.assert_array_equal(last[name], array, err_msg=name)


def test_only_the_last_checkpoints_are_kept(tmp_path):
    for step in range(1, 6):
        checkpoints.save(checkpoints.path_of(tmp_path, step), {"a": np.ones(2)}, RunState(step=step))
    checkpoints.prune(tmp_path, keep=3)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        f"step-{step:08d}.npz" for step in (3, 4, 5)
    ]


def test_another_networks_checkpoint_is_refused(tiny):
    gan = Gan(tiny)
    state = gan.state()
    state["ema/0000"] = np.zeros((1, 1))
    with pytest.raises(ValueError, match="ema/0000: expected"):
        gan.load_state(state)


def test_minutes_count_over_all_sittings():
    budget = Budget(steps=None, minutes=2)
    state = RunState(step=50, seconds=90)
    assert budget.fraction(state) == 0.75
    assert budget.remaining_seconds(state) == 30
    assert budget.fraction(RunState(step=51, seconds=120)) == 1
    assert Budget(steps=100, minutes=None).remaining_seconds(state) == 90
    assert Budget(steps=100, minutes=2).remaining_seconds(state) == 30
    with pytest.raises(ValueError, match="expected steps or minutes"):
        Budget(None, None)
    for nothing in ({"steps": 0, "minutes": None}, {"steps": None, "minutes": -0.1}):
        with pytest.raises(ValueError, match="more than 0"):
            Budget(**nothing)


def test_a_run_by_time_ends_in_time(dataset, tiny, tmp_path):
    result = train(dataset, tiny, tmp_path, minutes=1 / 60)
    assert result.state.step > 0
    assert 1 <= result.state.seconds < 60


def test_losses_that_are_not_finite_stop_the_run_and_say_so(dataset, tiny, tmp_path):
    wild = dataclasses.replace(tiny, discriminator_learning_rate=float("inf"))
    with pytest.raises(TrainingDiverged, match="not finite"):
        train(dataset, wild, tmp_path, steps=9)
    assert any("went back" in line.get("text", "") for line in RunLog.read(tmp_path))


def test_weights_that_are_not_finite_are_never_saved(dataset, tiny, tmp_path, monkeypatch):
    """The losses of the last step are finite, its update is not."""
    step_of = Gan.train_step
    spoiled = []

    def spoil(self, pictures, step, *arguments, **options):
        figures = step_of(self, pictures, step, *arguments, **options)
        if step == 6 and not spoiled:
            spoiled.append(step)
            self.generator.trainable_variables[0].assign(self.generator.trainable_variables[0] * np.nan)
        return figures

    monkeypatch.setattr(Gan, "train_step", spoil)
    result = train(dataset, tiny, tmp_path, steps=12, checkpoint_seconds=0.0)
    assert spoiled == [6]
    assert result.state.step == 12
    assert any("went back to step 6" in text for text in result.warnings)
    for path in (tmp_path / "checkpoints").glob(checkpoints.PATTERN):
        assert checkpoints.is_finite(checkpoints.load(path)[0])
    assert checkpoints.is_finite(checkpoints.load(tmp_path / "best.npz")[0])


def test_the_article_gets_none_of_our_help(dataset, tiny, tmp_path):
    article = PRESETS["article"]
    assert (article.flip, article.average, article.augment, article.keep) == (
        False,
        False,
        (),
        "discriminator_loss",
    )
    plain = dataclasses.replace(
        tiny, average=False, goes_back=False, keep="discriminator_loss", evaluate_every=3
    )
    result = train(dataset, plain, tmp_path, steps=12)
    losses = {step: loss for step, loss, _ in curve(tmp_path)}
    measured = [line["step"] for line in RunLog.read(tmp_path) if line["kind"] == "evaluation"]
    assert result.state.best_step == min(measured, key=losses.get)
    gan = Gan(plain)
    gan.load_state(checkpoints.latest(tmp_path / "checkpoints")[0])
    for average, weight in gan.ema_pairs():
        np.testing.assert_allclose(average, weight, atol=1e-6)


def test_a_checkpoint_of_an_earlier_release_is_read(tmp_path):
    path = tmp_path / "step-00000001.npz"
    state = {"step": 1, "seconds": 2.0, "seconds_per_step": 2.0, "best_kid": 0.5, "best_step": 1}
    np.savez(path, a=np.ones(2), **{checkpoints.STATE_KEY: np.array(json.dumps(state))})
    assert checkpoints.load(path)[1] == RunState(step=1, seconds=2.0, best_kid=0.5, best_step=1)


def test_a_collapsed_run_goes_back_to_where_it_was_good(dataset, tiny, tmp_path, monkeypatch):
    """Everything drawn from step 5 to 8 is white; after the rollback the run draws again."""
    draw, steps, calls = Gan.draw, Gan.train_step, []

    def step(self, pictures, number, *arguments, **options):
        calls.append((number, options["gentleness"]))
        return steps(self, pictures, number, *arguments, **options)

    def collapse(self, latents, batch_size=64):
        pictures = draw(self, latents, batch_size)
        went_wrong = len(calls) >= 5 and calls[-1][1] == 0
        return np.full_like(pictures, 255) if went_wrong else pictures

    monkeypatch.setattr(Gan, "train_step", step)
    monkeypatch.setattr(Gan, "draw", collapse)
    monkeypatch.setattr("pika_gan.evaluate.COLLAPSE_BELOW", 0.01)
    result = train(dataset, dataclasses.replace(tiny, evaluate_every=1), tmp_path, steps=9)
    assert [number for number, _ in calls] == [0, 1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8]
    assert [gentleness for _, gentleness in calls] == [0] * 7 + [1] * 5
    assert result.state.step == 9
    assert "collapse at step 7" in result.warnings[0]
    assert "went back to step 4, with gentler settings" in result.warnings[1]
    assert not result.evaluation.collapsed


def test_collapse_is_told(dataset, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Gan, "draw", lambda self, latents, batch_size=64: np.zeros((len(latents), 16, 16, 3), np.uint8)
    )
    result = train(dataset, dataclasses.replace(tiny, evaluate_every=1), tmp_path, steps=4)
    assert any("collapse" in text for text in result.warnings)
    assert result.evaluation.collapsed
