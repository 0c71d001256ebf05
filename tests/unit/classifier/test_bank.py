"""The feature bank: complete, kept, shared, and equal in every runtime."""

import io
import threading
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from classifier_samples import context, drawn, put_images

from pika_classifier.config import PRESETS, FeatureSet
from pika_classifier.features.bank import Bank
from pika_classifier.features.extractor import Extractor, model_key
from pika_classifier.features.variations import choose_varied, variations_of
from pika_classifier.filtering.predictions import Predictions
from pika_classifier.jobs import compute_features, filter_bucket, train
from pika_classifier.labels.log import Label, LabelSet
from pika_classifier.serve.predictor import load_predictor, prepare
from pika_kit.images import PictureError
from pika_kit.models import Registry
from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobError
from pika_kit.runtimes import OnnxRuntime
from pika_kit.stages import Bucket
from pika_kit.tensorflow_runtime import TensorflowRuntime
from pika_kit.testing import MemoryStore, settings_for_tests
from pika_scraper.config import PrepareConfig
from pika_scraper.pictures.pipeline import examine


class Counting(Extractor):
    """Features that are quick to compute and easy to check: mean colours. Counts the pictures."""

    def __init__(self):
        self.num_pictures, self._lock = 0, threading.Lock()

    def features(self, pixels):
        with self._lock:
            self.num_pictures += len(pixels)
        means = pixels.mean(axis=(1, 2))
        return np.tile(means, (1, 918))[:, :2752].astype(np.float32)


@pytest.fixture
def pictures(memory_store):
    return put_images(memory_store, drawn(20, is_yellow=True, seed=1))


@pytest.fixture
def bank(memory_store):
    return Bank(memory_store, FeatureSet(), Bucket.IMAGES)


def nothing(done, total):
    pass


def test_what_is_known_of_withdrawn_pictures_can_be_forgotten(memory_store, pictures, bank):
    bank.complete(Counting(), nothing)
    gone = frozenset(pictures[:3])
    bank.forget(gone)
    assert set(bank.read().ids) == set(pictures) - gone
    extractor = Counting()
    bank.complete(extractor, nothing)
    assert extractor.num_pictures == 3
    bank.forget(frozenset(["f" * 64]))
    assert len(bank.read().ids) == 20


def test_variations_are_kept_for_each_picture(memory_store, pictures):
    preset = replace(PRESETS["default"], num_varied=8, num_variations=2)
    first = Counting()
    features = variations_of(memory_store, first, preset, tuple(pictures), nothing)
    assert (features.shape, first.num_pictures) == ((2, 8, 2752), 16)
    again = Counting()
    assert np.array_equal(variations_of(memory_store, again, preset, tuple(pictures), nothing), features)
    assert again.num_pictures == 0
    # After a scrape only new pictures are processed, and deleted ones leave nothing behind.
    more = (*pictures, *put_images(memory_store, drawn(20, is_yellow=False, seed=2)))
    before, after = choose_varied(tuple(pictures), 8), choose_varied(more, 8)
    fresh = len(set(after) - set(before))
    assert 0 < fresh < 8
    variations_of(memory_store, again, preset, more, nothing)
    assert again.num_pictures == 2 * fresh
    kept = [np.load(io.BytesIO(data))["ids"] for data in variation_objects(memory_store)]
    assert {one.decode() for ids in kept for one in ids} == set(after)


def test_a_stop_keeps_the_variations_that_were_looked_at(memory_store, pictures):
    preset = replace(PRESETS["default"], num_varied=8, num_variations=2)

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        variations_of(memory_store, Counting(), preset, tuple(pictures), stop)
    extractor = Counting()
    variations_of(memory_store, extractor, preset, tuple(pictures), nothing)
    assert extractor.num_pictures == 2 * 3


def variation_objects(store):
    objects = store.list(Bucket.RUNS, "classifier/features/")
    return [store.get(Bucket.RUNS, info.key) for info in objects if "/variations/" in info.key]


