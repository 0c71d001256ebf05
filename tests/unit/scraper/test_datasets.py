"""Data sets: selected by conditions, immutable, and the same as long as their pictures are."""

import pytest

from pika_kit import datasets
from pika_kit.pictures import PictureBucket
from pika_kit.stages import Bucket
from pika_kit.testing import settings_for_tests
from pika_kit.withdrawn import withdraw
from pika_scraper import jobs
from pika_scraper.app import create_app
from pika_scraper.datasets.make import Conditions

IDS = [f"{number:064x}" for number in range(6)]
ORIGINS = [
    [{"source": "openverse", "licence": "by 4.0"}],
    [{"source": "openverse", "licence": "by-nc 4.0"}],
    [{"source": "commons", "licence": "CC0"}],
    [{"source": "upload", "licence": None}],
    [{"source": "openverse", "licence": "by-nc 4.0"}, {"source": "commons", "licence": "CC BY-SA 4.0"}],
    [],
]


@pytest.fixture
def chosen(memory_store):
    """Six pictures in the bucket pikachu; the first is blurry."""
    bucket = PictureBucket(memory_store, Bucket.PIKACHU)
    for number, (picture_id, origins) in enumerate(zip(IDS, ORIGINS, strict=True)):
        flags = [] if number else ["blurry"]
        bucket.add(picture_id, bytes([number]), "webp", {"origins": origins, "flags": flags})
    return bucket


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"without_flags": ["blurry", "tiny"]}, [1, 2, 3, 4, 5]),
        ({"sources": ["openverse"]}, [0, 1, 4]),
        ({"without_sources": ["openverse"]}, [2, 3, 4]),
        ({"without_licences": ["by-nc"]}, [0, 2, 3, 4]),
        ({"licences": ["by ", "cc0"]}, [0, 2]),
        ({"licences": ["by"], "without_licences": ["BY-NC"]}, [0]),
        ({"sources": ["openverse"], "licences": ["cc"]}, []),
    ],
)
def test_conditions_choose_by_what_is_known_of_each_origin(
    chosen, make_context, memory_store, where, numbers
):
    told = jobs.dataset(make_context(), name="free", where=where)
    assert told["num_pictures"] == len(numbers)
    assert datasets.load(memory_store, "free/v1").ids == [IDS[number] for number in numbers]
    assert told["where"] == where


def test_a_version_never_changes_and_the_same_pictures_make_no_new_one(chosen, make_context, memory_store):
    first = jobs.dataset(make_context(), name="all")
    assert jobs.dataset(make_context(), name="all") == first
    before = memory_store.get(Bucket.IMAGES, "datasets/all/v1.json")
    chosen.delete(IDS[0])
    second = jobs.dataset(make_context(), name="all")
    assert (second["version"], second["num_pictures"]) == ("v2", 5)
    assert second["sha256"] != first["sha256"]
    assert memory_store.get(Bucket.IMAGES, "datasets/all/v1.json") == before
    assert datasets.load(memory_store, "all").version == "v2"
    assert (datasets.names(memory_store), datasets.versions_of(memory_store, "all")) == (
        ["all"],
        ["v1", "v2"],
    )


def test_other_bytes_under_the_same_ids_are_another_version(chosen, make_context, memory_store):
    jobs.dataset(make_context(), name="all")
    chosen.write(IDS[0], b"made anew, with padding", "webp", {"origins": []})
    assert jobs.dataset(make_context(), name="all")["version"] == "v2"


def test_versions_are_counted_as_numbers(memory_store):
    for number in range(12):
        datasets.save(memory_store, "many", Bucket.PIKACHU, {}, [(IDS[0], str(number))])
    assert datasets.load(memory_store, "many").version == "v12"
    with pytest.raises(datasets.UnknownDataset):
        datasets.load(memory_store, "man")
    with pytest.raises(datasets.UnknownDataset):
        datasets.load(memory_store, "many/v13")


def test_conditions_are_read_from_json():
    assert Conditions.of({"sources": ["a"], "licences": None}) == Conditions(sources=("a",))
    with pytest.raises(TypeError):
        Conditions(colour=("yellow",))


class Queue:
    """Records what is started."""

    def enqueue(self, name, arguments):
        self.started = (name, arguments)
        return self

    id = "job1"

    def to_json(self):
        return {"id": "job1"}


@pytest.fixture
def app(memory_store, root, tmp_path):
    settings = settings_for_tests(tmp_path / "front", scrape_roots=(root,))
    return create_app(settings, store=memory_store, queue=Queue())


def test_over_http(app, chosen, make_context, memory_store):
    client = app.test_client()
    body = {"name": "free", "where": {"without_licences": ["by-nc"], "sources": []}}
    assert client.post("/datasets", json=body).status_code == 202
    name, arguments = app.config["PIKA"].queue.started
    assert (name, arguments) == (
        "dataset",
        {"name": "free", "bucket": "pikachu", "where": {"without_licences": ["by-nc"]}},
    )
    jobs.dataset(make_context(), **arguments)
    assert client.get("/datasets").json == {"datasets": [{"name": "free", "versions": ["v1"]}]}
    withdraw(memory_store, IDS[2], "")
    dataset = client.get("/datasets/free/v1").json
    assert dataset["pictures"] == [IDS[0], IDS[3], IDS[4]]
    assert (dataset["num_pictures"], dataset["withdrawn"]) == (4, 1)
    assert client.get("/datasets/free/v2").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Great"},
        {"name": "../raw"},
        {"name": "a", "bucket": "models"},
        {"name": "a", "where": {"colour": ["yellow"]}},
        {"name": "a", "where": {"sources": "openverse"}},
    ],
)
def test_requests_that_do_not_fit_are_refused(app, body):
    assert app.test_client().post("/datasets", json=body).status_code == 422
