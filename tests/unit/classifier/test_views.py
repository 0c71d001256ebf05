"""The views over a store in memory, with a tiny model that the job has trained and published."""

import base64
import io
import json
import zipfile

import conformance
import numpy as np
import pytest
from classifier_samples import drawn

from pika_classifier.app import create_app
from pika_classifier.labels.log import Label, LabelSet
from pika_classifier.learn import metrics
from pika_kit.images import decode, encode, sheet
from pika_kit.models import Registry
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.queue import JobView, Progress
from pika_kit.stages import Bucket
from pika_kit.testing import MemoryStore, settings_for_tests
from pika_kit.withdrawn import withdraw


class FakeQueue:
    """Records what was enqueued."""

    def __init__(self):
        self.enqueued = []

    def enqueue(self, name, arguments):
        self.enqueued.append((name, arguments))
        return JobView("job1", name, "queued", arguments, Progress(), None, None, None, None, None)


def client_of(store, state_dir):
    app = create_app(settings_for_tests(state_dir), store=store, queue=FakeQueue())
    conformance.install(app)
    return app.test_client()


@pytest.fixture
def client(trained, tmp_path):
    store = MemoryStore()
    store._objects = dict(trained[0]._objects)
    return client_of(store, tmp_path)


@pytest.fixture
def empty(tmp_path):
    return client_of(MemoryStore(), tmp_path)


@pytest.fixture(scope="module")
def yellow() -> bytes:
    return encode_png(drawn(1, is_yellow=True, seed=40)[0])


@pytest.fixture(scope="module")
def blue() -> bytes:
    return encode(drawn(1, is_yellow=False, seed=40)[0], "jpeg")


def files(*contents: bytes):
    return {"data": {"file": [(io.BytesIO(data), f"{n}.png") for n, data in enumerate(contents)]}}


def test_one_picture_as_the_body(client, yellow):
    answer = client.post("/is-pikachu?threshold=0.5", data=yellow, content_type="image/png")
    body = answer.get_json()
    assert answer.status_code == 200
    assert set(body) == {"is_pikachu", "probability", "threshold", "novelty", "model_version", "request_id"}
    assert body["novelty"] is None  # a network trained by steps has no measure of it
    assert body["is_pikachu"] is True
    assert body["threshold"] == 0.5
    assert body["model_version"] == "v1"
    assert body["request_id"] == answer.headers["X-Request-Id"]


def test_the_threshold_is_the_cards_or_the_operators_unless_one_is_sent(client, trained, tmp_path, yellow):
    card = Registry(trained[0], "classifier").card("v1")
    settings = settings_for_tests(tmp_path / "operator", is_pikachu_threshold=0.987)
    operators = create_app(settings, store=trained[0], queue=FakeQueue()).test_client()
    for asked, threshold in ((client, card["recommended_threshold"]), (operators, 0.987)):
        body = asked.post("/is-pikachu", data=yellow, content_type="image/png").get_json()
        assert body["threshold"] == threshold
        assert body["is_pikachu"] is (body["probability"] >= threshold)
    body = client.post("/is-pikachu?threshold=0.31", data=yellow, content_type="image/png").get_json()
    assert body["threshold"] == 0.31
    assert client.post("/is-pikachu?threshold=1", data=yellow, content_type="image/png").status_code == 422


def test_a_precision_that_the_card_does_not_list_is_told(client, yellow):
    answer = client.post("/is-pikachu?precision=0.9", data=yellow, content_type="image/png")
    assert answer.status_code == 422
    assert json.loads(answer.data)["type"].endswith("precision-unknown")
    answer = client.post("/is-pikachu?precision=0.9&threshold=0.5", data=yellow, content_type="image/png")
    assert answer.status_code == 422


def test_pictures_to_audit_are_random_ones_that_the_model_accepts(client, trained):
    accepted = json.loads(client.get("/labels/next?mode=audit&threshold=0.5&count=100").data)
    assert accepted["order"] == "audit"
    assert {picture["why"] for picture in accepted["pictures"]} == {"audit"}
    shown = {picture["id"] for picture in accepted["pictures"]}
    squares = PictureBucket(trained[0], Bucket.IMAGES)
    said = {
        picture: client.post("/is-pikachu", data=squares.bytes(picture), content_type="image/png").get_json()
        for ids in trained[2].values()
        for picture in ids[14:]  # the others are labelled
    }
    assert shown == {picture for picture, answer in said.items() if answer["probability"] >= 0.5}
    assert shown & set(trained[2]["pikachu"])
    assert all(picture["probability"] >= 0.5 for picture in accepted["pictures"])


