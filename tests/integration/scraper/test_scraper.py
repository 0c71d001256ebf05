"""The scraper under gunicorn with its worker, the object store and the queue, all real."""

import contextlib
import http.server
import io
import json
import re
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import urllib3
from PIL import Image
from servers import service, wait_for, worker
from service_client import Client

from pika_kit.pictures import PictureBucket
from pika_kit.stages import Bucket
from pika_kit.storage import Store


def picture(seed: int, size: tuple[int, int] = (160, 120), name: str = "PNG") -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(buffer, name)
    return buffer.getvalue()


@pytest.fixture
def environment(stack_environment, store):
    """The test's environment, with all buckets created."""
    return dict(stack_environment)


@contextlib.contextmanager
def running(environment, folder):
    """The scraper's front end and worker."""
    with service("scraper", environment, folder) as url, worker("scraper", environment, folder):
        yield Client(url)


def contents(store: Store) -> dict[str, str]:
    """Return key and content of what prepare and scrape write, without times and job ids."""
    texts = {}
    for bucket in (Bucket.RAW, Bucket.IMAGES):
        for info in store.list(bucket):
            text = store.get(bucket, info.key).hex()
            if info.key.endswith(".json"):
                text = re.sub(r'"(time|job)": "[^"]*"', "", store.get(bucket, info.key).decode())
            texts[f"{bucket}/{info.key}"] = text
    return texts


