"""The file .env and the front door, with real files and sockets."""

import json

import pytest
from preflight_script import GOOD, Answer, answering, findings, front, only, replace


def test_it_is_there_or_is_to_be_copied(root):
    env, example = root / ".env", root / ".env.example"
    assert front.check_env_file(env, example).level == "ok"
    env.unlink()
    finding = front.check_env_file(env, example)
    assert finding.level == "warning"
    assert finding.remedy.startswith("cp .env.example .env")


def test_a_typing_error_is_found_with_what_was_meant(root):
    env, example = root / ".env", root / ".env.example"
    env.write_text("PIKA_PROT=81\nPIKA_SITE=here\nCOMPOSE_PROJECT_NAME=mine\nDOCKER_HOST=unix:///x\n")
    finding = front.check_names(env, example)
    assert finding.level == "warning"
    assert "PIKA_PROT (meant PIKA_PORT?)" in finding.message
    for known in ("PIKA_SITE", "COMPOSE_PROJECT_NAME", "DOCKER_HOST"):
        assert known not in finding.message


def test_names_that_are_known_are_good(root):
    assert front.check_names(root / ".env", root / ".env.example").level == "ok"
    assert front.check_names(root / ".env", root / "missing").level == "warning"


def test_values_are_read_as_compose_reads_them(tmp_path):
    env = tmp_path / ".env"
    env.write_text(
        "# PIKA_A=no\n  export PIKA_B = two # not this\nPIKA_C='three # this'\nPIKA_D=\"4\"\r\n"
        "PIKA_E=\nPIKA_F=once\nPIKA_F=twice\nnonsense\nPIKA_G=a#b\n"
    )
    assert findings.read_env(env) == {
        "PIKA_B": "two",
        "PIKA_C": "three # this",
        "PIKA_D": "4",
        "PIKA_E": "",
        "PIKA_F": "twice",
        "PIKA_G": "a#b",
    }
    settings = findings.settings_of(env, {"PIKA_F": "the environment's", "PIKA_D": ""})
    assert settings == {
        "PIKA_B": "two",
        "PIKA_C": "three # this",
        "PIKA_F": "the environment's",
        "PIKA_G": "a#b",
    }


def test_a_missing_file_sets_nothing(tmp_path):
    assert findings.settings_of(tmp_path / ".env", {}) == {}


def test_a_free_port(free_port):
    (finding,) = front.check_ports({"PIKA_PORT": str(free_port)}, answering(GOOD))
    assert finding.level == "ok"
    assert finding.message == f"127.0.0.1 port {free_port} is free"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_another_program_has(listener, address):
    settings = {"PIKA_PORT": str(listener), "PIKA_BIND_ADDRESS": address}
    (finding,) = front.check_ports(settings, answering(GOOD))
    assert finding.level == "problem"
    assert str(listener) in finding.remedy


@pytest.mark.parametrize("as_list", [False, True])
def test_a_port_that_this_stack_has(listener, as_list):
    row = {"Service": "front", "Publishers": [{"TargetPort": 8080, "PublishedPort": listener}]}
    rows = [{"Service": "gan", "Publishers": None}, row]
    out = json.dumps(rows) if as_list else "\n".join(map(json.dumps, rows))
    run = answering({("docker", "compose", "ps"): Answer(0, out)})
    (finding,) = front.check_ports({"PIKA_PORT": str(listener)}, run)
    assert finding.level == "ok"
    assert "this stack's own" in finding.message


def test_a_stack_that_publishes_nothing_has_no_port():
    row = {"Publishers": [{"TargetPort": 8000, "PublishedPort": 0}]}
    assert front.published_ports(only(Answer(0, f"a warning\n{json.dumps(row)}"))) == set()


def test_with_tls_the_ports_are_those_of_http_and_https(monkeypatch):
    asked = []
    monkeypatch.setattr(front, "_bind_refusal", lambda address, port: asked.append((address, port)))
    settings = {"COMPOSE_FILE": "docker-compose.yml:compose.tls.yaml", "PIKA_BIND_ADDRESS": "0.0.0.0"}
    found = front.check_ports(settings, answering(GOOD))
    assert asked == [("0.0.0.0", 80), ("0.0.0.0", 443)]
    assert {finding.level for finding in found} == {"ok"}


def test_a_port_that_only_root_may_bind_is_tried_from_outside(listener, free_port, monkeypatch):
    monkeypatch.setattr(front, "_bind_refusal", lambda *_place: PermissionError(13, "Permission denied"))
    (free,) = front.check_ports({"PIKA_PORT": str(free_port)}, answering(GOOD))
    assert free.level == "ok"
    settings = {"PIKA_PORT": str(listener), "PIKA_BIND_ADDRESS": "0.0.0.0"}
    (taken,) = front.check_ports(settings, answering(GOOD))
    assert taken.level == "problem"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"PIKA_PORT": "http"}, "PIKA_PORT: expected a number from 1 to 65535, received 'http'"),
        ({"PIKA_PORT": "65536"}, "received '65536'"),
        ({"PIKA_BIND_ADDRESS": "my-host"}, "PIKA_BIND_ADDRESS: expected an address of this machine"),
        ({"PIKA_BIND_ADDRESS": "192.0.2.1"}, "received '192.0.2.1'"),
    ],
)
def test_settings_that_make_no_sense(settings, message, free_port):
    (finding,) = front.check_ports({"PIKA_PORT": str(free_port)} | settings, answering(GOOD))
    assert finding.level == "problem"
    assert message in finding.message


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("x", False),
    ],
)
def test_loopback(address, loopback):
    assert front.is_loopback(address) == loopback


def test_open_to_others_without_keys(folder):
    keys = folder / "api-keys"
    replace(keys, "")
    assert front.check_keys({}, keys).level == "problem"
    assert front.check_keys({"PIKA_OPEN_ACCESS": "true"}, keys).level == "ok"
    open_door = {"PIKA_BIND_ADDRESS": "0.0.0.0", "PIKA_OPEN_ACCESS": "true"}
    assert front.check_keys(open_door, keys).level == "warning"
    assert front.check_keys(open_door, folder / "missing").level == "warning"
    replace(keys, "app:0fe1dc2ba3987654\n")
    assert front.check_keys(open_door, keys).level == "ok"


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({}, "ok"),
        ({"PIKA_BIND_ADDRESS": "0.0.0.0"}, "warning"),
        ({"PIKA_BIND_ADDRESS": "0.0.0.0", "PIKA_SITE": "pika.test"}, "warning"),
        ({"COMPOSE_FILE": "docker-compose.yml:compose.tls.yaml"}, "problem"),
        ({"COMPOSE_FILE": "docker-compose.yml:compose.tls.yaml", "PIKA_SITE": "pika.test"}, "ok"),
    ],
)
def test_https(settings, level):
    finding = front.check_tls(settings)
    assert finding.level == level
    assert bool(finding.remedy) == (level != "ok")
