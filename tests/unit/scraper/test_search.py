"""The search sources, against catalogues on loopback that respond in the documented formats."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobError
from pika_kit.stages import Bucket
from pika_scraper import jobs
from pika_scraper.sources import commons

CONTACT = "https://example.org/pikachus"


class Catalogues(BaseHTTPRequestHandler):
    """Openverse at /v1/images/, Commons at /w/api.php, and pictures; requests are in `server.asked`."""

    def do_GET(self):
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.asked.append((parts.path, asked, dict(self.headers)))
        if parts.path == "/v1/images/":
            self.answer_json(self.openverse(asked))
        elif parts.path == "/w/api.php":
            self.answer_json(self.commons(asked))
        elif parts.path == "/robots.txt":
            self.send_error(404)
        else:
            self.answer("image/png", self.server.picture(int(parts.path.split("/")[-1])))

    def openverse(self, asked):
        number = int(asked["page"])
        if self.server.mood == "strange":
            return {"results": [7, None, {"url": 3}, {"title": "no address"}], "page_count": "many"}
        first, last = (number - 1) * 20, min(number * 20, self.server.num_results)
        results = [
            {
                "url": f"{self.server.url}/picture/{place}",
                "title": f"Pikachu {place}",
                "foreign_landing_url": "javascript:alert(1)" if place == 0 else f"https://a.test/{place}",
                "creator": "Somebody",
                "license": "by-sa",
                "license_version": "4.0",
                "license_url": "https://creativecommons.org/licenses/by-sa/4.0/",
            }
            for place in range(first, last)
        ]
        return {"results": results, "page_count": -(-self.server.num_results // 20), "page": number}

    def commons(self, asked):
        if self.server.mood == "lag" and len(self.server.asked) == 1:
            self.retry_after = "2"
            return {"error": {"code": "maxlag", "info": "Waiting for a database server"}}
        if self.server.mood == "error":
            return {"error": {"code": "badtoken"}}
        start = int(asked.get("gsroffset", 0))
        pages = [
            {
                "pageid": 100 - place,
                "index": place + 1,
                "title": f"File:Pikachu {place}.png",
                "imageinfo": [
                    {
                        "thumburl": f"{self.server.url}/picture/{place}",
                        "url": f"{self.server.url}/picture/9999",
                        "descriptionurl": f"https://commons.wikimedia.org/wiki/File:{place}",
                        "mime": "image/png",
                        "extmetadata": {
                            "Artist": {"value": '<a href="x" onclick="steal()">A &amp; B</a><script>'},
                            "LicenseShortName": {"value": "CC BY 4.0"},
                            "LicenseUrl": {"value": "https://creativecommons.org/licenses/by/4.0"},
                        },
                    }
                ],
            }
            for place in range(start, min(start + 3, self.server.num_results))
        ]
        body = {"query": {"pages": sorted(pages, key=lambda page: page["pageid"])}}
        if start + 3 < self.server.num_results:
            body["continue"] = {"gsroffset": start + 3, "continue": "gsroffset||"}
        return body

    retry_after = None

    def answer_json(self, document):
        if self.server.mood == "down":
            self.send_error(500)
            return
        body = b"<html>" if self.server.mood == "html" else json.dumps(document).encode()
        self.answer("application/json", body)

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.retry_after:
            self.send_header("Retry-After", self.retry_after)
        if self.server.mood == "spent":
            self.send_header("X-RateLimit-Available-anon_burst", "0")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def catalogues(make_picture):
    """The server; a test sets its `mood` and `num_results`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Catalogues)
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.mood, server.num_results, server.asked = "", 7, []
    server.picture = lambda number: make_picture(number, (80, 64))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def scrape(make_context, catalogues):
    """Run a scrape job against the local catalogues."""

    def run(*sources, queries=("Pikachu",), limit=None, **changes):
        place = catalogues.url.removeprefix("http://")
        settings = {"openverse_url": catalogues.url, "commons_url": catalogues.url, "contact": CONTACT}
        context = make_context(fetch_allow=(place,), **(settings | changes))
        return jobs.scrape(
            context, sources=list(sources), queries=list(queries), limit=limit, then_prepare=False
        )

    return run


def origins(store):
    raw = PictureBucket(store, Bucket.RAW)
    return [origin for picture_id in raw.ids() for origin in raw.provenance(picture_id)["origins"]]


def test_openverse_is_asked_page_by_page_and_what_it_tells_is_kept(scrape, catalogues, memory_store):
    catalogues.num_results = 45
    report = scrape("openverse")
    assert report["taken"] == 45
    assert report["by_source"] == {
        "openverse": {"named": 45, "taken": 45, "stopped": {"Pikachu": "there are no more results"}}
    }
    pages = [asked for path, asked, _ in catalogues.asked if path == "/v1/images/"]
    assert [(page["q"], page["page"]) for page in pages] == [("Pikachu", str(number)) for number in (1, 2, 3)]
    by_url = {origin["url"]: origin for origin in origins(memory_store)}
    second = by_url[f"{catalogues.url}/picture/1"]
    assert second | {"time": None, "job": None} == {
        "source": "openverse",
        "query": "Pikachu",
        "name": "Pikachu 1",
        "url": f"{catalogues.url}/picture/1",
        "page": "https://a.test/1",
        "licence": "by-sa 4.0",
        "licence_url": "https://creativecommons.org/licenses/by-sa/4.0/",
        "author": "Somebody",
        "time": None,
        "job": None,
        "note": None,
    }
    # A script is not accepted as an address.
    assert by_url[f"{catalogues.url}/picture/0"]["page"] is None


