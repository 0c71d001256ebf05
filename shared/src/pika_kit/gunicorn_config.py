"""Gunicorn configuration of every service.

    gunicorn -c python:pika_kit.gunicorn_config "pika_gan.app:create_app()"

The default is one process with threads: ONNX Runtime and Pillow release Python's lock while they work, the
model is in memory once, and health checks are answered during a prediction. More processes
(`PIKA_WEB_PROCESSES`) help where there are more cores.

Most threads wait at a gate (`pika_kit.gates`), which admits as many requests as cores and memory allow. A
waiting thread costs about ten kilobytes.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

bind = os.environ.get("PIKA_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("PIKA_WEB_PROCESSES", "1"))
threads = int(os.environ.get("PIKA_WEB_THREADS", "192"))
worker_class = "pika_kit.gunicorn_worker.Worker"
# Models are loaded after the fork: the threads of ONNX Runtime and TensorFlow do not survive one.
preload_app = False
timeout = 120
graceful_timeout = 20
# Longer than the gateway keeps idle connections (at most 120 s); otherwise it would occasionally reuse one
# that is just being closed and answer 502.
keepalive = 150
accesslog = "-"
logger_class = "pika_kit.gunicorn_logs.GunicornLogger"
errorlog = "-"
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 — a heartbeat file must not wait for a disk
# Gunicorn 27 would open a control socket in the home directory.
control_socket_disable = True
# Room for five hundred percent-encoded characters of any script in a parameter.
limit_request_line = 8190


def _share_metrics() -> None:
    """Create the directory in which several processes aggregate their metrics; delete an earlier run's."""
    if workers > 1 and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        folder = Path(os.environ.get("PIKA_STATE_DIR", ".pikastack/scratch")) / "metrics"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # Read by prometheus_client when worker processes import it.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder.resolve())


def on_starting(server: object) -> None:  # noqa: ARG001
    """Report invalid settings in one line, before any process starts with them."""
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
    """Remove a dead process's gauges from the shared metrics."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[attr-defined]
