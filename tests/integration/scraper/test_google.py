"""google-images-download, really run in Chromium, against a results page and a TLS host on loopback."""

import shutil
import ssl
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from PIL import Image

from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobContext, JobError
from pika_kit.stages import Bucket
from pika_kit.testing import MemoryStore, settings_for_tests
from pika_scraper import jobs
from pika_scraper.sources import google
from pika_scraper.sources.search import Exhausted

needs_chromium = pytest.mark.skipif(
    shutil.which("chromedriver") is None, reason="there is no chromedriver here (Debian: chromium-driver)"
)
PAGE = """<html><head><meta charset="utf-8"></head><body><div style="height: 4000px">results</div><script>
  // As the real page does, in scripts that its JavaScript has made.
  const data = %s;
  for (const one of data) {
    const script = document.createElement("script");
    script.type = "application/json";
    script.textContent = JSON.stringify([null, [one.url, 90, 120]]) + JSON.stringify(
      {"ou": one.url, "ow": 120, "oh": 90, "pt": one.title, "ru": one.page});
    document.body.append(script, "x".repeat(2000));
  }
</script></body></html>"""


class Page(BaseHTTPRequestHandler):
    """Serve one document at every path."""

    def do_GET(self):
        self.server.asked.append(self.path)
        path = self.path.partition("?")[0]
        document = self.server.documents.get(path)
        self.send_response(200 if document else 404)
        self.send_header("Content-Type", "image/png" if path.endswith("png") else "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(document or b"")))
        self.end_headers()
        self.wfile.write(document or b"")

    def log_message(self, *_):
        pass


@contextmanager
def serving(documents: dict[str, bytes], tls: ssl.SSLContext | None = None):
    """Start a server on loopback; yield its port and the list of its requests."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.documents, server.asked = documents, []
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], server.asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Start a picture host whose certificate this process trusts: (port, its requests)."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    documents = {}
    for number, colour in enumerate(["yellow", "orange"]):
        picture = Image.new("RGB", (90, 120), colour)
        picture.putpixel((number, 3), (0, 0, 0))
        picture.save(tmp_path / "x.png")
        documents[f"/{number}.png"] = (tmp_path / "x.png").read_bytes()
    with serving(documents, context) as (port, asked):
        yield port, asked


def context_for(tmp_path, **settings) -> JobContext:
    context = settings_for_tests(tmp_path / "scratch", google=True, **settings)
    return JobContext("job", context, MemoryStore(), lambda _: None, lambda: False)


@needs_chromium
def test_what_the_results_page_shows_is_fetched_by_our_own_fetcher(tmp_path, pictures):
    port, asked = pictures
    host = f"https://localhost:{port}"
    data = [
        f'{{"url": "{host}/0.png?a=1&b=2", "title": "ピカチュウ é", "page": "https://pages.test/one"}}',
        f'{{"url": "{host}/1.png", "title": "second", "page": "https://pages.test/two"}}',
        f'{{"url": "{host}/gone.png", "title": "third", "page": "https://pages.test/three"}}',
        '{"url": "https://127.0.0.1/inside.png", "title": "x", "page": "https://pages.test/four"}',
    ]
    with serving({"/": (PAGE % f"[{', '.join(data)}]").encode()}) as (page, _):
        context = context_for(
            tmp_path, google_url=f"http://127.0.0.1:{page}/", fetch_allow=(f"localhost:{port}",)
        )
        report = jobs.scrape(context, source="google", queries=["Pokémon"], then_prepare=False)
    assert report["taken"] == 2
    assert report["refused_by_reason"] == {"http_404": 1, "address_refused": 1}
    assert report["by_source"]["google"]["stopped"] == {"Pokémon": "there are no more results on the page"}
    # The browser loaded only the page; only the fetcher requested pictures, robots.txt first.
    assert sorted(asked) == ["/0.png?a=1&b=2", "/1.png", "/gone.png", "/robots.txt"]
    raw = PictureBucket(context.store, Bucket.RAW)
    origins = {
        origin["url"]: origin for picture_id in raw.ids() for origin in raw.provenance(picture_id)["origins"]
    }
    origin = origins[f"{host}/0.png?a=1&b=2"]
    assert (origin["source"], origin["query"], origin["note"]) == ("google", "Pokémon", "the page is a guess")
    assert origin["page"].startswith("https://pages.test/")
    assert not list((tmp_path / "scratch").glob("google-*"))


@needs_chromium
def test_a_page_without_pictures_is_told(tmp_path):
    with serving({"/": b"<html><body>Are you a robot?</body></html>"}) as (page, _):
        context = context_for(tmp_path, google_url=f"http://127.0.0.1:{page}/")
        report = jobs.scrape(context, source="google", queries=["Pikachu"], then_prepare=False)
    assert report["by_source"]["google"]["stopped"] == {"Pikachu": "the results page named no pictures"}


@needs_chromium
def test_a_browser_that_takes_too_long_is_ended_with_all_its_processes(tmp_path):
    with serving({"/": b"<html><body>The program scrolls for fifteen seconds.</body></html>"}) as (page, _):
        settings = context_for(tmp_path, google_url=f"http://127.0.0.1:{page}/").settings
        browser = google.Browser(shutil.which("chromedriver"), settings, seconds=4.0)
        with pytest.raises(Exhausted, match="took longer than 4 s"):
            browser.results("Pikachu")
    running = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in _read(path)]
    assert not running


def _read(path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 1", "Chromium could not be started"), ("sleep 60", "took longer than 5 s")],
)
def test_a_driver_that_does_not_work_is_told(tmp_path, script, message):
    driver = tmp_path / "chromedriver"
    driver.write_text(f"#!/bin/sh\n{script}\n")
    driver.chmod(0o755)
    seconds = 60.0 if script == "exit 1" else 5.0
    browser = google.Browser(str(driver), context_for(tmp_path).settings, seconds=seconds)
    with pytest.raises(Exhausted, match=message):
        browser.results("Pikachu")


def test_without_driver_package_or_permission_the_message_says_what_to_do(tmp_path, monkeypatch):
    off = JobContext("job", settings_for_tests(tmp_path), MemoryStore(), lambda _: None, lambda: False)
    with pytest.raises(JobError, match="PIKA_GOOGLE"):
        jobs.scrape(off, source="google", queries=["Pikachu"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JobError, match="Chromium and chromedriver"):
        jobs.scrape(context_for(tmp_path), source="google", queries=["Pikachu"])
    monkeypatch.setitem(sys.modules, "google_images_download", None)
    with pytest.raises(JobError, match=r"pika-scraper\[google\]"):
        jobs.scrape(context_for(tmp_path), source="google", queries=["Pikachu"])
