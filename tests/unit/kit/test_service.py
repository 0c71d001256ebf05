"""The Flask base: what every response of every service has, tested without real servers."""

import pytest
from flask import jsonify, request

from pika_kit.models import NoModel, UnknownVersion
from pika_kit.queue import JobExpired, JobUnknown, JobView, OnceConflict, Progress
from pika_kit.service import Problem, create_app, request_id, start_job
from pika_kit.testing import settings_for_tests
from pika_kit.valkey import QueueUnavailable

KEY = "0123456789abcdef"


class FakeQueue:
    """Three jobs, one for each kind of response."""

    def __init__(self):
        self.seen = iter(range(10))
        self.remembered = {}
        self.starts = 0

    def probe(self):
        raise QueueUnavailable("the job queue does not answer")

    def enqueue(self, name, arguments):
        return self.get("here")

    def enqueue_once(self, name, arguments, once):
        earlier = self.remembered.setdefault(once.record, once.fingerprint)
        if earlier != once.fingerprint:
            raise OnceConflict(once.key)
        self.starts += 1
        return self.get("here"), self.starts > 1

    def get_many(self, job_ids):
        return {job_id: self.get(job_id) for job_id in job_ids}

    def get(self, job_id):
        if job_id == "gone":
            raise JobExpired(job_id)
        if job_id != "here":
            raise JobUnknown(job_id)
        done = next(self.seen)
        status = "finished" if done == 2 else "running"
        return JobView("here", "filter", status, {}, Progress(done, 2, ""), None, None, None, None, None)


@pytest.fixture
def make_client(tmp_path):
    """Return a function that creates a client of a service with changed settings."""

    def make(**changes):
        app = create_app("gan", "Draws", settings_for_tests(tmp_path, **changes), queue=FakeQueue())

        @app.route("/problem", methods=["POST"])
        def problem():
            raise Problem(422, "picture-unreadable", "Unreadable", "It is cut short", expected="a picture")

        @app.route("/bug")
        def bug():
            raise RuntimeError("secret detail /etc/passwd")

        @app.route("/no-model")
        def no_model():
            raise NoModel("no gan model is published yet")

        @app.route("/no-version")
        def no_version():
            raise UnknownVersion("v9")

        @app.route("/id")
        def identity():
            return jsonify(request_id())

        @app.route("/work", methods=["POST"])
        def work():
            return start_job("filter", request.get_json())

        return app.test_client()

    return make


@pytest.mark.parametrize(
    ("method", "path", "status", "type"),
    [
        ("POST", "/problem", 422, "picture-unreadable"),
        ("GET", "/nothing-here", 404, "not-found"),
        ("GET", "/problem", 405, "method-not-allowed"),
        ("GET", "/bug", 500, "internal-error"),
        ("GET", "/no-model", 503, "model-missing"),
        ("GET", "/no-version", 404, "model-version-unknown"),
        ("GET", "/jobs/never-was", 404, "job-unknown"),
        ("GET", "/jobs/gone", 410, "job-expired"),
        ("GET", "/jobs/never-was/events", 404, "job-unknown"),
        ("GET", "/jobs?limit=many", 422, "request-invalid"),
    ],
)
def test_every_error_is_a_problem_with_the_request_id(make_client, method, path, status, type):
    answer = make_client().open(path, method=method, headers={"X-Request-Id": "mine-1"})
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"] == f"urn:pikastack:problem:{type}"
    assert answer.json["status"] == status
    assert answer.json["request_id"] == answer.headers["X-Request-Id"] == "mine-1"
    assert "/etc/passwd" not in answer.text


def test_a_request_id_that_could_forge_log_lines_is_replaced(make_client):
    answer = make_client().get("/id", headers={"X-Request-Id": "a b"})
    assert answer.json == answer.headers["X-Request-Id"] != "a b"


def test_an_oversized_body_is_413_with_the_limit(make_client):
    client = make_client(max_upload_bytes=10)

    @client.application.route("/body", methods=["POST"])
    def body():
        return jsonify(len(request.get_data()))

    assert client.post("/body", data=b"x" * 10).json == 10
    answer = client.post("/body", data=b"x" * 11)
    assert answer.status_code == 413
    assert "10 bytes" in answer.json["detail"]


def test_without_keys_all_is_open_and_with_keys_only_health_is(make_client):
    assert make_client().get("/id").status_code == 200
    client = make_client(api_keys={"app": KEY, "other": "fedcba9876543210"})
    assert client.get("/health/live").status_code == client.get("/gan/health/live").status_code == 200
    # Prometheus scrapes it beside the service; the gateway only routes /gan/metrics.
    assert client.get("/metrics").status_code == 200
    for path in ("/id", "/gan/metrics", "/openapi.json", "/jobs/here", "/nothing-here", "/docs"):
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert "Bearer" in answer.headers["WWW-Authenticate"]
    for header in (KEY, f"Basic {KEY}", "Bearer wrong", f"Bearer {KEY}x", "Bearer "):
        assert client.get("/id", headers={"Authorization": header}).status_code == 401, header
    assert client.get("/id", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


def test_json_that_is_nested_too_deeply_is_refused(make_client):
    body = "[" * 100_000 + "]" * 100_000
    answer = make_client().post("/work", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["title"]) == (400, "The body cannot be read as JSON")


def test_readiness_tells_which_server_does_not_answer(make_client):
    answer = make_client().get("/health/ready")
    assert answer.status_code == 503
    assert "does not answer" in answer.json["checks"]["object store"]


def test_metrics_count_by_route_and_not_by_path(make_client):
    client = make_client()
    client.get("/jobs/some-job-id")
    client.open("/jobs/some-job-id", method="INVENTED-BY-A-CLIENT")
    text = client.get("/metrics").text
    assert "INVENTED" not in text
    assert 'route="/jobs/<job_id>"' in text
    assert "some-job-id" not in text


def test_the_openapi_document_and_its_page(make_client):
    client = make_client()
    document = client.get("/openapi.json").json
    assert {"/jobs", "/jobs/{job_id}", "/jobs/{job_id}/events", "/gan/health/ready"} <= set(document["paths"])
    assert client.get("/docs", follow_redirects=True).status_code == 200


def test_accepted_work_says_where_to_look(make_client):
    answer = make_client().post("/work", json={})
    assert answer.status_code == 202
    assert answer.headers["Location"] == "/jobs/here"


def test_work_that_is_sent_again_with_its_key_is_the_same_job(make_client):
    client = make_client()
    key = {"Idempotency-Key": "mine-1"}
    assert "Idempotency-Replayed" not in client.post("/work", json={"a": 1}, headers=key).headers
    again = client.post("/work", json={"a": 1}, headers=key)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    other = client.post("/work", json={"a": 2}, headers=key)
    assert (other.status_code, other.json["received"]) == (422, "mine-1")


def test_events_come_at_each_change_and_end(make_client):
    text = make_client().get("/jobs/here/events").text
    events = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert events == ["progress", "end"]
