"""Squares waiting for `prepare`: bounded, complete or absent, never older than their provenance."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pika_scraper.config import PrepareConfig
from pika_scraper.pictures.pipeline import examine
from pika_scraper.pictures.spool import Spool

ID = "a" * 64
CONFIG = PrepareConfig()
PROVENANCE = {"id": ID, "origins": [{"name": "a\nb.png"}]}


@pytest.fixture
def prepared(make_picture):
    return examine(make_picture(1, (200, 200)), CONFIG).prepared


def test_what_is_put_comes_back_also_after_a_restart(tmp_path, prepared):
    Spool(tmp_path, "job", CONFIG, 10**9).put(ID, prepared, PROVENANCE)
    spool = Spool(tmp_path, "job", CONFIG, 10**9)
    assert spool.provenance(ID) == PROVENANCE
    assert spool.prepared(ID) == prepared
    assert spool.provenance("b" * 64) is None
    assert spool.prepared("b" * 64) is None


def test_it_keeps_no_more_than_it_may_also_after_a_restart(tmp_path, prepared):
    room = len(prepared.square) + 1000
    for _ in range(2):
        spool = Spool(tmp_path, "job", CONFIG, room)
        for number in range(5):
            spool.put(f"{number:064}", prepared, PROVENANCE)
        assert sum(spool.prepared(f"{number:064}") is not None for number in range(5)) == 2
    other = Spool(tmp_path, "other", CONFIG, 0)
    other.put(ID, prepared, PROVENANCE)
    assert other.prepared(ID) is None


def test_a_picture_with_another_origin_is_not_kept_before_or_after(tmp_path, prepared):
    spool = Spool(tmp_path, "job", CONFIG, 10**9)
    spool.put(ID, prepared, PROVENANCE)
    spool.forget(ID)
    assert spool.prepared(ID) is None
    spool.put(ID, prepared, PROVENANCE)
    assert spool.prepared(ID) is None


def test_many_threads_share_it(tmp_path, prepared):
    spool = Spool(tmp_path, "job", CONFIG, 10**9)

    def put_and_look(number):
        spool.put(f"{number:064}", prepared, PROVENANCE)
        return spool.prepared(f"{number:064}") == prepared

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(put_and_look, range(100)))


def test_simultaneous_jobs_find_each_others_squares(tmp_path, prepared):
    other, own = (Spool(tmp_path, name, CONFIG, 10**9) for name in ("other", "own"))
    padding = Spool(tmp_path, "padding", PrepareConfig(fit="pad"), 10**9)
    other.put(ID, prepared, PROVENANCE)
    assert (own.prepared(ID), own.provenance(ID)) == (prepared, PROVENANCE)
    assert (padding.prepared(ID), padding.provenance(ID)) == (None, None)
    own.forget(ID)
    assert (own.prepared(ID), own.provenance(ID)) == (None, None)
    assert other.prepared(ID) == prepared
    other.delete()
    assert own.prepared("b" * 64) is None


def test_an_unreadable_file_is_replaced(tmp_path, prepared):
    Spool(tmp_path, "job", CONFIG, 10**9)
    for path in tmp_path.glob("squares-job*"):
        path.write_bytes(b"no database, but as long as the header of one" * 100)
    spool = Spool(tmp_path, "job", CONFIG, 10**9)
    assert spool.prepared(ID) is None
    spool.put(ID, prepared, PROVENANCE)
    assert spool.prepared(ID) == prepared


def test_without_its_file_squares_are_made_again(tmp_path, prepared):
    spool = Spool(tmp_path, "job", CONFIG, 10**9)
    spool.put(ID, prepared, PROVENANCE)
    spool.delete()
    spool.put(ID, prepared, PROVENANCE)
    assert spool.prepared(ID) is None
    assert spool.provenance(ID) is None


def test_spools_of_jobs_that_never_went_on_are_removed_and_others_stay(tmp_path, prepared):
    for job in ("old", "new"):
        Spool(tmp_path, job, CONFIG, 10**9).put(ID, prepared, PROVENANCE)
    folder = tmp_path / "squares-old-folder"  # of a version that wrote a file for each square
    folder.mkdir()
    (folder / "square").write_bytes(b"square")
    long_ago = time.time() - 2 * 86_400
    for path in tmp_path.glob("squares-old*"):
        os.utime(path, (long_ago, long_ago))
    own = Spool(tmp_path, "own", CONFIG, 10**9)
    assert {path.name.rpartition("-")[0] for path in tmp_path.glob("*.sqlite")} == {
        "squares-new",
        "squares-own",
    }
    assert not folder.exists()
    own.delete()
    assert not list(tmp_path.glob("squares-own*"))