@contextlib.contextmanager
def picture_host(pages: dict[str, tuple[int, bytes]]):
    """Start a web server on loopback and yield its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, data = pages.get(self.path, (404, b""))
            self.send_response(status)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(data)))
            if status == 302:
                self.send_header("Location", data.decode())
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def test_upload_scrape_and_look(environment, tmp_path, store):
    folder = tmp_path / "found"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.png").write_bytes(picture(number))
    (folder / "copy of 1.png").write_bytes(picture(1))
    (folder / "smaller 2.jpg").write_bytes(picture(2, (80, 60), "JPEG"))
    (folder / "page.png").write_bytes(b"<html>")
    pages = {"/good.png": (200, picture(20)), "/gone.png": (404, b""), "/lie.png": (200, b"<html>")}
    with picture_host(pages) as port:
        pages["/inside.png"] = (302, b"http://127.0.0.1/")
        environment["PIKA_FETCH_ALLOW"] = f"127.0.0.1:{port}"
        with running(environment, tmp_path) as call:
            uploaded = call("POST", "/images", 201, body=picture(1))["pictures"][0]
            report = call.finished(
                call("POST", "/scrape", 202, json={"source": "folder", "location": "found"})
            )
            assert (report["taken"], report["exact_duplicates"]) == (6, 2)
            assert report["refused_by_reason"] == {"not_a_picture": 1}
            assert (report["prepared"]["prepared"], report["prepared"]["near_duplicates"]) == (6, 1)
            urls = [f"http://127.0.0.1:{port}{path}" for path in pages]
            report = call.finished(call("POST", "/scrape", 202, json={"source": "urls", "urls": urls}))
            assert report["taken"] == 1
            assert report["refused_by_reason"] == {"http_404": 1, "not_a_picture": 1, "address_refused": 1}
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w") as opened:
                opened.writestr("x/new.png", picture(30))
                opened.writestr(".hidden", b"x")
            report = call.finished(call("POST", "/images", 202, body=archive.getvalue()))
            assert (report["taken"], report["prepared"]["in_images"], report["skipped"]) == (
                1,
                8,
                {"hidden": 1},
            )
            listed = call("GET", "/images?bucket=images&limit=100", 200)["pictures"]
            assert len(listed) == 8
            origins = next(f for f in listed if f["id"] == uploaded["id"])["provenance"]["origins"]
            assert [origin["source"] for origin in origins] == ["upload", "folder", "folder"]
            assert call("GET", "/buckets", 200) == {
                "buckets": {"raw": 9, "images": 8, "pikachu": 0},
                "near_duplicates": 1,
            }
    assert [info.key for info in store.list(Bucket.RAW, "uploads/")] == []


def test_killed_in_the_middle_the_job_ends_with_the_same_buckets(environment, tmp_path, store):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(450):
        # Every third is a shrunken copy of the one before.
        is_copy = number % 3 == 2
        data = picture(number - is_copy, (90, 70) if is_copy else (200 + number, 150))
        (folder / f"{number:03}.png").write_bytes(data)
    body = {"source": "folder", "location": "many"}
    with service("scraper", environment, tmp_path) as url:
        call = Client(url)
        job = call("POST", "/scrape", 202, json=body)
        for name, total in ((Bucket.RAW, 450), (Bucket.IMAGES, 300)):
            bucket = PictureBucket(store, name)
            with worker("scraper", environment, tmp_path) as process:
                # The bucket tells sooner than the job's progress, which is sent 2.5 times a second.
                wait_for(lambda: bucket.count() >= 20, f"20 pictures in {bucket.bucket}", 120)  # noqa: B023
                process.kill()
            assert 20 <= bucket.count() < total
        with worker("scraper", environment, tmp_path):
            report = call.finished(job, 300)
        assert (report["looked_at"], report["taken"], report["exact_duplicates"]) == (450, 450, 0)
        disturbed = contents(store)
        for info in [*store.list(Bucket.RAW)]:
            store.delete(Bucket.RAW, info.key)
        for info in [*store.list(Bucket.IMAGES)]:
            store.delete(Bucket.IMAGES, info.key)
        with worker("scraper", environment, tmp_path):
            report = call.finished(call("POST", "/scrape", 202, json=body))
    assert report["prepared"]["near_duplicates"] == 150
    undisturbed = contents(store)
    assert {key for key in disturbed if "index/" not in key} == {
        key for key in undisturbed if "index/" not in key
    }
    for key, text in undisturbed.items():
        if "index/" not in key:
            assert disturbed[key] == text, key


def test_two_workers_on_one_bucket_lose_nothing_and_take_nothing_twice(environment, tmp_path, store):
    """Two simultaneous jobs: their folders share forty of eighty pictures and contain copies of ten."""
    shared = {f"{number}.png": picture(number, (100 + number, 90)) for number in range(40)}
    for place, first in (("left", 100), ("right", 200)):
        (tmp_path / place).mkdir()
        own = {f"{number}.png": picture(number, (100, 90)) for number in range(first, first + 40)}
        copies = {f"copy of {number}.png": picture(number, (60 + first // 10, 50)) for number in range(10)}
        for name, data in (shared | own | copies).items():
            (tmp_path / place / name).write_bytes(data)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with (
        service("scraper", environment, tmp_path) as url,
        worker("scraper", environment, tmp_path / "one"),
        worker("scraper", environment, tmp_path / "other"),
    ):
        call = Client(url)
        started = [
            call("POST", "/scrape", 202, json={"source": "folder", "location": place})
            for place in ("left", "right")
        ]
        reports = [call.finished(job) for job in started]
    assert sum(report["taken"] for report in reports) == 40 + 80 + 20
    assert sum(report["exact_duplicates"] for report in reports) == 40
    assert sum(report["prepared"]["prepared"] for report in reports) == 40 + 80
    assert sum(report["prepared"]["near_duplicates"] for report in reports) == 20
    raw = PictureBucket(store, Bucket.RAW)
    origins = [origin["name"] for picture_id in raw.ids() for origin in raw.provenance(picture_id)["origins"]]
    assert len(origins) == len(set(origins)) == 180
    assert PictureBucket(store, Bucket.IMAGES).count() == 120


def odd_files(folder: Path) -> dict[str, bool]:
    """Read the index of the odd files: name → whether it is readable (two are larger than allowed)."""
    index = {}
    for line in (folder / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("`"):
            name = cells[0].strip("`")
            index[name] = cells[3] == "yes" and "huge" not in name
    return index


def test_each_odd_file_gives_what_its_index_says(environment, tmp_path, store, test_data):
    folder = test_data / "odd-files"
    index = odd_files(folder)
    assert len(index) == 48
    num_good = sum(index.values())
    environment["PIKA_SCRAPE_ROOTS"] = str(test_data)
    with running(environment, tmp_path) as call:
        outcomes = {}
        for name in index:
            answer = urllib3.request(
                "POST", call.url + "/images", body=(folder / name).read_bytes(), timeout=60, retries=False
            )
            outcomes[name] = (answer.status, json.loads(answer.data))
        assert {name: status in (200, 201) for name, (status, _) in outcomes.items()} == index
        assert {status for status, _ in outcomes.values()} <= {200, 201, 415, 422}
        assert all(body["reason"] for status, body in outcomes.values() if status > 400)
        same = (
            "UPPER CASE name with spaces.JPG",
            "ピカチュウ.jpg",
            "no_extension",
            "query_string.jpg%3Fv=1591283409",
        )
        ids = {outcomes[name][1]["pictures"][0]["id"] for name in same}
        assert len(ids) == 1
        num_pictures = PictureBucket(store, Bucket.RAW).count()
        assert num_pictures == num_good - 3
        job = call("POST", "/scrape", 202, json={"source": "folder", "location": "odd-files"})
        report = call.finished(job)
    assert PictureBucket(store, Bucket.RAW).count() == num_pictures
    assert report["looked_at"] == 49  # the index itself is in the same folder
    assert report["exact_duplicates"] == num_good  # each good file was uploaded before, under another origin
    assert report["refused"] == 49 - num_good
    assert report["prepared"]["prepared"] + report["prepared"]["near_duplicates"] == num_pictures


def test_the_front_end_is_small_and_soon_ready(environment, tmp_path):
    start = time.monotonic()
    with service("scraper", environment, tmp_path) as url:
        seconds = time.monotonic() - start
        Client(url)("POST", "/images", 201, body=picture(1, (3000, 2000), "JPEG"))
        metrics = urllib3.request("GET", f"{url}/metrics").data.decode()
    resident = float(re.search(r"^process_resident_memory_bytes (\S+)", metrics, re.MULTILINE).group(1))
    assert resident < 250e6
    assert seconds < 30  # three seconds on an idle machine; other tests may be running
