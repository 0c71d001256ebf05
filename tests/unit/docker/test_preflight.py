"""deploy/docker/preflight.py, on outputs of Docker and nvidia-smi: what it reports and writes."""

import importlib.util
import json
import re
import socket
import stat
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_spec = importlib.util.spec_from_file_location("preflight", ROOT / "deploy/docker/preflight.py")
preflight = sys.modules["preflight"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(preflight)
OK, WARNING, PROBLEM = preflight.OK, preflight.WARNING, preflight.PROBLEM


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def root(tmp_path):
    """A clone's root with valid secrets and .env."""
    (tmp_path / ".env.example").write_text("COMPOSE_FILE=docker-compose.yml\nPIKA_PORT=8080\n#PIKA_SITE=\n")
    (tmp_path / ".env").write_text("COMPOSE_FILE=docker-compose.yml\nPIKA_PORT=8080\n")
    list(preflight.make_secrets(tmp_path / preflight.FOLDER))
    return tmp_path


class Machine:
    """The programs of a healthy machine; each test changes one aspect."""

    def __init__(self, port):
        self.front = {"ports": [{"host_ip": "127.0.0.1", "published": str(port)}], "environment": {}}
        self.services = {"front": self.front, "scraper": {"environment": {"PIKA_OPEN_ACCESS": "false"}}}
        self.answers = {
            "docker version": (0, json.dumps({"Server": {"Version": "28.5.2+dfsg4"}})),
            "docker compose version": (0, '{"version": "2.40.3-3"}'),
            "docker buildx": (0, "github.com/docker/buildx 0.29.1 0.29.1-4"),
            "docker compose config": (0, None),
            "docker compose ps": (0, ""),
            "docker info": (0, json.dumps({"MemTotal": 24 * 10**9, "DockerRootDir": "/"})),
        }

    def card(self, driver="570.133.20"):
        """Add a GPU that the GAN's worker reserves."""
        self.answers["nvidia-smi"] = (0, f"NVIDIA H200, {driver}, 143771 MiB\n")
        self.answers["docker compose run"] = (0, "GPU 0: NVIDIA H200\n")
        devices = {"devices": [{"driver": "nvidia", "device_ids": ["0"]}]}
        self.services["gan-worker"] = {"deploy": {"resources": {"reservations": devices}}}

    def run(self, command):
        words = " ".join(command)
        for start, (status, out) in self.answers.items():
            if words.startswith(start):
                text = json.dumps({"services": self.services}) if out is None else out
                return preflight.Answer(status, text, text.strip())
        return preflight.Answer(127, "", f"{command[0]} cannot be started: not found")

    def levels(self, root):
        """Return the failed checks: name → level."""
        findings = preflight.check(root, self.run)
        return {finding.name: finding.level for finding in findings if finding.level != OK}


@pytest.fixture
def machine(free_port, monkeypatch):
    monkeypatch.setattr(preflight, "DISK_GB", 0)
    monkeypatch.setattr(preflight, "GPU_DISK_GB", 0)
    return Machine(free_port)


def test_a_good_machine_has_nothing_in_the_way(machine, root, capsys):
    assert machine.levels(root) == {}
    assert preflight.main([], root, machine.run) == 0
    assert "secrets  all 8 in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("program", "answer", "name", "remedy"),
    [
        ("docker version", (127, ""), "engine", "install"),
        ("docker version", (1, "Cannot connect to the Docker daemon"), "engine", "start it"),
        ("docker version", (1, "permission denied while trying to connect"), "engine", "usermod"),
        ("docker version", (0, '{"Server": {"Version": "26.1"}}'), "engine", "update"),
        ("docker compose version", (0, '{"version": "v2.29.0"}'), "compose", "update"),
        ("docker buildx", (1, "'buildx' is not a docker command"), "buildx", "install"),
        ("docker compose config", (1, "services.gan: invalid"), "files", "COMPOSE_FILE"),
    ],
)
def test_what_is_missing_or_too_old_is_named_with_a_remedy(machine, root, program, answer, name, remedy):
    machine.answers[program] = answer
    (failure,) = [finding for finding in preflight.check(root, machine.run) if finding.level != OK]
    assert (failure.name, failure.level) == (name, PROBLEM)
    assert remedy in failure.remedy


def test_memory_and_disk_that_are_short_are_a_warning(machine, root, monkeypatch):
    machine.answers["docker info"] = (0, json.dumps({"MemTotal": 4 * 10**9, "DockerRootDir": "/"}))
    monkeypatch.setattr(preflight, "DISK_GB", 10**9)
    assert machine.levels(root) == {"memory": WARNING, "disk": WARNING}


def test_a_port_of_somebody_else_is_in_the_way_and_the_stacks_own_is_not(machine, root):
    with socket.create_server(("127.0.0.1", 0)) as other:
        machine.front["ports"][0]["published"] = str(other.getsockname()[1])
        assert machine.levels(root) == {"front": PROBLEM}
        machine.answers["docker compose ps"] = (0, "valkey\nfront\n")
        assert machine.levels(root) == {}


