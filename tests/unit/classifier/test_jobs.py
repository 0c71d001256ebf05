"""Training publishes a model whose runtimes agree; filtering is idempotent and resumes."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from classifier_samples import context, drawn, put_images
from servers import wait_for

from pika_classifier.config import PRESETS
from pika_classifier.filtering.borderline import load_sheet
from pika_classifier.filtering.predictions import Predictions
from pika_classifier.jobs import filter_bucket, train
from pika_classifier.labels.log import Label, LabelSet
from pika_classifier.labels.queue import choose_next
from pika_classifier.learn.batches import predict_in_batches
from pika_classifier.serve.predictor import Predictor, follow, load_predictor
from pika_classifier.training import manifest_hash
from pika_kit.images import decode, sha256
from pika_kit.models import NoModel, Registry
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.runner import JobCancelled, JobError
from pika_kit.runtimes import OnnxRuntime
from pika_kit.stages import Bucket
from pika_kit.store_errors import ObjectMissing
from pika_kit.tensorflow_runtime import TensorflowRuntime
from pika_kit.testing import CountingStore, MemoryStore, VanishingStore, settings_for_tests
from pika_kit.withdrawn import withdraw


@pytest.fixture
def copy(trained) -> MemoryStore:
    """A copy of the trained store that a test may change."""
    store = MemoryStore()
    store._objects = dict(trained[0]._objects)
    return store


def pikachu(store) -> list[str]:
    return list(PictureBucket(store, Bucket.PIKACHU).ids())


def test_the_card_tells_how_the_model_came_to_be(trained):
    store, result, _ = trained
    card = Registry(store, "classifier").card(result["version"])
    assert result["version"] == "v1"
    assert card["labels"]["trains"] == {"pikachu": 10, "others": 10}
    assert card["validation"]["roc_auc"] == result["roc_auc"] > 0.9
    assert card["label_manifest_sha256"] == manifest_hash(LabelSet(store).current())
    assert 2 <= len(card["curves"]["val_loss"]) <= 6
    assert card["curves"]["loss"][-1] < card["curves"]["loss"][0]
    assert card["libraries"]["keras"]
    kept = {info.key.split("/")[2] for info in store.list(Bucket.RUNS, "classifier/first/")}
    assert {"tensorboard", "card.json", "valid_probabilities.json"} <= kept


def test_onnx_and_savedmodel_answer_alike_with_the_preprocessing_inside(trained, tmp_path):
    store, _, _ = trained
    _, folder, _ = Registry(store, "classifier").fetch(None, tmp_path)
    pixels = np.stack(drawn(4, is_yellow=True, seed=8) + drawn(4, is_yellow=False, seed=8))
    pixels = np.concatenate([pixels, np.random.default_rng(0).integers(0, 256, (4, 256, 256, 3), np.uint8)])
    onnx = Predictor(OnnxRuntime(folder / "model.onnx"), "v1").probabilities(pixels)
    tensorflow = Predictor(TensorflowRuntime(folder), "v1").probabilities(pixels)
    assert onnx.dtype == np.float32
    assert onnx.shape == (12,)
    np.testing.assert_allclose(onnx, tensorflow, atol=1e-4)
    assert onnx[:4].min() > onnx[4:8].max()


def test_the_trainer_the_savedmodel_and_onnx_agree(tmp_path):
    from pika_classifier.config import PRESETS
    from pika_classifier.learn.networks import build, logit_model, serving_model
    from pika_classifier.serve.export import export

    model = serving_model(logit_model(build(PRESETS["tiny"]), mirror=True), 0.5)
    pixels = np.random.default_rng(1).integers(0, 256, (5, 256, 256, 3), np.uint8)
    assert max(export(model, tmp_path, pixels).values()) <= 1e-4
    probabilities = Predictor(OnnxRuntime(tmp_path / "model.onnx"), "v1").probabilities(pixels)
    np.testing.assert_allclose(probabilities, predict_in_batches(model, pixels)["probability"], atol=1e-4)


def test_the_articles_network_is_a_preset_too(trained, copy, tmp_path, monkeypatch):
    short = replace(PRESETS["article"], epochs=2, steps_per_epoch=2)
    monkeypatch.setitem(PRESETS, "article", short)
    result = train(context(copy, tmp_path, "article"), preset="article", activate=False)
    card = Registry(copy, "classifier").card(result["version"])
    assert (result["preset"], card["preset"]["network"], card["preset"]["input_size"]) == (
        "article",
        "article",
        32,
    )
    assert max(card["largest_difference_between_runtimes"].values()) <= 1e-4
    # Plain convolutions on 32 pixels, as small as the 2018 network.
    assert 3000 < card["num_weights"] < 5000


def test_labels_alone_are_enough_to_learn_from(memory_store, tmp_path):
    """Labels were imported and nothing was scraped: there is no pile."""
    labels = LabelSet(memory_store)
    given = []
    for kind, is_yellow in (("pikachu", True), ("others", False)):
        for pixels in drawn(12, is_yellow=is_yellow, seed=7):
            data = encode_png(pixels)
            labels.pictures.add(sha256(data), data, "png", {})
            given.append(Label(sha256(data), kind, "trains"))
    labels.add(given, "a test")
    result = train(context(memory_store, tmp_path, "alone"))
    card = Registry(memory_store, "classifier").card(result["version"])
    assert card["pile"] == {"num_pictures": 0, "share_of_pikachu": None}
    predictor = load_predictor(settings_for_tests(tmp_path), memory_store)
    said = predictor.probabilities(
        np.stack(drawn(1, is_yellow=True, seed=8) + drawn(1, is_yellow=False, seed=8))
    )
    assert said[0] > 0.5 > said[1]


def test_a_training_job_that_published_only_tells_its_result_again(trained, tmp_path):
    store, result, _ = trained
    assert train(context(store, tmp_path, "first"), preset="tiny") == result
    assert len(Registry(store, "classifier").versions()) == 1


def test_training_without_labels_says_what_is_missing(memory_store, tmp_path):
    with pytest.raises(JobError, match="trains: expected at least 2 pictures labelled 'pikachu', received 0"):
        train(context(memory_store, tmp_path), preset="tiny")
    with pytest.raises(JobError, match="expected one of"):
        train(context(memory_store, tmp_path), preset="best")


def test_the_filter_makes_the_bucket_agree_with_every_decision(trained, copy, tmp_path):
    ids = trained[2]
    first = filter_bucket(context(copy, tmp_path), threshold=0.5)
    assert first["predicted_now"] == first["looked_at"] == 40
    assert sum(first["histogram"]) == 40
    assert set(ids["pikachu"]) <= set(pikachu(copy))
    reason = PictureBucket(copy, Bucket.PIKACHU).provenance(ids["pikachu"][-1])["filter"]
    assert reason["model_version"] == "v1"
    assert reason["probability"] >= 0.5

    again = filter_bucket(context(copy, tmp_path), threshold=0.5)
    assert (again["predicted_now"], again["added"], again["removed"]) == (0, 0, 0)
    assert again["kept"] == again["chosen"] == first["chosen"]

    strict = filter_bucket(context(copy, tmp_path), threshold=0.999999)
    assert strict["predicted_now"] == 0
    assert strict["removed"] == first["chosen"] - strict["chosen"] > 0
    assert set(pikachu(copy)) == set(ids["pikachu"][:14])  # a person's answer holds at any threshold
    assert len(list(PictureBucket(copy, Bucket.IMAGES).ids())) == 40


def test_a_filter_shows_the_pictures_on_both_sides_of_its_threshold(trained, copy, tmp_path):
    filter_bucket(context(copy, tmp_path, "first"), dry_run=True, threshold=0.5)
    labelled = set(LabelSet(copy).current())
    said = Predictions(copy, "v1", Bucket.IMAGES).read()
    values = sorted(value for picture_id, value in said.items() if picture_id not in labelled)
    threshold = (values[len(values) // 2 - 1] + values[len(values) // 2]) / 2
    report = filter_bucket(context(copy, tmp_path, "second"), dry_run=True, threshold=threshold)
    for name, is_above in (("accepted.png", True), ("left-out.png", False)):
        shown = report["borderline"][name]
        assert 1 < len(shown) <= 16
        assert not labelled.intersection(picture["id"] for picture in shown)
        distances = [picture["probability"] - threshold for picture in shown]
        assert all((distance >= 0) == is_above for distance in distances)
        assert distances == sorted(distances, key=abs)
        before = decode(load_sheet(copy, "second", name)).pixels
        withdraw(copy, shown[0]["id"], "asked for")
        after = decode(load_sheet(copy, "second", name)).pixels
        assert (after[:128, :128] == 255).all()
        assert (after[:, 130:] == before[:, 130:]).all()
    with pytest.raises(ObjectMissing):
        load_sheet(copy, "third", "accepted.png")


def test_a_persons_word_outweighs_the_model(trained, copy, tmp_path):
    ids = trained[2]
    LabelSet(copy).add([Label(ids["pikachu"][-1], "others", "trains")], "ann")
    report = filter_bucket(context(copy, tmp_path), threshold=0.5)
    assert ids["pikachu"][-1] not in pikachu(copy)
    assert (report["chosen_by_label"], report["left_out_by_label"]) == (14, 15)


def test_pictures_put_into_the_target_by_hand_stay(trained, copy, tmp_path):
    PictureBucket(copy, Bucket.PIKACHU).add("a" * 64, b"a picture", "png", {"source": "by hand"})
    filter_bucket(context(copy, tmp_path), threshold=0.5)
    assert "a" * 64 in pikachu(copy)


def test_a_filter_that_was_stopped_goes_on_where_it_was(trained, copy, tmp_path):
    put_images(copy, drawn(60, is_yellow=True, seed=77))
    stopped = context(copy, tmp_path)
    whole = filter_bucket(context(_copy_of(copy), tmp_path), threshold=0.5)
    seen = []

    def progress(done, total, message, **_):
        seen.append(done)
        if done:
            raise JobCancelled

    stopped.progress = progress
    with pytest.raises(JobCancelled):
        filter_bucket(stopped, threshold=0.5)
    resumed = filter_bucket(context(copy, tmp_path), threshold=0.5)
    # The parts in progress at the interruption have been saved too.
    assert 0 < resumed["predicted_now"] <= 100 - seen[-1] < 100
    assert resumed["chosen"] == whole["chosen"]


def test_a_filter_that_waited_decides_about_the_pictures_there_are_by_then(trained, copy, tmp_path):
    """The other filter has chosen a picture that came after the first look of the one that waits."""
    waiting, late = context(copy, tmp_path), []

    @contextmanager
    def exclusive(_what):
        late.extend(put_images(copy, drawn(1, is_yellow=True, seed=78)))
        filter_bucket(context(copy, tmp_path, "other"), threshold=0.01)
        assert late[0] in pikachu(copy)
        yield

    waiting.exclusive = exclusive
    report = filter_bucket(waiting, threshold=0.01)
    assert late[0] in pikachu(copy)
    assert (report["looked_at"], report["removed"], report["predicted_now"]) == (41, 0, 40)


def _copy_of(store: MemoryStore) -> MemoryStore:
    copied = MemoryStore()
    copied._objects = dict(store._objects)
    return copied


def test_pictures_that_are_deleted_meanwhile_do_not_fail_a_filter(trained, copy, tmp_path):
    ids = trained[2]["pikachu"]
    early = VanishingStore(copy, f"pictures/{ids[-1]}", only="get")
    late = VanishingStore(copy, f"pictures/{ids[-2]}", only="stat")
    whole = filter_bucket(context(_copy_of(copy), tmp_path), threshold=0.01)
    for store, looked_at in ((early, 39), (late, 40)):
        report = filter_bucket(context(store, tmp_path), threshold=0.01)
        assert report["looked_at"] == looked_at
        assert whole["added"] - report["added"] == 1


def test_a_labelled_picture_that_was_deleted_does_not_fail_the_training(trained, copy, tmp_path):
    ids = trained[2]["pikachu"]
    result = train(context(VanishingStore(copy, f"pictures/{ids[0]}"), tmp_path, "second"), preset="tiny")
    assert result["version"] == "v2"


def test_withdrawn_pictures_are_left_out_and_models_that_saw_them_say_so(trained, copy, tmp_path):
    gone = trained[2]["pikachu"][0]
    assert "withdrawn" not in Registry(copy, "classifier").versions()[0]
    filter_bucket(context(copy, tmp_path), threshold=0.01)
    assert gone in pikachu(copy)
    withdraw(copy, gone, "by request")
    PictureBucket(copy, Bucket.IMAGES).delete(gone)
    filter_bucket(context(copy, tmp_path), threshold=0.01)
    assert gone not in pikachu(copy)
    assert gone not in set(PictureBucket(copy, Bucket.LABELS).ids())
    train(context(copy, tmp_path, "second"), preset="tiny")
    first, second = Registry(copy, "classifier").versions()
    assert first["withdrawn"] == [gone]
    assert "withdrawn" not in second


def test_filtering_again_asks_the_store_little(trained, copy, tmp_path):
    """With another threshold nothing is predicted again, and only newly chosen pictures are read."""
    filter_bucket(context(copy, tmp_path), threshold=0.5)
    counting = CountingStore(copy)
    report = filter_bucket(context(counting, tmp_path), threshold=0.5)
    assert report["kept"] == report["chosen"] > 10
    # The number of store calls does not grow with the number of pictures.
    num_shown = sum(len(shown) for shown in report["borderline"].values())
    assert num_shown <= 32
    assert counting.num_calls["get"] <= 20 + num_shown
    assert counting.num_calls["put"] <= 4
    assert counting.num_calls["list"] <= 12 + num_shown


def test_the_next_labels_cost_a_few_calls_and_none_for_each_picture(trained, copy, tmp_path):
    filter_bucket(context(copy, tmp_path), threshold=0.5)
    predictor = load_predictor(settings_for_tests(tmp_path), copy)
    counting = CountingStore(copy)
    choose_next(counting, LabelSet(counting).current(), predictor, 10, seed=0)
    assert counting.num_calls["get"] + counting.num_calls["list"] <= 10


def test_filtering_without_a_model_says_what_to_do(memory_store, tmp_path):
    with pytest.raises(JobError, match="train one first"):
        filter_bucket(context(memory_store, tmp_path))
    with pytest.raises(JobError, match=r"between 0 and 1, received 1\.5"):
        filter_bucket(context(memory_store, tmp_path), threshold=1.5)


def test_what_the_model_doubts_most_comes_next(trained, copy, tmp_path):
    store = copy
    predictor = load_predictor(settings_for_tests(tmp_path), store)
    labelled = LabelSet(store).current()
    chosen = choose_next(store, labelled, predictor, 3, seed=0)
    assert chosen["order"] == "uncertain"
    doubts = [abs(picture["probability"] - 0.5) for picture in chosen["pictures"]]
    everything = choose_next(store, labelled, predictor, 12, seed=0)
    least = sorted(abs(picture["probability"] - 0.5) for picture in everything["pictures"])
    assert len(least) == 12
    assert doubts == least[:3]
    assert not {picture["id"] for picture in everything["pictures"]} & set(labelled)


def test_the_current_version_is_followed(trained, copy, tmp_path, monkeypatch):
    monkeypatch.setattr("pika_kit.following.FOLLOW_SECONDS", 0.05)
    registry = Registry(copy, "classifier")
    current = follow(settings_for_tests(tmp_path), copy)
    assert current.get().version == "v1"
    _, folder, card = registry.fetch(None, tmp_path)
    registry.publish(folder, card, run_id="second")
    wait_for(lambda: current.get().version == "v2", "the new version serves", 10)
    registry.rollback()
    wait_for(lambda: current.get().version == "v1", "the old version serves", 10)


def test_there_is_no_current_version_before_the_first(memory_store, tmp_path):
    with pytest.raises(NoModel):
        follow(settings_for_tests(tmp_path), memory_store).get()


def test_the_predictor_says_what_it_expects(trained, tmp_path):
    predictor = load_predictor(settings_for_tests(tmp_path), trained[0])
    assert predictor.probabilities(np.zeros((0, 256, 256, 3), np.uint8)).shape == (0,)
    with pytest.raises(
        ValueError, match=r"expected uint8 \(N, 256, 256, 3\), received float32 \(1, 64, 64, 3\)"
    ):
        predictor.probabilities(np.zeros((1, 64, 64, 3), np.float32))
