"""Measure the cost of intake and `prepare` for a folder: seconds, and CPU seconds of all processes.

    .venv/bin/python tests/benchmarks/intake.py FOLDER_OF_PICTURES

Uses a real SeaweedFS and runs a real worker's job in this process. The last line is a JSON object.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from servers import environment_on, servers

from pika_kit.runner import JobContext
from pika_kit.settings import Settings
from pika_kit.storage import Store
from pika_scraper import jobs


def cpu_seconds() -> float:
    """Return the CPU seconds of this process, its ended children, and all its living descendants."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        total += times.user + times.system
    return total


def main() -> None:
    """Import and prepare the folder once, and print the cost."""
    parser = argparse.ArgumentParser(description="What intake and prepare of a folder cost.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    with tempfile.TemporaryDirectory() as scratch, servers(Path(scratch)) as running:
        environment = environment_on(running, Path(scratch) / "own")
        os.environ.update(environment, PIKA_SCRAPE_ROOTS=str(folder))
        settings = Settings.from_environment()
        store = Store.connect(settings)
        store.ensure_buckets()
        context = JobContext("bench", settings, store, lambda _progress: None, lambda: False)
        began, used = time.monotonic(), cpu_seconds()
        report = jobs.scrape(context, source="folder", location=str(folder))
        seconds, cpu = time.monotonic() - began, cpu_seconds() - used
    summary = {
        "looked_at": report["looked_at"],
        "taken": report["taken"],
        "prepared": report["prepared"]["prepared"],
        "near_duplicates": report["prepared"]["near_duplicates"],
        "flags": report["prepared"]["flags"],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "pictures_per_core_second": round(report["looked_at"] / cpu, 1),
        "num_cpus": os.cpu_count(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