def test_every_form_gives_the_same_answer(client, yellow):
    text = base64.b64encode(yellow).decode()
    answers = [
        client.post("/is-pikachu", data=yellow, content_type="image/png").get_json(),
        client.post("/is-pikachu", data=yellow, content_type="application/x-www-form-urlencoded").get_json(),
        *client.post("/is-pikachu", **files(yellow)).get_json(),
        client.post("/is-pikachu", json={"image": text}).get_json(),
        client.post("/is-pikachu", json={"image": f"data:image/png;base64,{text}"}).get_json(),
        client.post("/is-pikachu", json={"image": base64.encodebytes(yellow).decode()}).get_json(),
        client.post("/is-pikachu", json={"images": [text]}).get_json()[0],
    ]
    assert {answer["probability"] for answer in answers} == {answers[0]["probability"]}


def test_many_are_answered_in_order_and_a_broken_one_has_its_own_problem(client, yellow, blue):
    answer = client.post("/is-pikachu?threshold=0.5", **files(yellow, blue, yellow[:200], b"", blue, b"text"))
    body = answer.get_json()
    assert answer.status_code == 200
    assert [answer.get("is_pikachu") for answer in body] == [True, False, None, None, False, None]
    problems = [answer["problem"] for answer in body if "problem" in answer]
    assert [problem["reason"] for problem in problems] == ["damaged", "empty", "not_a_picture"]
    assert all(problem["request_id"] == answer.headers["X-Request-Id"] for problem in problems)


def test_more_than_a_batch_keeps_its_order(client, yellow, blue):
    sent = [yellow if number % 3 == 0 else blue for number in range(40)]
    body = client.post("/is-pikachu?threshold=0.5", **files(*sent)).get_json()
    assert [answer["is_pikachu"] for answer in body] == [number % 3 == 0 for number in range(40)]


@pytest.mark.parametrize(
    ("data", "content_type", "status", "type"),
    [
        (b"", "image/png", 422, "picture-unreadable"),
        (b"\x89PNG\r\n\x1a\n and no more", "image/png", 422, "picture-unreadable"),
        (b"<html></html>", "image/png", 415, "not-a-picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", 415, "not-a-picture"),
        (b"hello", "text/plain", 415, "not-a-picture"),
        (b"{", "application/json", 400, "json-unreadable"),
        (b"[]", "application/json", 422, "request-invalid"),
        (b'{"images": "x"}', "application/json", 422, "request-invalid"),
        (b'{"images": []}', "application/json", 422, "request-invalid"),
        (b'{"image": "%%%"}', "application/json", 422, "picture-unreadable"),
        (b'{"image": 7}', "application/json", 422, "picture-unreadable"),
        (b'{"url": "http://127.0.0.1/"}', "application/json", 422, "url-not-allowed"),
    ],
)
def test_what_cannot_be_answered_is_a_problem(client, data, content_type, status, type):
    answer = client.post("/is-pikachu", data=data, content_type=content_type)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    body = json.loads(answer.data)
    assert body["type"] == f"urn:pikastack:problem:{type}"
    assert body["request_id"] == answer.headers["X-Request-Id"]


def test_no_file_is_a_problem(client):
    assert client.post("/is-pikachu", data={}, content_type="multipart/form-data").status_code == 422


def test_without_a_model_one_is_told_what_to_run(empty, yellow):
    for answer in (
        empty.post("/is-pikachu", data=yellow, content_type="image/png"),
        empty.post("/filter", json={}),
    ):
        assert answer.status_code == 503
        assert "pikastack train classifier" in json.loads(answer.data)["detail"]


def test_jobs_are_accepted(client):
    queue = client.application.config["PIKA"].queue
    answer = client.post("/classifier/train", json={})
    assert answer.status_code == 202
    assert answer.headers["Location"] == "/jobs/job1"
    assert client.post("/classifier/train").status_code == 202
    answer = client.post("/classifier/train", data=b'{"preset": ', content_type="application/json")
    assert (answer.status_code, json.loads(answer.data)["received"]) == (400, '{"preset": ')
    assert client.post("/filter", json={"threshold": 0.9}).status_code == 202
    assert client.post("/filter", json={"threshold": None}).status_code == 202
    assert [name for name, _ in queue.enqueued] == ["classifier-train"] * 2 + ["filter"] * 2
    assert queue.enqueued[2][1] == {
        "threshold": 0.9, "precision": None, "dry_run": False,
        "model_version": None,
    }  # fmt: skip
    assert client.post("/classifier/features").status_code == 202


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/classifier/train", {"preset": "best"}),
        ("/filter", {"threshold": 2}),
        ("/filter", {"target": "pikachu"}),
        ("/filter", {"threshold": 0.5, "precision": 0.9}),
        ("/filter", {"precision": 1}),
        ("/labels", {"labels": [{"id": "0" * 64, "label": "pikachu", "why": "because"}]}),
        ("/labels", {"labels": []}),
        ("/labels", {"labels": [{"id": "0" * 64, "label": "raichu"}]}),
        ("/labels", {"labels": [{"id": "../x", "label": "pikachu"}]}),
    ],
)
def test_requests_that_do_not_fit_are_refused(client, path, body):
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert json.loads(answer.data)["type"].endswith("request-invalid")


