"""Measure what a second worker on a second core gains, store included.

    .venv/bin/python tests/benchmarks/two_workers.py FOLDER_OF_PICTURES [--labels FOLDER] [--rounds 2]

One worker does two jobs, with everything on one core: worker, decoders, SeaweedFS, Valkey and the service.
Then two workers do the same, on a core each that they share with the others. All are real processes. Without
labels the jobs take and prepare half of the pictures each, and start with an empty store. With labels, a
folder trains|valids/pikachu|others, the default model has learned from them, and both jobs filter all
pictures, none of which has been predicted. The last line is a JSON object.
"""

import argparse
import io
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from servers import environment_on, servers, service, worker
from service_client import Client

from pika_kit.images import sha256
from pika_kit.pictures import PictureBucket
from pika_kit.settings import Settings
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_scraper.config import PrepareConfig
from pika_scraper.pictures.pipeline import examine

HALVES = ("one", "other")


@contextmanager
def cores(first: int, num: int = 1) -> Iterator[None]:
    """Run this process and the children it starts on these cores."""
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(everything)[first : first + num])
    try:
        yield
    finally:
        os.sched_setaffinity(0, everything)


@contextmanager
def workers(name: str, num: int, environment: dict[str, str], folder: Path) -> Iterator[None]:
    """Run so many workers of one queue, each on a core and in a folder of its own."""
    with ExitStack() as stack:
        for number in range(num):
            (folder / f"worker-{number}").mkdir()
            with cores(number):
                stack.enter_context(worker(name, environment, folder / f"worker-{number}"))
        yield


class Scrape:
    """Two jobs that take and prepare half of the pictures each."""

    service = "scraper"

    def __init__(self, pictures: list[Path]) -> None:
        self._pictures = pictures

    def prepare(self, call: Client, store: Store, environment: dict[str, str], folder: Path) -> None:
        """Put the halves where the scraper may read them."""
        for number, half in enumerate(HALVES):
            (folder / half).mkdir()
            for path in self._pictures[number::2]:
                shutil.copy(path, folder / half)

    def start(self, call: Client) -> list[dict[str, Any]]:
        """Start both jobs."""
        return [call("POST", "/scrape", 202, json={"source": "folder", "location": half}) for half in HALVES]

    def outcome(self, store: Store, results: list[dict[str, Any]]) -> dict[str, int]:
        """Count what the buckets hold afterwards."""
        return {bucket.value: PictureBucket(store, bucket).count() for bucket in (Bucket.RAW, Bucket.IMAGES)}


class Filter:
    """Two jobs that filter all pictures."""

    service = "classifier"

    def __init__(self, pictures: list[Path], labels: Path) -> None:
        config = PrepareConfig()
        prepared = [examine(path.read_bytes(), config).prepared for path in pictures]
        self._squares = [picture.square for picture in prepared if picture]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path in sorted(labels.rglob("*.*")):
                archive.write(path, path.relative_to(labels))
        self._labels = buffer.getvalue()

    def prepare(self, call: Client, store: Store, environment: dict[str, str], folder: Path) -> None:
        """Learn from the labels alone, then add the pictures."""
        call("POST", "/labels/import", 200, body=self._labels, headers={"Content-Type": "application/zip"})
        (folder / "trainer").mkdir()
        with worker("classifier", environment, folder / "trainer"):
            call.finished(call("POST", "/classifier/train", 202, json={}), 600)
        bucket = PictureBucket(store, Bucket.IMAGES)
        for square in self._squares:
            bucket.add(sha256(square), square, "png", {"source": "a benchmark"})

    def start(self, call: Client) -> list[dict[str, Any]]:
        """Start both jobs."""
        return [call("POST", "/filter", 202, json={"threshold": 0.5}) for _ in HALVES]

    def outcome(self, store: Store, results: list[dict[str, Any]]) -> dict[str, int]:
        """Count what was predicted and chosen."""
        return {
            "predicted": sum(result["predicted_now"] for result in results),
            "chosen": PictureBucket(store, Bucket.PIKACHU).count(),
        }


def measure(scratch: Path, task: Scrape | Filter, num_workers: int) -> dict[str, float]:
    """Run both jobs in a new stack and return their seconds and outcome."""
    folder = scratch / f"{num_workers}-{time.monotonic_ns()}"
    folder.mkdir()
    with cores(0, num_workers), servers(folder / "servers") as running, ExitStack() as stack:
        environment = environment_on(running, folder)
        store = Store.connect(Settings.from_environment(os.environ | environment))
        store.ensure_buckets()
        call = Client(stack.enter_context(service(task.service, environment, folder)))
        task.prepare(call, store, environment, folder)
        stack.enter_context(workers(task.service, num_workers, environment, folder))
        began = time.monotonic()
        results = [call.finished(job, 600) for job in task.start(call)]
        seconds = time.monotonic() - began
        return {"seconds": round(seconds, 1), **task.outcome(store, results)}


def main() -> None:
    """Measure both in turns and print the times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    pictures = sorted(path for path in arguments.folder.iterdir() if path.is_file())
    task = Filter(pictures, arguments.labels) if arguments.labels else Scrape(pictures)
    figures: dict[str, list[dict[str, float]]] = {"one": [], "two": []}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(arguments.rounds):
            for number, name in enumerate(figures, start=1):
                figures[name].append(measure(Path(scratch), task, number))
                print(json.dumps({name: figures[name][-1]}), flush=True)
    best = {name: min(run["seconds"] for run in runs) for name, runs in figures.items()}
    print(json.dumps({"pictures": len(pictures), **best, "ratio": round(best["one"] / best["two"], 2)}))


if __name__ == "__main__":
    main()
