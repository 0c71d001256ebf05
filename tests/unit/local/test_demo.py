"""The demo's own decisions (the threshold, resuming after an interruption), against a fake stack."""

import base64
import json
from typing import Any

import pytest

from pikastack.cli.options import Session
from pikastack.cli.terminal import JobFailed, Terminal
from pikastack.client import Answer, ServiceError
from pikastack.demo import report as demo_report
from pikastack.demo import way as demo
from pikastack.demo.results import Choice
from pikastack.stack.state import StateFolder

CLASSIFIER = {
    "version": "v1",
    "roc_auc": 0.98765,
    "pr_auc": 0.9,
    "recommended_threshold": 0.95,
    "validation": {
        "calibration_error": 0.05,
        "at_thresholds": [
            {"threshold": 0.5, "accuracy": 0.9375, "precision": 1.0, "recall": 0.875},
            {"threshold": 0.95, "accuracy": 0.5, "precision": None, "recall": 0.0},
        ],
    },
}
GAN = {
    "model_version": "v1",
    "steps": 100,
    "minutes": 9.0,
    "num_pictures": 5,
    "kid": 0.0123,
    "kid_interval": [0.01, 0.02],
    "diversity": 0.91,
    "collapsed": False,
    "near_copy_rate": 0.015,
    "recall": 0.31,
    "likeness": 0.82,
    "pictures": {"kind": "figures", "num_looked_at": 9, "left_out": {"busy_ground": 4}},
    "warnings": ["watch out"],
    "passed_gate": True,
}


class FakeStack:
    """Responds as the services do; `passing` maps thresholds to the number of pictures that reach them."""

    url = "http://127.0.0.1:1"

    def __init__(self, passing: dict[float, int]):
        self.passing = passing
        self.jobs: dict[str, dict[str, Any]] = {}
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.failing = ""
        self.error_kind = "bug"

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
            "/classifier/train": CLASSIFIER,
            "/gan/train": GAN,
        }
        threshold = body.get("threshold") or 0.95
        result = results.get(path) or {"threshold": threshold, "chosen": self.passing[threshold]}
        view = {"id": f"job{len(self.jobs)}", "name": path, "status": "finished", "result": result}
        if path == self.failing:
            view |= {"status": "failed", "error": "no", "error_kind": self.error_kind}
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


def test_the_cards_threshold_is_kept_where_it_leaves_enough(make):
    stack = FakeStack({0.95: 250})
    results = make(stack).run()
    assert thresholds(stack) == [None]
    assert results.choice == results.at_recommended == Choice(0.95, 250)


def test_the_threshold_is_lowered_only_as_far_as_is_needed(make, capsys):
    stack = FakeStack({0.95: 20, 0.9: 42, 0.8: 61})
    results = make(stack).run()
    assert thresholds(stack) == [None, 0.9, 0.8]
    assert (results.choice, results.at_recommended) == (Choice(0.8, 61), Choice(0.95, 20))
    assert "only 20 pictures reach 0.95: lowering the threshold to 0.9" in capsys.readouterr().err
    assert "**the threshold was lowered**: at 0.95" in demo_report.as_markdown(results)


def test_below_one_half_it_is_never_lowered(make):
    stack = FakeStack(dict.fromkeys((0.95, *demo.LOWER_THRESHOLDS), 50))
    assert make(stack).run().choice == Choice(0.5, 50)


@pytest.mark.parametrize("step", ["/classifier/train", "/filter", "/gan/train"])
def test_pictures_that_are_not_enough_end_the_way_with_a_report(make, step):
    """As with a folder of landscapes: the report says what was missing, and nothing is drawn."""
    stack = FakeStack({0.95: 250})
    stack.failing, stack.error_kind = step, "user"
    results = make(stack).run()
    assert results.shortfalls == [f"{step}: no"]
    assert results.files == {}
    assert bool(results.verdicts) == (step != "/classifier/train")
    text = demo_report.as_markdown(results)
    assert f"- {step}: no" in text
    assert "/generate" not in text
    json.dumps(results.to_json())


