"""Scrape jobs on a store in memory: taken, refused, skipped; run twice, interrupted, resumed."""

import csv
import json
import os
import zipfile
from contextlib import nullcontext

import pytest
from scraper_samples import take_here

from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobCancelled, JobError, JobInterrupted
from pika_kit.stages import Bucket
from pika_kit.threads import in_threads
from pika_scraper import jobs
from pika_scraper.intake import ledger
from pika_scraper.intake.provenance import make_origin
from pika_scraper.prepare import _made as made
from pika_scraper.sources import url_list


@pytest.fixture
def raw(memory_store):
    return PictureBucket(memory_store, Bucket.RAW)


@pytest.fixture
def folder(root, make_picture):
    """Good, duplicate, damaged, foreign and hidden files."""
    pictures = root / "pictures"
    (pictures / "deep" / ".hidden").mkdir(parents=True)
    (pictures / "a.png").write_bytes(make_picture(1))
    (pictures / "b has a JPEG.png").write_bytes(make_picture(2, name="JPEG"))
    (pictures / "deep" / "ピカチュウ").write_bytes(make_picture(1))
    (pictures / "cut.png").write_bytes(make_picture(3)[:200])
    (pictures / "empty.jpg").write_bytes(b"")
    (pictures / "page.jpg").write_bytes(b"<html>404</html>")
    (pictures / ".DS_Store").write_bytes(b"x")
    (pictures / "deep" / ".hidden" / "c.png").write_bytes(make_picture(4))
    (root.parent / "outside.png").write_bytes(make_picture(5))
    (pictures / "link.png").symlink_to(root.parent / "outside.png")
    (pictures / "inner-link.png").symlink_to(pictures / "a.png")
    os.mkfifo(pictures / "pipe.png")
    return pictures


def contents(store) -> dict[tuple[str, str], bytes]:
    """All objects of the buckets that a scrape fills."""
    return {
        (bucket.value, info.key): store.get(bucket, info.key)
        for bucket in (Bucket.RAW, Bucket.IMAGES)
        for info in store.list(bucket)
    }


def test_a_folder_is_taken_and_everything_is_accounted_for(folder, make_context, raw, make_picture):
    report = jobs.scrape(make_context(), source="folder", location=str(folder), then_prepare=False)
    assert report["looked_at"] == 7
    assert report["taken"] == 2
    assert report["exact_duplicates"] == 2
    assert report["refused_by_reason"] == {"damaged": 1, "empty": 1, "not_a_picture": 1}
    assert report["refused"] == 3
    assert report["skipped"] == {"hidden": 1, "links": 1, "no_files": 1}
    assert report["samples"]["damaged"] == ["pictures/cut.png"]
    # Of three files with the same bytes, the first to be processed is taken.
    same = {"pictures/a.png", "pictures/deep/ピカチュウ", "pictures/inner-link.png"}
    duplicates = report["samples"]["exact_duplicate"]
    assert len(duplicates) == len(set(duplicates) & same) == 2
    assert raw.count() == 2
    json.dumps(report)


def test_a_picture_is_saved_as_found_with_all_its_origins(folder, make_context, raw, make_picture):
    jobs.scrape(make_context("the-job"), source="folder", location="pictures", then_prepare=False)
    by_format = {}
    for picture_id in raw.ids():
        provenance = raw.provenance(picture_id)
        by_format[provenance["format"]] = provenance
        assert provenance["sha256"] == picture_id
        for origin in provenance["origins"]:
            assert {"source": "folder", "job": "the-job"}.items() <= origin.items()
    assert set(by_format) == {"png", "jpeg"}
    jpeg = by_format["jpeg"]
    assert [origin["name"] for origin in jpeg["origins"]] == ["pictures/b has a JPEG.png"]
    assert (jpeg["width"], jpeg["height"]) == (120, 90)
    assert raw.entry(jpeg["id"]).extension == "jpg"
    assert raw.bytes(jpeg["id"]) == make_picture(2, name="JPEG")
    # Many threads process the files, so the order of the origins is open.
    assert {origin["name"] for origin in by_format["png"]["origins"]} == {
        "pictures/a.png",
        "pictures/deep/ピカチュウ",
        "pictures/inner-link.png",
    }
    assert str(folder.parent) not in json.dumps(list(by_format.values()))


