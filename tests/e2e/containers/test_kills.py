"""Whatever is killed during the whole way, the engine restarts it and the result is the same."""

import contextlib

import pytest
from servers import wait_for
from steps import speak_to, up, walk

ALL = (
    "front",
    "scraper",
    "classifier",
    "gan",
    "scraper-worker",
    "classifier-worker",
    "gan-worker",
    "minio",
    "valkey",
)
CRASHES = {
    "upload": ("scraper-worker", "scraper", "valkey"),
    "classifier": ("classifier-worker", "minio", "classifier"),
    "filter": ("valkey", "minio"),
    "gan": ("gan-worker", "front", "gan"),
}
"""Step → what ends, one after the other, while its job runs."""


@pytest.fixture
def patient(another, tmp_path):
    """A running project, with a client that retries while a service restarts."""
    project = another()
    up(project)
    stack = speak_to(project, tmp_path)
    once = stack.request

    def request(method, path, **options):
        def ask():
            with contextlib.suppress(Exception):
                answer = once(method, path, **options)
                return answer if answer.status < 500 else None

        return wait_for(ask, f"an answer to {method} {path}", 90)

    stack.request = request
    return project, stack


def test_every_container_crashes_during_the_walk(patient, drawn, walked):
    project, stack = patient

    def crash(step):
        for service in CRASHES[step]:
            project.crash(service)

    assert {service for step in CRASHES.values() for service in step} == set(ALL)
    results = walk(stack, drawn, at=crash)
    assert results == walked
    restarts = project.restarts()
    assert all(restarts[service] >= 1 for service in ALL), restarts


@pytest.mark.parametrize(
    ("worker", "path", "arguments"),
    [
        ("scraper-worker", "/prepare", {}),
        ("classifier-worker", "/classifier/train", {"preset": "tiny"}),
        ("gan-worker", "/gan/train", {"preset": "tiny", "steps": 120}),
    ],
)
def test_the_process_of_a_job_crashes_and_the_job_ends_well(project, stack, walked, worker, path, arguments):
    before = stack.get("/buckets").json
    job_id = stack.start_job(path, arguments)
    wait_for(lambda: killed_child(project, worker), "its job runs", 60)
    view = stack.wait_for_job(job_id, 240)
    assert view["status"] == "finished", view
    assert stack.get("/buckets").json == before
    assert project.restarts()[worker] == 0


def killed_child(project, worker):
    """Return whether there was a child to end."""
    try:
        project.crash_child(worker)
    except (ValueError, ProcessLookupError):
        return False
    return True


@pytest.mark.parametrize("service", ALL)
def test_what_an_operator_kills_comes_back_by_up(project, stack, walked, service):
    """The engine takes `kill` as the operator's decision and does not restart the container."""
    before = stack.get("/buckets").json
    job_id = (
        stack.start_job("/gan/train", {"preset": "tiny", "steps": 30})
        if service in ("minio", "valkey")
        else None
    )
    project.compose("kill", service)
    up(project)
    if job_id:
        assert stack.wait_for_job(job_id, 240)["status"] == "finished"
    assert stack.get("/buckets").json == before
    assert stack.get("/generate?seed=1").status == 200
