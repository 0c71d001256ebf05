#!/usr/bin/env python3
"""Check whether this machine can run the stack in Docker, create its secrets, and enable a GPU.

    python3 deploy/docker/preflight.py             only checks; exit status 0 if all is well, otherwise 1
    python3 deploy/docker/preflight.py --secrets   creates missing or empty secrets, leaves others alone
    python3 deploy/docker/preflight.py --gpu       makes Compose use the NVIDIA card, through .env

Needs Python 3.9 or later and nothing else. Works from any folder.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "python3 deploy/docker/preflight.py"
FOLDER = "deploy/docker/secrets"
SERVICES = ("scraper", "classifier", "gan")
API_KEYS = "api-keys"
SECRETS = (
    "s3-root-password",
    *(f"s3-{service}-secret-key" for service in SERVICES),
    *(f"valkey-{service}-password" for service in SERVICES),
    API_KEYS,
)
SHORTEST = 8
EXAMPLES = ("minioadmin", "changeme", "change-me", "password", "example", "secret", "12345678")

ENGINE, COMPOSE = (27, 0), (2, 36)
DISK_GB, GPU_DISK_GB, MEMORY_GB = 15, 30, 8
GOOD_DRIVER, LEAST_DRIVER = 570, 525
"""TensorFlow's CUDA 12 libraries run on 525 and later; kernels that XLA compiles may need a newer one."""
BASE, OVERLAY = "docker-compose.yml", "compose.gpu.yaml"

OK, WARNING, PROBLEM = "ok", "warning", "problem"
Run = Callable[[Sequence[str]], "Answer"]


@dataclass(frozen=True)
class Finding:
    """The result of one check, and what to do about it."""

    level: str
    name: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Answer:
    """A program's result: exit status, stdout, and the first meaningful line."""

    status: int
    out: str
    said: str

    @property
    def json(self) -> dict[str, Any]:
        """Its stdout as a JSON object; empty if it is not one."""
        try:
            parsed = json.loads(self.out)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}


def run_in_root(command: Sequence[str]) -> Answer:
    """Run a program in the clone's root; a missing or hanging one gives a result, too."""
    try:
        done = subprocess.run(
            list(command), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"{command[0]} gave no answer in 60 s")
    except OSError as error:
        return Answer(127, "", f"{command[0]} cannot be started: {error.strerror}")
    out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    lines = (err.strip() or out.strip()).splitlines() or [f"nothing, with exit status {done.returncode}"]
    return Answer(done.returncode, out, lines[-1].strip())


def check(root: Path, run: Run) -> Iterator[Finding]:
    """Run all checks, in the order in which their remedies help."""
    engine = run(["docker", "version", "--format", "json"])
    yield check_version("engine", (engine.json.get("Server") or {}).get("Version"), ENGINE, engine.said)
    compose = run(["docker", "compose", "version", "--format", "json"])
    yield check_version("compose", compose.json.get("version"), COMPOSE, compose.said)
    builder = run(["docker", "buildx", "version"])
    yield check_version("buildx", None if builder.status else builder.out, (0, 10), builder.said)
    yield from check_secrets(root / FOLDER)
    yield from check_names(root)
    answer = run(["docker", "compose", "config", "--format", "json"])
    if answer.status:
        remedy = "correct .env and COMPOSE_FILE in it; `docker compose config` says more"
        yield Finding(PROBLEM, "files", f"docker compose config: {answer.said}", remedy)
        return
    services = answer.json.get("services", {})
    yield Finding(OK, "files", f"valid: {len(services)} containers")
    yield from check_ports(services, run)
    yield from check_access(services, root / FOLDER / API_KEYS)
    cards = cards_of(services)
    yield from check_space(
        run(["docker", "info", "--format", "json"]).json, GPU_DISK_GB if cards else DISK_GB
    )
    yield from check_gpu(cards, run)


def check_version(name: str, version: str | None, wanted: tuple[int, int], said: str) -> Finding:
    """Check that a program exists and is recent enough."""
    least = f"{wanted[0]}.{wanted[1]}"
    numbers = re.search(r"(\d+)\.(\d+)", version or "")
    remedy = "install or update Docker Engine and its plugins: https://docs.docker.com/engine/install/"
    if numbers is None:
        if "permission denied" in said.lower():
            remedy = "sudo usermod -aG docker $USER, then log in again"
        elif "connect" in said.lower():
            remedy = "start it: sudo systemctl start docker; DOCKER_HOST says where it is, if it is set"
        return Finding(PROBLEM, name, f"expected {least} or later; received: {said}", remedy)
    if (int(numbers[1]), int(numbers[2])) < wanted:
        return Finding(PROBLEM, name, f"expected {least} or later, received {numbers[0]}", remedy)
    return Finding(OK, name, numbers[0])


