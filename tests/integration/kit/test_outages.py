"""Jobs during outages of store or queue, and jobs of dead workers: each succeeds by itself."""

import threading
import time

import psutil
import pytest
from servers import wait_for

from pika_kit.queue import JobQueue
from pika_kit.settings import Settings
from pika_kit.storage import Store
from pika_kit.valkey import QueueUnavailable

STEPS, SECONDS = 40, 0.1


@pytest.fixture
def jobs(fragile_environment):
    settings = Settings.from_environment(fragile_environment)
    Store.connect(settings).ensure_buckets()
    return JobQueue.connect(settings)


def _view(jobs, job_id):
    try:
        return jobs.get(job_id)
    except QueueUnavailable:
        return None


def _until(jobs, job_id, condition, what, seconds=60):
    return wait_for(lambda: (view := _view(jobs, job_id)) and condition(view) and view, what, seconds)


def _end(jobs, job_id, seconds=90):
    return _until(jobs, job_id, lambda view: view.is_over, f"job {job_id} ends", seconds)


@pytest.mark.parametrize(
    "away", [2, pytest.param(10, marks=pytest.mark.slow), pytest.param(90, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("how", ["paused", "killed"])
@pytest.mark.parametrize("server", ["valkey", "weed"])
def test_a_job_ends_well_whatever_is_away_for_a_while(
    jobs, fragile_servers, fragile_worker, server, how, away
):
    job = jobs.enqueue("scrape", {"steps": STEPS, "seconds": SECONDS, "write_always": True})
    server = getattr(fragile_servers, server)
    with fragile_worker() as process:
        _until(jobs, job.id, lambda view: view.progress.done >= 10, "it has begun")
        if how == "paused":
            server.pause()
        else:
            server.kill()
        time.sleep(away)
        if how == "paused":
            server.resume()
        else:
            server.start()
        view = _end(jobs, job.id)
        assert process.poll() is None, "the worker outlives it"
    assert (view.status, view.result["steps"]) == ("finished", STEPS)
    if server is fragile_servers.valkey:
        assert view.result["starts"] == 1, "a queue that is away is none of a running job's business"


def test_a_job_says_that_it_waits_for_the_store_and_can_be_cancelled(jobs, fragile_servers, fragile_worker):
    job = jobs.enqueue("scrape", {"steps": STEPS, "seconds": SECONDS, "write_always": True})
    with fragile_worker():
        _until(jobs, job.id, lambda view: view.progress.done >= 5, "it has begun")
        fragile_servers.weed.kill()
        try:
            view = _until(
                jobs,
                job.id,
                lambda view: view.progress.message == "waiting for the object store",
                "it says so",
            )
            assert view.status == "running"
            assert view.progress.done >= 5
            jobs.cancel(job.id)
            assert _end(jobs, job.id, 10).status == "cancelled"
        finally:
            fragile_servers.weed.start()


def test_a_store_that_never_comes_back_fails_the_job_in_the_end(jobs, fragile_servers, fragile_worker):
    job = jobs.enqueue("scrape", {"steps": STEPS, "seconds": SECONDS, "write_always": True})
    with fragile_worker(PIKA_OUTAGE_SECONDS="3"):
        _until(jobs, job.id, lambda view: view.progress.done >= 5, "it has begun")
        fragile_servers.weed.kill()
        try:
            view = _end(jobs, job.id, 30)
        finally:
            fragile_servers.weed.start()
    assert view.status == "failed"
    assert "for the object store, which did not come back" in view.error


def test_a_full_disk_is_waited_out(jobs, fragile_worker):
    job = jobs.enqueue("scrape", {"steps": 3, "fail": "disk"})
    with fragile_worker():
        _until(jobs, job.id, lambda view: view.progress.message == "waiting for free space on the disk", "so")
        view = _end(jobs, job.id)
    assert view.result == {"steps": 3, "starts": 2}


def test_a_process_that_is_always_killed_fails_after_three_tries_and_says_why(jobs, fragile_worker):
    job = jobs.enqueue("scrape", {"steps": 5, "fail": "killed"})
    with fragile_worker():
        view = _end(jobs, job.id)
    assert view.status == "failed"
    assert "its process died 3 times, the last time by Killed" in view.error
    assert "MB of memory" in view.error


def test_settings_that_cannot_be_read_are_one_message(jobs, fragile_environment, fragile_worker, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(fragile_environment.pop("PIKA_S3_SECRET_KEY"))
    with fragile_worker(PIKA_S3_SECRET_KEY_FILE=str(secret)) as process:
        first = jobs.enqueue("scrape", {"steps": 1})
        assert _end(jobs, first.id).status == "finished"
        secret.write_text("")
        job = jobs.enqueue("scrape", {"steps": 1})
        view = _end(jobs, job.id, 20)
        log = process.log.read_text()
    assert view.status == "failed"
    assert "PIKA_S3_SECRET_KEY" in view.error
    assert log.count("horse: ") == 1


def test_a_job_of_a_dead_worker_elsewhere_runs_again_within_a_minute(jobs, fragile_worker):
    job = jobs.enqueue("scrape", {"steps": STEPS, "seconds": SECONDS})
    with fragile_worker(host="another-host") as process:
        _until(jobs, job.id, lambda view: view.progress.done >= 5, "it has begun")
        with fragile_worker():
            process.kill()
            killed_at = time.monotonic()
            view = _end(jobs, job.id, 75)
    assert view.result == {"steps": STEPS, "starts": 2}
    assert time.monotonic() - killed_at < 60 + STEPS * SECONDS


def test_a_live_worker_keeps_its_job_when_all_records_have_expired(jobs, fragile_servers, fragile_worker):
    """An outage longer than a worker's record lives: the other, idle worker must not take the job."""
    job = jobs.enqueue("scrape", {"steps": 500, "seconds": SECONDS})
    with fragile_worker(host="another-host"):
        _until(jobs, job.id, lambda view: view.progress.done >= 5, "it has begun")
        with fragile_worker():
            fragile_servers.valkey.pause()
            time.sleep(32)
            fragile_servers.valkey.resume()
            view = _end(jobs, job.id, 120)
    assert view.result == {"steps": 500, "starts": 1}


@pytest.mark.slow
def test_a_worker_that_was_frozen_and_lost_its_job_ends_its_child(jobs, fragile_worker):
    """Frozen beyond every time limit, like a suspended machine: its child must not write as well."""
    job = jobs.enqueue("scrape", {"steps": 600, "seconds": SECONDS})
    with fragile_worker(host="another-host") as frozen:
        _until(jobs, job.id, lambda view: view.progress.done >= 5, "it has begun")
        processes = [psutil.Process(frozen.pid), *psutil.Process(frozen.pid).children(recursive=True)]
        for process in processes:
            process.suspend()
        with fragile_worker():
            threading.Event().wait(30)
            _until(jobs, job.id, lambda view: view.progress.done < 300 and view.status == "running", "again")
            _until(jobs, job.id, lambda view: _starts(jobs, view) == 2, "it runs elsewhere", 60)
            for process in processes:
                process.resume()
            wait_for(lambda: not psutil.Process(frozen.pid).children(), "the old child ends", 20)
            assert _end(jobs, job.id, 120).result == {"steps": 600, "starts": 2}


def _starts(_jobs, view):
    return view.progress.details.get("starts")
