"""Every command of `pikastack` against a running stack, as used by a person or a script."""

import json
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pika_drawings import write_collection


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    """A folder of twelve drawn pictures."""
    folder = tmp_path_factory.mktemp("some") / "pictures"
    write_collection(folder, num_pikachu=7, num_others=5, seed=77)
    return folder


@pytest.fixture
def pictures_server(some):
    """The same pictures served over HTTP on loopback, which the scraper refuses to fetch."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(some))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_scrape_takes_folders_zips_files_and_lists(stack, some, pictures_server, tmp_path):
    files = sorted(some.iterdir())
    first = stack.cli("scrape", str(some))
    assert first["reports"][0]["looked_at"] == len(files)
    taken = first["reports"][0]["taken"]
    assert taken >= 8
    # A zip of the same folder, and one of its files: all of it is already known.
    packed = tmp_path / "pictures.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in files:
            archive.write(path, path.name)
    for source in (packed, next(path for path in files if path.suffix == ".jpg")):
        report = stack.cli("scrape", str(source))["reports"][0]
        assert report["taken"] == 0, report
        assert report["exact_duplicates"] + report["already_there"] >= 1
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{pictures_server}/{path.name}\n" for path in files[:3]))
    refused = stack.cli("scrape", str(listed))["reports"][0]
    assert refused["refused_by_reason"] == {"port_refused": 3}
    assert pictures_server not in json.dumps(refused["samples"])


def test_label_train_filter_and_ask(stack, filtered, drawn):
    folder, _truth = drawn
    assert stack.cli("label")["labels"]["trains"] == {"pikachu": 24, "others": 24}
    stack.cli("train", "classifier", "--preset", "quickest", status=1)
    started = stack.cli("train", "classifier", "--preset", "finetuned", "--seed", "1", "--no-wait")
    assert started["status"] in ("queued", "running")
    assert stack.cli("jobs", "cancel", started["id"])["id"] == started["id"]
    cancelled = stack.wait_for_job(started["id"], 60)
    assert cancelled["status"] == "cancelled"
    assert cancelled["arguments"] == {"preset": "finetuned", "seed": 1, "activate": True}
    assert stack.cli("jobs", "watch", started["id"], status=1) is None
    result = stack.cli("filter", "--threshold", "0.5")["result"]
    assert result["threshold"] == 0.5
    by_default = stack.cli("filter")["result"]
    assert by_default["precision"] == _card(stack)["recommended_precision"]
    aimed = stack.cli("filter", "--precision", "0.6", "--dry-run")["result"]
    assert (aimed["precision"], aimed["dry_run"], aimed["added"]) == (0.6, True, 0)
    assert aimed["threshold"] <= by_default["threshold"]
    good = next((folder / "labels" / "valids" / "pikachu").iterdir())
    answers = stack.cli("is-pikachu", str(good))["answers"]
    assert answers[0]["threshold"] == _card(stack)["recommended_threshold"]
    broken = folder / "broken.jpg"
    broken.write_bytes(b"no picture")
    assert stack.cli("is-pikachu", str(good), str(broken), status=1)["answers"][1]["status"] == 415


def _card(stack):
    models = stack.get("/classifier/models").json
    (card,) = [card for card in models["models"] if card["is_current"]]
    return card


def test_models_are_listed_and_chosen(stack, generator):
    models = stack.cli("models")
    assert set(models) == {"classifier", "gan"}
    version = models["gan"]["current"]
    assert stack.cli("models", "--use", "gan", version)["current"] == version
    assert stack.cli("models", "--use", "gan", "v99", status=1) is None


def test_versions_are_evaluated_side_by_side(stack, generator, classifier):
    version = stack.cli("models")["gan"]["current"]
    (row,) = stack.cli("evaluate", version)["versions"]
    assert row["version"] == version
    assert 0 <= row["called_pikachu"] <= 1
    assert row["kid_interval"][0] <= row["kid_interval"][1]
    assert "called_pikachu" not in stack.cli("evaluate", "--no-ask")["versions"][0]
    assert stack.cli("evaluate", "v99", status=2) is None


def test_jobs_status_and_logs(stack, scraped):
    jobs = stack.cli("jobs", "list", "--limit", "500")["jobs"]
    shown = stack.cli("jobs", "show", jobs[-1]["id"])
    assert shown["id"] == jobs[-1]["id"]
    assert stack.cli("jobs", "show", "never-was", status=1) is None
    status = stack.cli("status")
    assert status["status"] == "ready"
    assert {part["status"] for part in status["parts"].values()} == {"up"}
    logs = stack.cli("logs", "gan", "-n", "5")
    assert list(logs) == ["gan"]
    assert len(logs["gan"]) == 5


def test_generate_writes_sheets_and_pictures(stack, generator, tmp_path):
    sheet = stack.cli("generate", "-n", "9", "--grid", "--out", str(tmp_path / "sheet.png"))["pictures"]
    assert len(sheet[0]["seeds"]) == 9
    singles = stack.cli("generate", "--seeds", "0,4-5", "--format", "webp", "--out", str(tmp_path / "out"))
    assert [item["seeds"] for item in singles["pictures"]] == [[0], [4], [5]]
    assert len(list((tmp_path / "out").glob("*.webp"))) == 3
    assert stack.cli("generate", "--candidates", "2", "--out", str(tmp_path / "none"), status=1) is None
    assert not (tmp_path / "none").exists(), "the preset tiny has no critic to choose by"
