"""The real object store and the unit tests' in-memory one, which must behave alike."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pika_kit.models import NoModel, Registry, UnknownVersion
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing, StoreUnavailable
from pika_kit.testing import MemoryStore, settings_for_tests


@pytest.fixture(params=["real", "memory"])
def any_store(request):
    """Each kind of store in turn."""
    return request.getfixturevalue("store") if request.param == "real" else MemoryStore()


def test_put_get_list_delete(any_store):
    key = f"ピカチュウ/{uuid.uuid4().hex} with spaces?.png"
    any_store.put(Bucket.RAW, key, b"bytes", content_type="image/png")
    assert any_store.get(Bucket.RAW, key) == b"bytes"
    assert any_store.stat(Bucket.RAW, key).size == 5
    assert [info.key for info in any_store.list(Bucket.RAW, "ピカチュウ/")] == [key]
    any_store.delete(Bucket.RAW, key)
    any_store.delete(Bucket.RAW, key)
    assert not any_store.exists(Bucket.RAW, key)
    with pytest.raises(ObjectMissing):
        any_store.get(Bucket.RAW, key)


def test_listing_is_in_key_order_and_starts_after_a_key(any_store):
    keys = [f"list/{number:04d}" for number in range(1100)]  # more than one page of the protocol
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: any_store.put(Bucket.RUNS, key, b"x"), keys))
    assert [info.key for info in any_store.list(Bucket.RUNS, "list/")] == keys
    after = any_store.list(Bucket.RUNS, "list/", start_after="list/0996")
    assert [info.key for info in after] == keys[997:]


def test_of_many_conditional_writers_one_wins(any_store):
    def write(number):
        return any_store.put(Bucket.RUNS, "once", str(number).encode(), only_if_absent=True)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(16)))
    assert sum(won) == 1
    assert any_store.get(Bucket.RUNS, "once") == str(won.index(True)).encode()


@pytest.mark.parametrize("condition", [{}, {"only_if_absent": True}])
def test_metadata_is_kept_with_its_object(any_store, condition):
    """Blanks, signs and 2,000 characters: what a signature could stumble over."""
    metadata = {"provenance": '{"name":"a = b; ~ /\\u0020 \\u30d4"}', "long": "x" * 2000}
    assert any_store.put(Bucket.RUNS, "with", b"data", metadata=metadata, **condition)
    assert any_store.stat(Bucket.RUNS, "with").metadata == metadata
    any_store.copy(Bucket.RUNS, "with", Bucket.PIKACHU, "copy")
    assert any_store.stat(Bucket.PIKACHU, "copy").metadata == metadata
    any_store.put(Bucket.RUNS, "with", b"data")
    assert any_store.stat(Bucket.RUNS, "with").metadata == {}


def test_copy_between_buckets(any_store):
    any_store.put(Bucket.IMAGES, "a", b"picture")
    any_store.copy(Bucket.IMAGES, "a", Bucket.PIKACHU, "b")
    assert any_store.get(Bucket.PIKACHU, "b") == b"picture"
    with pytest.raises(ObjectMissing):
        any_store.copy(Bucket.IMAGES, "not there", Bucket.PIKACHU)


def test_files_come_back_whole(any_store, tmp_path):
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes(bytes(range(256)) * 40_000)  # above the size from which uploads are split into parts
    any_store.put_file(Bucket.RUNS, "large", source)
    any_store.get_file(Bucket.RUNS, "large", target)
    assert target.read_bytes() == source.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_models_are_versioned_activated_and_rolled_back(any_store, tmp_path):
    registry = Registry(any_store, "gan")
    assert registry.current() is None
    with pytest.raises(NoModel):
        registry.fetch(None, tmp_path / "cache")
    folder = tmp_path / "model"
    (folder / "saved_model").mkdir(parents=True)
    for number in (1, 2):
        (folder / "model.onnx").write_text(f"model {number}")
        (folder / "saved_model" / "graph.pb").write_text(f"graph {number}")
        assert registry.publish(folder, {"steps": number}) == f"v{number}"
    assert [card["version"] for card in registry.versions()] == ["v1", "v2"]
    assert [card["is_current"] for card in registry.versions()] == [False, True]
    version, fetched, card = registry.fetch(None, tmp_path / "cache")
    assert card["steps"] == 2
    assert version == "v2"
    assert (fetched / "saved_model" / "graph.pb").read_text() == "graph 2"
    assert registry.rollback() == registry.current() == "v1"
    with pytest.raises(NoModel):
        registry.rollback()
    assert (registry.fetch(None, tmp_path / "cache")[1] / "model.onnx").read_text() == "model 1"
    for unknown in ("v3", "v0", "../v1", "latest"):
        with pytest.raises(UnknownVersion):
            registry.activate(unknown)


def test_two_trainers_never_get_the_same_version(any_store, tmp_path):
    (tmp_path / "model.onnx").write_text("model")

    def publish(number):
        return Registry(any_store, "classifier").publish(tmp_path, {"by": number})

    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(publish, range(6)))
    assert sorted(versions) == [f"v{number}" for number in range(1, 7)]


def test_publishing_again_for_the_same_run_finishes_what_was_left_undone(any_store, tmp_path, monkeypatch):
    """Killed between card and alias: the second attempt activates the version and publishes no other."""
    registry = Registry(any_store, "gan")
    (tmp_path / "model.onnx").write_text("model")
    registry.publish(tmp_path, {}, run_id="earlier")
    with monkeypatch.context() as patch:
        patch.setattr(registry, "activate", lambda _version: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            registry.publish(tmp_path, {"steps": 1}, run_id="run")
    assert (registry.current(), registry.published_by("run")) == ("v1", None)
    assert registry.publish(tmp_path, {"steps": 2}, run_id="run") == registry.current() == "v2"
    assert registry.card("v2")["steps"] == 1
    registry.rollback()
    # Repeating a finished publication must not undo a rollback.
    assert registry.publish(tmp_path, {}, run_id="run") == registry.published_by("run") == "v2"
    assert registry.current() == "v1"
    assert [card["version"] for card in registry.versions()] == ["v1", "v2"]


def test_a_version_with_faults_is_published_and_not_activated(any_store, tmp_path):
    registry = Registry(any_store, "gan")
    (tmp_path / "model.onnx").write_text("model")
    registry.publish(tmp_path, {}, faults=["its pictures are all alike"])
    assert registry.current() is None
    assert registry.card("v1")["gate"] == {"passed": False, "faults": ["its pictures are all alike"]}
    registry.activate("v1")
    assert registry.current() == "v1"


def test_activations_and_rollbacks_at_the_same_time_lose_nothing(any_store, tmp_path):
    registry = Registry(any_store, "gan")
    (tmp_path / "model.onnx").write_text("model")
    for _ in range(6):
        registry.publish(tmp_path, {}, activate=False)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: Registry(any_store, "gan").activate(f"v{n}"), range(1, 7)))
        history = any_store.get_json(Bucket.MODELS, "gan/current.json")["history"]
        assert sorted(history) == [f"v{n}" for n in range(1, 7)]
        list(pool.map(lambda _n: Registry(any_store, "gan").rollback(), range(3)))
    assert any_store.get_json(Bucket.MODELS, "gan/current.json")["history"] == history[:3]
    assert registry.current() == history[2]


def test_only_the_files_that_a_runtime_reads_are_fetched(any_store, tmp_path):
    registry = Registry(any_store, "gan")
    (tmp_path / "model" / "saved_model").mkdir(parents=True)
    (tmp_path / "model" / "model.onnx").write_text("onnx")
    (tmp_path / "model" / "saved_model" / "graph.pb").write_text("graph")
    registry.publish(tmp_path / "model", {})
    _, folder, _ = registry.fetch(None, tmp_path / "cache", only="model.onnx")
    assert [path.name for path in folder.rglob("*")] == ["model.onnx"]
    _, folder, _ = registry.fetch(None, tmp_path / "cache", only="saved_model/")
    assert [path.name for path in folder.rglob("*.*")] == ["graph.pb"]


def test_a_changed_json_object_is_never_overwritten_unseen(any_store):
    names = [f"writer {number}" for number in range(12)]
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda name: any_store.update_json(Bucket.RUNS, "list.json", lambda old: [*old, name], []),
                names,
            )
        )
    assert sorted(any_store.get_json(Bucket.RUNS, "list.json")) == sorted(names)


def test_a_dead_store_is_an_error_of_its_own():
    settings = settings_for_tests(Path("/nowhere"))
    with pytest.raises(StoreUnavailable):
        Store.connect(settings).get(Bucket.RAW, "a")
