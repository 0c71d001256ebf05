"""Measure how fast health checks are answered while many clients keep a front end busy.

    ./run demo
    .venv/bin/python tests/benchmarks/health_under_load.py

Needs a running stack with models, such as the demo leaves. Starts a second copy of the GAN's front end; 64
clients repeatedly request 64 pictures each while `/health/live` and `/health/ready` are polled. The figures
are printed beside their bound; the last line is a JSON object.
"""

import json
import os
import subprocess
import threading
import time

import urllib3
from front_ends import find_environment
from servers import answers, free_ports, scripts

NUM_CLIENTS = 64
REQUEST = "/generate?n=64&grid=true&format=jpeg"
SECONDS = 20.0
BOUND_SECONDS = 0.1


def ask(url: str, end: float) -> list[float]:
    """Return the seconds of each response, on one connection, until `end`."""
    pool = urllib3.PoolManager(maxsize=1, timeout=60, retries=False)
    seconds = []
    while time.perf_counter() < end:
        began = time.perf_counter()
        status = pool.request("GET", url).status
        seconds.append(time.perf_counter() - began)
        if status != 200:
            raise SystemExit(f"{url} gave {status}")
        time.sleep(0.02)
    return seconds


def keep_busy(url: str, end: float, statuses: list[int]) -> None:
    """Request pictures until `end`; a 429 counts as a response, and its Retry-After is respected."""
    pool = urllib3.PoolManager(maxsize=1, timeout=300, retries=False)
    while time.perf_counter() < end:
        statuses.append(pool.request("GET", url + REQUEST).status)


def measure(url: str) -> dict[str, dict[str, float]]:
    """Measure health checks alone, then under load."""
    figures = {}
    statuses: list[int] = []
    for name, num_clients in (("alone", 0), ("under load", NUM_CLIENTS)):
        seconds_each = SECONDS / 2 if num_clients else 1.5
        end = time.perf_counter() + 2 * seconds_each + 2.0
        clients = [
            threading.Thread(target=keep_busy, args=(url, end, statuses), daemon=True)
            for _ in range(num_clients)
        ]
        for client in clients:
            client.start()
        time.sleep(1.0 if clients else 0.0)
        for path in ("/health/live", "/health/ready"):
            seconds = sorted(ask(url + path, time.perf_counter() + seconds_each))
            figures[f"{path} {name}"] = {
                "median": round(seconds[len(seconds) // 2], 4),
                "p99": round(seconds[int(len(seconds) * 0.99)], 4),
                "largest": round(seconds[-1], 4),
                "answers": len(seconds),
            }
        for client in clients:
            client.join(300)
    if set(statuses) != {200}:
        raise SystemExit(f"expected 200 for every picture, received {sorted(set(statuses))}")
    return figures


def main() -> None:
    """Start a copy of the GAN's front end, measure it, and print."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [
        str(scripts() / "gunicorn"),
        "-c",
        "python:pika_kit.gunicorn_config",
        "pika_gan.app:create_app()",
    ]
    with open(os.devnull, "wb") as nowhere:
        child = subprocess.Popen(
            [*command, "pika_gan.app:create_app()"],
            env=find_environment("gan") | {"PIKA_BIND": f"127.0.0.1:{port}"},
            stdout=nowhere,
            stderr=nowhere,
        )
    try:
        while not answers(f"{url}/generate?seed=1"):
            time.sleep(0.05)
        figures = measure(url)
    finally:
        child.terminate()
        child.wait(60)
    for name, measured in figures.items():
        median, p99, largest = (round(1000 * measured[key]) for key in ("median", "p99", "largest"))
        print(f"{name:26} median {median} ms, 99 % {p99} ms, largest {largest} ms of {measured['answers']}")
    worst = max(measured["p99"] for name, measured in figures.items() if name.endswith("load"))
    ratio = round(worst / BOUND_SECONDS, 3)
    print(f"bound {1000 * BOUND_SECONDS:.0f} ms")
    summary = {"benchmark": "health_under_load", "figures": figures, "p99_ratio_to_bound": ratio}
    print(json.dumps(summary | {"num_cpus": os.cpu_count()}))


if __name__ == "__main__":
    main()
