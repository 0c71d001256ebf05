"""Squares waiting for `prepare`: bounded, complete or absent, never older than their provenance."""

import os
import time

import pytest

from pika_scraper.config import PrepareConfig
from pika_scraper.pictures.pipeline import examine
from pika_scraper.pictures.spool import Spool

ID = "a" * 64
PROVENANCE = {"id": ID, "origins": [{"name": "a\nb.png"}]}


@pytest.fixture
def prepared(make_picture):
    return examine(make_picture(1, (200, 200)), PrepareConfig()).prepared


def test_what_is_put_comes_back_once_also_after_a_restart(tmp_path, prepared):
    Spool(tmp_path, "job", 10**9).put(ID, prepared, PROVENANCE)
    spool = Spool(tmp_path, "job", 10**9)
    assert spool.provenance(ID) == PROVENANCE
    assert spool.take(ID) == prepared
    assert spool.take(ID) is None
    assert spool.provenance(ID) is None


def test_it_keeps_no_more_than_it_may(tmp_path, prepared):
    spool = Spool(tmp_path, "job", len(prepared.square) + 1000)
    for number in range(5):
        spool.put(f"{number:064}", prepared, PROVENANCE)
    assert sum(spool.take(f"{number:064}") is not None for number in range(5)) == 2
    other = Spool(tmp_path, "other", 0)
    other.put(ID, prepared, PROVENANCE)
    assert other.take(ID) is None


def test_a_picture_with_another_origin_is_not_kept_before_or_after(tmp_path, prepared):
    spool = Spool(tmp_path, "job", 10**9)
    spool.put(ID, prepared, PROVENANCE)
    spool.forget(ID)
    assert spool.take(ID) is None
    spool.put(ID, prepared, PROVENANCE)
    assert spool.take(ID) is None


def test_a_cut_or_foreign_file_is_as_none(tmp_path, prepared):
    spool = Spool(tmp_path, "job", 10**9)
    for data in (b"", b"{}", b"[]\nx", b"\xff\n"):
        (tmp_path / "squares-job" / ID).write_bytes(data)
        assert spool.provenance(ID) is None
        assert spool.take(ID) is None


def test_spools_of_jobs_that_never_went_on_are_removed_and_others_stay(tmp_path, prepared):
    for job in ("old", "new"):
        Spool(tmp_path, job, 10**9).put(ID, prepared, PROVENANCE)
    long_ago = time.time() - 2 * 86_400
    os.utime(tmp_path / "squares-old", (long_ago, long_ago))
    own = Spool(tmp_path, "own", 10**9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["squares-new", "squares-own"]
    own.delete()
    assert not (tmp_path / "squares-own").exists()