def check_secrets(folder: Path) -> Iterator[Finding]:
    """Check that every secret exists, is not an example value, and is readable inside containers."""
    faulty = False
    for name in SECRETS:
        fault, remedy = secret_fault(folder / name)
        if fault:
            faulty = True
            yield Finding(PROBLEM, name, fault, remedy)
    if not faulty:
        yield Finding(OK, "secrets", f"all {len(SECRETS)} in {FOLDER}")
    if folder.is_dir() and folder.stat().st_mode & 0o077:
        yield Finding(PROBLEM, "secrets", "others on this machine can read them", f"chmod 700 {FOLDER}")


def secret_fault(path: Path) -> tuple[str, str]:
    """Return (what is wrong with a secret, what to do), or two empty texts. Never shows its value."""
    make = f"{SCRIPT} --secrets"
    try:
        if path.is_dir():  # older engines create a folder if a file to mount is missing
            return "expected a file, found a folder", f"rmdir {FOLDER}/{path.name}; {make}"
        value = path.read_text(encoding="utf-8").strip()
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "expected a file, found none", make
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot be read: {error}", f"sudo chown -R $(id -u) {FOLDER}"
    fault = "" if path.name == API_KEYS else weakness(value)  # keys: see check_access
    if fault:
        return fault, f"rm {FOLDER}/{path.name}; {make}"
    if not mode & 0o004:
        return "containers run as another user and cannot read it", f"chmod 444 {FOLDER}/{path.name}"
    return "", ""


def weakness(value: str) -> str:
    """Return why a secret is invalid, or an empty text."""
    example = next((word for word in EXAMPLES if word in value.lower()), None)
    if example:
        return f"it holds the example {example!r}"
    if len(value) < SHORTEST:
        return f"expected {SHORTEST} characters or more, received {len(value)}"
    if re.search(r"[\s\"'\\]", value):
        return "expected no blanks, quotes and backslashes"
    return ""


def make_secrets(folder: Path) -> Iterator[Finding]:
    """Create missing or empty secrets. Existing values are never touched, valid or not.

    Only the owner can enter the folder; the files are readable to all, because containers mount them one by
    one and run as other users.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in SECRETS:
        path = folder / name
        if path.exists() and (path.is_dir() or path.read_bytes().strip()):
            fault, remedy = secret_fault(path)
            yield Finding(PROBLEM if fault else OK, name, f"kept{': ' if fault else ''}{fault}", remedy)
            continue
        value = secrets.token_hex(20)  # MinIO limits secret keys to 40 characters
        path.unlink(missing_ok=True)
        path.write_text(f"pikastack:{value}\n" if name == API_KEYS else value, encoding="utf-8")
        path.chmod(0o644 if name == API_KEYS else 0o444)  # keys are added by hand
        yield Finding(OK, name, "made")


def check_names(root: Path) -> Iterator[Finding]:
    """Check that .env exists and contains no misspelled setting."""
    if not (root / ".env").is_file():
        yield Finding(OK, ".env", "none: every setting has its default", "cp .env.example .env to change any")
        return
    names = re.compile(r"^#?\s*([A-Za-z_]\w*)\s*=", re.M)
    known = set(names.findall((root / ".env.example").read_text(encoding="utf-8")))
    text = re.sub(r"^\s*#.*$", "", (root / ".env").read_text(encoding="utf-8"), flags=re.M)
    unknown = [name for name in names.findall(text) if name not in known and name.startswith("PIKA")]
    if unknown:
        yield Finding(
            WARNING, ".env", f"nothing reads {', '.join(unknown)}", "see .env.example for the names"
        )


def check_ports(services: dict[str, Any], run: Run) -> Iterator[Finding]:
    """Check that the published ports are free, or already this stack's."""
    running = run(["docker", "compose", "ps", "--format", "{{.Service}}"]).out.split()
    for service, view in services.items():
        for port in view.get("ports", []):
            address, number = port.get("host_ip") or "0.0.0.0", int(port["published"])  # noqa: S104
            place = f"{address} port {number}"
            if service in running:
                yield Finding(OK, service, f"has {place}")
                continue
            try:
                with socket.create_server((address, number)):
                    yield Finding(OK, service, f"{place} is free")
            except PermissionError:
                yield Finding(OK, service, f"{place} is the engine's to take")
            except OSError as error:
                remedy = "another program has it (sudo ss -ltnp), or it is no address of this machine: .env"
                yield Finding(PROBLEM, service, f"expected to get {place}: {error.strerror}", remedy)


def check_access(services: dict[str, Any], keys: Path) -> Iterator[Finding]:
    """Check for API keys, or an explicit choice of none; and for HTTPS if reachable from outside."""
    is_open = services["scraper"]["environment"].get("PIKA_OPEN_ACCESS", "false").lower() == "true"
    front = services["front"]
    addresses = {port.get("host_ip") or "0.0.0.0" for port in front["ports"]}  # noqa: S104
    is_public = any(not address.startswith("127.") and address != "::1" for address in addresses)
    has_keys = keys.is_file() and bool(keys.read_text(encoding="utf-8").strip())
    if not has_keys:
        remedy = f"{SCRIPT} --secrets makes one"
        if not is_open:
            yield Finding(PROBLEM, "access", "expected keys: the services do not start without any", remedy)
        elif is_public:
            yield Finding(WARNING, "access", "others may do everything: PIKA_OPEN_ACCESS is true", remedy)
    if is_public and not front["environment"].get("PIKA_FRONT_SITE"):
        remedy = "append :compose.tls.yaml to COMPOSE_FILE and set PIKA_SITE in .env"
        yield Finding(WARNING, "access", "others reach the gateway without HTTPS", remedy)


