"""The GAN on real servers: a worker trains, is killed and replaced; gunicorn serves what was published."""

import hashlib
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import urllib3
from servers import free_ports, process, scripts, service, wait_for, worker

from pika_gan.runs import RunFolder
from pika_kit.images import decode
from pika_kit.models import Registry
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.stages import Bucket

MEMORY_LIMIT = 250 * 2**20


@pytest.fixture
def pictures(store):
    """Sixty different pictures in the pikachu bucket."""
    random = np.random.default_rng(3)
    bucket = PictureBucket(store, Bucket.PIKACHU)
    for _ in range(60):
        coarse = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        data = encode_png(np.kron(coarse, np.ones((16, 16, 1), np.uint8)))
        bucket.add(hashlib.sha256(data).hexdigest(), data, "png", {})
    return bucket


def ended(queue, job_id, seconds=240):
    return wait_for(lambda: (view := queue.get(job_id)).is_over and view, f"job {job_id} ends", seconds)


def test_a_killed_run_goes_on_and_its_model_is_served(store, queue, pictures, stack_environment, tmp_path):
    job = queue.enqueue("gan-train", {"preset": "tiny", "minutes": 0.6})
    run = RunFolder(store, job.id)
    with worker("gan", stack_environment, tmp_path) as first:
        step = wait_for(
            lambda: (run.status() or {}).get("checkpoint_step"), "a checkpoint is in the bucket", 180
        )
        children = psutil.Process(first.pid).children(recursive=True)
        first.send_signal(signal.SIGKILL)
        psutil.wait_procs(children, timeout=20)
        first.wait()
    # Simulates another host: the first one's scratch folder is gone.
    second_environment = stack_environment | {"PIKA_STATE_DIR": str(tmp_path / "second")}
    with worker("gan", second_environment, tmp_path):
        view = ended(queue, job.id)
    assert view.status == "finished", view.error
    assert view.result["resumed_from"] >= step > 0
    assert view.result["steps"] > view.result["resumed_from"]
    assert view.result["model_version"] == "v1"
    # after such a short training a version is only served if activated by hand
    Registry(store, "gan").activate("v1")

    single = {}
    with serving(stack_environment, tmp_path) as (url, pid):
        for seed in range(4):
            answer = urllib3.request("GET", f"{url}/generate?seed={seed}&size=64")
            assert answer.status == 200
            assert answer.headers["X-Model-Version"] == "v1"
            single[seed] = answer.data
        assert len(set(single.values())) == 4
        with ThreadPoolExecutor(32) as pool:
            pool_manager = urllib3.PoolManager(maxsize=32)
            answers = pool.map(
                lambda call: (
                    call % 4,
                    pool_manager.request("GET", f"{url}/generate?seed={call % 4}&size=64").data,
                ),
                range(32),
            )
        assert all(data == single[seed] for seed, data in answers)
        whole = json.loads(urllib3.request("GET", f"{url}/gan/samples/{job.id}").data)
        assert whole["status"] == "finished"
        assert whole["sheets"]
        look_at_front_end(pid)
    tensorflow = stack_environment | {"PIKA_MODEL_RUNTIME": "tensorflow"}
    with service("gan", tensorflow, tmp_path) as url:
        by_tensorflow = urllib3.request("GET", f"{url}/generate?seed=1&size=64", timeout=120).data
    assert np.abs(pixels(by_tensorflow) - pixels(single[1])).max() <= 1


@contextmanager
def serving(environment, folder: Path):
    """Start the front end under gunicorn: (URL, pid of its parent process)."""
    (port,) = free_ports(1)
    command = [
        str(scripts() / "gunicorn"),
        "-c",
        "python:pika_kit.gunicorn_config",
        "pika_gan.app:create_app()",
    ]
    bound = os.environ | dict(environment) | {"PIKA_BIND": f"127.0.0.1:{port}"}
    url = f"http://127.0.0.1:{port}"
    with process(command, folder / "gan.log", bound) as child:
        wait_for(lambda: is_ready(url), "the front end is ready")
        yield url, child.pid


def is_ready(url: str) -> bool:
    try:
        return urllib3.request("GET", f"{url}/health/ready", timeout=2, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def look_at_front_end(pid: int) -> None:
    """Assert that memory is below the limit and TensorFlow is not loaded."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for member in family:
        assert member.memory_info().rss < MEMORY_LIMIT
        assert not [region.path for region in member.memory_maps() if "tensorflow" in region.path]


def pixels(data: bytes) -> np.ndarray:
    return decode(data).pixels.astype(int)
