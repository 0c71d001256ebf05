"""Gunicorn for every service: `gunicorn -c python:pika_kit.gunicorn_config "pika_gan.app:create_app()"`.

One process with threads by default: ONNX Runtime and Pillow let go of Python's lock while they work, one
process holds the model once, and health is answered while a prediction runs. Several processes add up
(`PIKA_WEB_PROCESSES`) where there are cores to use.

There are many threads, because most of them wait at a gate (`pika_kit.gates`), which lets in as many
requests as there are cores and memory for. A thread that waits costs some ten kilobytes.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

bind = os.environ.get("PIKA_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("PIKA_WEB_PROCESSES", "1"))
threads = int(os.environ.get("PIKA_WEB_THREADS", "192"))
worker_class = "gthread"
# Models are loaded after the fork: neither ONNX Runtime's nor TensorFlow's threads survive one.
preload_app = False
timeout = 120
graceful_timeout = 20
# Longer than the front door keeps an idle connection (at most 120 s), or it would now and then use one that
# is just being closed, and answer 502.
keepalive = 150
accesslog = "-"
logger_class = "pika_kit.gunicorn_logs.GunicornLogger"
errorlog = "-"
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 — a heartbeat file must not wait for a disk
# Gunicorn 27 would open a control socket in the home folder.
control_socket_disable = True
# Five hundred characters of any script, percent-encoded, fit into a parameter.
limit_request_line = 8190


def _share_metrics() -> None:
    """With several processes, a folder in which their metrics add up; what an earlier run left goes first."""
    if workers > 1 and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        folder = Path(os.environ.get("PIKA_STATE_DIR", ".pikastack/scratch")) / "metrics"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # Read by prometheus_client when the worker processes import it.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder.resolve())


def on_starting(server: object) -> None:  # noqa: ARG001
    """Say in one line what is wrong with the settings, before any process tries to work with them."""
    from pika_kit.settings import Settings, SettingsError

    try:
        settings = Settings.from_environment()
        settings.require_keys()
    except SettingsError as error:
        sys.exit(f"service: {error}")
    if settings.model_runtime == "tensorflow" and importlib.util.find_spec("tensorflow") is None:
        sys.exit("service: PIKA_MODEL_RUNTIME: expected onnx, since TensorFlow is not installed here")
    _share_metrics()


def child_exit(server: object, worker: object) -> None:  # noqa: ARG001
    """Take a dead process's gauges out of the shared metrics."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[attr-defined]
