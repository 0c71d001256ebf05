"""Measure what a second scraper worker on a second core gains, store included.

    .venv/bin/python tests/benchmarks/two_workers.py FOLDER_OF_PICTURES [--rounds 2]

One worker takes and prepares all pictures, in two jobs, with everything on one core: worker, decoders,
SeaweedFS, Valkey and the service. Then two workers do the same with everything on two cores. Both are real
processes, and start with an empty store. The last line is a JSON object.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from servers import environment_on, servers, service, worker
from service_client import Client

from pika_kit.pictures import PictureBucket
from pika_kit.settings import Settings
from pika_kit.stages import Bucket
from pika_kit.storage import Store

HALVES = ("one", "other")


def measure(scratch: Path, pictures: list[Path], num_workers: int) -> dict[str, float]:
    """Run both jobs and return their seconds, and how many pictures the buckets hold afterwards."""
    folder = scratch / f"{num_workers}-{time.monotonic_ns()}"
    for number, half in enumerate(HALVES):
        (folder / half).mkdir(parents=True)
        for path in pictures[number::2]:
            shutil.copy(path, folder / half)
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(everything)[:num_workers])  # the children inherit it
    try:
        with servers(folder / "servers") as running, ExitStack() as stack:
            environment = environment_on(running, folder)
            store = Store.connect(Settings.from_environment(os.environ | environment))
            store.ensure_buckets()
            call = Client(stack.enter_context(service("scraper", environment, folder)))
            for number in range(num_workers):
                (folder / str(number)).mkdir()
                stack.enter_context(worker("scraper", environment, folder / str(number)))
            began = time.monotonic()
            started = [
                call("POST", "/scrape", 202, json={"source": "folder", "location": half}) for half in HALVES
            ]
            for job in started:
                call.finished(job, 600)
            seconds = time.monotonic() - began
            counts = {bucket: PictureBucket(store, bucket).count() for bucket in (Bucket.RAW, Bucket.IMAGES)}
    finally:
        os.sched_setaffinity(0, everything)
    return {"seconds": round(seconds, 1), "raw": counts[Bucket.RAW], "images": counts[Bucket.IMAGES]}


def main() -> None:
    """Measure both in turns and print the times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    pictures = sorted(path for path in arguments.folder.iterdir() if path.is_file())
    figures: dict[str, list[dict[str, float]]] = {"one": [], "two": []}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(arguments.rounds):
            for number, name in enumerate(figures, start=1):
                figures[name].append(measure(Path(scratch), pictures, number))
                print(json.dumps({name: figures[name][-1]}), flush=True)
    best = {name: min(run["seconds"] for run in runs) for name, runs in figures.items()}
    print(json.dumps({"pictures": len(pictures), **best, "ratio": round(best["one"] / best["two"], 2)}))


if __name__ == "__main__":
    main()
