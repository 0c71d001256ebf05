"""Whether this machine has what the stack needs: Docker with its plugins, memory, space on the disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from preflight_findings import OK, PROBLEM, WARNING, Finding, Run, version_in

ENGINE_VERSION = (27, 0)
COMPOSE_VERSION = (2, 36)
GIGABYTE = 10**9
MEMORY_GIGABYTES = 8
DISK_GIGABYTES = 15
GPU_DISK_GIGABYTES = 25
"""The CUDA libraries of the GPU images alone are several gigabytes."""
LEAST_DISK_GIGABYTES = 5

_INSTALL = "install Docker Engine with its plugins: https://docs.docker.com/engine/install/"
_INSTALL_PLUGINS = "install docker-compose-plugin and docker-buildx-plugin, or update Docker Desktop"
_CONTAINERD_FOLDER = Path("/var/lib/containerd")


def check_engine(run: Run) -> Finding:
    """A Docker Engine answers, and is new enough."""
    name = "Docker Engine"
    answer = run(["docker", "version", "--format", "json"])
    if answer.no_program:
        return Finding(name, PROBLEM, f"expected the program docker on PATH: {answer.said}", _INSTALL)
    server = _json(answer.out).get("Server")
    if not server:
        message = f"expected an answer from the engine, received: {answer.said}"
        return Finding(name, PROBLEM, message, _way_to_engine(answer.said))
    return _at_least(name, str(server.get("Version")), ENGINE_VERSION, _INSTALL)


def _way_to_engine(said: str) -> str:
    """What to do when the engine does not answer, from what the docker command said about it."""
    if "permission denied" in said.lower():
        return "join its group: sudo usermod -aG docker $USER, then log in again; or run this with sudo"
    return "start it: sudo systemctl start docker (or Docker Desktop); DOCKER_HOST says where, if it is set"


def check_compose(run: Run) -> Finding:
    """The Compose plugin is there, and new enough for this project's files."""
    name = "Docker Compose"
    answer = run(["docker", "compose", "version", "--format", "json"])
    if answer.status:
        message = f"expected the plugin docker compose, received: {answer.said}"
        return Finding(name, PROBLEM, message, _INSTALL_PLUGINS)
    version = _json(answer.out).get("version", answer.out.strip())
    return _at_least(name, str(version), COMPOSE_VERSION, _INSTALL_PLUGINS)


def check_buildx(run: Run) -> Finding:
    """The plugin that builds images is there."""
    answer = run(["docker", "buildx", "version"])
    if answer.status:
        message = f"expected the plugin docker buildx, received: {answer.said}"
        return Finding("buildx", PROBLEM, message, _INSTALL_PLUGINS)
    return Finding("buildx", OK, answer.said)


def _at_least(name: str, version: str, wanted: tuple[int, int], remedy: str) -> Finding:
    """A finding on a program's version."""
    found = version_in(version)
    least = f"{wanted[0]}.{wanted[1]}"
    if found is None:
        message = f"expected version {least} or later, received {version!r}, which is no number"
        return Finding(name, WARNING, message, f"see that it is {least} or later")
    if found < wanted:
        return Finding(name, PROBLEM, f"expected version {least} or later, received {version}", remedy)
    return Finding(name, OK, version)


def engine_info(run: Run) -> dict[str, Any]:
    """What the engine says about itself and its machine; nothing when it does not answer."""
    info = _json(run(["docker", "info", "--format", "json"]).out)
    # Without an engine there is an answer too, about the plugins of the command alone.
    return info if info.get("DockerRootDir") else {}


def check_memory(info: Mapping[str, Any]) -> Finding:
    """The engine's machine has memory enough to train."""
    found = int(info.get("MemTotal") or 0) / GIGABYTE
    if found < MEMORY_GIGABYTES:
        message = f"expected {MEMORY_GIGABYTES} GB or more for training, received {found:.1f} GB"
        remedy = "serving works with less; for training take a larger machine, or give Docker Desktop more"
        return Finding("memory", WARNING, message, remedy)
    return Finding("memory", OK, f"{found:.1f} GB")


def free_bytes(folder: Path) -> int | None:
    """Free space where `folder` lies; None where there is no such folder on this machine."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except PermissionError:
            # Docker's folder may be hidden from others; it mostly lies on the file system of a folder above.
            continue
        except OSError:
            return None
    return None


def check_disk(
    info: Mapping[str, Any], with_gpu: bool, free: Callable[[Path], int | None] = free_bytes
) -> Finding:
    """There is space for the images, and for what the stack will keep."""
    places = {folder: free(folder) for folder in _data_folders(info)}
    known = {folder: space for folder, space in places.items() if space is not None}
    if not known:
        folders = _listed(places)
        message = f"expected to see the free space in {folders}, which is not a folder of this machine"
        return Finding("disk", WARNING, message, "look at the engine's own machine: docker system df")
    folder = min(known, key=lambda place: known[place])
    gigabytes = known[folder] / GIGABYTE
    wanted = GPU_DISK_GIGABYTES if with_gpu else DISK_GIGABYTES
    if gigabytes >= wanted:
        return Finding("disk", OK, f"{gigabytes:.0f} GB free in {folder}")
    level = PROBLEM if gigabytes < LEAST_DISK_GIGABYTES else WARNING
    message = f"expected {wanted} GB free in {folder}, received {gigabytes:.1f} GB"
    return Finding("disk", level, message, "make space: docker system df, then docker system prune")


def _data_folders(info: Mapping[str, Any]) -> list[Path]:
    """Where images and volumes are: the engine's own folder, and containerd's if that keeps the images."""
    folders = [Path(info["DockerRootDir"])]
    if "io.containerd.snapshotter" in json.dumps(info.get("DriverStatus") or []):
        folders.append(_CONTAINERD_FOLDER)
    return folders


def _listed(things: Iterable[object]) -> str:
    return " and ".join(map(str, things))


def _json(text: str) -> dict[str, Any]:
    """The JSON object in `text`; an empty one when there is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
