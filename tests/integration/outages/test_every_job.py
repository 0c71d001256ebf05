"""Every kind of job during an outage of store and queue: it ends with the result of an undisturbed run.

`./run test` gives each job one short outage, each of another kind; `./run test -m slow` runs the whole table.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import urllib3
from servers import environment_on, service, wait_for, worker

from pika_classifier.labels.archive import import_zip
from pika_classifier.labels.log import LabelSet
from pika_drawings import write_collection, write_labels
from pika_kit.models import Registry
from pika_kit.pictures import PictureBucket
from pika_kit.queue import JobQueue
from pika_kit.settings import Settings
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.valkey import QueueUnavailable

JOBS = ("scrape", "prepare", "classifier-train", "filter", "gan-train")
ARGUMENTS = {
    "scrape": {"source": "folder", "location": "pile", "then_prepare": False},
    "prepare": {},
    "classifier-train": {"preset": "tiny"},
    "filter": {"threshold": 0.3},
    "gan-train": {"preset": "tiny", "steps": 250},
}
MIXED = {
    "scrape": ("weed", "killed", 2),
    "prepare": ("valkey", "killed", 2),
    "classifier-train": ("weed", "paused", 2),
    "filter": ("weed", "killed", 2),
    "gan-train": ("valkey", "paused", 2),
}
TABLE = [
    pytest.param(
        dict.fromkeys(JOBS, (server, how, seconds)),
        id=f"{server}-{how}-{seconds}",
        marks=[pytest.mark.slow, pytest.mark.timeout(1800)],
    )
    for server in ("valkey", "weed")
    for how in ("paused", "killed")
    for seconds in (2, 10, 90)
]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A pile of pictures and a zip of labels."""
    folder = tmp_path_factory.mktemp("drawn")
    write_collection(folder / "pile", num_pikachu=130, num_others=90, seed=5)
    write_labels(folder / "labels", num_trains=16, num_valids=8, seed=6)
    return folder


class Chain:
    """Run one stack's jobs in sequence, each with an outage in the middle, or with none."""

    def __init__(self, servers, folder, drawn):
        self.servers = servers
        environment = environment_on(servers, folder) | {"PIKA_SCRAPE_ROOTS": str(drawn)}
        settings = Settings.from_environment(environment)
        self.store, self.queue = Store.connect(settings), JobQueue.connect(settings)
        self.store.ensure_buckets()
        import_zip(_zipped(drawn / "labels"), LabelSet(self.store), "a test")
        self.environment, self.folder = environment, folder

    def run(self, outages):
        """Return job → its results, in figures that do not depend on time."""
        results = {}
        with ExitStack() as stack:
            for name in ("scraper", "classifier", "gan"):
                stack.enter_context(worker(name, self.environment, self.folder))
            for name in JOBS:
                results[name] = self._job(name, outages.get(name))
                # After each job, so that a failure tells which one lost a picture.
                results[f"pictures after {name}"] = {
                    bucket: set(PictureBucket(self.store, bucket).ids())
                    for bucket in (Bucket.RAW, Bucket.IMAGES, Bucket.PIKACHU)
                }
        return results

    def _job(self, name, outage):
        job = self.queue.enqueue(name, ARGUMENTS[name])
        if outage:
            _until(self.queue, job.id, _is_in_its_middle, f"{name} has begun", 120)
            self._break(*outage)
        view = _until(self.queue, job.id, lambda view: view.is_over, f"{name} ends", 400)
        assert view.status == "finished", (name, view.error)
        return _figures(name, view.result)

    def _break(self, server, how, seconds):
        broken = getattr(self.servers, server)
        if how == "paused":
            broken.pause()
        else:
            broken.kill()
        time.sleep(seconds)
        if how == "paused":
            broken.resume()
        else:
            broken.start()


def _is_in_its_middle(view):
    """Wait until some of its work is done. If it has ended, it is too late for an outage."""
    at = view.progress
    assert not view.is_over, "it was over before the outage: give it more to do"
    return view.status == "running" and at.message not in ("", "starting") and at.done >= 1


def _until(queue, job_id, condition, what, seconds):
    def look():
        try:
            view = queue.get(job_id)
        except QueueUnavailable:
            return None
        return view if condition(view) else None

    return wait_for(look, what, seconds)


def _figures(name, result):
    names = {
        "scrape": ("looked_at", "taken", "exact_duplicates", "refused", "refused_by_reason"),
        "prepare": ("in_images",),
        "classifier-train": ("version", "roc_auc", "pr_auc", "recommended_threshold"),
        "filter": ("looked_at", "chosen"),
        "gan-train": ("model_version", "steps", "num_pictures", "kid", "diversity"),
    }
    return {key: result[key] for key in names[name]}


def _zipped(folder):
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def first_chain(fragile_servers, drawn, tmp_path_factory):
    """(the undisturbed chain of jobs, its results)."""
    chain = Chain(fragile_servers, tmp_path_factory.mktemp("undisturbed"), drawn)
    return chain, chain.run({})


@pytest.mark.parametrize("outages", [pytest.param(MIXED, id="mixed"), *TABLE])
def test_every_job_ends_with_the_result_of_an_undisturbed_run(
    fragile_servers, drawn, first_chain, tmp_path, outages
):
    results = Chain(fragile_servers, tmp_path, drawn).run(outages)
    undisturbed = first_chain[1]
    for name in undisturbed.keys() - set(JOBS):
        assert results[name] == undisturbed[name], name
    for name in JOBS:
        figures = undisturbed[name]
        expected = pytest.approx(figures) if _is_flat(figures) else figures
        assert results[name] == expected, name


def _is_flat(figures):
    return all(isinstance(value, int | float) for value in figures.values())


@pytest.mark.parametrize("seconds", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_a_hundred_clients_are_served_while_the_store_is_away(
    fragile_servers, drawn, first_chain, tmp_path, seconds
):
    chain, _ = first_chain
    Registry(chain.store, "gan").activate("v1")
    picture = next((drawn / "labels" / "valids" / "pikachu").iterdir()).read_bytes()
    with (
        service("gan", chain.environment | {"PIKA_STATE_DIR": str(tmp_path / "gan")}, tmp_path) as gan,
        service("classifier", chain.environment | {"PIKA_STATE_DIR": str(tmp_path / "c")}, tmp_path) as ask,
    ):
        pool = urllib3.PoolManager(maxsize=100, block=True, timeout=120, retries=False)
        calls = [
            lambda: pool.request("GET", f"{gan}/generate?n=2&grid=true").status,
            lambda: pool.request("POST", f"{ask}/is-pikachu", body=picture).status,
        ]
        assert [call() for call in calls] == [200, 200]  # from here on the models are loaded
        fragile_servers.weed.pause()
        end = time.monotonic() + seconds

        def client(number):
            codes = []
            while time.monotonic() < end:
                codes.append(calls[number % 2]())
            return codes

        try:
            with ThreadPoolExecutor(100) as clients:
                statuses = [status for codes in clients.map(client, range(100)) for status in codes]
        finally:
            fragile_servers.weed.resume()
    assert len(statuses) >= 100
    assert set(statuses) == {200}