def test_labels_are_given_listed_and_taken_back(client, trained):
    ids = trained[2]
    before = client.get("/labels").get_json()
    assert before["trains"] == {"pikachu": 10, "others": 10}
    assert before["total"] == 28 == len(before["items"])
    new = {"id": ids["others"][-1], "label": "others", "split": "valids"}
    answer = client.post("/labels", json={"labels": [new], "annotator": "ann"})
    assert answer.status_code == 201
    assert answer.get_json()["valids"] == {"pikachu": 4, "others": 5}
    assert client.delete("/labels/last?annotator=bob").status_code == 409
    undone = client.delete("/labels/last?annotator=ann").get_json()
    assert undone["undone"]["labels"] == [{**new, "why": None}]
    (entry,) = undone["undone"]["entries"]
    restored = client.post("/labels/restore", json={"entry": entry, "annotator": "ann"})
    assert (restored.status_code, restored.get_json()["valids"]) == (200, {"pikachu": 4, "others": 5})
    assert client.post("/labels/restore", json={"entry": entry}).status_code == 409
    assert client.post("/labels/restore", json={"entry": f"{0:020d}-00000000"}).status_code == 404
    assert client.delete("/labels/last?annotator=ann").get_json()["undone"]["entries"] == [entry]
    assert client.get("/labels").get_json() == before
    assert client.post("/labels", json={"labels": [new | {"id": "0" * 64}]}).status_code == 422


def test_labels_come_in_pages(client):
    first = client.get("/labels?limit=20").get_json()
    second = client.get(f"/labels?limit=20&cursor={first['next_cursor']}").get_json()
    assert second["next_cursor"] is None
    assert len({item["id"] for item in first["items"] + second["items"]}) == 28


def test_nothing_to_take_back_is_a_conflict(empty):
    assert empty.delete("/labels/last").status_code == 409


@pytest.mark.parametrize("form", ["body", "multipart"])
def test_a_zip_of_labels_is_imported(empty, yellow, form):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("trains/pikachu/one.png", yellow)
        archive.writestr("trains/pikachu/two.png", b"no picture")
    if form == "body":
        answer = empty.post("/labels/import", data=buffer.getvalue(), content_type="application/zip")
    else:
        buffer.seek(0)
        answer = empty.post("/labels/import", data={"file": (buffer, "labels.zip")})
    body = answer.get_json()
    assert (body["imported"], body["refused"]) == (1, 1)
    assert body["refused_files"][0]["file"] == "trains/pikachu/two.png"
    assert empty.get("/labels").get_json()["trains"]["pikachu"] == 1


def test_a_body_that_is_no_zip_is_a_problem(empty):
    answer = empty.post("/labels/import", data=b"hello", content_type="application/zip")
    assert answer.status_code == 422
    assert json.loads(answer.data)["type"].endswith("zip-unreadable")


def test_two_annotators_are_given_different_pictures(client):
    def asked(annotator):
        body = json.loads(client.get(f"/labels/next?count=5&annotator={annotator}").data)
        return {picture["id"] for picture in body["pictures"]}

    ann, bob = asked("ann"), asked("bob")
    assert len(ann) == len(bob) == 5
    assert not ann & bob
    rest = asked("cid")
    assert len(rest) == 2  # twelve are unlabelled
    assert asked("dan") == set()


def test_labels_can_be_taken_away_as_a_zip(client):
    answer = client.get("/labels/export")
    assert answer.content_type == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        names = archive.namelist()
    assert len(names) == 28
    assert {name.rpartition("/")[0] for name in names} == {
        "trains/pikachu", "trains/others", "valids/pikachu", "valids/others",
    }  # fmt: skip
    assert json.loads(client.get("/labels/disagreements").data) == {"pictures": []}


def test_next_pictures_are_unlabelled(client):
    body = client.get("/labels/next?count=5").get_json()
    assert body["order"] == "uncertain"
    assert body["unlabelled"] == 12
    assert len(body["pictures"]) == 5