def test_every_picture_is_looked_at_once(memory_store, pictures, bank):
    extractor, seen = Counting(), []
    features = bank.complete(extractor, lambda done, total: seen.append((done, total)))
    assert features.ids == tuple(sorted(pictures))
    assert features.values.shape == (20, 2752)
    assert extractor.num_pictures == 20
    assert (seen[0], seen[-1]) == ((0, 20), (20, 20))
    more = put_images(memory_store, drawn(3, is_yellow=False, seed=2))
    again = Bank(memory_store, FeatureSet(), Bucket.IMAGES).complete(extractor, nothing)
    assert extractor.num_pictures == 23
    assert set(again.ids) == {*pictures, *more}


def test_what_was_done_before_a_stop_is_kept(pictures, bank):
    class Stopped(Exception):
        pass

    def stop(done, total):
        if done >= 5:
            raise Stopped

    extractor = Counting()
    with pytest.raises(Stopped):
        bank.complete(extractor, stop)
    kept = len(bank.read().ids)
    assert kept >= 5
    bank.complete(extractor, nothing)
    # The part in progress at the interruption has been saved too.
    assert extractor.num_pictures == 20


def test_two_at_once_share_the_work(memory_store, bank):
    put_images(memory_store, drawn(60, is_yellow=True, seed=3))
    extractor = Counting()
    both = [threading.Thread(target=bank.complete, args=(extractor, nothing)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(bank.read().ids) == 60
    assert extractor.num_pictures <= 80  # a part that both process at once is done twice


def test_unreadable_and_deleted_pictures(memory_store, pictures, bank):
    images = PictureBucket(memory_store, Bucket.IMAGES)
    images.add("0" * 64, b"\x89PNG\r\n\x1a\n and no more", "png", {})
    features = bank.complete(Counting(), nothing)
    assert "0" * 64 in features.ids
    assert features.readable().ids == tuple(sorted(pictures))
    images.delete(pictures[0])
    assert pictures[0] not in bank.read().ids


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store in which the default preset has learned from 24 labels and 16 other pictures."""
    store = MemoryStore()
    ids = {
        "pikachu": put_images(store, drawn(20, is_yellow=True, seed=1)),
        "others": put_images(store, drawn(20, is_yellow=False, seed=2)),
    }
    labels = [Label(one, label, "trains") for label in ids for one in ids[label][:12]]
    LabelSet(store).add(labels, "a test")
    job = context(store, tmp_path_factory.mktemp("state"), "frozen")
    return store, train(job), ids


def test_the_default_preset_learns_and_its_card_tells_how(trained):
    store, result, _ = trained
    card = Registry(store, "classifier").card(result["version"])
    assert result["preset"] == "default"
    assert result["roc_auc"] == 1.0
    assert card["features"] == FeatureSet().key
    assert card["labels"]["valids"] == {"pikachu": 0, "others": 0}
    assert 0 < card["recommended_threshold"] < 1
    assert [row["precision"] for row in card["thresholds"]] == sorted(
        r["precision"] for r in card["thresholds"]
    )
    assert max(card["largest_difference_between_runtimes"].values()) <= 1e-4


def test_bank_trainer_and_both_runtimes_agree(trained, tmp_path):
    """Also for pictures on which agreement is hard: noise, grey, hues at the circle's seam."""
    store, result, ids = trained
    _, folder, _ = Registry(store, "classifier").fetch(result["version"], tmp_path)
    rng = np.random.default_rng(0)
    red = np.stack([rng.integers(200, 256, (256, 256)), *rng.integers(0, 20, (2, 256, 256))], -1)
    pixels = np.stack(
        [
            *drawn(2, is_yellow=True, seed=1),
            rng.integers(0, 256, (256, 256, 3)),
            np.repeat(rng.integers(0, 256, (256, 256, 1)), 3, axis=2),
            red,
            np.zeros((256, 256, 3)),
            np.full((256, 256, 3), 255),
        ]
    ).astype(np.uint8)
    answers = [
        runtime.run({"pictures": pixels})
        for runtime in (OnnxRuntime(folder / "model.onnx"), TensorflowRuntime(folder))
    ]
    for name in ("probability", "features"):
        np.testing.assert_allclose(answers[0][name], answers[1][name], rtol=0, atol=1e-4, err_msg=name)
    # A difference of two large numbers: for a known picture it is the root of a rounding error.
    np.testing.assert_allclose(answers[0]["novelty"], answers[1]["novelty"], rtol=1e-3, atol=0.02)
    alone = Extractor.load(store, FeatureSet()).features(pixels)
    np.testing.assert_allclose(alone, answers[0]["features"], atol=1e-5)
    kept = Bank(store, FeatureSet(), Bucket.IMAGES).read()
    row = kept.ids.index(ids["pikachu"][0])
    np.testing.assert_allclose(kept.values[row], answers[0]["features"][0], atol=1e-5)


def test_odd_files_and_real_pictures_get_one_answer_everywhere(trained, tmp_path, test_data):
    """The original, the scraper's square of it, and both runtimes agree to 1e-4."""
    files = sorted((test_data / "odd-files").iterdir())
    files += sorted((test_data / "pikachu-real" / "pool").iterdir())[::33][:100]
    originals, squares = [], []
    for path in files:
        data = path.read_bytes()
        try:
            made = examine(data, PrepareConfig(), nullcontext()).prepared
        except PictureError:
            with pytest.raises(PictureError):
                prepare(data)
            continue
        originals.append(prepare(data))
        squares.append(prepare(made.square))
    assert len(originals) > 120
    store, result, _ = trained
    _, folder, _ = Registry(store, "classifier").fetch(result["version"], tmp_path)
    onnx, tensorflow = OnnxRuntime(folder / "model.onnx"), TensorflowRuntime(folder)
    extractor = Extractor.load(store, FeatureSet())
    for at in range(0, len(originals), 16):
        as_found, as_square = np.stack(originals[at : at + 16]), np.stack(squares[at : at + 16])
        answers = onnx.run({"pictures": as_found})
        for other in (onnx.run({"pictures": as_square}), tensorflow.run({"pictures": as_found})):
            np.testing.assert_allclose(answers["probability"], other["probability"], rtol=0, atol=1e-4)
            # Features are square roots, which magnify rounding errors near zero.
            np.testing.assert_allclose(answers["features"], other["features"], rtol=0, atol=5e-4)
        np.testing.assert_allclose(extractor.features(as_square), answers["features"], atol=5e-4)


def test_what_is_like_nothing_known_says_so(trained, tmp_path):
    store, result, _ = trained
    _, folder, _ = Registry(store, "classifier").fetch(result["version"], tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8)
    known = np.stack(drawn(4, is_yellow=True, seed=1))
    novelty = OnnxRuntime(folder / "model.onnx").run({"pictures": np.concatenate([known, noise])})["novelty"]
    assert novelty[:4].max() < 0.05
    assert novelty[4] > 0.5  # forty pictures say little about what is usual


def test_filtering_needs_no_further_look(trained, tmp_path):
    store, result, ids = trained
    kept = Predictions(store, result["version"], Bucket.IMAGES).read()
    assert set(kept) == {*ids["pikachu"], *ids["others"]}
    predictor = load_predictor(settings_for_tests(tmp_path), store)
    answer = predictor.probabilities(np.stack(drawn(1, is_yellow=True, seed=1)))[0]
    assert kept[ids["pikachu"][0]] == pytest.approx(float(answer), abs=1e-4)
    report = filter_bucket(context(store, tmp_path, "filter"))
    assert report["predicted_now"] == 0
    chosen = set(PictureBucket(store, Bucket.PIKACHU).ids())
    assert set(ids["pikachu"][:12]) <= chosen
    assert not chosen & set(ids["others"])


def test_a_precision_decides_the_threshold_and_a_dry_run_changes_nothing(trained, tmp_path):
    store, _, _ = trained
    before = set(PictureBucket(store, Bucket.PIKACHU).ids())
    loose, strict = (
        filter_bucket(context(store, tmp_path, "dry"), precision=value, dry_run=True) for value in (0.55, 0.8)
    )
    assert loose["threshold"] < strict["threshold"]
    assert loose["expected_precision"] >= 0.55
    assert (strict["expected_precision"] or 1.0) >= 0.8
    assert set(PictureBucket(store, Bucket.PIKACHU).ids()) == before
    with pytest.raises(JobError, match="a threshold or a precision, received both"):
        filter_bucket(context(store, tmp_path, "dry"), precision=0.9, threshold=0.9)
    with pytest.raises(JobError, match=r"precision: expected a number between 0 and 1, received 1\.5"):
        filter_bucket(context(store, tmp_path, "dry"), precision=1.5)


def test_a_filter_that_is_told_nothing_takes_no_picture_that_is_likely_none(trained, tmp_path, monkeypatch):
    """38 likely ones and two unlikely ones: the recommended precision alone would admit the unlikely ones."""
    store, result, ids = trained
    everything = [*ids["pikachu"], *ids["others"]]
    said = {one: 0.999 if number < 38 else 0.2 for number, one in enumerate(sorted(everything))}
    monkeypatch.setattr(Predictions, "complete", lambda *_: (said, 0))
    card = Registry(store, "classifier").card(result["version"])
    told = filter_bucket(
        context(store, tmp_path, "told"), precision=card["recommended_precision"], dry_run=True
    )
    untold = filter_bucket(context(store, tmp_path, "untold"), dry_run=True)
    assert told["precision"] == untold["precision"] == card["recommended_precision"]
    assert told["threshold"] < 0.5 <= untold["threshold"]
    accepted = [value for value in said.values() if value >= untold["threshold"]]
    assert accepted == [0.999] * 38


def test_only_chance_and_pictures_new_to_the_model_certify(trained, tmp_path):
    store, _, ids = trained
    labels = LabelSet(store)
    labels.add([Label(one, "pikachu", "trains", "audit") for one in ids["pikachu"][12:15]], "auditor")
    labels.add([Label(ids["pikachu"][15], "others", "trains", "random")], "auditor")
    labels.add([Label(ids["pikachu"][16], "others", "trains", "uncertain")], "auditor")
    labels.add([Label(ids["pikachu"][0], "pikachu", "trains", "audit")], "auditor")  # a training picture
    try:
        report = filter_bucket(context(store, tmp_path, "audit"), threshold=0.01, dry_run=True)
        audit = report["audit"]
        assert (audit["num"], audit["right"]) == (4, 3)
        assert audit["certified_lower_bound"] == pytest.approx(0.2486, abs=1e-3)
        assert audit["needed"] == {"0.95": 59, "0.98": 149, "0.99": 299}
    finally:
        for _ in range(4):
            labels.undo("auditor")


def test_training_again_looks_at_nothing_again(trained, tmp_path, monkeypatch):
    store, _, _ = trained
    monkeypatch.setattr(Extractor, "features", lambda *_: pytest.fail("a picture was looked at again"))
    assert train(context(store, tmp_path, "again"))["version"] == "v2"
    computed = compute_features(context(store, tmp_path, "bank"))
    assert computed == {"features": FeatureSet().key, "num_pictures": 40, "unreadable": 0}


def test_the_network_is_exported_once(trained):
    store, _, _ = trained
    assert store.exists(Bucket.RUNS, model_key(FeatureSet()))
    assert PRESETS["default"].features == FeatureSet()
