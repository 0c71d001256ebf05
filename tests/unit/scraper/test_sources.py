"""Lists in Parquet files, and other buckets, as sources of pictures."""

import pytest
from arro3.core import Array, DataType, Table
from arro3.io import write_parquet

from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobError
from pika_kit.stages import Bucket
from pika_kit.storage import OtherBucket
from pika_scraper import jobs
from pika_scraper.errors import SourceError
from pika_scraper.sources import url_list

OTHER = OtherBucket("archive")


def save(path, **columns) -> None:
    """A Parquet file with columns of text."""
    table = {name: Array(values, type=DataType.utf8()) for name, values in columns.items()}
    write_parquet(Table.from_pydict(table), path)


def test_a_parquet_file_is_read_as_img2dataset_takes_it(root):
    save(
        root / "list.parquet",
        URL=["http://a.test/1.png", None, " http://a.test/3.png"],
        TEXT=["ピカチュウ", "x", None],
        license=["CC0", None, None],
        other=["1", "2", "3"],
    )
    rows = url_list._read(root / "list.parquet")
    assert rows == [
        {"url": "http://a.test/1.png", "name": "ピカチュウ", "licence": "CC0", "line": "row 1"},
        {"url": " http://a.test/3.png", "name": None, "licence": None, "line": "row 3"},
    ]


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1 nonsense PAR1", b"http://a.test/\n" * 100])
def test_what_is_no_parquet_is_told(root, data):
    (root / "list.parquet").write_bytes(data)
    with pytest.raises(SourceError, match="expected a Parquet file"):
        url_list._read(root / "list.parquet")


def test_a_parquet_file_without_addresses_is_told_and_its_columns_are_not(root):
    save(root / "list.parquet", secret=["x"])
    with pytest.raises(SourceError, match="a column named url") as refused:
        url_list._read(root / "list.parquet")
    assert "secret" not in str(refused.value)


def test_a_bucket_is_taken_and_taken_again(memory_store, make_context, make_picture):
    for key, data in {
        "2018/a.png": make_picture(1),
        "2018/b.jpg": make_picture(2, name="JPEG"),
        "2018/.hidden.png": make_picture(3),
        "2018/page.html": b"<html>",
        "2019/c.png": make_picture(4),
    }.items():
        memory_store.put(OTHER, key, data)
    context = make_context(scrape_buckets=("archive",))
    report = jobs.scrape(context, source="bucket", location="s3://archive/2018/", then_prepare=False)
    assert (report["taken"], report["refused_by_reason"]) == (2, {"not_a_picture": 1})
    assert report["skipped"] == {"hidden": 1}
    raw = PictureBucket(memory_store, Bucket.RAW)
    names = {raw.provenance(picture_id)["origins"][0]["name"] for picture_id in raw.ids()}
    assert names == {"archive/2018/a.png", "archive/2018/b.jpg"}
    again = jobs.scrape(
        make_context(scrape_buckets=("archive",)), source="bucket", location="archive", then_prepare=False
    )
    assert (again["taken"], again["already_there"]) == (1, 2)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("pika-models/secret", "PIKA_SCRAPE_BUCKETS"),
        ("archive2", "PIKA_SCRAPE_BUCKETS"),
        ("", "expects a location"),
        (None, "expects a location"),
    ],
)
def test_a_bucket_that_is_not_allowed_is_not_read(memory_store, make_context, location, message):
    with pytest.raises(JobError, match=message):
        jobs.scrape(make_context(scrape_buckets=("archive",)), source="bucket", location=location)
