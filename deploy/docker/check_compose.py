#!/usr/bin/env python3
"""Validate every combination of the Compose files; exit with 1 if one is invalid. Needs no engine.

Without `docker compose` nothing is checked, and a message says so: it is not available as a Python package.
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BASE = "docker-compose.yml"


def main() -> int:
    """Return the exit status."""
    if not _succeeds("version"):
        print("check_compose: not checked, there is no `docker compose` here")
        return 0
    overlays = sorted(path.name for path in ROOT.glob("compose.*.yaml"))
    combinations = [
        (BASE, *chosen)
        for count in range(len(overlays) + 1)
        for chosen in itertools.combinations(overlays, count)
    ]
    refused = [files for files in combinations if not _succeeds("config", "--quiet", files=files)]
    print(f"check_compose: {len(combinations)} combinations of files, {len(refused)} refused")
    return 1 if refused else 0


def _succeeds(*words: str, files: tuple[str, ...] = (BASE,)) -> bool:
    # A variable that an overlay requires; everything else has a default.
    environ = os.environ | {"COMPOSE_FILE": os.pathsep.join(files), "PIKA_SITE": "localhost"}
    command = ["docker", "compose", "--env-file", os.devnull, *words]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    except OSError:
        return False
    if done.returncode and words[0] == "config":
        print(f"{' '.join(files)}: {done.stderr.strip()}", file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
