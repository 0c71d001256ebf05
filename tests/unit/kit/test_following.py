"""The follower of a current version switches in one step and survives an outage of the store."""

import os
import threading
import time

import pytest
from servers import wait_for

from pika_kit import following
from pika_kit.following import Follower, evict
from pika_kit.models import NoModel, Registry
from pika_kit.store_errors import StoreUnavailable
from pika_kit.testing import MemoryStore, settings_for_tests


class FlakyStore(MemoryStore):
    """A store that can be unavailable and counts its calls."""

    def __init__(self):
        super().__init__()
        self.is_away = False
        self.calls = []

    def get(self, bucket, key):
        self.calls.append(key)
        if self.is_away:
            raise StoreUnavailable("away")
        return super().get(bucket, key)


@pytest.fixture
def store():
    return FlakyStore()


@pytest.fixture
def registry(store, tmp_path):
    registry = Registry(store, "gan")
    folder = tmp_path / "model"
    (folder / "saved_model").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"onnx")
    (folder / "saved_model" / "large.pb").write_bytes(b"x" * 1000)
    registry.publish(folder, {}, run_id="first")
    registry.publish(folder, {}, run_id="second", activate=False)
    return registry


@pytest.fixture
def follower(registry, tmp_path, monkeypatch):
    monkeypatch.setattr(following, "FOLLOW_SECONDS", 0.02)
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(following, "load_runtime", lambda kind, folder, memory: folder.name)
    return Follower(registry, settings_for_tests(tmp_path), lambda version, runtime, card: version)


def test_a_new_version_is_followed_and_a_rollback_too(follower, registry):
    assert follower.version() is None
    assert follower.get() == follower.version() == "v1"
    registry.activate("v2")
    wait_for(lambda: follower.get() == "v2", "v2 serves", 5)
    registry.rollback()
    wait_for(lambda: follower.get() == "v1", "v1 serves", 5)


def test_who_activates_first_and_draws_later_is_followed_too(follower, registry):
    # PUT /gan/models/current refreshes before any picture is requested.
    follower.refresh()
    assert follower.version() == "v1"
    registry.activate("v2")
    wait_for(lambda: follower.get() == "v2", "v2 serves", 5)


def test_requests_go_on_while_the_next_version_loads(follower, registry, monkeypatch):
    release = threading.Event()
    assert follower.get() == "v1"
    monkeypatch.setattr(follower, "_load", lambda version, runtime, card: release.wait(5) and version)
    registry.activate("v2")
    time.sleep(0.1)
    began = time.monotonic()
    assert [follower.get() for _ in range(100)] == ["v1"] * 100
    assert time.monotonic() - began < 0.5
    release.set()
    wait_for(lambda: follower.get() == "v2", "v2 serves", 5)


def test_who_read_the_alias_earlier_does_not_switch_back_later(follower, registry, monkeypatch):
    """The follower's thread has read v1 when v2 is activated; being slow, it must not undo that."""
    assert follower.get() == "v1"
    current, slow = registry.current, threading.Event()

    def slow_for_the_thread():
        version = current()
        if threading.current_thread().name == "follow-model" and not slow.is_set():
            slow.set()
            time.sleep(0.3)
        return version

    monkeypatch.setattr(registry, "current", slow_for_the_thread)
    assert slow.wait(5)
    registry.activate("v2")
    follower.refresh()
    seen = {follower.get()}
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        seen.add(follower.get())
    assert seen == {"v2"}


def test_a_store_that_is_away_changes_nothing_for_who_is_served(follower, registry, store):
    assert follower.get() == "v1"
    store.is_away = True
    time.sleep(0.1)
    assert follower.get() == "v1"
    store.is_away = False
    registry.activate("v2")
    wait_for(lambda: follower.get() == "v2", "it follows again", 5)


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_in_use(follower, registry, monkeypatch):
    assert follower.get() == "v1"

    def broken(version, runtime, card):
        raise RuntimeError("a damaged file")

    load = follower._load
    monkeypatch.setattr(follower, "_load", broken)
    registry.activate("v2")
    time.sleep(0.1)
    assert follower.get() == "v1"
    monkeypatch.setattr(follower, "_load", load)
    wait_for(lambda: follower.get() == "v2", "it is tried again", 5)


def test_without_a_version_there_is_no_model_until_there_is_one(follower, registry, store, tmp_path):
    empty = Follower(Registry(MemoryStore(), "gan"), settings_for_tests(tmp_path), lambda *_: None)
    with pytest.raises(NoModel):
        empty.get()


def test_a_version_can_be_named_where_none_is_current(follower, store, tmp_path):
    (tmp_path / "model.onnx").touch()
    registry = follower.registry = Registry(store, "classifier")
    registry.publish(tmp_path, {}, faults=["its pictures are all alike"])
    assert follower.get("v1") == "v1"
    with pytest.raises(NoModel):
        follower.get()


def test_only_what_the_runtime_reads_is_downloaded(follower, store):
    store.calls.clear()
    follower.get()
    assert "gan/v1/files/model.onnx" in store.calls
    assert not [key for key in store.calls if "saved_model" in key]


def test_named_versions_are_kept_loaded_but_not_all_of_them(follower, registry, store, tmp_path):
    for number in range(3, 8):
        registry.publish(tmp_path / "model", {}, run_id=f"run {number}", activate=False)
    assert [follower.get(f"v{number}") for number in range(1, 8)] == [f"v{number}" for number in range(1, 8)]
    assert len(follower._others) == following.MAX_LOADED - 1
    store.calls.clear()
    follower.get("v7")
    assert not [key for key in store.calls if "v7" in key]


def test_old_versions_leave_the_disk_but_not_what_was_used_just_now(tmp_path):
    for number in range(6):
        (tmp_path / f"v{number}").mkdir()
        age = 10_000 - number if number < 5 else 1
        os.utime(tmp_path / f"v{number}", (time.time() - age,) * 2)
    assert {path.name for path in evict(tmp_path, keep=2)} == {"v0", "v1", "v2", "v3"}
    assert {path.name for path in tmp_path.iterdir()} == {"v4", "v5"}
    assert evict(tmp_path, keep=0) == [tmp_path / "v4"]
