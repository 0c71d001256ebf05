"""A scrape job against hosts that fail, lie and flood in every way: all good pictures arrive, once."""

from collections import Counter

import pytest
from picture_web import KINDS, picture_web
from servers import service, worker
from service_client import Client

from pika_kit.pictures import PictureBucket
from pika_kit.stages import Bucket

# They hold a thread for a minute each; the benchmark with ten thousand addresses includes them.
_LONG = ("dripping", "silent")


@pytest.mark.timeout(300)
def test_all_that_are_good_arrive_once_and_all_others_are_counted_with_a_reason(
    stack_environment, store, tmp_path
):
    with picture_web(tmp_path / "pictures", 200, without=_LONG) as web:
        assert set(web.expected) == {"taken"} | {KINDS[kind][1] for kind in KINDS if kind not in _LONG}
        (tmp_path / "list.txt").write_text("\n".join(web.urls))
        environment = dict(stack_environment) | web.environment
        with service("scraper", environment, tmp_path) as url, worker("scraper", environment, tmp_path):
            client = Client(url)
            job = client("POST", "/scrape", 202, json={"source": "urls", "location": "list.txt"})
            report = client.finished(job)
            again = client.finished(
                client("POST", "/scrape", 202, json={"source": "urls", "location": "list.txt"})
            )
    counted = Counter(report["refused_by_reason"]) + Counter(
        taken=report["taken"], exact_duplicate=report["exact_duplicates"]
    )
    assert counted == web.expected
    for bucket in (Bucket.RAW, Bucket.IMAGES):
        assert len(list(PictureBucket(store, bucket).ids())) == web.expected["taken"]
    assert (again["taken"], again["already_there"]) == (
        0,
        web.expected["taken"] + web.expected["exact_duplicate"],
    )
    assert again["refused_by_reason"] == report["refused_by_reason"]
