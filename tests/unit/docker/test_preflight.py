"""The whole of deploy/docker/preflight.py, as it is called."""

import json
import os
import subprocess
import sys

from preflight_script import (
    GOOD,
    INFO,
    SCRIPT,
    WITH_CARD,
    Answer,
    answering,
    findings,
    preflight,
    secret_files,
)


def call(root, capsys, *arguments, answers=GOOD, environ=None):
    status = preflight.main([*arguments, "--json"], root, environ or {}, answering(answers))
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] == (status == 0)
    return status, {finding["name"]: finding for finding in answer["findings"]}


def test_a_good_host_gives_0(root, capsys):
    status, found = call(root, capsys)
    assert status == 0
    expected = {"Docker Engine", "Docker Compose", "buildx", "memory", "disk", ".env", "names in .env"}
    assert expected < set(found)
    assert {"secrets", "front door", "API keys", "HTTPS", "GPU"} < set(found)


def test_a_bare_one_gives_1_and_says_what_to_do(tmp_path, capsys):
    assert preflight.main([], tmp_path, {}, answering({})) == 1
    shown = capsys.readouterr().out
    assert "problem  Docker Engine" in shown
    assert "-> python3 deploy/docker/preflight.py --secrets" in shown
    assert not list(tmp_path.iterdir())


def test_the_environment_counts_as_it_does_for_compose(root, capsys):
    overlay = {"COMPOSE_FILE": "docker-compose.yml:compose.gpu.yaml"}
    status, found = call(root, capsys, environ=overlay)
    assert status == 1
    assert found["GPU"]["level"] == "problem"


def test_secrets_of_a_bare_clone(tmp_path, capsys):
    status, found = call(tmp_path, capsys, "--secrets")
    assert status == 0
    assert found["secret valkey-url"]["message"] == "made"
    assert {finding.level for finding in secret_files.check_secrets(tmp_path / secret_files.FOLDER)} == {"ok"}


def test_the_gpu_is_switched_on_once(root, capsys):
    answers = WITH_CARD | {("docker", "info"): Answer(0, json.dumps(INFO | {"Runtimes": {"nvidia": {}}}))}
    for message in ("changed", "has it already"):
        status, found = call(root, capsys, "--gpu", answers=answers)
        assert status == 0
        assert found[".env"]["message"].startswith(message)
        assert found["GPU toolkit"]["level"] == "ok"
    assert "COMPOSE_FILE=docker-compose.yml:compose.gpu.yaml\n" in (root / ".env").read_text()
    status, found = call(root, capsys, answers=answers)
    assert found["GPU"]["level"] == found["GPU driver"]["level"] == "ok"


def test_without_a_card_nothing_is_switched_on(root, capsys):
    before = (root / ".env").read_text()
    status, found = call(root, capsys, "--gpu")
    assert status == 1
    assert "nothing changed" in found[".env"]["message"]
    assert (root / ".env").read_text() == before


def test_it_runs_from_any_folder_without_docker(tmp_path):
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    command = [sys.executable, str(SCRIPT), "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["findings"][0]["name"] == "Docker Engine"
    assert os.access(SCRIPT, os.X_OK)


def test_an_old_python_is_told_so():
    pretend = "import runpy, sys; sys.version_info = (3, 8, 1); runpy.run_path(sys.argv[1])"
    command = [sys.executable, "-c", pretend, str(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("preflight.py: expected Python 3.9 or later")


def test_commands_are_run_where_they_should_and_never_raise(tmp_path, monkeypatch):
    run = findings.run_in(tmp_path)
    assert run([sys.executable, "-c", "import os; print(os.getcwd())"]).out.strip() == str(tmp_path)
    assert run(["no-such-program-anywhere"]).no_program
    monkeypatch.setattr(findings, "_RUN_SECONDS", 0.05)
    slow = run([sys.executable, "-c", "import time; time.sleep(9)"])
    assert slow.status != 0
    assert "gave no answer" in slow.said
