"""The views over a store in memory, with a tiny model that the job has trained and published."""

import base64
import io
import json
import threading

import conformance
import numpy as np
import pytest
from PIL import Image

from pika_gan.app import create_app
from pika_kit.images import decode
from pika_kit.models import Registry
from pika_kit.queue import JobView, Progress
from pika_kit.testing import MemoryStore, settings_for_tests
from pika_kit.withdrawn import readmit, withdraw


class FakeQueue:
    """Records what was enqueued."""

    def __init__(self):
        self.enqueued = []

    def enqueue(self, name, arguments):
        self.enqueued.append((name, arguments))
        return JobView("j1", name, "queued", arguments, Progress(), None, None, None, None, None)


def app_over(store, state_dir):
    app = create_app(settings_for_tests(state_dir), store=store, queue=FakeQueue())
    conformance.install(app)
    return app


@pytest.fixture
def app(trained_store, tmp_path):
    return app_over(trained_store[0], tmp_path)


@pytest.fixture
def client(app):
    return app.test_client()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_one_seed_gives_one_picture_and_says_what_made_it(client):
    answer = client.get("/generate?seed=5")
    assert answer.status_code == 200
    assert answer.content_type == "image/png"
    assert answer.headers["X-Seeds"] == "5"
    assert answer.headers["X-Model-Version"] == "v1"
    assert answer.headers["X-Request-Id"]
    assert opened(answer.data).size == (16, 16)
    assert client.post("/generate", json={"seed": 5}).data == answer.data


def test_a_seeds_bytes_do_not_depend_on_what_else_is_asked(client):
    alone = {seed: client.get(f"/generate?seed={seed}").data for seed in (3, 4, 9)}
    assert len(set(alone.values())) == 3
    many = client.post("/generate", json={"seeds": "9,3-4"}).get_json()
    assert many["seeds"] == [9, 3, 4]
    for item in many["data"]:
        assert base64.b64decode(item["b64_json"]) == alone[item["seed"]]


def test_parallel_calls_give_what_single_calls_give(app):
    single = [app.test_client().get(f"/generate?seed={seed}").data for seed in range(32)]
    parallel = [b""] * 32

    def call(seed):
        parallel[seed] = app.test_client().get(f"/generate?seed={seed}").data

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert parallel == single


def test_without_a_seed_seeds_are_drawn_and_told(client):
    body = client.post("/generate", json={"n": 3}).get_json()
    assert len(set(body["seeds"])) == 3
    again = client.post("/generate", json={"seeds": body["seeds"]}).get_json()
    assert again["data"] == body["data"]
    assert body["request_id"]
    assert client.post("/generate", json={"n": 3}).get_json()["seeds"] != body["seeds"]