def test_openverse_gives_240_for_a_query_and_that_is_told(scrape, catalogues):
    catalogues.num_results = 1000
    catalogues.picture = lambda number: b"no picture, which is quicker"
    report = scrape("openverse")
    assert report["looked_at"] == 240
    assert report["by_source"]["openverse"]["stopped"] == {
        "Pikachu": "Openverse gives no more than 240 results for a query"
    }


def test_a_limit_stops_the_asking_across_queries_and_sources(scrape, catalogues):
    catalogues.num_results = 100
    report = scrape("openverse", "commons", queries=["one", "two"], limit=25)
    assert report["looked_at"] + report["repeated"] == 25
    assert report["by_source"]["openverse"]["stopped"] == {"one": "the job's limit was reached"}
    assert report["by_source"]["commons"]["named"] == 0
    assert len([path for path, _, _ in catalogues.asked if path == "/v1/images/"]) == 2
    assert len([path for path, _, _ in catalogues.asked if path == "/robots.txt"]) <= 2


def test_the_number_of_requests_that_openverse_allows_is_kept_to(scrape, catalogues):
    catalogues.num_results, catalogues.mood = 100, "spent"
    report = scrape("openverse")
    assert report["taken"] == 20
    assert "limit of requests" in report["by_source"]["openverse"]["stopped"]["Pikachu"]


def test_a_key_is_sent_and_so_is_whom_to_write_to(scrape, catalogues):
    scrape("openverse", openverse_token="a key of ours")
    _, _, headers = catalogues.asked[0]
    assert headers["Authorization"] == "Bearer a key of ours"
    assert headers["User-Agent"].startswith(f"pikastack/0.1 ({CONTACT}) urllib3/")
    # The picture's host is not Openverse's.
    assert "Authorization" not in catalogues.asked[-1][2]


def test_commons_is_asked_on_with_all_that_it_says(scrape, catalogues, memory_store):
    report = scrape("commons")
    assert report["by_source"]["commons"] == {
        "named": 7,
        "taken": 7,
        "stopped": {"Pikachu": "there are no more results"},
    }
    asked = [asked for path, asked, _ in catalogues.asked if path == "/w/api.php"]
    assert [(one.get("gsroffset"), one.get("continue")) for one in asked] == [
        (None, None),
        ("3", "gsroffset||"),
        ("6", "gsroffset||"),
    ]
    assert all(one["maxlag"] == "5" and one["gsrnamespace"] == "6" for one in asked)
    for origin in origins(memory_store):
        assert origin["author"] == "A & B"
        assert origin["licence"] == "CC BY 4.0"
        assert origin["page"].startswith("https://commons.wikimedia.org/wiki/File:")


def test_lag_is_waited_out(scrape, catalogues, monkeypatch):
    pauses = []
    monkeypatch.setattr(commons, "_pause", pauses.append)
    catalogues.mood = "lag"
    assert scrape("commons")["taken"] == 7
    assert pauses == [2]


def test_without_a_contact_commons_is_not_asked(scrape, catalogues):
    with pytest.raises(JobError, match="PIKA_CONTACT"):
        scrape("commons", contact=None)
    assert catalogues.asked == []


@pytest.mark.parametrize(
    ("mood", "source", "why"),
    [
        ("html", "openverse", "no JSON"),
        ("html", "commons", "no JSON"),
        ("down", "openverse", "http_500"),
        ("strange", "openverse", "no more results"),
        ("error", "commons", "badtoken"),
    ],
)
def test_a_catalogue_that_fails_ends_its_query_and_not_the_job(scrape, catalogues, mood, source, why):
    catalogues.mood = mood
    report = scrape(source, queries=["one", "two"])
    assert report["taken"] == 0
    assert set(report["by_source"][source]["stopped"]) == {"one", "two"}
    assert all(why in stopped for stopped in report["by_source"][source]["stopped"].values())


def test_a_second_scrape_fetches_nothing_twice(scrape, catalogues, memory_store):
    """Neither from the same catalogue nor from the other one, if both name the same address."""
    first = scrape("openverse", queries=["Pikachu"])
    fetched = len([path for path, _, _ in catalogues.asked if path.startswith("/picture/")])
    second = scrape("openverse", queries=["Pikachu", "ピカチュウ"])
    again = [path for path, _, _ in catalogues.asked if path.startswith("/picture/")][fetched:]
    assert first["taken"] == 7
    assert (second["taken"], second["already_there"]) == (0, 7)
    assert again == []


def test_what_was_deleted_is_fetched_again(scrape, catalogues, memory_store):
    scrape("openverse", queries=["Pikachu"])
    raw = PictureBucket(memory_store, Bucket.RAW)
    gone = next(raw.ids())
    raw.delete(gone)
    assert scrape("openverse", queries=["Pikachu"])["taken"] == 1
    assert raw.has(gone)


def test_an_address_that_shows_another_picture_is_remembered_for_that_one(
    scrape, catalogues, memory_store, make_picture
):
    scrape("openverse", queries=["Pikachu"])
    raw = PictureBucket(memory_store, Bucket.RAW)
    for picture_id in list(raw.ids()):
        raw.delete(picture_id)
    catalogues.picture = lambda number: make_picture(100 + number, (80, 64))
    assert scrape("openverse", queries=["Pikachu"])["taken"] == 7
    fetched = len(catalogues.asked)
    assert scrape("openverse", queries=["Pikachu"])["already_there"] == 7
    assert not [path for path, _, _ in catalogues.asked[fetched:] if path.startswith("/picture/")]
