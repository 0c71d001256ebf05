"""Scrape two thousand pictures while every part is killed in turn: the buckets equal an undisturbed run's.

Slow: `./run test -m slow tests/integration/outages/test_two_thousand.py`.
"""

import contextlib
import io
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import urllib3
from PIL import Image
from servers import environment_on, servers, service, wait_for, worker

from pika_kit.pictures import PictureBucket
from pika_kit.settings import Settings
from pika_kit.stages import Bucket
from pika_kit.storage import Store

NUM_PICTURES = 2000


def picture(number: int) -> bytes:
    """Every tenth repeats the one before, every tenth is a shrunken copy, every fiftieth is no picture."""
    if number % 50 == 7:
        return b"<html>gone</html>"
    is_copy, is_smaller = number % 10 == 3, number % 10 == 5
    seed = number - is_copy - is_smaller
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    size = (120, 90) if is_smaller else (240, 180)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


class Host(BaseHTTPRequestHandler):
    """Serve pictures by number over persistent connections, and count the requests."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked[self.path] += 1
        data = b"" if self.path == "/robots.txt" else picture(int(self.path.strip("/").partition(".")[0]))
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg" if data else "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def hosts(count: int):
    """Start several picture hosts, because each gets at most ten requests per second."""
    web = [ThreadingHTTPServer(("127.0.0.1", 0), Host) for _ in range(count)]
    for server in web:
        server.daemon_threads, server.asked = True, Counter()
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield web
    finally:
        for server in web:
            server.shutdown()
            server.server_close()


class Run:
    """Scrape all addresses once, into new buckets."""

    def __init__(self, running, folder, places):
        folder.mkdir()
        self.servers, self.folder = running, folder
        self.environment = environment_on(running, folder) | {"PIKA_FETCH_ALLOW": ",".join(places)}
        self.store = Store.connect(Settings.from_environment(self.environment))
        self.store.ensure_buckets()
        urls = [f"http://{places[n % len(places)]}/{n}.jpg" for n in range(NUM_PICTURES)]
        (folder / "list.txt").write_text("\n".join(urls))

    def start(self, url):
        body = {"source": "urls", "location": "list.txt"}
        answer = urllib3.request("POST", f"{url}/scrape", json=body, timeout=60, retries=False)
        assert answer.status == 202, answer.data
        return answer.json()["id"]

    def view(self, url, job_id):
        """Return None while the service is down."""
        try:
            answer = urllib3.request("GET", f"{url}/jobs/{job_id}", timeout=10, retries=False)
        except urllib3.exceptions.HTTPError:
            return None
        return answer.json() if answer.status == 200 else None

    def reach(self, url, job_id, phase, done):
        def is_there():
            view = self.view(url, job_id)
            assert view is None or view["status"] in ("queued", "running"), view
            progress = view["progress"] if view else {"message": "", "done": 0}
            return progress["message"].startswith(phase) and progress["done"] >= done

        wait_for(is_there, f"{done} {phase}", 300)

    def result(self, url, job_id):
        view = wait_for(
            lambda: (job := self.view(url, job_id)) and job["status"] not in ("queued", "running") and job,
            "the job ends",
            600,
        )
        assert view["status"] == "finished", view
        return view["result"]

    def buckets(self):
        return {
            bucket: {
                entry.picture_id: sorted(
                    str(origin["url"])
                    for origin in PictureBucket(self.store, bucket).provenance(entry.picture_id)["origins"]
                )
                for entry in PictureBucket(self.store, bucket).entries()
            }
            for bucket in (Bucket.RAW, Bucket.IMAGES)
        }


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_everything_is_killed_in_turn_and_the_buckets_are_those_of_an_undisturbed_run(tmp_path):
    with servers(tmp_path / "servers", is_durable=True) as running, hosts(16) as web:
        places = [f"127.0.0.1:{server.server_address[1]}" for server in web]
        calm = Run(running, tmp_path / "calm", places)
        with (
            service("scraper", calm.environment, calm.folder) as url,
            worker("scraper", calm.environment, calm.folder),
        ):
            undisturbed = calm.result(url, calm.start(url))
        asked = Counter()
        for server in web:
            asked.update(server.asked)
            server.asked.clear()
        assert asked.pop("/robots.txt") == 16
        assert set(asked.values()) == {1}

        rough = Run(running, tmp_path / "rough", places)
        with service("scraper", rough.environment, rough.folder) as url:
            with worker("scraper", rough.environment, rough.folder) as process:
                job = rough.start(url)
                rough.reach(url, job, "collecting", 200)
                process.kill()
            with worker("scraper", rough.environment, rough.folder):
                rough.reach(url, job, "collecting", 600)
                running.weed.kill()
                time.sleep(2)
                running.weed.start()
                rough.reach(url, job, "collecting", 1000)
                running.valkey.kill()
                time.sleep(2)
                running.valkey.start()
                rough.reach(url, job, "collecting", 1400)
        # The front end has ended with its block; the job continues under another.
        with service("scraper", rough.environment, rough.folder) as url:
            with worker("scraper", rough.environment, rough.folder) as process:
                rough.reach(url, job, "preparing", 200)
                process.kill()
            with worker("scraper", rough.environment, rough.folder):
                disturbed = rough.result(url, job)
        again = Counter()
        for server in web:
            again.update(server.asked)
        assert rough.buckets() == calm.buckets()
    names = ("looked_at", "taken", "exact_duplicates", "refused_by_reason", "already_there")
    assert {name: disturbed[name] for name in names} == {name: undisturbed[name] for name in names}
    assert undisturbed["refused_by_reason"] == {"not_a_picture": 40}
    # Only pictures in flight, or done since the ledger was last written, are fetched again.
    again.pop("/robots.txt")
    assert len(again) == NUM_PICTURES
    assert sum(again.values()) - NUM_PICTURES < 600