@pytest.mark.parametrize(("name", "kind"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_formats_sizes_and_grids(client, name, kind):
    answer = client.get(f"/generate?seeds=0,4-6&grid=true&size=64&format={name}&quality=80")
    assert answer.content_type == f"image/{name}"
    assert opened(answer.data).format == kind
    assert opened(answer.data).size == (130, 130)
    assert answer.headers["X-Seeds"] == "0,4,5,6"


def test_latents_come_back_and_give_the_same_picture(client):
    told = client.post(
        "/generate", json={"seed": 8, "response_format": "b64_json", "return_latents": True}
    ).get_json()
    latent = told["data"][0]["latent"]
    assert len(latent) == 16
    again = client.post("/generate", json={"latents": [latent]})
    assert again.data == base64.b64decode(told["data"][0]["b64_json"])
    assert "X-Seeds" not in again.headers
    wrong = client.post("/generate", json={"latents": [[1.0, 2.0]]})
    assert wrong.status_code == 422
    assert wrong.get_json()["expected"] == 16


def test_truncation_changes_the_picture_and_zero_makes_all_alike(client):
    assert client.get("/generate?seed=1&truncation=0.5").data != client.get("/generate?seed=1").data
    assert (
        client.get("/generate?seed=1&truncation=0").data == client.get("/generate?seed=2&truncation=0").data
    )


@pytest.mark.parametrize(
    "query",
    [
        "n=0",
        "n=x",
        "seeds=a",
        "seed=1&seeds=2",
        "size=100",
        "format=gif",
        "n=2&response_format=image",
        "colour=red",
    ],
)
def test_a_request_that_does_not_fit_is_a_problem(client, query):
    answer = client.get(f"/generate?{query}")
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["type"].endswith("request-invalid")


def test_a_body_that_is_no_json_is_a_problem(client):
    for kind, status in (("application/json", 400), ("application/x-www-form-urlencoded", 415)):
        answer = client.post("/generate", data=b'{"n": 2', content_type=kind)
        assert answer.status_code == status
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["received"] == ('{"n": 2' if status == 400 else kind)
    assert client.post("/gan/train", data=b"[1]", content_type="application/json").status_code == 422


def test_accept_chooses_where_the_request_does_not(client):
    for accept, kind in (
        ("image/webp", "image/webp"),
        ("image/avif,image/webp,image/*;q=0.8,*/*;q=0.5", "image/webp"),
        ("*/*", "image/png"),
        ("application/json", "application/json"),
    ):
        assert client.get("/generate?seed=1", headers={"Accept": accept}).content_type == kind, accept
    # Fields of the request override Accept; a conflict is reported.
    assert (
        client.get("/generate?seed=1&format=jpg", headers={"Accept": "image/*"}).content_type == "image/jpeg"
    )
    assert client.get("/generate?seed=1&format=JPEG").content_type == "image/jpeg"
    for query, accept in (("format=png", "image/webp"), ("n=3", "image/png"), ("seed=1", "text/html")):
        answer = client.get(f"/generate?{query}", headers={"Accept": accept})
        assert (answer.status_code, answer.get_json()["received"]) == (406, accept), query


def test_a_seeded_picture_can_be_kept(client):
    first = client.get("/generate?seed=3")
    etag = first.headers["ETag"]
    assert "no-cache" in first.headers["Cache-Control"]
    again = client.get("/generate?seed=3", headers={"If-None-Match": etag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    for other in ("seed=4", "seed=3&size=64", "seed=3&format=webp", "seed=3&truncation=0.5"):
        changed = client.get(f"/generate?{other}", headers={"If-None-Match": etag})
        assert changed.status_code == 200
        assert changed.headers["ETag"] != etag
    named = client.get("/generate?seed=3&model_version=v1")
    assert "max-age=86400" in named.headers["Cache-Control"]
    posted = client.post("/generate", json={"seed": 3}, headers={"If-None-Match": etag})
    assert (posted.status_code, posted.headers["Cache-Control"]) == (200, "no-store")
    by_chance = client.get("/generate")
    assert (by_chance.headers["Cache-Control"], by_chance.headers.get("ETag")) == ("no-store", None)


def test_a_versions_card_and_the_current_one(client):
    listed = client.get("/gan/models").get_json()["models"][0]
    assert client.get("/gan/models/v1").get_json() == listed
    assert client.get("/gan/models/current").get_json() == {"current": "v1", "card": listed}
    assert listed["sheet_url"] == "/gan/models/v1/sheet"
    assert client.get("/gan/models/v9").status_code == 404


def test_without_a_body_one_picture_comes(client):
    assert client.post("/generate").content_type == "image/png"


def test_an_unknown_version_is_404_and_no_model_503(client, tmp_path):
    assert client.get("/generate?model_version=v9").status_code == 404
    assert client.get("/generate?model_version=../x").status_code == 404
    empty = app_over(MemoryStore(), tmp_path / "empty").test_client().get("/generate")
    assert empty.status_code == 503
    assert "pikastack train gan" in empty.get_json()["detail"]


def test_the_current_version_is_followed_and_older_ones_stay_in_reach(trained_store, tmp_path, tiny):
    from pika_gan.export import export
    from pika_gan.networks import build_generator

    store = MemoryStore()
    store._objects.update(trained_store[0]._objects)
    client = app_over(store, tmp_path).test_client()
    first = client.get("/generate?seed=1")
    export(build_generator(tiny), tmp_path / "second")
    Registry(store, "gan").publish(tmp_path / "second", {"latent_dim": 16, "resolution": 16}, activate=False)
    assert client.get("/generate?seed=1").headers["X-Model-Version"] == "v1"
    assert client.put("/gan/models/current", json={"version": "v2"}).get_json()["current"] == "v2"
    second = client.get("/generate?seed=1")
    assert second.headers["X-Model-Version"] == "v2"
    assert second.data != first.data
    assert client.get("/generate?seed=1&model_version=v1").data == first.data
    assert client.put("/gan/models/current", json={"rollback": True}).get_json()["current"] == "v1"
    assert client.get("/generate?seed=1").data == first.data
    assert client.put("/gan/models/current", json={"rollback": True}).status_code == 409
    assert client.put("/gan/models/current", json={"version": "v7"}).status_code == 404
    assert client.put("/gan/models/current", json={}).status_code == 422


def test_training_is_enqueued(app, client):
    answer = client.post("/gan/train", json={"minutes": 3})
    assert answer.status_code == 202
    assert answer.headers["Location"] == "/jobs/j1"
    name, arguments = app.config["PIKA"].queue.enqueued[0]
    assert name == "gan-train"
    assert arguments == {
        "preset": "cpu-64",
        "minutes": 3.0,
        "steps": None,
        "seed": 0,
        "dataset": None,
        "activate": True,
    }
    assert client.post("/gan/train", json={"preset": "none"}).status_code == 422


def test_models_are_listed_with_their_cards_sheet_and_film(client):
    body = client.get("/gan/models").get_json()
    assert body["current"] == "v1"
    card = body["models"][0]
    assert card["evaluation"]["kid_interval"]
    assert card["data"]["num_train"] + card["data"]["num_held_out"] == 60
    assert opened(client.get(card["sheet_url"]).data).format == "PNG"
    assert opened(client.get(card["film_url"]).data).n_frames > 1
    assert opened(client.get(card["walk_url"]).data).n_frames == 72
    assert client.get("/gan/models/v9/film").status_code == 404


def test_withdrawn_pictures_are_white_among_the_nearest(client, trained_store):
    store, result = trained_store
    card = Registry(store, "gan").card(result["model_version"])
    gone = card["nearest_ids"][9]
    hidden = [number for number, one in enumerate(card["nearest_ids"]) if one == gone]

    def tile(row, column):
        pixels = decode(client.get("/gan/models/v1/nearest").data).pixels
        return pixels[row * 18 : row * 18 + 16, column * 18 : column * 18 + 16]

    assert decode(client.get("/gan/models/v1/nearest").data).pixels.shape == (4 * 18 - 2, 8 * 18 - 2, 3)
    places = [(2 * (number // 8) + 1, number % 8) for number in hidden]
    drawn = [tile(row - 1, column) for row, column in places]
    assert not any((tile(*place) == 255).all() for place in places)
    withdraw(store, gone, "asked for")
    try:
        assert all((tile(*place) == 255).all() for place in places)
        for (row, column), before in zip(places, drawn, strict=True):
            assert (tile(row - 1, column) == before).all()
    finally:
        readmit(store, gone)


def test_samples_of_a_run(client):
    run = client.get("/gan/samples").get_json()["runs"][0]
    assert run["run_id"] == "first"
    assert run["status"] == "finished"
    whole = client.get(run["url"]).get_json()
    assert [entry["step"] for entry in whole["sheets"]] == [0, 5, 10, 12]
    for entry in whole["sheets"]:
        assert np.asarray(opened(client.get(entry["url"]).data)).shape[2] == 3
    assert client.get(run["latest_url"]).headers["X-Step"] == "12"
    assert opened(client.get(run["film_url"]).data).n_frames == 4
    lines = client.get(run["log_url"]).get_json()["lines"]
    assert {line["kind"] for line in lines} >= {"train", "evaluation", "final"}
    for url in (
        "/gan/samples/none",
        "/gan/samples/first/sheets/3",
        "/gan/samples/none/film",
        "/gan/samples/none/latest",
    ):
        assert client.get(url).status_code == 404, url


def test_the_interface_describes_itself(client):
    paths = client.get("/openapi.json").get_json()["paths"]
    assert {"/generate", "/gan/train", "/gan/samples", "/gan/models", "/gan/models/current"} <= set(paths)
    json.dumps(paths)


def test_a_picture_is_projected_to_a_latent_that_draws_nearly_it(client):
    picture = client.get("/generate?seed=300").data
    projection = client.post("/project", data=picture, content_type="image/png").get_json()
    assert projection["model_version"] == "v1"
    assert len(projection["latent"]) == 16
    assert projection["distance"] < 0.02
    drawn = client.post("/generate", json={"latents": [projection["latent"]]}).data
    assert drawn == base64.b64decode(projection["b64_json"])
    apart = decode(drawn).pixels.astype(int) - decode(picture).pixels
    assert np.abs(apart).mean() < 8
    for form in (
        {"json": {"image": base64.b64encode(picture).decode()}},
        {"data": {"file": (io.BytesIO(picture), "one.png")}},
    ):
        assert client.post("/project", **form).get_json()["latent"] == projection["latent"]


def test_what_cannot_be_projected_is_told(client):
    assert client.post("/project", data=b"no picture", content_type="image/png").status_code == 415
    two = {"file": [(io.BytesIO(b"1"), "1.png"), (io.BytesIO(b"2"), "2.png")]}
    answer = client.post("/project", data=two)
    assert answer.status_code == 422
    assert "Expected 1 to 1 files" in answer.get_json()["detail"]
    unknown = client.post("/project?model_version=v9", data=b"x", content_type="image/png")
    assert unknown.status_code == 404