def test_a_generator_with_faults_is_shown_by_its_version(make, monkeypatch):
    monkeypatch.setitem(GAN, "passed_gate", False)
    stack = FakeStack({0.95: 250})
    results = make(stack).run()
    drawn = [body for path, body in stack.posted if path == "/generate"]
    assert {(body["model_version"], body["candidates"]) for body in drawn} == {("v1", 1)}
    commands = demo_report.commands(results, "./run")
    assert "&model_version=v1" in commands
    assert "generate -n 16 --grid --model-version v1 --out" in commands


def test_a_generator_with_a_critic_shows_what_it_chooses_among_candidates(make, monkeypatch):
    monkeypatch.setitem(GAN, "best_of", {"candidates": 4, "kid": 0.0087, "likeness": 0.95})
    stack = FakeStack({0.95: 250})
    results = make(stack).run()
    assert [body["candidates"] for path, body in stack.posted if path == "/generate"] == [4, 4, 4]
    text = demo_report.as_markdown(results)
    assert "chose among up to 4 for each seed**: KID × 1000 9, put together 0.95" in text
    assert "/generate?seed=7&size=256&candidates=4'" in text
    assert "generate -n 16 --grid --candidates 4 --out" in text
    json.dumps(results.to_json())


def test_an_interrupted_demo_does_not_train_the_classifier_again(make):
    stack = FakeStack({0.95: 250})
    stack.failing = "/gan/train"
    with pytest.raises(JobFailed):
        make(stack).run()
    stack.failing = ""
    make(stack).run()
    paths = [path for path, _ in stack.posted]
    assert paths.count("/classifier/train") == 1
    assert paths.count("/filter") == 1
    # The failed one is tried again.
    assert paths.count("/gan/train") == 2


def test_a_demo_after_a_complete_one_starts_anew(make):
    stack = FakeStack({0.95: 250})
    make(stack).run()
    make(stack).run()
    assert [path for path, _ in stack.posted].count("/classifier/train") == 2


def test_jobs_of_a_stack_that_was_emptied_are_started_again(make):
    first = FakeStack({0.95: 250})
    first.failing = "/gan/train"
    with pytest.raises(JobFailed):
        make(first).run()
    second = FakeStack({0.95: 250})
    make(second).run()
    assert [path for path, _ in second.posted].count("/classifier/train") == 1


def test_sheets_and_single_pictures_are_saved_and_told(make, tmp_path):
    results = make(FakeStack({0.95: 250})).run()
    assert (tmp_path / "out" / "sheet-25.png").read_bytes() == b"sheet"
    singles = sorted((tmp_path / "out" / "singles").iterdir())
    assert len(singles) == demo.NUM_SINGLES
    assert all(path.exists() for path in results.files.values())
    assert [verdict.file for verdict in results.verdicts[-2:]] == [
        "valids/pikachu/1.png",
        "valids/others/1.png",
    ]


def test_the_report_tells_the_counts_and_figures(make):
    text = demo_report.as_markdown(make(FakeStack({0.95: 250})).run(), "PIKASTACK_STATE='x' ./run")
    assert "9 files: 8 taken" in text
    assert "1 byte for byte, 1 near" in text
    assert "judged Pikachu: 250 at a threshold of 0.95" in text
    assert "lowered" not in text
    assert "ROC AUC 0.988, PR AUC 0.9, calibration error 0.05" in text
    assert "| 0.5 | 0.938 | 1 | 0.875 |" in text
    assert "| 0.95 | 0.5 | – | 0 |" in text
    assert "KID × 1000: 12 (95 %: 10–20)" in text
    assert "collapsed: no" in text
    assert "figures cut out of 9 pictures (left out: busy ground 4)" in text
    assert "recall: 0.31; put together as real ones are: 0.82" in text
    assert "**warning**: watch out" in text
    assert "Yes from a probability of 0.95, which its card recommends." in text
    assert "| valids/others/1.png | yes | 1.0000 |" in text
    assert "curl -o pikachu.png 'http://127.0.0.1:1/generate?seed=7&size=256'" in text
    assert "PIKASTACK_STATE='x' ./run down" in text
