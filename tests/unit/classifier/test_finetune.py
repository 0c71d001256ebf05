"""Fine-tuning: what the committee and its student learn, and the published model."""

from dataclasses import replace

import numpy as np
import pytest
from classifier_samples import context, drawn, put_images

from pika_classifier.config import PRESETS
from pika_classifier.finetuning import look
from pika_classifier.jobs import filter_bucket, train
from pika_classifier.labels.log import Label, LabelSet
from pika_classifier.learn.finetune import Pictures, fine_tune, logits_of
from pika_classifier.learn.metrics import roc_auc
from pika_classifier.serve.predictor import load_predictor
from pika_kit.models import Registry
from pika_kit.runner import JobError
from pika_kit.testing import MemoryStore, VanishingStore

PRESET = replace(
    PRESETS["finetuned"],
    frozen=replace(PRESETS["default"], num_varied=6, num_variations=2, repeats=2, penalties=(1e-2, 1e-1)),
    num_members=2,
    steps=8,
    student_steps=16,
    batch_size=8,
    pile_batch_size=8,
    num_variations=2,
)


def a_world(num, seed):
    """Return feature maps float16 (N, 16, 16, 112) in which Pikachus differ, and who they are."""
    rng = np.random.default_rng(seed)
    truth = np.arange(num) % 2 == 0
    maps = rng.normal(size=(num, 16, 16, 112)).astype(np.float16)
    maps[truth, :, :, :30] += 2.0
    return maps, truth


@pytest.fixture(scope="module")
def learned():
    maps, truth = a_world(24, seed=1)
    pile, pile_truth = a_world(120, seed=2)
    rng = np.random.default_rng(3)
    # The frozen head knows a little.
    logits, pile_logits = (
        np.where(of, 1.0, -1.0) + 1.5 * rng.normal(size=of.size) for of in (truth, pile_truth)
    )
    pictures = Pictures(
        np.stack([maps, maps[:, :, ::-1]], axis=1), truth, np.arange(24), logits, pile, pile_logits
    )
    seen = []
    tuned = fine_tune(pictures, PRESET, on_progress=lambda done, total, *_, **__: seen.append((done, total)))
    return pictures, pile_truth, tuned, seen


def test_the_student_knows_more_than_the_frozen_head(learned):
    pictures, truth, tuned, _ = learned
    assert roc_auc(truth, pictures.pile_logits) < 0.93
    assert roc_auc(truth, tuned.pile_probabilities) > 0.97
    assert ((tuned.pile_probabilities > 0.5) == truth).mean() > 0.9  # slope, offset and shift are right
    assert tuned.share == pytest.approx(0.5, abs=0.1)
    assert tuned.label_probabilities.shape == (24,)
    assert roc_auc(pictures.is_pikachu, tuned.label_probabilities) > 0.9


def test_without_a_pile_it_learns_from_the_labels_alone(learned):
    pictures, truth, _, _ = learned
    alone = replace(pictures, pile=pictures.pile[:0], pile_logits=pictures.pile_logits[:0])
    tuned = fine_tune(alone, PRESET)
    assert (tuned.share, tuned.shift, tuned.pile_probabilities.size) == (None, 0.0, 0)
    logits = tuned.slope * logits_of(tuned.network, pictures.pile) + tuned.offset
    assert np.isfinite(logits).all()
    assert roc_auc(truth, logits) > 0.9


def test_progress_covers_all_networks(learned):
    *_, seen = learned
    assert seen[0] == (1, 2 * 8 + 16)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] > 2 * 8


def test_it_can_be_stopped(learned):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune(learned[0], PRESET, on_progress=stop)


def test_every_picture_is_looked_at_alike_in_any_order_and_memory_is_bounded():
    pixels = drawn(3, is_yellow=True, seed=1)
    rows = list(zip("abc", pixels, strict=True))

    def mean_colours(batch):
        return batch.mean(axis=(1, 2), dtype=np.float32)[:, None, None]

    maps, pile = look(mean_colours, rows, rows, PRESET, 3)
    assert (maps.shape, maps.dtype, pile.shape) == ((3, 4, 1, 1, 3), np.float16, (3, 1, 1, 3))
    backwards, _ = look(mean_colours, rows[::-1], [], PRESET, 3)
    np.testing.assert_array_equal(backwards[::-1], maps)
    few, nothing = look(mean_colours, rows, [], replace(PRESET, max_variations=3), 3)
    assert (few.shape[1], len(nothing)) == (3, 0)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    store = MemoryStore()
    ids = {
        "pikachu": put_images(store, drawn(14, is_yellow=True, seed=1)),
        "others": put_images(store, drawn(14, is_yellow=False, seed=2)),
    }
    LabelSet(store).add([Label(one, label, "trains") for label in ids for one in ids[label][:8]], "a test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "finetuned", PRESET)
        result = train(context(store, tmp_path_factory.mktemp("state"), "tuned"), preset="finetuned")
    return store, result, ids


def test_its_card_tells_as_much_as_the_default_one(published):
    store, result, _ = published
    card = Registry(store, "classifier").card(result["version"])
    assert (result["preset"], card["distilled_from"]) == ("finetuned", 12)
    assert result["roc_auc"] == 1.0
    assert max(card["largest_difference_between_runtimes"].values()) <= 1e-4
    assert 0 < card["recommended_threshold"] < 1
    assert {"thresholds", "recommended_precision", "doubtful_probability", "pile"} <= set(card)
    assert (card["preset"]["num_members"], card["seed"]) == (2, 0)


def test_it_answers_and_filters_like_any_other(published, tmp_path):
    store, _, _ = published
    job = context(store, tmp_path, "filter")
    answers = load_predictor(job.settings, store).answers(
        np.stack([*drawn(2, is_yellow=True, seed=1), *drawn(2, is_yellow=False, seed=2)])
    )
    assert answers.probabilities[:2].min() > answers.probabilities[2:].max()
    assert answers.novelties.shape == (4,)
    filtered = filter_bucket(job, threshold=float(answers.probabilities[:2].min()) / 2)
    assert filtered["predicted_now"] == filtered["looked_at"] == 28
    assert (filtered["chosen_by_label"], filtered["left_out_by_label"]) == (8, 8)
    assert filtered["chosen"] > 8


@pytest.mark.parametrize("kinds", [["pikachu"], ["pikachu", "others"]])
def test_labelled_pictures_that_are_deleted_meanwhile_are_named(published, tmp_path, monkeypatch, kinds):
    """Their features are still known, so that the frozen head has learned when they are missed."""
    store, _, ids = published
    monkeypatch.setitem(PRESETS, "finetuned", PRESET)
    gone = [f"pictures/{one}" for kind in kinds for one in ids[kind][:8]]
    with pytest.raises(JobError, match=r"still exist: expected at least 2 .* 'pikachu', received 0"):
        train(context(VanishingStore(store, *gone), tmp_path, "again"), preset="finetuned")
