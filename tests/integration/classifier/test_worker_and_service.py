"""The classifier on real servers: labels over HTTP, a worker that trains and filters, gunicorn."""

import json
import os
import signal
import time
from contextlib import ExitStack, contextmanager

import psutil
import pytest
import urllib3
from gateway import labelled_zip, squares
from servers import free_ports, process, scripts, wait_for, worker

from pika_classifier.filtering.predictions import Predictions
from pika_kit.images import sha256
from pika_kit.models import Registry
from pika_kit.pictures import PictureBucket
from pika_kit.queue import JobView
from pika_kit.stages import Bucket

MEMORY_LIMIT = 250 * 2**20
READY_SECONDS = 3.0
NUM_IMAGES = 300


@contextmanager
def serving(environment, folder):
    """Start the classifier under gunicorn: (base URL, process id, seconds until ready)."""
    (port,) = free_ports(1)
    command = [
        str(scripts() / "gunicorn"),
        *("-c", "python:pika_kit.gunicorn_config", "pika_classifier.app:create_app()"),
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    started = time.monotonic()
    with process(
        command, folder / "gunicorn.log", os.environ | environment | {"PIKA_BIND": f"127.0.0.1:{port}"}
    ) as child:
        wait_for(lambda: _is_ready(url), "the classifier is ready", 60)
        yield url, child.pid, time.monotonic() - started


def _is_ready(url: str) -> bool:
    try:
        return urllib3.request("GET", f"{url}/health/ready", timeout=5, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def call(method: str, url: str, **options):
    answer = urllib3.request(method, url, timeout=60, retries=False, **options)
    return answer.status, json.loads(answer.data)


def ended(queue, job_id: str, seconds: float = 240) -> JobView:
    return wait_for(lambda: (view := queue.get(job_id)).is_over and view, f"job {job_id} ends", seconds)


@pytest.fixture
def images(store) -> dict[str, bool]:
    """Return picture id → whether it is yellow, for everything in the images bucket."""
    bucket, kinds = PictureBucket(store, Bucket.IMAGES), {}
    for is_yellow in (True, False):
        for data in squares(NUM_IMAGES // 2, is_yellow=is_yellow, seed=5):
            bucket.add(sha256(data), data, "png", {"source": "drawn by a test"})
            kinds[sha256(data)] = is_yellow
    return kinds


def test_the_way_from_labels_to_chosen_pictures(store, queue, images, stack_environment, tmp_path):
    with serving(stack_environment, tmp_path) as (url, pid, seconds):
        yellow = squares(1, is_yellow=True, seed=99)[0]
        assert call("POST", f"{url}/is-pikachu", body=yellow, headers={"Content-Type": "image/png"})[0] == 503
        status, report = call(
            "POST", f"{url}/labels/import", body=labelled_zip(), headers={"Content-Type": "application/zip"}
        )
        assert (status, report["imported"], report["refused"]) == (200, 40, 0)
        status, job = call("POST", f"{url}/classifier/train", json={"preset": "tiny"})
        assert status == 202
        with worker("classifier", stack_environment, tmp_path):
            view = ended(queue, job["id"])
            assert view.status == "finished", view.error
            assert view.result["roc_auc"] > 0.9
            # The same front end, not restarted, now has the model.
            wait_for(
                lambda: call("POST", f"{url}/is-pikachu", body=yellow)[0] == 200, "the model is there", 10
            )
            # Killed while working: the next workers take the jobs over, and share what is left.
            jobs = [call("POST", f"{url}/filter", json={"threshold": 0.5})[1]["id"] for _ in range(2)]
            wait_for(lambda: any(store.list(Bucket.RUNS, "classifier/predictions/")), "a first part", 60)
            _kill_children()
        kept = len(Predictions(store, "v1", Bucket.IMAGES).read())
        assert 0 < kept < NUM_IMAGES, "it was killed in the middle"
        with two_workers(stack_environment, tmp_path):
            views = [ended(queue, job_id) for job_id in jobs]
        assert [view.status for view in views] == ["finished"] * 2, [view.error for view in views]
        chosen = set(PictureBucket(store, Bucket.PIKACHU).ids())
        assert [view.result["looked_at"] for view in views] == [NUM_IMAGES] * 2
        assert [view.result["chosen"] for view in views] == [len(chosen)] * 2
        # Parts that both process at the same moment are done twice.
        predicted = sum(view.result["predicted_now"] for view in views)
        assert NUM_IMAGES - kept <= predicted <= 1.1 * NUM_IMAGES
        right = sum(images[picture_id] for picture_id in chosen)
        assert right / len(chosen) > 0.9
        assert right / sum(images.values()) > 0.9
        assert call("GET", f"{url}/labels/next?count=4")[1]["order"] == "uncertain"
        assert call("PUT", f"{url}/classifier/models/current", json={"version": "v2"})[0] == 404
        assert Registry(store, "classifier").current() == "v1"
        _check_front_end(pid)
        assert seconds < READY_SECONDS * _slowness()


@contextmanager
def two_workers(environment, folder):
    """Start two workers, each with a folder of its own."""
    with ExitStack() as stack:
        for name in ("one", "other"):
            (folder / name).mkdir()
            stack.enter_context(worker("classifier", environment, folder / name))
        yield


def _kill_children() -> None:
    """Send SIGKILL to this test's worker and its children."""
    own = psutil.Process().children(recursive=True)
    workers = [child for child in own if "pika_kit.worker" in " ".join(child.cmdline()[:4])]
    for member in [child for parent in workers for child in (*parent.children(recursive=True), parent)]:
        member.send_signal(signal.SIGKILL)


def _check_front_end(pid: int) -> None:
    """Assert that memory is below the limit and no TensorFlow library is mapped."""
    for member in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        assert member.memory_info().rss < MEMORY_LIMIT
        assert not [entry.path for entry in member.memory_maps() if "tensorflow" in entry.path]


def _slowness() -> float:
    """Return how many times slower this machine currently is than when idle: other tests may be running."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) * 2)


def test_odd_files_get_an_answer_or_a_refusal(store, queue, test_data, stack_environment, tmp_path):
    files = sorted(path for path in (test_data / "odd-files").iterdir() if path.name != "README.md")
    assert len(files) == 48
    with serving(stack_environment, tmp_path) as (url, pid, _):
        call("POST", f"{url}/labels/import", body=labelled_zip(), headers={"Content-Type": "application/zip"})
        _, job = call("POST", f"{url}/classifier/train", json={"preset": "tiny"})
        with worker("classifier", stack_environment, tmp_path):
            assert ended(queue, job["id"]).status == "finished"
        wait_for(
            lambda: call("POST", f"{url}/is-pikachu", body=files[1].read_bytes())[0] != 503, "a model", 10
        )
        statuses = {}
        for path in files:
            status, body = call("POST", f"{url}/is-pikachu", body=path.read_bytes())
            statuses[path.name] = status
            assert ("probability" in body) == (status == 200)
            assert status == 200 or body["detail"]
        assert set(statuses.values()) == {200, 415, 422}
        fields = [("file", (path.name, path.read_bytes())) for path in files]
        status, answers = call("POST", f"{url}/is-pikachu", fields=fields)
        assert status == 200
        assert [answer["problem"]["status"] if "problem" in answer else 200 for answer in answers] == [
            statuses[path.name] for path in files
        ]
        _check_front_end(pid)
