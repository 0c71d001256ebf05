"""Follow a model's current version; used by every service that serves a model.

A thread watches the alias, loads and warms up a new version beside the old one, and then switches in one
step. Requests only use what is already loaded. During a storage outage the loaded version keeps serving.
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
from pika_kit.store_errors import StoreUnavailable

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

    Thread-safe. Nothing happens before the first call, so it can be created before a fork.
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
        """The version that is loaded and serving, or None."""
        return self._current[0] if self._current else None

    def get(self, version: str | None = None) -> M:
        """Return the named version, or the current one.

        The current one lags the alias by at most FOLLOW_SECONDS plus the time to load it.

        Raises:
            NoModel: the current version is requested and there is none.
            UnknownVersion: there is no such version.
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
        """Read the alias now and switch if it has changed; the first call also starts the watching thread."""
        self._start_following()
        # The alias is read under the lock: a thread that read it earlier must not switch back later.
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
                    self._keep(*previous)  # kept for a rollback
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
    """Load a version or the current one: (version, its runtime, its card).

    Downloads only the files that the runtime reads.

    Raises:
        NoModel, UnknownVersion: see `Registry.fetch`.
    """
    kind = settings.model_runtime
    version, folder, card = registry.fetch(version, settings.state_dir / "models", files_of(kind))
    return version, load_runtime(kind, folder, settings.gpu_memory_mb), card


def evict(folder: Path, keep: int = MAX_ON_DISK) -> list[Path]:
    """Delete all but the `keep` most recently used versions from the cache and return the deleted ones.

    Loaded runtimes no longer need their files. Recently used ones stay, because another process may be about
    to load them.
    """
    if not folder.exists():
        return []
    used: dict[Path, float] = {}
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # renamed or evicted by another process
            used[path] = path.stat().st_mtime
    by_use = sorted(used, key=used.__getitem__, reverse=True)
    old = [path for path in by_use[keep:] if time.time() - used[path] > _IN_USE_SECONDS]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return old
