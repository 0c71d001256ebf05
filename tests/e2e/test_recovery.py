"""What is killed restarts, and data survives."""

import signal
import time

import psutil
from servers import wait_for


def has_ended(process):
    """Return whether it is gone or a zombie: in a container without an init process nobody reaps those."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_killed_gan_worker_goes_on_from_its_checkpoint(stack, filtered):
    # Checkpoints are at most a minute apart: the run is long enough to have one before it is killed.
    job_id = stack.start_job("/gan/train", {"preset": "tiny", "minutes": 0.8})
    wait_for(
        lambda: (
            (sample := stack.get(f"/gan/samples/{job_id}").json).get("step") and sample
            if stack.request("GET", f"/gan/samples/{job_id}").status == 200
            else None
        ),
        "the run has a checkpoint in the bucket",
        240,
    )
    (worker,) = stack.processes("pika_kit.worker gan")
    (child,) = worker.children()
    worker.send_signal(signal.SIGKILL)
    # The supervisor starts another worker, which finds the job and goes on.
    wait_for(lambda: has_ended(child), "the killed worker's child is gone", 10)
    wait_for(lambda: stack.processes("pika_kit.horse"), "the job runs again", 60)
    ended = stack.wait_for_job(job_id, 300)
    assert ended["status"] == "finished", ended
    assert ended["result"]["resumed_from"] > 0
    assert ended["result"]["steps"] > ended["result"]["resumed_from"]


def test_down_and_up_keep_data_and_models(stack, generator):
    # A newly published version is served a moment later: the front end loads it first.
    wait_for(lambda: _served(stack) == stack.get("/gan/models").json["current"], "the current version", 60)
    before = stack.get("/generate?seed=11").data
    buckets = stack.get("/buckets").json
    versions = stack.get("/gan/models").json
    jobs = {job["id"] for job in stack.get("/jobs?limit=500").json["jobs"]}
    pids = [process.pid for process in stack.processes("")]
    stack.cli("down")
    time.sleep(0.5)
    assert not [process for process in stack.processes("") if process.pid in pids]
    stack.up()
    assert _served(stack) == versions["current"]
    assert stack.get("/generate?seed=11").data == before
    assert stack.get("/buckets").json == buckets
    assert stack.get("/gan/models").json == versions
    assert {job["id"] for job in stack.get("/jobs?limit=500").json["jobs"]} >= jobs


def _served(stack):
    return stack.get("/generate?seed=11").headers["X-Model-Version"]


def test_a_second_up_finds_the_first(stack):
    url = stack.url
    again = stack.up()
    assert again["ran_already"]
    assert again["url"] == url
