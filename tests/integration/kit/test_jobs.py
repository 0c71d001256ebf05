"""Jobs on a real Valkey, run by real workers that are stopped and killed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import rq
from servers import wait_for

from pika_kit.queue import SERIALIZER, JobExpired, JobUnknown, Once, OnceConflict
from pika_kit.stages import Bucket


def _end(queue, job_id, seconds=60):
    return wait_for(lambda: (view := queue.get(job_id)).is_over and view, f"job {job_id} ends", seconds)


def _progressed(queue, job_id, at_least=1):
    return wait_for(lambda: queue.get(job_id).progress.done >= at_least, f"job {job_id} makes progress", 30)


def _watched(jobs, job_id):
    """Collect all views until the job has ended."""
    views = []
    wait_for(lambda: views.append(jobs.get(job_id)) or views[-1].is_over, f"job {job_id} ends", 60)
    return views


@pytest.fixture
def jobs(queue, store):
    """The queue, on buckets that exist."""
    return queue


def test_a_job_reports_progress_and_its_result(jobs, fake_worker):
    job = jobs.enqueue("scrape", {"steps": 40})
    assert job.status == "queued"
    with fake_worker():
        views = _watched(jobs, job.id)
    running = [view for view in views if view.status == "running" and view.progress.total == 40]
    assert running, "progress was seen while it ran"
    assert running[-1].progress.details["square"] == running[-1].progress.done ** 2
    assert views[-1].status == "finished"
    assert views[-1].result == {"steps": 40, "starts": 1}


def test_errors_are_told_and_not_tried_again(jobs, fake_worker, store):
    told = jobs.enqueue("scrape", {"steps": 1, "fail": "error"})
    bug = jobs.enqueue("scrape", {"steps": 1, "fail": "bug"})
    with fake_worker():
        assert _end(jobs, told.id).error == "the fake was asked to fail"
        assert _end(jobs, bug.id).error == "ZeroDivisionError: division by zero"
        # A retried job would run before the one that was queued after it.
        assert _end(jobs, jobs.enqueue("scrape", {"steps": 1}).id).status == "finished"
    for job in (told, bug):
        assert jobs.get(job.id).status == "failed"
        assert store.get_json(Bucket.RUNS, f"fake/{job.id}.json")["starts"] == 1


def test_a_child_that_dies_is_started_again(jobs, fake_worker):
    job = jobs.enqueue("scrape", {"steps": 20, "die_at": 12})
    with fake_worker():
        assert _end(jobs, job.id).result == {"steps": 20, "starts": 2}


def test_a_worker_that_has_waited_for_long_takes_a_job_at_once(jobs, fake_worker):
    with fake_worker() as worker:
        assert _end(jobs, jobs.enqueue("scrape", {"steps": 1}).id).status == "finished"
        time.sleep(17)  # several times as long as a connection's time-out
        job = jobs.enqueue("scrape", {"steps": 1})
        wait_for(lambda: jobs.get(job.id).status != "queued", "it is taken", 1)
        assert _end(jobs, job.id).status == "finished"
        assert "could not connect" not in worker.log.read_text()


def test_a_worker_calls_nothing_but_the_jobs_there_are(jobs, fake_worker, tmp_path):
    """Write access to the queue must not allow calling arbitrary Python functions."""
    made = tmp_path / "made"
    queue = rq.Queue("scraper", connection=jobs.connection, serializer=SERIALIZER)
    evil = queue.enqueue("os.mkdir", str(made), retry=rq.Retry(max=10))
    good = jobs.enqueue("scrape", {"steps": 1})
    with fake_worker():
        assert _end(jobs, good.id).status == "finished"
        wait_for(lambda: evil.get_status() == "failed", "it has failed", 30)
    assert not made.exists()


def test_a_running_and_a_queued_job_can_be_cancelled(jobs, fake_worker):
    running = jobs.enqueue("scrape", {"steps": 10_000})
    queued = jobs.enqueue("scrape", {"steps": 1})
    with fake_worker():
        _progressed(jobs, running.id)
        assert jobs.cancel(queued.id).status == "cancelled"
        jobs.cancel(running.id)
        assert _end(jobs, running.id, 10).status == "cancelled"
    assert jobs.get(queued.id).status == "cancelled"


def test_a_stopped_worker_puts_its_job_back_and_the_next_one_goes_on(jobs, fake_worker):
    job = jobs.enqueue("scrape", {"steps": 60, "seconds": 0.1})
    with fake_worker() as process:
        _progressed(jobs, job.id, 5)
        process.terminate()
        assert process.wait(15) == 0
    assert jobs.get(job.id).status == "queued"
    with fake_worker():
        view = _end(jobs, job.id)
    assert view.result == {"steps": 60, "starts": 2}


def test_a_killed_worker_leaves_no_child_and_its_job_is_taken_up_by_the_next(jobs, fake_worker):
    import psutil

    job = jobs.enqueue("scrape", {"steps": 60, "seconds": 0.1})
    with fake_worker() as process:
        _progressed(jobs, job.id, 5)
        (child,) = [
            child for child in psutil.Process(process.pid).children() if "horse" in " ".join(child.cmdline())
        ]
        process.kill()
        process.wait()
        wait_for(
            lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "its child is gone", 5
        )
    with fake_worker():
        # Far less than the 65 s after which a worker's heartbeat expires.
        view = _end(jobs, job.id, 30)
    assert view.result == {"steps": 60, "starts": 2}


def test_the_childs_command_line_carries_no_password(jobs, fake_worker, stack_settings):
    import psutil

    job = jobs.enqueue("scrape", {"steps": 10_000})
    with fake_worker() as process:
        _progressed(jobs, job.id)
        (child,) = psutil.Process(process.pid).children()
        assert stack_settings.s3_secret_key.get_secret_value() not in " ".join(child.cmdline())
        jobs.cancel(job.id)
        _end(jobs, job.id, 10)


def test_unknown_and_expired_jobs_are_different_answers(jobs):
    with pytest.raises(JobUnknown):
        jobs.get("never-was")
    job = jobs.enqueue("scrape", {"steps": 1})
    jobs._fetch(job.id).delete()
    with pytest.raises(JobExpired):
        jobs.get(job.id)


def test_a_request_that_is_sent_again_starts_one_job(jobs):
    """Also with sixteen simultaneous ones."""
    arguments = {"steps": 1}
    once = Once.of("key-1", "app", arguments)
    start = threading.Barrier(16)

    def send(_number):
        start.wait()
        return jobs.enqueue_once("scrape", arguments, once)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(16)))
    assert len({view.id for view, _ in answers}) == 1
    assert sorted(was_there for _, was_there in answers) == [False] + [True] * 15
    assert len(jobs.list()) == 1
    assert jobs.connection.llen("rq:queue:scraper") == 1
    assert jobs.find(once).id == answers[0][0].id


def test_a_key_belongs_to_one_request_of_one_client(jobs):
    first, _ = jobs.enqueue_once("scrape", {"steps": 1}, Once.of("key-1", "app", {"steps": 1}))
    with pytest.raises(OnceConflict):
        jobs.enqueue_once("scrape", {"steps": 2}, Once.of("key-1", "app", {"steps": 2}))
    other, was_there = jobs.enqueue_once("scrape", {"steps": 1}, Once.of("key-1", "other", {"steps": 1}))
    assert other.id != first.id
    assert not was_there


def test_jobs_are_listed_newest_first(jobs):
    ids = [jobs.enqueue("scrape", {"steps": number}).id for number in range(3)]
    assert [view.id for view in jobs.list()] == ids[::-1]
    assert [view.arguments for view in jobs.list(1)] == [{"steps": 2}]