def test_versions_are_listed_activated_and_unknown_ones_refused(client):
    body = client.get("/classifier/models").get_json()
    assert body["current"] == "v1"
    assert body["models"][0]["is_current"] is True
    put = client.put("/classifier/models/current", json={"version": "v1"})
    assert put.get_json()["current"] == "v1"
    assert client.put("/classifier/models/current", json={"version": "v9"}).status_code == 404
    assert client.put("/classifier/models/current", json={"rollback": True}).status_code == 409
    assert client.put("/classifier/models/current", json={}).status_code == 422


def test_the_cards_plots_are_served(client):
    listed = json.loads(client.get("/classifier/models").data)["models"][0]
    for url in listed["plots"][:2]:
        answer = client.get(url)
        assert (answer.status_code, answer.content_type) == (200, "image/svg+xml")
        assert answer.data.startswith(b"<svg")
    assert client.get("/classifier/models/v9/reliability.svg").status_code == 404
    assert client.get("/classifier/models/v1/model.onnx").status_code == 422


def publish_with_answers(store, folder, answers, run_id):
    """A version with the answers to labels that a training job stores."""
    truth = [picture_id < "8" for picture_id in answers]
    validation = metrics.report(np.array(truth), np.array(list(answers.values())))
    card = {"preset": {"name": "default"}, "validation": validation, "recommended_threshold": 0.5}
    version = Registry(store, "classifier").publish(folder, card, run_id=run_id)
    store.put_json(Bucket.RUNS, f"classifier/{run_id}/valid_probabilities.json", answers)
    return version


def test_two_versions_are_compared_on_the_labels_that_both_answered(tmp_path):
    store, folder = MemoryStore(), tmp_path / "model"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"")
    pictures = PictureBucket(store, Bucket.LABELS)
    ids = [f"{number:02x}" * 32 for number in range(0, 256, 8)]
    for picture_id in ids:
        pictures.add(picture_id, encode_png(drawn(1, is_yellow=True, seed=1)[0]), "png", {})
    LabelSet(store).add([Label(one, "pikachu" if one < "8" else "others", "trains") for one in ids], "me")
    good = {one: 0.9 if one < "8" else 0.1 for one in ids}
    rng = np.random.default_rng(0)
    guessing = {one: float(rng.random()) for one in ids[2:]}
    publish_with_answers(store, folder, guessing, "run1")
    publish_with_answers(store, folder, good, "run2")
    client = client_of(store, tmp_path)
    body = client.get("/classifier/models/comparison?base=v1&other=v2").get_json()
    assert (body["base"]["version"], body["other"]["version"]) == ("v1", "v2")
    assert body["labels_in_common"] == 30
    difference = body["difference"]["roc_auc"]
    truth = np.array([one < "8" for one in ids[2:]])
    assert difference["value"] == pytest.approx(1 - metrics.roc_auc(truth, np.array(list(guessing.values()))))
    assert difference["interval"][0] > 0
    assert difference["is_clear"]
    backwards = client.get("/classifier/models/comparison?base=v2&other=v1").get_json()
    assert backwards["difference"]["roc_auc"]["value"] == pytest.approx(-difference["value"])
    assert client.get("/classifier/models/comparison?base=v1&other=v9").status_code == 404
    assert client.get("/classifier/models/comparison?base=v1&other=v1").status_code == 422


def test_a_withdrawn_picture_is_white_on_the_sheet_of_mistakes(tmp_path):
    store, ids = MemoryStore(), ["a" * 64, "b" * 64, "c" * 64]
    (tmp_path / "model").mkdir()
    tiles = np.stack([np.full((8, 8, 3), value, np.uint8) for value in (10, 20, 30)])
    (tmp_path / "model" / "mistakes.png").write_bytes(encode_png(sheet(tiles)))
    card = {"mistakes": [{"id": picture_id} for picture_id in ids]}
    Registry(store, "classifier").publish(tmp_path / "model", card, pictures=ids)
    client = client_of(store, tmp_path)

    def colours():
        pixels = decode(client.get("/classifier/models/v1/mistakes.png").data).pixels
        return [int(pixels[row, column, 0]) for row, column in ((0, 0), (0, 10), (10, 0))]

    assert colours() == [10, 20, 30]
    withdraw(store, ids[1], "asked for")
    assert colours() == [10, 255, 30]
    withdraw(store, ids[2], "asked for")
    assert colours() == [10, 255, 255]


def test_the_openapi_document_names_every_path(client):
    paths = client.get("/openapi.json").get_json()["paths"]
    expected = {
        "/is-pikachu", "/classifier/train", "/filter", "/classifier/models", "/classifier/models/current",
        "/labels", "/labels/import", "/labels/last", "/labels/next", "/labels/restore",
    }  # fmt: skip
    assert expected <= set(paths)
