"""Whether an NVIDIA card can be used: card, driver, container toolkit; and the line in .env that uses it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preflight_findings import (
    OK,
    PROBLEM,
    SCRIPT,
    WARNING,
    Finding,
    Run,
    compose_files,
    entry,
    separator,
    unquoted,
    version_in,
)

BASE, OVERLAY = "docker-compose.yml", "compose.gpu.yaml"
USE = f"{SCRIPT} --gpu"

GOOD_DRIVER, LEAST_DRIVER = 570, 525
"""CUDA 12 libraries run on 525 and later; kernels that are compiled at run time may need a newer one."""

_QUERY = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
_INSTALL_DRIVER = "install or update NVIDIA's driver until nvidia-smi lists the card"
_INSTALL_TOOLKIT = (
    "install the NVIDIA Container Toolkit, then: sudo nvidia-ctk runtime configure --runtime=docker "
    "&& sudo systemctl restart docker"
)
_CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")


@dataclass(frozen=True)
class Card:
    """One line of nvidia-smi."""

    name: str
    driver: str
    memory: str


@dataclass(frozen=True)
class Cards:
    """The machine's cards; why there are none, where there are none."""

    found: tuple[Card, ...]
    why_none: str = ""


def find_cards(run: Run) -> Cards:
    """Ask nvidia-smi."""
    answer = run(_QUERY)
    if answer.no_program:
        return Cards((), "there is no nvidia-smi, so no NVIDIA driver")
    rows = [[column.strip() for column in line.split(",")] for line in answer.out.splitlines()]
    found = tuple(Card(*row) for row in rows if len(row) == len(Card.__annotations__))
    if answer.status or not found:
        return Cards((), f"nvidia-smi says: {answer.said}")
    return Cards(found)


def overlay_in_use(settings: Mapping[str, str]) -> bool:
    """Whether Compose reads the overlay for a GPU."""
    return OVERLAY in compose_files(settings)


def check_gpu(cards: Cards, wanted: bool) -> Finding:
    """The card that the settings ask for is there; one that nobody asked for is offered."""
    if not cards.found and wanted:
        message = f"expected an NVIDIA card, since COMPOSE_FILE has {OVERLAY}; {cards.why_none}"
        return Finding("GPU", PROBLEM, message, f"{_INSTALL_DRIVER}; or take {OVERLAY} out of COMPOSE_FILE")
    if not cards.found:
        return Finding("GPU", OK, f"none, and none is asked for: {cards.why_none}")
    described = ", ".join(f"{card.name} with {card.memory}" for card in cards.found)
    if wanted:
        return Finding("GPU", OK, described)
    return Finding("GPU", OK, f"{described}, not used yet", f"to train and serve on it: {USE}")


def check_driver(cards: Cards) -> Finding:
    """The driver is new enough for TensorFlow's libraries."""
    name = "GPU driver"
    versions = {card.driver for card in cards.found}
    oldest = min(versions, key=lambda text: version_in(text) or (0, 0))
    version = version_in(oldest)
    if version is None:
        message = f"expected a driver's version from nvidia-smi, received {oldest!r}"
        return Finding(name, WARNING, message, f"see that it is {GOOD_DRIVER} or later")
    if version[0] < LEAST_DRIVER:
        message = f"expected {LEAST_DRIVER} at the least, and better {GOOD_DRIVER}, received {oldest}"
        return Finding(name, PROBLEM, message, _INSTALL_DRIVER)
    if version[0] < GOOD_DRIVER:
        message = f"expected {GOOD_DRIVER} or later, received {oldest}, on which XLA may fail"
        return Finding(name, WARNING, message, _INSTALL_DRIVER)
    return Finding(name, OK, oldest)