def test_who_is_reached_from_outside_needs_keys_and_https(machine, root):
    machine.front["ports"][0]["host_ip"] = "0.0.0.0"
    assert machine.levels(root) == {"access": WARNING}  # without HTTPS
    machine.front["environment"]["PIKA_FRONT_SITE"] = "pikachu.example.org"
    assert machine.levels(root) == {}
    keys = root / preflight.FOLDER / "api-keys"
    keys.write_text("\n")
    assert machine.levels(root) == {"access": PROBLEM}
    machine.services["scraper"]["environment"]["PIKA_OPEN_ACCESS"] = "true"
    assert machine.levels(root) == {"access": WARNING}
    machine.front["ports"][0]["host_ip"] = "127.0.0.1"
    assert machine.levels(root) == {}


def test_a_card_is_tried_in_the_container_that_wants_it(machine, root):
    machine.card()
    assert machine.levels(root) == {}
    machine.card(driver="535.1")
    assert machine.levels(root) == {"driver": WARNING}
    machine.card(driver="470.1")
    assert machine.levels(root) == {"driver": PROBLEM}
    machine.card()
    machine.answers["docker compose run"] = (1, 'could not select device driver "nvidia"')
    assert machine.levels(root) == {"gan-worker": PROBLEM}
    machine.answers["docker compose run"] = (1, "No such image: pikastack/gan-worker-gpu:latest")
    assert machine.levels(root) == {"gan-worker": WARNING}
    del machine.answers["nvidia-smi"]
    assert machine.levels(root) == {"GPU": PROBLEM}


def test_names_that_nothing_reads_are_told(machine, root):
    with (root / ".env").open("a") as env:
        env.write("PIKA_PROT=80\n# PIKA_OLD=1\nMY_OWN=1\n")
    (failure,) = [finding for finding in preflight.check(root, machine.run) if finding.level != OK]
    assert failure.level == WARNING
    assert failure.message == "nothing reads PIKA_PROT"


def test_secrets_are_made_once_and_never_replaced(tmp_path):
    folder = tmp_path / "secrets"
    made = list(preflight.make_secrets(folder))
    assert {finding.message for finding in made} == {"made"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    values = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(values) == set(preflight.SECRETS)
    assert len(set(values.values())) == len(values)
    assert all(path.stat().st_mode & 0o004 for path in folder.iterdir())
    # Files by other authors stay, even if this script would have written them differently.
    for name, value in (("s3-gan-secret-key", "with/slash+and plus"), ("valkey-gan-password", "changeme")):
        (folder / name).chmod(0o644)
        (folder / name).write_text(value)
        values[name] = value
    (folder / "s3-root-password").chmod(0o644)
    (folder / "s3-root-password").write_text("\n")
    again = {finding.name: finding for finding in preflight.make_secrets(folder)}
    after = {path.name: path.read_text() for path in folder.iterdir()}
    assert after.pop("s3-root-password").strip()
    assert after == {name: value for name, value in values.items() if name != "s3-root-password"}
    assert {name for name, finding in again.items() if finding.level == PROBLEM} == {
        "s3-gan-secret-key",
        "valkey-gan-password",
    }


@pytest.mark.parametrize("text", ["", "short", "minioadmin", "two words here"])
def test_a_secret_that_is_no_good_is_named_but_not_told(machine, root, text):
    path = root / preflight.FOLDER / "s3-gan-secret-key"
    path.chmod(0o644)
    path.write_text(text)
    (failure,) = [finding for finding in preflight.check(root, machine.run) if finding.level != OK]
    assert (failure.name, failure.level) == ("s3-gan-secret-key", PROBLEM)
    assert "words" not in failure.message


def test_a_secret_that_is_missing_a_folder_or_unreadable_in_a_container_is_found(machine, root):
    folder = root / preflight.FOLDER
    (folder / "s3-root-password").unlink()
    (folder / "valkey-gan-password").unlink()
    (folder / "valkey-gan-password").mkdir()
    (folder / "s3-gan-secret-key").chmod(0o600)
    folder.chmod(0o755)
    names = ("s3-root-password", "valkey-gan-password", "s3-gan-secret-key", "secrets")
    assert machine.levels(root) == dict.fromkeys(names, PROBLEM)


def test_the_secrets_are_those_of_the_compose_file():
    text = (ROOT / "docker-compose.yml").read_text()
    named = re.findall(rf"^  ([\w-]+): \{{file: {preflight.FOLDER}/(.+)\}}$", text, re.M)
    assert sorted(named) == sorted((name, name) for name in preflight.SECRETS)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("COMPOSE_FILE=docker-compose.yml\nA=1\n", "COMPOSE_FILE=docker-compose.yml:compose.gpu.yaml\nA=1\n"),
        ("A=1", "A=1\nCOMPOSE_FILE=docker-compose.yml:compose.gpu.yaml\n"),
        (
            "COMPOSE_FILE=docker-compose.yml:compose.tls.yaml\n",
            "COMPOSE_FILE=docker-compose.yml:compose.tls.yaml:compose.gpu.yaml\n",
        ),
        (None, "COMPOSE_FILE=docker-compose.yml:compose.gpu.yaml\nPIKA_PORT=8080\n#PIKA_SITE=\n"),
    ],
)
def test_the_gpu_is_switched_on_by_one_line(machine, root, before, after):
    machine.card()
    env = root / ".env"
    env.write_text(before) if before else env.unlink()
    for _ in range(2):
        assert preflight.main(["--gpu"], root, machine.run) == 0
        assert env.read_text() == after


def test_without_a_card_nothing_is_switched_on(machine, root):
    before = (root / ".env").read_text()
    assert preflight.main(["--gpu"], root, machine.run) == 1
    assert (root / ".env").read_text() == before
