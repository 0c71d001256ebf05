"""The demo's own decisions (the threshold, going on after an interruption) on a hand-written stack."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from pikastack import demo
from pikastack.client import Answer, ServiceError
from pikastack.options import Session
from pikastack.state import StateFolder
from pikastack.terminal import JobFailed, Terminal


class FakeStack:
    """Answers as the services do; `passing` tells how many pictures reach which threshold."""

    url = "http://127.0.0.1:1"

    def __init__(self, passing: dict[float, int]):
        self.passing = passing
        self.jobs: dict[str, dict[str, Any]] = {}
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.failing = ""

    def post(self, path: str, body: dict[str, Any]) -> Answer:
        self.posted.append((path, body))
        if path == "/generate":
            return self._drawn(body)
        results = {
            "/scrape": {
                "looked_at": 9,
                "taken": 8,
                "already_there": 0,
                "exact_duplicates": 1,
                "refused": 0,
                "refused_by_reason": {},
            },
            "/prepare": {"prepared": 8, "refused": 0, "refused_by_reason": {}},
            "/classifier/train": {"model_version": "v1"},
            "/gan/train": {"model_version": "v1", "steps": 10},
        }
        threshold = body.get("threshold") or 0.99
        result = results.get(path) or {"threshold": threshold, "chosen": self.passing[threshold]}
        view = {"id": f"job{len(self.jobs)}", "name": path, "status": "finished", "result": result}
        if path == self.failing:
            view |= {"status": "failed", "error": "no"}
        self.jobs[view["id"]] = view
        return Answer(202, {}, json.dumps(view).encode())

    def _drawn(self, body: dict[str, Any]) -> Answer:
        if body.get("grid"):
            return Answer(200, {"X-Seeds": "0,1"}, b"sheet")
        items = [{"b64_json": base64.b64encode(b"png").decode(), "seed": seed} for seed in range(body["n"])]
        return Answer(200, {}, json.dumps({"data": items}).encode())

    def post_bytes(self, path: str, data: bytes, content_type: str) -> Answer:
        return Answer(200, {}, json.dumps({"imported": 4}).encode())

    def post_files(self, path: str, files: list[tuple[str, bytes]]) -> Answer:
        return Answer(200, {}, json.dumps([{"is_pikachu": True, "probability": 1.0} for _ in files]).encode())

    def get(self, path: str, **query: Any) -> Answer:
        bodies = {
            "/buckets": {"buckets": {"raw": 8, "images": 7}, "near_duplicates": 1},
            "/labels": {"trains": {"pikachu": 1, "others": 1}, "valids": {"pikachu": 1, "others": 1}},
        }
        return Answer(200, {}, json.dumps(bodies.get(path, {})).encode())

    def job(self, job_id: str) -> dict[str, Any]:
        if job_id not in self.jobs:
            raise ServiceError("unknown", status=404)
        return self.jobs[job_id]


@pytest.fixture
def make(tmp_path):
    pictures, labels = tmp_path / "pictures", tmp_path / "labels"
    pictures.mkdir()
    for split in ("trains", "valids"):
        for label in ("pikachu", "others"):
            (labels / split / label).mkdir(parents=True)
            (labels / split / label / "1.png").write_bytes(b"x")

    def build(stack: FakeStack) -> demo.Demo:
        local = {"scrape_roots": [str(tmp_path)]}
        session = Session(stack, Terminal(), local)
        state = StateFolder(tmp_path / "state")
        return demo.Demo(session, state, demo.Sources(pictures, labels, False), tmp_path / "out", 9.0)

    return build


def thresholds(stack: FakeStack) -> list[float | None]:
    return [body.get("threshold") for path, body in stack.posted if path == "/filter"]


def test_the_operators_threshold_is_kept_where_it_leaves_enough(make):
    stack = FakeStack({0.99: 250})
    report = make(stack).run()
    assert thresholds(stack) == [None]
    assert report["filter"] == {"threshold": 0.99, "chosen": 250}


def test_the_threshold_is_lowered_only_as_far_as_is_needed(make, capsys):
    stack = FakeStack({0.99: 20, 0.95: 120, 0.9: 201})
    report = make(stack).run()
    assert thresholds(stack) == [None, 0.95, 0.9]
    assert report["filter"]["threshold"] == 0.9
    assert (report["default_threshold"], report["chosen_at_default"]) == (0.99, 20)
    assert "only 20 pictures reach 0.99: lowering the threshold to 0.95" in capsys.readouterr().err


def test_below_one_half_it_is_never_lowered(make):
    stack = FakeStack(dict.fromkeys((0.99, *demo.LOWER_THRESHOLDS), 60))
    assert make(stack).run()["filter"] == {"threshold": 0.5, "chosen": 60}


def test_an_interrupted_demo_does_not_train_the_classifier_again(make):
    stack = FakeStack({0.99: 250})
    stack.failing = "/gan/train"
    with pytest.raises(JobFailed):
        make(stack).run()
    stack.failing = ""
    make(stack).run()
    paths = [path for path, _ in stack.posted]
    assert paths.count("/classifier/train") == 1
    assert paths.count("/filter") == 1
    # The one that failed is tried again.
    assert paths.count("/gan/train") == 2


def test_a_demo_after_a_complete_one_starts_anew(make):
    stack = FakeStack({0.99: 250})
    make(stack).run()
    make(stack).run()
    assert [path for path, _ in stack.posted].count("/classifier/train") == 2


def test_jobs_of_a_stack_that_was_emptied_are_started_again(make):
    first = FakeStack({0.99: 250})
    first.failing = "/gan/train"
    with pytest.raises(JobFailed):
        make(first).run()
    second = FakeStack({0.99: 250})
    make(second).run()
    assert [path for path, _ in second.posted].count("/classifier/train") == 1


def test_sheets_and_single_pictures_are_saved_and_told(make, tmp_path):
    report = make(FakeStack({0.99: 250})).run()
    assert (tmp_path / "out" / "sheet-25.png").read_bytes() == b"sheet"
    singles = sorted((tmp_path / "out" / "singles").iterdir())
    assert len(singles) == demo.NUM_SINGLES
    assert all(Path(path).exists() for path in report["files"].values())
    assert [answer["file"] for answer in report["asked"][-2:]] == [
        "valids/pikachu/1.png",
        "valids/others/1.png",
    ]