def test_run_twice_the_bucket_is_the_same(folder, make_context, memory_store):
    jobs.scrape(make_context(), source="folder", location="pictures")
    before = contents(memory_store)
    report = jobs.scrape(make_context(), source="folder", location="pictures")
    assert contents(memory_store) == before
    assert (report["taken"], report["exact_duplicates"], report["already_there"]) == (0, 0, 4)
    assert report["prepared"]["looked_at"] == 0


@pytest.mark.parametrize("room", [10**9, 0])
def test_squares_that_waited_are_those_that_are_made_anew(
    folder, make_context, memory_store, monkeypatch, room, tmp_path
):
    monkeypatch.setattr(jobs, "MAX_SPOOL_BYTES", room)
    decoded = []
    monkeypatch.setattr(
        "pika_scraper.prepare._made", lambda *given: decoded.append(1) or made(*given), raising=True
    )
    report = jobs.scrape(make_context("job"), source="folder", location="pictures")
    at_once = contents(memory_store)
    # What was found twice is read again, with both origins.
    assert len(decoded) == (1 if room else 2)
    for _, key in [place for place in at_once if place[0] == "images"]:
        memory_store.delete(Bucket.IMAGES, key)
    again = jobs.prepare(make_context())
    assert contents(memory_store) == at_once
    assert report["prepared"]["prepared"] == again["prepared"] == 2
    assert not list((tmp_path / "state").glob("squares-*"))


@pytest.mark.parametrize("stop", [JobInterrupted, RuntimeError])
def test_a_job_that_is_stopped_goes_on_and_reports_as_if_undisturbed(
    root, make_context, make_picture, memory_store, monkeypatch, stop
):
    (root / "many").mkdir()
    for number in range(30):
        (root / "many" / f"{number:02}.png").write_bytes(make_picture(number % 20))
    monkeypatch.setattr(ledger, "LEDGER_SECONDS", 0.0)

    def stops_after(count):
        def publish(progress):
            if progress.done >= count:
                raise stop

        return publish

    for count in (5, 17):
        context = make_context("job", stops_after(count))
        monkeypatch.setattr("pika_kit.runner._PROGRESS_INTERVAL_SECONDS", 0.0)
        with pytest.raises(stop):
            jobs.scrape(context, source="folder", location="many")
    report = jobs.scrape(make_context("job"), source="folder", location="many")
    assert (report["looked_at"], report["taken"], report["exact_duplicates"]) == (30, 20, 10)
    assert report["already_there"] == 0
    assert PictureBucket(memory_store, Bucket.IMAGES).count() == 20
    assert not list(memory_store.list(Bucket.RAW, "ledgers/"))


def test_what_the_ledger_missed_is_counted_as_this_jobs_own(root, make_context, make_picture, raw):
    (root / "one").mkdir()
    (root / "one" / "a.png").write_bytes(make_picture(1))
    take_here(raw, make_picture(1), make_origin("folder", job="job", name="one/a.png"))
    report = jobs.scrape(make_context("job"), source="folder", location="one", then_prepare=False)
    assert (report["taken"], report["already_there"], report["exact_duplicates"]) == (1, 0, 0)


def test_a_cancelled_job_leaves_neither_ledger_nor_upload(tmp_path, make_context, memory_store):
    def publish(_):
        raise JobCancelled

    with zipfile.ZipFile(tmp_path / "up.zip", "w") as archive:
        archive.writestr("page.png", b"<html>")
    key = f"uploads/{'1' * 32}.zip"
    memory_store.put_file(Bucket.RAW, key, tmp_path / "up.zip")
    with pytest.raises(JobCancelled):
        jobs.scrape(make_context("job", publish), source="zip", upload=key)
    assert not list(memory_store.list(Bucket.RAW))


def test_a_limit_bounds_what_is_looked_at(folder, make_context):
    report = jobs.scrape(make_context(), source="folder", location="pictures", limit=2, then_prepare=False)
    assert report["looked_at"] == 2


