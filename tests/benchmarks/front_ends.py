"""Measure how soon the front ends are ready and how much memory they take after serving requests.

    ./run demo
    .venv/bin/python tests/benchmarks/front_ends.py

Needs a running stack with models, such as the demo leaves. Starts a second copy of each service with the
stack's own settings on a free port, so that the stack itself is not disturbed. Each figure is printed beside
its bound; the last line is a JSON object.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import urllib3

sys.path.insert(0, str(Path(__file__).parents[1]))

from servers import answers, free_ports, scripts

from pika_kit.png import encode_png

READY_BOUND_SECONDS = 3.0
MEMORY_BOUND_MB = 250.0
REQUESTS = {
    "scraper": ("GET", "/images?bucket=images&limit=20", None),
    "classifier": ("POST", "/is-pikachu", encode_png(np.full((256, 256, 3), 200, np.uint8))),
    "gan": ("GET", "/generate?n=1&seed=1", None),
}


def find_environment(name: str) -> dict[str, str]:
    """Return the environment of the running stack's gunicorn for this service."""
    for process in psutil.process_iter(["cmdline"]):
        if f"pika_{name}.app:create_app()" in (process.info["cmdline"] or []):
            return process.environ()
    raise SystemExit(f"no running {name} found: start a stack first, with ./run up")


def resident_megabytes(process: psutil.Process) -> float:
    """Return an upper bound of the memory of a process and its children: shared pages count in each."""
    family = [process, *process.children(recursive=True)]
    return sum(member.memory_info().rss for member in family) / 2**20


def measure(name: str) -> dict[str, float]:
    """Start a copy of the service, wait until it is ready, and send it 20 requests."""
    (port,) = free_ports(1)
    environment = find_environment(name) | {"PIKA_BIND": f"127.0.0.1:{port}"}
    started = time.perf_counter()
    command = [str(scripts() / "gunicorn"), "-c", "python:pika_kit.gunicorn_config"]
    child = subprocess.Popen(
        [*command, f"pika_{name}.app:create_app()"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not answers(f"http://127.0.0.1:{port}/health/ready"):
            if time.perf_counter() - started > 60:
                raise SystemExit(f"the {name} was not ready within 60 s")
            time.sleep(0.02)
        ready = time.perf_counter() - started
        process = psutil.Process(child.pid)
        idle = resident_megabytes(process)
        method, path, body = REQUESTS[name]
        for _ in range(20):
            answer = urllib3.request(
                method, f"http://127.0.0.1:{port}{path}", body=body, headers={"Content-Type": "image/png"}
            )
            if answer.status != 200:
                raise SystemExit(f"{name}: {method} {path} gave {answer.status}: {answer.data[:300]!r}")
        return {
            "ready_seconds": round(ready, 2),
            "idle_mb": round(idle),
            "served_mb": round(resident_megabytes(process)),
        }
    finally:
        child.terminate()
        child.wait(30)


def main() -> None:
    """Measure all three and print them."""
    measured = {name: measure(name) for name in REQUESTS}
    for name, figures in measured.items():
        print(
            f"{name:10}  ready after {figures['ready_seconds']:.2f} s (bound {READY_BOUND_SECONDS:g})   "
            f"{figures['served_mb']} MB after 20 requests (bound {MEMORY_BOUND_MB:g})"
        )
    worst_memory = max(figures["served_mb"] for figures in measured.values())
    worst_ready = max(figures["ready_seconds"] for figures in measured.values())
    print(
        json.dumps(
            {
                "benchmark": "front_ends",
                "services": measured,
                "ready_ratio_to_bound": round(worst_ready / READY_BOUND_SECONDS, 3),
                "memory_ratio_to_bound": round(worst_memory / MEMORY_BOUND_MB, 3),
                "num_cpus": os.cpu_count(),
            }
        )
    )


if __name__ == "__main__":
    main()
