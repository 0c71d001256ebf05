#!/usr/bin/env python3
"""Sees whether this machine can run the stack in Docker, makes its secrets, and switches a GPU on.

    python3 deploy/docker/preflight.py             looks, changes nothing; 0 if there is no problem, else 1
    python3 deploy/docker/preflight.py --secrets   makes deploy/docker/secrets; good ones stay as they are
    python3 deploy/docker/preflight.py --gpu       has Compose use the machine's NVIDIA card, through .env

Needs Python 3.9 or later and nothing else. It can be called from any folder.
"""

# ruff: noqa: E402 — an old Python must get as far as the message that says so

import sys

OLDEST_PYTHON = (3, 9)
if sys.version_info < OLDEST_PYTHON:
    sys.exit("preflight.py: expected Python 3.9 or later, received " + sys.version.split()[0])

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import preflight_front as front
import preflight_gpu as gpu
import preflight_host as host
import preflight_secrets as secret_files
from preflight_findings import OK, PROBLEM, WARNING, Finding, Run, run_in, settings_of

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str], root: Path, environ: Mapping[str, str], run: Run) -> int:
    """Do what the arguments ask for and show it; the exit status."""
    parser = argparse.ArgumentParser(
        prog="preflight.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--secrets", action="store_true", help="make the secrets that are missing or no good")
    parser.add_argument("--gpu", action="store_true", help="write the GPU overlay into .env")
    parser.add_argument("--json", action="store_true", help="show the findings as one JSON object")
    options = parser.parse_args(arguments)

    findings = []
    if options.secrets:
        findings += secret_files.make_secrets(root / secret_files.FOLDER)
    if options.gpu:
        findings += use_gpu(root, environ, run)
    if not options.secrets and not options.gpu:
        findings += check(root, environ, run)
    show(findings, options.json)
    return 1 if any(finding.level == PROBLEM for finding in findings) else 0


def check(root: Path, environ: Mapping[str, str], run: Run) -> list[Finding]:
    """All checks; those that ask the engine only where it answers."""
    env, example = root / ".env", root / ".env.example"
    secrets_folder = root / secret_files.FOLDER
    settings = settings_of(env, environ)
    with_gpu = gpu.overlay_in_use(settings)
    info = host.engine_info(run)
    findings = [host.check_engine(run), host.check_compose(run), host.check_buildx(run)]
    if info:
        findings += [host.check_memory(info), host.check_disk(info, with_gpu)]
    return [
        *findings,
        front.check_env_file(env, example),
        front.check_names(env, example),
        *secret_files.check_secrets(secrets_folder),
        *front.check_ports(settings, run),
        front.check_keys(settings, secrets_folder / secret_files.API_KEYS),
        front.check_tls(settings),
        *gpu.check_all(gpu.find_cards(run), info, settings, with_gpu),
    ]


def use_gpu(root: Path, environ: Mapping[str, str], run: Run) -> list[Finding]:
    """Switch the card on where there is one, and say what it still lacks."""
    cards = gpu.find_cards(run)
    written = gpu.use_gpu(root, cards, environ)
    if not cards.found:
        return [written]
    settings = settings_of(root / ".env", environ)
    return [*gpu.check_all(cards, host.engine_info(run), settings, wanted=True), written]


def show(findings: Sequence[Finding], as_json: bool) -> None:
    """A line for each finding, below it what to do; or everything as JSON."""
    count = {level: sum(finding.level == level for finding in findings) for level in (PROBLEM, WARNING, OK)}
    if as_json:
        described = [vars(finding) for finding in findings]
        print(json.dumps({"ok": not count[PROBLEM], "findings": described}, indent=2))
        return
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{finding.level:7}  {finding.name:{width}}  {finding.message}")
        if finding.remedy:
            print(f"{'':7}  {'':{width}}  -> {finding.remedy}")
    print(f"\n{count[OK]} ok, {count[WARNING]} to look at, {count[PROBLEM]} in the way")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], ROOT, os.environ, run_in(ROOT)))