def check_space(info: dict[str, Any], disk: int) -> Iterator[Finding]:
    """Check for memory to train in, and space for images and data."""
    memory = int(info.get("MemTotal") or 0) / 1e9
    enough = memory >= MEMORY_GB
    yield Finding(OK if enough else WARNING, "memory", f"{memory:.1f} GB; training wants {MEMORY_GB}")
    place = Path(info.get("DockerRootDir") or "/var/lib/docker")
    while not os.access(place, os.R_OK):  # the engine's folder may be unreadable for us
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    remedy = "" if free >= disk else "make space: docker system df, then docker system prune"
    yield Finding(OK if free >= disk else WARNING, "disk", f"{free:.0f} GB free; expected {disk}", remedy)


def cards_of(services: dict[str, Any]) -> dict[str, list[str]]:
    """Map containers to the cards that they reserve."""
    reserved = {}
    for name, view in services.items():
        devices = view.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        ids = [card for device in devices for card in device.get("device_ids") or ["all"]]
        if ids:
            reserved[name] = ids
    return reserved


def check_gpu(cards: dict[str, list[str]], run: Run) -> Iterator[Finding]:
    """Check driver, toolkit and card by trying the card in the container that needs it."""
    listed = run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"])
    if not cards:
        present = f"{listed.out.strip()}, not used" if not listed.status else "none, and none is asked for"
        yield Finding(OK, "GPU", present, "" if listed.status else f"to use it: {SCRIPT} --gpu")
        return
    if listed.status:
        remedy = "install NVIDIA's driver until nvidia-smi lists the card; or take the overlay out of .env"
        yield Finding(PROBLEM, "GPU", f"{OVERLAY} asks for a card; nvidia-smi: {listed.said}", remedy)
        return
    driver = int(listed.out.split(",")[1].split(".")[0])
    level = OK if driver >= GOOD_DRIVER else WARNING if driver >= LEAST_DRIVER else PROBLEM
    yield Finding(level, "driver", f"{driver}; expected {GOOD_DRIVER}, at the least {LEAST_DRIVER}")
    for service, ids in cards.items():
        command = ["docker", "compose", "run", "--rm", "--no-deps", "-T", "--pull", "never"]
        tried = run([*command, "--entrypoint", "nvidia-smi", service, "-L"])
        if "no such image" in tried.said.lower():
            yield Finding(
                WARNING, service, "its image is not built, so no card was tried", "docker compose build"
            )
        elif tried.status:
            remedy = "install the NVIDIA Container Toolkit; sudo nvidia-ctk runtime configure; restart docker"
            yield Finding(PROBLEM, service, f"no card {', '.join(ids)} inside it: {tried.said}", remedy)
        else:
            yield Finding(OK, service, tried.out.strip())


def use_gpu(root: Path, run: Run) -> Iterator[Finding]:
    """Add the overlay to COMPOSE_FILE in .env; everything else there is kept."""
    if run(["nvidia-smi", "-L"]).status:
        yield Finding(
            PROBLEM, ".env", "not changed: nvidia-smi lists no card", "install NVIDIA's driver first"
        )
        return
    env = root / ".env"
    text = (env if env.exists() else root / ".env.example").read_text(encoding="utf-8")
    line = re.search(r"^COMPOSE_FILE=(.*)$", text, re.M)
    files = (line[1].strip() or BASE) if line else BASE
    if OVERLAY in files.split(":"):
        yield Finding(OK, ".env", f"COMPOSE_FILE has {OVERLAY} already")
        return
    new = f"COMPOSE_FILE={files}:{OVERLAY}"
    env.write_text(text.replace(line[0], new) if line else f"{text.rstrip()}\n{new}\n", encoding="utf-8")
    yield Finding(OK, ".env", f"changed: {new}", "docker compose up --build --wait")


def main(arguments: Sequence[str], root: Path = ROOT, run: Run = run_in_root) -> int:
    """Do what the arguments ask for, show the results, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--secrets", action="store_true", help="make the secrets that are missing or empty")
    parser.add_argument("--gpu", action="store_true", help=f"write {OVERLAY} into .env")
    options = parser.parse_args(arguments)
    findings = list(make_secrets(root / FOLDER)) if options.secrets else []
    findings += use_gpu(root, run) if options.gpu else []
    if not options.secrets and not options.gpu:
        findings = list(check(root, run))
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{finding.level:7}  {finding.name:{width}}  {finding.message}")
        if finding.remedy:
            print(f"{'':7}  {'':{width}}  -> {finding.remedy}")
    return int(any(finding.level == PROBLEM for finding in findings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