def test_a_zip_is_taken_by_its_entries(root, make_context, make_picture, raw):
    with zipfile.ZipFile(root / "some.zip", "w") as archive:
        archive.writestr("x/a.png", make_picture(1))
        archive.writestr("../../b.jpg", make_picture(2, name="JPEG"))
        archive.writestr("__MACOSX/._a.png", b"x")
        archive.writestr("readme.txt", b"words")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x/a.png", make_picture(3))
    report = jobs.scrape(make_context(), source="zip", location="some.zip", then_prepare=False)
    assert (report["taken"], report["refused_by_reason"]) == (3, {"not_a_picture": 1})
    assert report["skipped"] == {"hidden": 1}
    names = {raw.provenance(picture_id)["origins"][0]["name"] for picture_id in raw.ids()}
    assert names == {"some.zip/x/a.png", "some.zip/../../b.jpg"}


def test_an_uploaded_zip_is_taken_and_then_removed(tmp_path, make_context, make_picture, memory_store):
    path = tmp_path / "up.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", make_picture(1))
    key = f"uploads/{'0' * 32}.zip"
    memory_store.put_file(Bucket.RAW, key, path)
    report = jobs.scrape(make_context(), source="zip", upload=key)
    assert (report["taken"], report["prepared"]["prepared"]) == (1, 1)
    assert not memory_store.exists(Bucket.RAW, key)
    with pytest.raises(JobError, match="send it again"):
        jobs.scrape(make_context(), source="zip", upload=key)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "folder", "location": "/etc"}, "PIKA_SCRAPE_ROOTS"),
        ({"source": "folder", "location": "../outside"}, "PIKA_SCRAPE_ROOTS"),
        ({"source": "folder", "location": "nowhere"}, "expected a folder"),
        ({"source": "folder"}, "expected a folder or file"),
        ({"source": "zip", "location": "pictures/a.png"}, "expected a zip"),
        ({"source": "zip", "location": "pictures"}, "expected a file"),
        ({"source": "zip", "upload": "../secrets"}, "key of an upload"),
        ({"source": "urls"}, "either urls or a location"),
    ],
)
def test_a_source_that_cannot_work_is_an_error_for_its_user(folder, make_context, arguments, message):
    with pytest.raises(JobError, match=message):
        jobs.scrape(make_context(), **arguments)


def test_a_link_out_of_the_allowed_folders_is_forbidden_as_location(root, make_context, tmp_path):
    (root / "way-out").symlink_to(tmp_path)
    with pytest.raises(JobError, match="PIKA_SCRAPE_ROOTS"):
        jobs.scrape(make_context(), source="folder", location="way-out")


def test_urls_are_refused_one_by_one_and_repeated_ones_counted(make_context):
    urls = ["http://127.0.0.1/a.png", "file:///etc/passwd", "http://127.0.0.1/a.png", "http://10.0.0.1/"]
    report = jobs.scrape(make_context(), source="urls", urls=urls, then_prepare=False)
    assert report["refused_by_reason"] == {"address_refused": 2, "bad_url": 1}
    assert (report["looked_at"], report["repeated"]) == (3, 1)


def test_lists_of_addresses_are_read_from_text_and_csv(root):
    text = root / "list.txt"
    text.write_text("# a list\nhttp://a.test/1.png\n\n  http://a.test/2.png \n", encoding="utf-8")
    assert url_list._read(text) == [
        {"url": "http://a.test/1.png", "line": "line 2"},
        {"url": "http://a.test/2.png", "line": "line 4"},
    ]
    table = root / "list.csv"
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["License", "URL", "title"], ["CC0", "http://a.test/1.png", "x"], ["CC0", "", "y"]])
    (row,) = url_list._read(table)
    assert (row["url"], row["licence"], row["line"]) == ("http://a.test/1.png", "CC0", "line 2")
    table.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(Exception, match="a column named url") as raised:
        url_list._read(table)
    assert "2 columns" in str(raised.value)


