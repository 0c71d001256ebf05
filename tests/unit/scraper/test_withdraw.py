"""Withdrawing: removed from the buckets at once, never back, replaced by a near duplicate."""

import pytest
from scraper_samples import take_here

from pika_kit.pictures import PictureBucket
from pika_kit.stages import Bucket
from pika_kit.testing import settings_for_tests
from pika_kit.withdrawn import is_withdrawn, withdraw, withdrawn_ids
from pika_scraper import jobs
from pika_scraper.app import create_app
from pika_scraper.datasets.withdraw import withdraw_pictures
from pika_scraper.errors import Refused
from pika_scraper.intake.provenance import make_origin


@pytest.fixture
def folder(root, make_picture):
    """Two pictures, and a smaller copy of the first."""
    pictures = root / "pictures"
    pictures.mkdir()
    (pictures / "large.png").write_bytes(make_picture(1, (400, 300)))
    (pictures / "small.jpg").write_bytes(make_picture(1, (200, 150), "JPEG"))
    (pictures / "other.png").write_bytes(make_picture(2, (90, 90)))
    return pictures


@pytest.fixture
def ids(folder, make_context, memory_store):
    """Return name → id, after a scrape that has prepared them."""
    jobs.scrape(make_context(), source="folder", location="pictures")
    raw = PictureBucket(memory_store, Bucket.RAW)
    names = {picture_id: raw.provenance(picture_id)["origins"][0]["name"] for picture_id in raw.ids()}
    return {name.split("/")[1]: picture_id for picture_id, name in names.items()}


def images(store) -> set[str]:
    return set(PictureBucket(store, Bucket.IMAGES).ids())


def test_a_picture_leaves_both_buckets_and_its_near_duplicate_takes_its_place(
    ids, memory_store, make_context
):
    assert images(memory_store) == {ids["large.png"], ids["other.png"]}
    done = withdraw_pictures(memory_store, [ids["large.png"]], "asked by its author")
    assert done.removed_from == {ids["large.png"]: ["raw", "images"]}
    assert done.promoted == [ids["small.jpg"]]
    assert jobs.prepare(make_context())["prepared"] == 1
    assert images(memory_store) == {ids["small.jpg"], ids["other.png"]}
    assert ids["large.png"] not in set(PictureBucket(memory_store, Bucket.RAW).ids())
    assert not list(memory_store.list(Bucket.IMAGES, f"provenance/{ids['large.png']}"))


def test_a_near_duplicate_can_be_withdrawn_itself(ids, memory_store, make_context):
    done = withdraw_pictures(memory_store, [ids["small.jpg"]], "")
    assert (done.removed_from, done.promoted) == ({ids["small.jpg"]: ["raw"]}, [])
    assert not list(memory_store.list(Bucket.IMAGES, "near_duplicates/"))
    assert jobs.prepare(make_context())["looked_at"] == 0


def test_nothing_brings_it_back(ids, folder, memory_store, make_context, make_picture):
    withdraw_pictures(memory_store, ids.values(), "")
    report = jobs.scrape(make_context(), source="folder", location="pictures")
    assert report["refused_by_reason"] == {"withdrawn": 3}
    assert not images(memory_store)
    with pytest.raises(Refused, match="withdrawn"):
        take_here(
            PictureBucket(memory_store, Bucket.RAW),
            make_picture(2, (90, 90)),
            make_origin("upload", name="x.png"),
        )


def test_one_that_is_withdrawn_while_a_job_takes_it_is_gone_when_the_job_ends(
    ids, folder, memory_store, make_context, monkeypatch
):
    """The job has listed the tombstones before this one was written."""
    memory_store.delete(Bucket.RAW, f"pictures/{ids['other.png']}.png")
    monkeypatch.setattr("pika_scraper.intake.run.withdrawn_ids", lambda _store: [])
    withdraw(memory_store, ids["other.png"], "")
    report = jobs.scrape(make_context(), source="folder", location="pictures")
    assert report["taken"] == 1
    assert ids["other.png"] not in images(memory_store) | set(PictureBucket(memory_store, Bucket.RAW).ids())


def test_doing_it_again_finishes_what_was_left_undone(ids, memory_store):
    withdraw(memory_store, ids["large.png"], "first")  # killed right after the tombstone
    done = withdraw_pictures(memory_store, [ids["large.png"]], "second")
    assert done.tombstones[0]["reason"] == "first"
    assert done.removed_from == {ids["large.png"]: ["raw", "images"]}
    assert withdraw_pictures(memory_store, [ids["large.png"]], "").removed_from == {ids["large.png"]: []}


@pytest.fixture
def client(memory_store, root, tmp_path):
    settings = settings_for_tests(tmp_path / "front", scrape_roots=(root,))
    return create_app(settings, store=memory_store, queue=Queue()).test_client()


class Queue:
    """Accepts jobs and runs none."""

    def enqueue(self, name, arguments):
        self.name, self.arguments = name, arguments
        return self

    def to_json(self):
        return {"name": self.name}


def test_over_http(client, ids, memory_store):
    large, small, other = ids["large.png"], ids["small.jpg"], ids["other.png"]
    answer = client.delete(f"/images/{large}?reason=by+request")
    assert answer.status_code == 200
    (withdrawal,) = answer.json["withdrawn"]
    assert (withdrawal["id"], withdrawal["reason"]) == (large, "by request")
    assert withdrawal["removed_from"] == ["raw", "images"]
    assert (answer.json["promoted"], answer.json["job"]["name"]) == ([small], "prepare")
    assert client.get(f"/images/{large}").status_code == 404
    many = client.post("/images/withdrawals", json={"ids": [other, "f" * 64]}).json
    assert [one["removed_from"] for one in many["withdrawn"]] == [["raw", "images"], []]
    page = client.get("/images/withdrawals?limit=2").json
    listed = [one["id"] for one in page["withdrawals"]]
    rest = client.get(f"/images/withdrawals?limit=2&cursor={page['next_cursor']}").json
    assert listed + [one["id"] for one in rest["withdrawals"]] == sorted([large, other, "f" * 64])
    assert rest["next_cursor"] is None
    assert client.delete(f"/images/withdrawals/{large}").json == {"readmitted": large}
    assert client.delete(f"/images/withdrawals/{large}").status_code == 404
    assert not is_withdrawn(memory_store, large)
    assert withdrawn_ids(memory_store) == sorted([other, "f" * 64])


def test_what_the_classifier_has_not_emptied_yet_is_not_shown(client, ids, memory_store):
    chosen = PictureBucket(memory_store, Bucket.PIKACHU)
    chosen.add(ids["other.png"], b"x", "webp", {})
    url = f"/images/{ids['other.png']}?bucket=pikachu"
    assert client.get(url).status_code == 200
    client.delete(f"/images/{ids['other.png']}")
    assert client.get(url).status_code == 404


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": ["x"]}, {"ids": ["f" * 64], "why": ""}])
def test_requests_that_do_not_fit_are_refused(client, body, memory_store):
    assert client.post("/images/withdrawals", json=body).status_code == 422
    assert client.delete("/images/nonsense").status_code == 404
    assert client.delete(f"/images/{'X' * 64}").status_code == 422
    assert withdrawn_ids(memory_store) == []
