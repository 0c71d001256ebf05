"""The scraper's HTTP interface, on a store in memory and a queue that only records."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from contextlib import suppress

import conformance
import numpy as np
import pytest
from arro3.io import read_parquet
from scraper_samples import take_here

from pika_kit import images
from pika_kit.pictures import PictureBucket
from pika_kit.queue import JobView, Progress
from pika_kit.stages import Bucket
from pika_kit.testing import settings_for_tests
from pika_scraper import jobs
from pika_scraper.app import create_app
from pika_scraper.config import RequestLimits
from pika_scraper.intake.provenance import make_origin
from pika_scraper.prepare import prepare_bucket
from pika_scraper.views.provenance import FIELDS


class NotingQueue:
    """Accepts jobs and runs none."""

    def __init__(self) -> None:
        self.enqueued: list[tuple[str, dict]] = []

    def enqueue(self, name, arguments):
        json.dumps(arguments)
        self.enqueued.append((name, arguments))
        job_id = f"job{len(self.enqueued)}"
        return JobView(job_id, name, "queued", arguments, Progress(), None, None, "now", None, None)


@pytest.fixture
def app(memory_store, root, tmp_path):
    settings = settings_for_tests(tmp_path / "state", scrape_roots=(root,), max_upload_bytes=3_000_000)
    app = create_app(settings, store=memory_store, queue=NotingQueue())
    conformance.install(app)
    return app


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def enqueued(app):
    return app.config["PIKA"].queue.enqueued


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def files(*pairs):
    return {"file": [(io.BytesIO(data), name) for name, data in pairs]}


def test_one_picture_as_the_body(client, make_picture, memory_store, enqueued):
    data = make_picture(1)
    answer = client.post("/images", data=data)
    picture_id = images.sha256(data)
    assert answer.status_code == 201
    assert answer.json["pictures"] == [
        {"name": "body", "id": picture_id, "duplicate": False, "format": "png", "width": 120, "height": 90}
    ]
    assert client.get(answer.headers["Location"]).data == data
    again = client.post("/images", data=data, content_type="image/jpeg")
    assert (again.status_code, again.json["exact_duplicates"]) == (200, 1)
    assert len(PictureBucket(memory_store, Bucket.RAW).provenance(picture_id)["origins"]) == 1
    assert enqueued == []


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"", 422, "empty"),
        (b"<html></html>", 415, "not_a_picture"),
        (b"<svg/>", 415, "unsupported_format"),
        (b"\x89PNG\r\n\x1a\n", 422, "damaged"),
    ],
)
def test_a_bad_body_is_answered_by_its_problem_and_a_bad_file_of_a_form_in_the_list(
    client, data, status, reason
):
    answer = client.post("/images", data=data)
    assert (answer.status_code, answer.json["reason"]) == (status, reason)
    assert answer.content_type == "application/problem+json"
    assert answer.json["request_id"]
    listed = client.post("/images", data=files(("bad.png", data)))
    assert listed.status_code == 200
    (one,) = listed.json["pictures"]
    assert (one["name"], one["problem"]["status"], one["problem"]["reason"]) == ("bad.png", status, reason)


def test_many_files_are_answered_in_the_order_sent(client, make_picture):
    sent = files(
        ("a.png", make_picture(1)), ("ピカチュウ.jpg", make_picture(1)), ("page.html", b"<html>"),
        ("cut.png", make_picture(2)[:99]), ("b.webp", make_picture(3, name="WEBP")),
    )  # fmt: skip
    answer = client.post("/images", data=sent)
    assert answer.status_code == 201
    listed = answer.json["pictures"]
    assert [entry["name"] for entry in listed] == [
        "a.png",
        "ピカチュウ.jpg",
        "page.html",
        "cut.png",
        "b.webp",
    ]
    assert [entry.get("duplicate") for entry in listed] == [False, True, None, None, False]
    statuses = [entry.get("problem", {}).get("status") for entry in listed]
    assert statuses == [None, None, 415, 422, None]
    counts = {key: answer.json[key] for key in ("looked_at", "taken", "exact_duplicates", "refused")}
    assert counts == {"looked_at": 5, "taken": 2, "exact_duplicates": 1, "refused": 2}
    assert answer.json["refused_by_reason"] == {"not_a_picture": 1, "damaged": 1}


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (RequestLimits(max_pixels=2 * 120 * 90), "request_too_large"),
        (RequestLimits(max_seconds=0.0), "request_too_slow"),
    ],
)
def test_what_is_too_much_for_one_request_is_refused_by_name(
    client, make_picture, monkeypatch, limits, reason
):
    monkeypatch.setattr("pika_scraper.views.uploads.RequestLimits", lambda: limits)
    answer = client.post("/images", data=files(*[(f"{seed}.png", make_picture(seed)) for seed in range(4)]))
    outcomes = [picture.get("problem", {}).get("reason", "taken") for picture in answer.json["pictures"]]
    assert outcomes == ["taken"] * (2 if reason == "request_too_large" else 0) + [reason] * (
        2 if reason == "request_too_large" else 4
    )
    assert answer.json["pictures"][-1]["problem"]["status"] == 413


def test_an_upload_without_a_job_is_deleted(client, app, make_picture, memory_store, monkeypatch):
    def enqueue(*_given):
        raise ConnectionError("the queue is away")

    monkeypatch.setattr(app.config["PIKA"].queue, "enqueue", enqueue, raising=True)
    with suppress(ConnectionError):
        client.post("/images", data=zipped({"a.png": make_picture(1)}))
    assert not list(memory_store.list(Bucket.RAW, "uploads/"))


def test_uploads_whose_job_never_ran_are_deleted_by_the_next_job(make_context, memory_store, root):
    (root / "none").mkdir()
    for name in ("old", "new"):
        memory_store.put(Bucket.RAW, f"uploads/{name}.zip", b"PK")
    memory_store.age(Bucket.RAW, "uploads/old.zip", 8 * 86_400)
    jobs.scrape(make_context(), source="folder", location="none")
    assert [info.key for info in memory_store.list(Bucket.RAW, "uploads/")] == ["uploads/new.zip"]


def test_pictures_are_prepared_on_request(client, make_picture, enqueued):
    answer = client.post("/images?prepare=true", data=make_picture(1))
    assert answer.json["job"]["name"] == "prepare"
    client.post("/images?prepare=true", data=make_picture(1))
    assert enqueued == [("prepare", {})]


def test_a_zip_becomes_a_job_that_also_prepares(client, make_picture, enqueued, memory_store):
    data = zipped({"a.png": make_picture(1)})
    for body in (data, files(("pictures.zip", data))):
        answer = client.post("/images", data=body)
        assert answer.status_code == 202
        assert answer.headers["Location"] == f"/jobs/{answer.json['id']}"
    name, arguments = enqueued[0]
    assert (name, arguments["source"], arguments["then_prepare"]) == ("scrape", "zip", True)
    assert memory_store.get(Bucket.RAW, arguments["upload"]) == data


def test_a_small_zip_without_preparing_is_answered_at_once(client, make_picture, enqueued):
    data = zipped({"a.png": make_picture(1), ".DS_Store": b"x", "x/b.txt": b"words"})
    answer = client.post("/images?prepare=false", data=data)
    assert (answer.status_code, answer.json["taken"], answer.json["refused"]) == (201, 1, 1)
    assert answer.json["skipped"] == {"hidden": 1}
    many = zipped({f"{number}.png": b"x" for number in range(65)})
    assert client.post("/images?prepare=false", data=many).status_code == 202
    assert enqueued[0][1]["then_prepare"] is False


def test_a_zip_among_other_files_has_its_own_answer(client, make_picture, enqueued):
    many = zipped({f"{number}.png": b"x" for number in range(65)})
    few = zipped({"inside.png": make_picture(2)})
    sent = files(
        ("a.png", make_picture(1)), ("many.zip", many), ("few.zip", few), ("broken.zip", b"PK\x03\x04")
    )
    listed = client.post("/images", data=sent).json["pictures"]
    assert [entry["name"] for entry in listed] == ["a.png", "many.zip", "inside.png", "broken.zip"]
    assert [entry.get("problem", {}).get("reason") for entry in listed] == [
        None,
        "zip-not-alone",
        None,
        "zip-unreadable",
    ]
    assert enqueued == []


def test_a_broken_zip_is_a_problem(client):
    answer = client.post("/images", data=b"PK\x03\x04 and nothing more")
    assert (answer.status_code, answer.json["type"]) == (422, "urn:pikastack:problem:zip-unreadable")


def test_an_oversized_body_is_413_and_no_files_are_422(client):
    assert client.post("/images", data=bytes(3_000_001)).status_code == 413
    answer = client.post("/images", data={}, content_type="multipart/form-data")
    assert (answer.status_code, answer.json["type"]) == (422, "urn:pikastack:problem:no-files")


def test_nothing_is_ignored(client, make_picture):
    answer = client.post("/images", data={"note": "a field"}, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert [error["where"] for error in answer.json["errors"]] == ["note"]
    answer = client.post("/images?prepared=true", data=make_picture(1))
    assert answer.status_code == 422
    assert answer.json["errors"] == [
        {"where": "prepared", "expected": "one of prepare", "received": "an unknown parameter"}
    ]
    both = client.post("/scrape", json={"source": "folder", "sources": ["urls"]})
    assert (both.status_code, both.json["type"]) == (422, "urn:pikastack:problem:request-invalid")


def test_pages_of_a_bucket_come_with_provenance(client, make_picture):
    ids = sorted(
        client.post("/images", data=make_picture(number)).json["pictures"][0]["id"] for number in range(7)
    )
    seen, cursor = [], ""
    for _ in range(3):
        page = client.get(f"/images?bucket=raw&limit=3&cursor={cursor}").json
        seen += page["pictures"]
        cursor = page["next_cursor"]
    assert cursor is None
    assert [picture["id"] for picture in seen] == ids
    assert seen[0]["provenance"]["origins"][0]["source"] == "upload"
    assert client.get("/images").json == {"bucket": "images", "pictures": [], "next_cursor": None}
    assert client.get("/images?bucket=models").status_code == 422
    assert client.get("/images?cursor=../x").status_code == 422


def test_a_picture_and_its_thumbnail(client, make_picture):
    data = make_picture(1, (400, 200))
    picture_id = client.post("/images", data=data).json["pictures"][0]["id"]
    whole = client.get(f"/images/{picture_id}?bucket=raw")
    assert (whole.data, whole.content_type) == (data, "image/png")
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    small = client.get(f"/images/{picture_id}?bucket=raw&size=64")
    picture = images.decode(small.data)
    assert (small.content_type, picture.width, picture.height) == ("image/jpeg", 64, 32)
    cached = client.get(f"/images/{picture_id}?bucket=raw", headers={"If-None-Match": whole.headers["ETag"]})
    assert (cached.status_code, cached.data) == (304, b"")


@pytest.mark.parametrize("picture_id", ["0" * 64, "nothing", "..%2f..%2fetc%2fpasswd"])
def test_an_unknown_picture_is_404(client, picture_id):
    answer = client.get(f"/images/{picture_id}?bucket=raw")
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


def test_near_duplicates_and_counts_can_be_looked_at(client, make_picture, make_context, decoders):
    kept = client.post("/images", data=make_picture(1, (300, 300))).json["pictures"][0]["id"]
    other = client.post("/images", data=make_picture(1, (300, 300), "JPEG")).json["pictures"][0]["id"]
    prepare_bucket(make_context(), decoders)
    first, second = sorted([kept, other])
    page = client.get("/images/near-duplicates").json
    (pair,) = page["near_duplicates"]
    assert {pair["id"], pair["duplicate_of"]} == {first, second}
    assert page["next_cursor"] is None
    counts = client.get("/buckets").json
    assert counts == {"buckets": {"raw": 2, "images": 1, "pikachu": 0}, "near_duplicates": 1}
    clusters = client.get("/images/clusters").json
    assert clusters["next_cursor"] is None
    (cluster,) = clusters["clusters"]
    assert (cluster["id"], [near["id"] for near in cluster["near_duplicates"]]) == (
        pair["duplicate_of"],
        [pair["id"]],
    )
    seen = client.get(cluster["sheet"])
    picture = images.decode(seen.data)
    assert (seen.content_type, picture.width, picture.height) == ("image/png", 2 * 192 + 2, 192)
    # Both tiles show the same picture, one of them after JPEG's losses.
    left, right = picture.pixels[:, :192].astype(int), picture.pixels[:, 194:].astype(int)
    assert np.abs(left - right).mean() < 8
    assert client.get(f"/images/clusters/{pair['id']}").status_code == 404
    assert client.get(f"/images/clusters?cursor={cluster['id']}").json["clusters"] == []


def test_where_pictures_came_from_can_be_downloaded(client, memory_store, make_picture):
    raw = PictureBucket(memory_store, Bucket.RAW)
    first = take_here(raw, make_picture(1), make_origin("folder", name="a.png", licence="CC0", author="=1+1"))
    take_here(
        raw, make_picture(1), make_origin("openverse", query="ピカチュウ", name='b", c', licence="by 4.0")
    )
    second = take_here(raw, make_picture(2), make_origin("upload", name="-c.png"))
    answer = client.get("/images/provenance?bucket=raw")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="provenance-raw.jsonl"'
    records = [json.loads(line) for line in answer.text.splitlines()]
    assert {(record["id"], record["source"], record["name"]) for record in records} == {
        (first.picture_id, "folder", "a.png"),
        (first.picture_id, "openverse", 'b", c'),
        (second.picture_id, "upload", "-c.png"),
    }
    assert all(set(record) == set(FIELDS) for record in records)
    assert records[0]["width"] == 120
    rows = list(csv.DictReader(io.StringIO(client.get("/images/provenance?bucket=raw&format=csv").text)))
    assert [(row["id"], row["query"]) for row in rows] == [
        (record["id"], record["query"] or "") for record in records
    ]
    # What a spreadsheet would evaluate is escaped.
    assert {row["author"] for row in rows} == {"'=1+1", ""}
    assert {row["name"] for row in rows} == {"a.png", 'b", c', "'-c.png"}
    parquet = client.get("/images/provenance?bucket=raw&format=parquet")
    assert parquet.content_type == "application/vnd.apache.parquet"
    table = {
        name: column.to_pylist()
        for batch in read_parquet(io.BytesIO(parquet.data))
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    assert list(table)[:4] == ["url", "key", "status", "error_message"]
    assert list(table["key"]) == [record["id"] for record in records]
    assert list(table["name"]) == [record["name"] for record in records]
    assert set(table["status"]) == {"success"}
    assert list(table["width"]) == [120, 120, 120]
    left = client.get("/images/provenance?bucket=raw&without_licence=CC0&without_source=upload").text
    assert [json.loads(line)["source"] for line in left.splitlines()] == ["openverse"]
    assert client.get("/images/provenance?bucket=models").status_code == 422


def test_a_scrape_is_accepted_as_a_job(client, root, enqueued):
    (root / "pictures").mkdir()
    answer = client.post("/scrape", json={"source": "folder", "location": "pictures", "limit": 5})
    assert answer.status_code == 202
    assert enqueued == [
        (
            "scrape",
            {"sources": ["folder"], "location": "pictures", "limit": 5, "then_prepare": True, "fit": "crop"},
        )
    ]
    client.post("/scrape", json={"sources": ["urls"], "urls": ["http://a.test/1.png"], "prepare": False})
    assert enqueued[1][1] == {
        "sources": ["urls"],
        "urls": ["http://a.test/1.png"],
        "then_prepare": False,
        "fit": "crop",
    }
    assert client.post("/prepare").status_code == 202
    assert enqueued[2] == ("prepare", {"fit": "crop"})
    # The article's command. Commons is only asked if a contact address is set.
    client.post("/scrape", json={"queries": "ピカチュウ,Pikachu, ポケモン", "limit": 10_000})
    assert enqueued[3][1]["sources"] == ["openverse"]
    assert enqueued[3][1]["queries"] == ["ピカチュウ", "Pikachu", "ポケモン"]


@pytest.mark.parametrize(
    ("body", "status", "type"),
    [
        ({}, 422, "source-unknown"),
        ({"source": "atlantis"}, 422, "source-unknown"),
        ({"sources": ["folder", "folder"]}, 422, "source-unknown"),
        ({"source": "openverse"}, 422, "source-arguments"),
        ({"source": "openverse", "queries": " , "}, 422, "source-arguments"),
        ({"source": "openverse", "queries": ["Pikachu"], "location": "x"}, 422, "source-arguments"),
        ({"source": "openverse", "queries": ["x" * 201]}, 422, "source-arguments"),
        ({"source": "commons", "queries": ["Pikachu"]}, 422, "source-arguments"),
        ({"sources": ["folder", "zip"]}, 422, "source-arguments"),
        ({"source": "folder", "location": "/etc"}, 403, "location-forbidden"),
        ({"source": "folder", "location": "../.."}, 403, "location-forbidden"),
        ({"source": "folder", "location": "nowhere"}, 422, "location-missing"),
        ({"source": "zip"}, 422, "source-arguments"),
        ({"source": "urls"}, 422, "source-arguments"),
        ({"source": "folder", "location": "x", "limit": 0}, 422, "request-invalid"),
        ({"source": "folder", "colour": "yellow"}, 422, "request-invalid"),
    ],
)
def test_a_scrape_that_cannot_work_is_refused_before_it_is_a_job(client, root, enqueued, body, status, type):
    answer = client.post("/scrape", json=body)
    assert (answer.status_code, answer.json["type"]) == (status, f"urn:pikastack:problem:{type}")
    assert enqueued == []
    assert str(root) not in answer.text


def test_no_roots_no_folders(memory_store, tmp_path):
    app = create_app(settings_for_tests(tmp_path))
    answer = app.test_client().post("/scrape", json={"source": "folder", "location": "/etc"})
    assert (answer.status_code, answer.json["type"]) == (403, "urn:pikastack:problem:location-forbidden")
    assert "PIKA_SCRAPE_ROOTS" in answer.json["detail"]


def test_the_service_needs_neither_tensorflow_nor_scipy_to_start():
    code = (
        "import sys, pika_scraper.app, pika_scraper.jobs\n"
        "print([name for name in ('tensorflow', 'keras', 'scipy', 'onnxruntime') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