def check_toolkit(
    info: Mapping[str, Any],
    which: Callable[[str], str | None] = shutil.which,
    cdi_folders: Sequence[str] = _CDI_FOLDERS,
) -> Finding:
    """The engine can give the card to a container."""
    name = "GPU toolkit"
    if "nvidia" in (info.get("Runtimes") or {}):
        return Finding(name, OK, "the engine has the runtime nvidia")
    for folder in dict.fromkeys([*(info.get("CDISpecDirs") or []), *cdi_folders]):
        for path in sorted(Path(folder).glob("*")):
            if path.suffix in (".yaml", ".json") and "nvidia.com/gpu" in _text(path):
                return Finding(name, OK, f"the card is described in {path}")
    program = which("nvidia-ctk")
    if program:
        return Finding(name, OK, f"{program} is installed")
    message = "expected the NVIDIA Container Toolkit; there is no runtime nvidia, CDI file or nvidia-ctk"
    return Finding(name, PROBLEM, message, _INSTALL_TOOLKIT)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def check_choice(cards: Cards, settings: Mapping[str, str]) -> Finding:
    """There is a card of the number in PIKA_GPU, which may also be a UUID."""
    chosen, count = settings.get("PIKA_GPU", "0"), len(cards.found)
    if chosen.isdecimal() and int(chosen) >= count:
        message = f"PIKA_GPU: expected a number below {count}, the count of cards, received {chosen}"
        return Finding("GPU choice", PROBLEM, message, "correct it in .env; nvidia-smi -L lists the cards")
    return Finding("GPU choice", OK, f"card {chosen}")


def check_all(
    cards: Cards, info: Mapping[str, Any], settings: Mapping[str, str], wanted: bool
) -> list[Finding]:
    """On a card that is not used its driver and toolkit do not matter."""
    findings = [check_gpu(cards, wanted)]
    if cards.found and wanted:
        findings += [check_choice(cards, settings), check_driver(cards), check_toolkit(info)]
    return findings


def use_gpu(root: Path, cards: Cards, environ: Mapping[str, str]) -> Finding:
    """Make Compose read the overlay from now on, through COMPOSE_FILE in .env; where there is a card."""
    env, example = root / ".env", root / ".env.example"
    if not cards.found:
        return Finding(
            ".env", PROBLEM, f"expected an NVIDIA card, so nothing changed: {cards.why_none}", _INSTALL_DRIVER
        )
    try:
        # Bytes, so that line ends stay as they are.
        old = env.read_bytes().decode() if env.exists() else None
        new = with_overlay(example.read_bytes().decode() if old is None else old, separator(environ))
        if new != old:
            env.write_bytes(new.encode())
    except (OSError, UnicodeDecodeError) as error:
        message = f"expected to read {example if not env.exists() else env} and write {env}: {error}"
        return Finding(".env", PROBLEM, message, f"git checkout {example.name}; or see whose .env it is")
    set_elsewhere = environ.get("COMPOSE_FILE")
    if set_elsewhere and not overlay_in_use(environ):
        message = f"has {OVERLAY}, but the environment's COMPOSE_FILE={set_elsewhere} wins over it"
        return Finding(".env", WARNING, message, "unset COMPOSE_FILE")
    done = "has it already" if new == old else "changed"
    return Finding(".env", OK, f"{done}: COMPOSE_FILE with {OVERLAY}", "docker compose up -d --build --wait")


def with_overlay(text: str, between: str = os.pathsep) -> str:
    """An env file's text with the overlay in COMPOSE_FILE, and everything else as it was."""
    lines = text.splitlines(keepends=True)
    # Of several lines the last holds.
    for number in reversed(range(len(lines))):
        match = entry(lines[number].rstrip("\r\n"))
        if match is None or match["name"] != "COMPOSE_FILE":
            continue
        files = [file for file in unquoted(match["value"]).split(between) if file] or [BASE]
        if overlay_in_use({"COMPOSE_FILE": between.join(files), "COMPOSE_PATH_SEPARATOR": between}):
            return text
        start, end = match.span("value")
        value = between.join([*files, OVERLAY])
        lines[number] = lines[number][:start] + value + lines[number][end:]
        return "".join(lines)
    gap = "\n" if text and not text.endswith("\n") else ""
    return f"{text}{gap}COMPOSE_FILE={BASE}{between}{OVERLAY}\n"