def test_a_file_that_is_no_list_of_addresses_is_not_disclosed(root, make_context, memory_store):
    secret = "a-secret-key-of-the-stack"
    (root / "notes.txt").write_text(f"first line\n{secret}\n", encoding="utf-8")
    (root / "notes.csv").write_text(f"{secret},b\n1,2\n", encoding="utf-8")
    told = []
    report = jobs.scrape(
        make_context(publish=told.append), source="urls", location="notes.txt", then_prepare=False
    )
    assert report["samples"]["bad_url"] == ["line 1", "line 2"]
    with pytest.raises(JobError) as raised:
        jobs.scrape(make_context(publish=told.append), source="urls", location="notes.csv")
    kept = [memory_store.get(bucket, info.key) for bucket in Bucket for info in memory_store.list(bucket)]
    assert secret not in f"{report} {raised.value} {told} {kept}"


@pytest.mark.parametrize(
    "location", [".hidden/list.txt", "pictures/.env", "in/../.hidden/list.txt", "link.txt"]
)
def test_hidden_files_and_folders_are_no_locations(root, make_context, location):
    (root / ".hidden").mkdir()
    (root / "in").mkdir()
    (root / ".hidden" / "list.txt").write_text("http://127.0.0.1/\n", encoding="utf-8")
    (root / "pictures").mkdir()
    (root / "pictures" / ".env").write_text("http://127.0.0.1/\n", encoding="utf-8")
    (root / "link.txt").symlink_to(root / ".hidden" / "list.txt")
    with pytest.raises(JobError, match="PIKA_SCRAPE_ROOTS"):
        jobs.scrape(make_context(), source="urls", location=location)


def test_a_link_to_a_hidden_file_is_skipped_in_a_folder(root, make_context, make_picture):
    (root / "pictures").mkdir()
    (root / ".hidden.png").write_bytes(make_picture(1))
    (root / "pictures" / "link.png").symlink_to(root / ".hidden.png")
    report = jobs.scrape(make_context(), source="folder", location="pictures")
    assert (report["taken"], report["skipped"]) == (0, {"links": 1})


def test_the_same_bytes_in_many_threads_are_saved_once_with_every_origin(raw, make_picture):
    data = make_picture(1)
    origins = [make_origin("upload", name=f"{number}.png") for number in range(24)]
    outcomes = [
        taken.outcome for _, taken in in_threads(lambda origin: take_here(raw, data, origin), origins, 8)
    ]
    assert sorted(outcomes) == ["exact_duplicate"] * 23 + ["taken"]
    (picture_id,) = raw.ids()
    kept = raw.provenance(picture_id)["origins"]
    assert {origin["name"] for origin in kept} == {origin["name"] for origin in origins}


@pytest.mark.parametrize("listed", [True, False])
def test_processes_that_find_the_same_picture_at_once_keep_every_origin(
    raw, make_picture, monkeypatch, listed
):
    """Processes share no locks: only the store keeps their origins apart."""
    monkeypatch.setattr("pika_scraper.intake.take._LOCKS", (nullcontext(),))
    data = make_picture(1)
    origins = [make_origin("upload", name=f"{number}.png") for number in range(24)]
    known = set() if listed else None
    outcomes = [
        taken.outcome
        for _, taken in in_threads(lambda origin: take_here(raw, data, origin, known), origins, 12)
    ]
    assert outcomes.count("taken") == 1
    (picture_id,) = raw.ids()
    kept = raw.provenance(picture_id)["origins"]
    assert {origin["name"] for origin in kept} == {origin["name"] for origin in origins}


def test_a_picture_that_was_deleted_since_the_bucket_was_listed_is_taken_anew(raw, make_picture):
    data = make_picture(1)
    first = take_here(raw, data, make_origin("upload", name="a.png"))
    raw.delete(first.picture_id)
    again = take_here(raw, data, make_origin("upload", name="b.png"), known={first.picture_id})
    assert again.outcome == "taken"
    assert [origin["name"] for origin in raw.provenance(first.picture_id)["origins"]] == ["b.png"]


def test_results_come_in_order_and_an_error_comes_at_its_turn():
    assert list(in_threads(lambda n: n * n, range(50), 4)) == [(n, n * n) for n in range(50)]
    drawn = []

    def numbers():
        for number in range(1000):
            drawn.append(number)
            yield number

    results = in_threads(lambda n: 1 // (5 - n), numbers(), 2)
    assert [next(results)[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(drawn) < 20
