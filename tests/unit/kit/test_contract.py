"""What the documents of all services have in common, and that requests are checked against them."""

import importlib

import jsonschema_rs
import pytest

from pika_kit.testing import MemoryStore, settings_for_tests

SERVICES = ("scraper", "classifier", "gan")


class NoQueue:
    """A store or queue that must not be called."""


@pytest.fixture(scope="module")
def apps(tmp_path_factory):
    """Each service's application, over an empty store."""
    apps = {}
    for name in SERVICES:
        create_app = importlib.import_module(f"pika_{name}.app").create_app
        settings = settings_for_tests(tmp_path_factory.mktemp(name))
        apps[name] = create_app(settings, store=MemoryStore(), queue=NoQueue())
    return apps


@pytest.fixture(scope="module")
def operations(apps):
    """(service, method, path, operation) of all of them."""
    return [
        (name, method, path, operation)
        for name, app in apps.items()
        for path, item in app.api_doc["paths"].items()
        for method, operation in item.items()
    ]


def schemas_in(value):
    """Yield every schema that has examples, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("examples"), list):
            yield value
        for below in value.values():
            yield from schemas_in(below)


def test_every_operation_says_what_it_does_and_what_comes(operations):
    for name, method, path, operation in operations:
        where = f"{name}: {method} {path}"
        assert operation["summary"].endswith((".", "?")), where
        assert "<br" not in operation.get("description", ""), where
        successes = [answer for code, answer in operation["responses"].items() if int(code) < 300]
        assert successes, where
        assert all(answer.get("content") for answer in successes), where
        for code, answer in operation["responses"].items():
            if int(code) >= 400 and "$ref" not in answer:
                assert path.endswith("/health/ready"), f"{where} {code}"


def test_operations_are_named_once(operations):
    names = {}
    for name, method, path, operation in operations:
        key = operation["operationId"]
        assert key.isidentifier()
        if path.startswith("/jobs"):
            continue  # the same in each
        assert names.setdefault(key, (name, method, path)) == (name, method, path)


def test_every_path_is_one_at_the_gateway(apps, operations):
    for name, _, path, _ in operations:
        is_own = path.startswith((f"/{name}/", "/jobs"))
        assert is_own or not path.startswith(("/health", "/metrics", "/openapi")), path


def test_every_example_is_one(apps):
    for name, app in apps.items():
        document = app.api_doc
        components = document["components"]
        named = components["schemas"]
        with_examples = [schema for schema in schemas_in(named) if schema.get("type") == "object"]
        assert len(with_examples) >= 5, name
        for schema in with_examples:
            validator = jsonschema_rs.validator_for(schema | {"components": components})
            for one in schema["examples"]:
                assert validator.is_valid(one), (schema["title"], list(validator.iter_errors(one)))


def test_every_answer_in_json_has_an_example(apps, operations):
    for name, method, path, operation in operations:
        named = apps[name].api_doc["components"]["schemas"]
        for code, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/json")
            if int(code) >= 300 or not content:
                continue
            schema = content.get("schema", {})
            schema = schema.get("anyOf", [schema])[0]
            if "$ref" in schema:
                assert named[schema["$ref"].rsplit("/", 1)[-1]].get("examples"), (method, path, code)


def test_parameters_are_never_null_and_bodies_are_needed_where_a_field_is(apps):
    generate = apps["gan"].api_doc["paths"]["/generate"]
    size = next(one for one in generate["get"]["parameters"] if one["name"] == "size")
    assert size["schema"]["enum"] == [8, 16, 32, 64, 128, 256, 512]
    assert "null" not in str(size)
    assert generate["post"]["requestBody"]["required"] is False
    assert apps["classifier"].api_doc["paths"]["/labels"]["post"]["requestBody"]["required"] is True


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "where"),
    [
        ("GET", "/generate?sed=7", {}, 422, "sed"),
        ("GET", "/generate?seed=7&seed=8", {}, 422, "seed"),
        ("POST", "/generate?n=4", {"json": {}}, 422, "n"),
        ("POST", "/generate", {"json": {"sed": 7}}, 422, "sed"),
        ("GET", "/gan/models?limit=2", {}, 422, "limit"),
        ("POST", "/gan/train", {"data": b"minutes=3", "content_type": "text/plain"}, 415, None),
        (
            "POST",
            "/gan/train",
            {"data": b'{"seed": 1, "seed": 2}', "content_type": "application/json"},
            400,
            None,
        ),
        ("POST", "/gan/train", {"data": b'{"minutes": NaN}', "content_type": "application/json"}, 400, None),
        (
            "POST",
            "/generate",
            {"data": b'{"seeds": "\\ud800"}', "content_type": "application/json"},
            400,
            None,
        ),
        ("POST", "/gan/train", {"headers": {"Idempotency-Key": ""}}, 422, None),
        ("POST", "/gan/train", {"headers": {"Idempotency-Key": "a b"}}, 422, None),
        ("POST", "/gan/train", {"headers": {"Idempotency-Key": "x" * 129}}, 422, None),
        ("POST", "/generate", {"json": {"n": "4"}}, 422, "n"),
        ("DELETE", "/jobs/x", {"json": {"why": "because"}}, 422, None),
        ("GET", "/gan/models", {"headers": {"Accept": "text/html"}}, 406, None),
    ],
)
def test_what_is_not_in_the_document_is_refused(apps, method, path, options, status, where):
    answer = apps["gan"].test_client().open(path, method=method, **options)
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    if where is not None:
        assert [error["where"] for error in answer.get_json()["errors"]] == [where]


def test_errors_are_few_and_in_plain_words(apps):
    client = apps["gan"].test_client()
    answer = client.post("/generate", json={"latents": [["x"] * 128] * 3})
    assert answer.status_code == 422
    assert len(answer.data) < 2_000
    body = answer.get_json()
    assert body["number_of_errors"] == 384
    assert body["errors"][0] == {"where": "latents.0.0", "expected": "a number", "received": '"x"'}
    told = client.get("/generate?n=many&format=gif&quality=0&seeds=7-3").get_json()
    assert told["errors"] == [
        {"where": "n", "expected": "a whole number", "received": '"many"'},
        {"where": "seeds", "expected": "a rising range", "received": "'7-3'"},
        {"where": "format", "expected": "one of png, jpeg, jpg, webp", "received": '"gif"'},
        {"where": "quality", "expected": "at least 1", "received": '"0"'},
    ]
    both = client.get("/generate?seed=1&seeds=2").get_json()
    assert both["errors"][0]["expected"] == "one of seed, seeds and latents"


def test_an_unknown_version_is_the_same_problem_in_both_services(apps):
    types = []
    for name in ("classifier", "gan"):
        client = apps[name].test_client()
        answers = [client.get(f"/{name}/models/{which}") for which in ("v9", "current")]
        assert [answer.status_code for answer in answers] == [404, 503]
        types.append([answer.get_json()["type"] for answer in answers])
    assert types[0] == types[1]
