"""The one follower of a model's current version, for every service that serves one.

A thread asks for the alias, and loads and warms a new version beside the one in use; then it switches in one
step. A request only ever takes what is loaded. While the store is away the loaded version goes on serving.
"""

import contextlib
import logging
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from pika_kit.models import NoModel, Registry
from pika_kit.runtimes import Runtime, files_of, load_runtime
from pika_kit.settings import Settings
from pika_kit.storage import StoreUnavailable

FOLLOW_SECONDS = 1.0
RETRY_SECONDS = 30.0
"""After a version could not be loaded: a broken one is not downloaded all the time."""
MAX_LOADED = 3
MAX_ON_DISK = 3
_IN_USE_SECONDS = 300.0

log = logging.getLogger(__name__)
M = TypeVar("M")
Load = Callable[[str, Runtime, dict[str, Any]], M]
"""(version, its runtime, its card) → what the service calls a model. Also warms it up."""


class Follower(Generic[M]):
    """The models of one front end: the current version, and a few others on request.

    Safe to share between threads. Nothing happens before the first call, so it may be made before a fork.
    """

    def __init__(self, registry: Registry, settings: Settings, load: Load[M]) -> None:
        self.registry = registry
        self._settings = settings
        self._load = load
        self._lock = threading.Lock()
        self._following = threading.Lock()
        self._loading = threading.Lock()
        self._thread: threading.Thread | None = None
        self._current: tuple[str, M] | None = None
        self._others: OrderedDict[str, M] = OrderedDict()

    def version(self) -> str | None:
        """The version that is loaded and serves now, or None."""
        return self._current[0] if self._current else None

    def get(self, version: str | None = None) -> M:
        """The named version, or the current one, at most FOLLOW_SECONDS and its loading behind the alias.

        Raises:
            NoModel: the current version is asked for, and there is none. UnknownVersion: no such version.
        """
        if self._current is None:
            self.refresh()
        current = self._current
        if current is not None and version in (None, current[0]):
            return current[1]
        if version is None:
            raise NoModel(f"no {self.registry.name} model is published yet")
        return self._other(version)

    def refresh(self) -> None:
        """Look at the alias now, and switch where it has changed; from the first call on also by itself."""
        self._start_following()
        # The alias is read inside the lock: who read it earlier must not switch back later.
        with self._following:
            version = self.registry.current()
            if version is None or (self._current and self._current[0] == version):
                return
            with self._loading:
                model = self._others.get(version)
            model = model or self._loaded(version)
            previous, self._current = self._current, (version, model)
            log.info("%s %s is loaded and serves now", self.registry.name, version)
            if previous:
                with self._loading:
                    self._keep(*previous)  # a rollback comes soon, if it comes
        evict(self._settings.state_dir / "models" / self.registry.name)

    def _start_following(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="follow-model", daemon=True)
                self._thread.start()

    def _follow(self) -> None:
        while True:
            time.sleep(FOLLOW_SECONDS)
            try:
                self.refresh()
            except StoreUnavailable as error:
                log.warning("%s %s goes on serving: %s", self.registry.name, self.version(), error)
            except Exception:
                log.exception(
                    "%s %s goes on serving: the current version cannot be loaded",
                    self.registry.name,
                    self.version(),
                )
                time.sleep(RETRY_SECONDS)

    def _other(self, version: str) -> M:
        with self._loading:
            if version not in self._others:
                self._keep(version, self._loaded(version))
            self._others.move_to_end(version)
            return self._others[version]

    def _keep(self, version: str, model: M) -> None:
        self._others[version] = model
        self._others.move_to_end(version)
        while len(self._others) > MAX_LOADED - 1:
            self._others.popitem(last=False)

    def _loaded(self, version: str) -> M:
        version, runtime, card = load_version(self.registry, self._settings, version)
        return self._load(version, runtime, card)


def load_version(
    registry: Registry, settings: Settings, version: str | None = None
) -> tuple[str, Runtime, dict[str, Any]]:
    """(version, its runtime, its card) of the given version or the current one. Only the files that the
    runtime reads are downloaded.

    Raises:
        NoModel, UnknownVersion: see `Registry.fetch`.
    """
    kind = settings.model_runtime
    version, folder, card = registry.fetch(version, settings.state_dir / "models", files_of(kind))
    return version, load_runtime(kind, folder, settings.gpu_memory_mb), card


def evict(folder: Path, keep: int = MAX_ON_DISK) -> list[Path]:
    """Delete all but the `keep` versions used last; a runtime that is loaded needs its files no more.

    What was used in the last minutes stays: another process may be about to load it. Returns what went.
    """
    if not folder.exists():
        return []
    used: dict[Path, float] = {}
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # a download that was just renamed, or evicted elsewhere
            used[path] = path.stat().st_mtime
    by_use = sorted(used, key=used.__getitem__, reverse=True)
    old = [path for path in by_use[keep:] if time.time() - used[path] > _IN_USE_SECONDS]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return old
