"""Every arrow of the diagram, over HTTP, against a stack started as a user starts it."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from servers import wait_for


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def some_pictures(folder, label, count):
    return sorted((folder / "labels" / "valids" / label).iterdir())[:count]


def test_raw_holds_every_readable_picture_once(stack, scraped, drawn):
    _folder, truth = drawn
    refused = [name for name, label in truth.items() if label == "broken"]
    assert scraped["looked_at"] == len(truth)
    assert scraped["taken"] + scraped["exact_duplicates"] + scraped["refused"] == len(truth)
    assert scraped["refused"] == len(refused)
    assert scraped["exact_duplicates"] > 0
    grown = scraped["buckets"]
    assert grown["raw"] == scraped["taken"]
    assert grown["images"] + grown["near_duplicates"] == scraped["taken"]


def test_images_are_squares_with_provenance(stack, scraped):
    page = stack.get("/images?bucket=images&limit=3").json
    assert len(page["pictures"]) == 3
    for entry in page["pictures"]:
        assert pixels(stack.get(f"/images/{entry['id']}").data).shape == (256, 256, 3)
        assert entry["provenance"]["origins"][0]["name"]
    following = stack.get(f"/images?bucket=images&limit=3&cursor={page['next_cursor']}").json
    assert not {e["id"] for e in page["pictures"]} & {e["id"] for e in following["pictures"]}


def test_the_classifier_tells_pikachus_from_others(stack, classifier, drawn):
    folder, _truth = drawn
    right = 0
    for label in ("pikachu", "others"):
        for path in some_pictures(folder, label, 10):
            answer = stack.post(
                "/is-pikachu", body=path.read_bytes(), headers={"Content-Type": "image/jpeg"}
            ).json
            assert 0 <= answer["probability"] <= 1
            assert answer["model_version"] == classifier["version"]
            right += (answer["probability"] > 0.5) == (label == "pikachu")
    assert right >= 16, f"{right} of 20 right: hardly better than guessing"


def test_is_pikachu_takes_many_pictures_and_answers_in_order(stack, classifier, drawn):
    folder, _truth = drawn
    (good,) = some_pictures(folder, "pikachu", 1)
    fields = [
        ("file", ("a.jpg", good.read_bytes())),
        ("file", ("b.jpg", b"not a picture")),
        ("file", ("c.jpg", good.read_bytes())),
    ]
    results = stack.post("/is-pikachu", fields=fields).json
    assert [("probability" in result) for result in results] == [True, False, True]
    assert results[1]["problem"]["type"].startswith("urn:pikastack:problem:")
    single = stack.post("/is-pikachu", {"image": base64.b64encode(good.read_bytes()).decode()}).json
    assert single["probability"] == pytest.approx(results[0]["probability"], abs=1e-6)


def test_the_filter_keeps_pikachus(stack, filtered, drawn):
    _folder, truth = drawn
    kept = stack.get("/buckets").json["buckets"]["pikachu"]
    names = []
    cursor = ""
    while cursor is not None:
        page = stack.get(f"/images?bucket=pikachu&limit=100&cursor={cursor}").json
        names += [entry["provenance"]["origins"][0]["name"] for entry in page["pictures"]]
        cursor = page["next_cursor"]
    assert len(names) == kept
    judged = [truth[name] == "pikachu" for name in names if name in truth]
    share = np.mean(judged)
    assert len(judged) >= 50
    assert share >= 0.8, f"{share:.0%} of what passed are Pikachus"


def test_generate_draws_the_same_bytes_for_the_same_seed(stack, generator):
    alone = stack.get("/generate?seed=7")
    assert alone.headers["Content-Type"] == "image/png"
    assert alone.headers["X-Seeds"] == "7"
    assert alone.headers["X-Model-Version"] == stack.get("/gan/models").json["current"]
    assert alone.headers["X-Request-Id"]
    assert stack.get("/generate?seed=7").data == alone.data
    many = stack.post("/generate", {"seeds": "3,5-8", "response_format": "b64_json"}).json
    assert many["seeds"] == [3, 5, 6, 7, 8]
    pictures = [base64.b64decode(item["b64_json"]) for item in many["data"]]
    assert pictures[3] == alone.data
    assert len(set(pictures)) == 5


def test_parallel_calls_give_what_single_calls_give(stack, generator):
    single = {seed: stack.get(f"/generate?seed={seed}").data for seed in range(8)}
    with ThreadPoolExecutor(32) as pool:
        together = list(
            pool.map(lambda call: (call % 8, stack.get(f"/generate?seed={call % 8}").data), range(32))
        )
    assert all(single[seed] == data for seed, data in together)


@pytest.mark.parametrize(("format", "magic"), [("png", b"\x89PNG"), ("jpeg", b"\xff\xd8"), ("webp", b"RIFF")])
def test_generate_in_every_format_alone_and_as_a_grid(stack, generator, format, magic):
    one = stack.get(f"/generate?seed=1&format={format}").data
    assert one.startswith(magic)
    grid = pixels(stack.post("/generate", {"n": 9, "seed": 1, "grid": True, "format": format}).data)
    assert grid.shape[0] > 2 * pixels(one).shape[0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"n": 0}, 422),
        ({"n": 65}, 422),
        ({"seeds": "a"}, 422),
        ({"seeds": "9-1"}, 422),
        ({"latents": [[0.0]]}, 422),
        ({"format": "bmp"}, 422),
        ({"colour": "red"}, 422),
        ({"model_version": "v99"}, 404),
    ],
)
def test_a_wrong_request_says_what_was_expected(stack, generator, body, status):
    answer = stack.post("/generate", body, status=status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["detail"]
    assert answer.json["request_id"]


def test_a_run_leaves_sheets_and_a_film(stack, generator):
    runs = stack.get("/gan/samples").json
    assert generator["run_id"] in json.dumps(runs)
    run = stack.get(f"/gan/samples/{generator['run_id']}").json
    assert run["sheets"], run


def test_the_command_draws_and_lists(stack, generator, tmp_path):
    stack.cli("generate", "-n", "2", "--seed", "3", "--out", str(tmp_path / "out"))
    written = sorted((tmp_path / "out").glob("*.png"))
    assert len(written) == 2
    assert written[0].read_bytes() == stack.get("/generate?seed=3").data
    names = {job["name"] for job in stack.cli("jobs", "list")["jobs"]}
    assert {"scrape", "classifier-train", "filter", "gan-train"} <= names


def _asked_version(stack, picture) -> str:
    answer = stack.post("/is-pikachu", body=picture, headers={"Content-Type": "image/jpeg"})
    return str(answer.json["model_version"])


def _use(stack, body):
    answer = stack.request("PUT", "/classifier/models/current", json=body)
    return answer.status, answer.json


def test_a_second_classifier_is_used_and_can_be_rolled_back(stack, classifier, filtered, drawn):
    folder, _truth = drawn
    picture = some_pictures(folder, "pikachu", 1)[0].read_bytes()
    first = classifier["version"]
    second = stack.job("/classifier/train", {"preset": "tiny", "activate": False})["version"]
    assert _asked_version(stack, picture) == first
    assert _use(stack, {"version": second})[0] == 200
    assert _asked_version(stack, picture) == second
    assert stack.get("/classifier/models").json["current"] == second
    status, body = _use(stack, {"rollback": True})
    assert (status, body["current"], body["card"]["version"]) == (200, first, first)
    assert _asked_version(stack, picture) == first
    assert _use(stack, {"version": "v99"})[0] == 404


def test_a_running_job_is_cancelled_over_http(stack, filtered):
    job_id = stack.start_job("/gan/train", {"preset": "tiny", "minutes": 10})
    wait_for(lambda: stack.get(f"/jobs/{job_id}").json["progress"]["done"] > 5, "it trains", 120)
    answer = stack.request("DELETE", f"/jobs/{job_id}")
    assert answer.status == 202
    assert stack.wait_for_job(job_id, 60)["status"] == "cancelled"
    assert stack.get(f"/gan/samples/{job_id}").json["status"] == "cancelled"
    # Cancelling a finished job changes nothing.
    assert stack.request("DELETE", f"/jobs/{job_id}").json["status"] == "cancelled"
    assert stack.request("DELETE", "/jobs/never-was").status == 404


def test_the_same_request_twice_is_one_job(stack, scraped):
    key = {"Idempotency-Key": "e2e-prepare-1", "Content-Type": "application/json"}
    first = stack.request("POST", "/prepare", headers=key)
    again = stack.request("POST", "/prepare", headers=key)
    assert (first.status, again.status) == (202, 202)
    assert again.json["id"] == first.json["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    other = stack.request("POST", "/filter", headers=key, body=b"{}")
    assert other.status == 422, "a key belongs to one request"
    assert stack.wait_for_job(first.json["id"])["status"] == "finished"


def test_events_of_a_job_come_through_the_gateway(stack, scraped):
    job_id = stack.start_job("/prepare")
    text = stack.get(f"/jobs/{job_id}/events").data.decode()
    assert text.startswith("retry: ")
    assert "id: 1\n" in text
    assert text.count("event: end\n") == 1
    assert json.loads(text.split("data: ")[-1])["status"] == "finished"
