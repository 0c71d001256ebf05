"""Scrape ten thousand addresses with ours and with img2dataset: the same hosts and object store, in one run.

    .venv/bin/python tests/benchmarks/scrape.py [--count 10000] [--scratch FOLDER]

The hosts are those of `picture_web`: most are good, others slow, failing, lying, enormous or hostile.
img2dataset gets its own environment (Python ≤ 3.12), made with the project's uv, and writes 256 px to the
same SeaweedFS: in its default format "files", an object and a record for each picture as ours does, and as
"webdataset", a thousand pictures in one object. Each runs a second time with one TLS context for all requests
instead of one for each. CPU includes all processes: the scraper, its children, and what the store used
meanwhile. Memory is the largest sum of their shares (PSS), without the store. Ours also verifies that every
good picture arrived once and every bad one was counted with its reason. The last line is a JSON object.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from picture_web import Web, picture_web
from servers import Servers, environment_on, servers

from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobContext
from pika_kit.settings import Settings
from pika_kit.stages import Bucket
from pika_kit.storage import Store

PROJECT = Path(__file__).parents[2]
IMG2DATASET = ("img2dataset==1.47.0", "s3fs")

# One TLS context for all: otherwise urllib creates one for each request, even where it is not used.
_ONE_CONTEXT = """
import functools, http.client, ssl
one = functools.cache(ssl.create_default_context)
def context(*args, **kwargs):
    return one()
http.client._create_https_context = context
ssl._create_default_https_context = context
"""
_THEIRS = """
import sys
{patch}
from img2dataset import download
if __name__ == "__main__":
    download(url_list=sys.argv[1], output_folder=sys.argv[2], output_format="{output}", input_format="txt",
        image_size=256, resize_mode="center_crop", processes_count=2, thread_count={threads}, timeout=15,
        number_sample_per_shard=1000, disallowed_header_directives=["noai", "noimageai", "noindex"])
"""


class Watch:
    """Measure what a process and its descendants use, and the store meanwhile."""

    def __init__(self, child: psutil.Popen, store: psutil.Process) -> None:
        self.peak_bytes = 0
        self._child, self._store = child, store
        self._store_before = _cpu(store.cpu_times())
        self._used: dict[int, float] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def finish(self) -> dict[str, float]:
        """Wait for its end and return its CPU seconds, those of the store, and its memory in MB."""
        _, status, used = os.wait4(self._child.pid, 0)
        self._is_over.set()
        self._thread.join()
        assert status == 0, f"it ended with {status}"
        # Counts descendants that were waited for; the use of others was sampled while they lived.
        return {
            "own_cpu": max(used.ru_utime + used.ru_stime, sum(self._used.values())),
            "store_cpu": _cpu(self._store.cpu_times()) - self._store_before,
            "peak_mb": self.peak_bytes / 1e6,
        }

    def _look(self) -> None:
        while not self._is_over.wait(1.0):
            total = 0
            try:
                for process in [self._child, *self._child.children(recursive=True)]:
                    self._used[process.pid] = _cpu(process.cpu_times())
                    total += process.memory_full_info().pss
            except psutil.Error:
                continue
            self.peak_bytes = max(self.peak_bytes, total)


def _cpu(times: Any) -> float:
    return float(times.user + times.system)


def measure(
    command: list[str], environment: dict[str, str], running: Servers, log: Path, good: int
) -> dict[str, Any]:
    """Run one scraper; return wall and CPU seconds, memory, good pictures per second and core."""
    assert running.weed.child is not None
    began = time.monotonic()
    with log.open("wb") as output:
        child = psutil.Popen(command, env=environment, stdout=output, stderr=output)
        used = Watch(child, psutil.Process(running.weed.child.pid)).finish()
    cpu = used["own_cpu"] + used["store_cpu"]
    return {
        "seconds": round(time.monotonic() - began, 1),
        **{name: round(value, 1) for name, value in used.items()},
        "pictures_per_core_second": round(good / cpu, 2),
    }


def ours(running: Servers, web: Web, scratch: Path) -> dict[str, Any]:
    """Run one scrape job in its own process and check the contents of its buckets."""
    folder = scratch / "ours"
    folder.mkdir()
    (folder / "list.txt").write_text("\n".join(web.urls))
    environment = os.environ | environment_on(running, folder) | web.environment
    settings = Settings.from_environment(environment)
    store = Store.connect(settings)
    store.ensure_buckets()
    good = web.expected["taken"]
    log = scratch / "ours.log"
    figures = measure([sys.executable, __file__, "--job", str(folder)], environment, running, log, good)
    report = json.loads((folder / "report.json").read_text())
    counted = Counter(report["refused_by_reason"]) + Counter(
        taken=report["taken"], exact_duplicate=report["exact_duplicates"]
    )
    raw, images = (len(list(PictureBucket(store, bucket).ids())) for bucket in (Bucket.RAW, Bucket.IMAGES))
    return figures | {
        "is_right": counted == web.expected and raw == images == good,
        "raw": raw,
        "images": images,
        "unexpected": {
            name: [web.expected[name], counted[name]]
            for name in web.expected | counted
            if web.expected[name] != counted[name]
        },
    }


def theirs(running: Servers, web: Web, scratch: Path, python: Path, script: str) -> dict[str, Any]:
    """Run img2dataset by a script on the same list, to a bucket of the same store."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    (folder / "list.txt").write_text("\n".join(web.urls))
    (folder / "run.py").write_text(script)
    settings = Settings.from_environment(os.environ | environment_on(running, folder))
    store = Store.connect(settings)
    store.ensure_buckets()
    environment = dict(os.environ) | {
        "AWS_ACCESS_KEY_ID": settings.s3_access_key.get_secret_value(),
        "AWS_SECRET_ACCESS_KEY": settings.s3_secret_key.get_secret_value(),
        "FSSPEC_S3_ENDPOINT_URL": settings.s3_url,
        "SSL_CERT_FILE": web.environment["SSL_CERT_FILE"],
        "NO_ALBUMENTATIONS_UPDATE": "1",
    }
    target = f"s3://{store.name(Bucket.RAW)}/{folder.name}"
    command = [str(python), str(folder / "run.py"), str(folder / "list.txt"), target]
    figures = measure(command, environment, running, folder / "log", web.expected["taken"])
    stats = [
        json.loads(store.get(Bucket.RAW, entry.key))
        for entry in store.list(Bucket.RAW, f"{folder.name}/")
        if entry.key.endswith("_stats.json")
    ]
    return figures | {"arrived": sum(shard["successes"] for shard in stats)}


def environment_of_its_own(scratch: Path) -> Path:
    """Create a virtual environment with img2dataset by the project's uv; return its interpreter."""
    (uv,) = (PROJECT / ".tools").glob("uv-*/uv")
    folder = scratch / "img2dataset"
    if not folder.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", "3.11", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *IMG2DATASET], check=True)
    return python


def run_job(folder: Path) -> None:
    """Do what a worker does with one scrape job, in this process."""
    from pika_scraper import jobs  # not in the process that only measures

    settings = Settings.from_environment()
    context = JobContext("bench", settings, Store.connect(settings), lambda _progress: None, lambda: False)
    report = jobs.scrape(context, source="urls", location="list.txt")
    (folder / "report.json").write_text(json.dumps(report))


def main() -> None:
    """Run all and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--scratch", type=Path, help="kept, so that a second run makes no pictures")
    parser.add_argument("--threads", type=int, default=32, help="of img2dataset, in each of two processes")
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--outputs", default="files,webdataset", help="of img2dataset, separated by commas")
    parser.add_argument("--without", default="", help="kinds of addresses to leave out, separated by commas")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        run_job(arguments.job)
        return
    with tempfile.TemporaryDirectory() as temporary:
        kept = arguments.scratch or Path(temporary)
        without = tuple(name for name in arguments.without.split(",") if name)
        scratch = Path(temporary)
        with (
            picture_web(kept / f"pictures-{arguments.count}", arguments.count, without=without) as web,
            servers(scratch / "servers") as running,
        ):
            summary: dict[str, Any] = {"ours": ours(running, web, scratch)}
            print(json.dumps(summary), flush=True)
            if not arguments.only_ours:
                python = environment_of_its_own(kept)
                for output, patch in itertools.product(arguments.outputs.split(","), ("", _ONE_CONTEXT)):
                    script = _THEIRS.format(patch=patch, output=output, threads=arguments.threads)
                    figures = theirs(running, web, scratch, python, script)
                    figures["ratio"] = round(
                        summary["ours"]["pictures_per_core_second"] / figures["pictures_per_core_second"], 2
                    )
                    name = f"img2dataset_{output}" + ("_one_context" if patch else "")
                    summary[name] = figures
                    print(json.dumps({name: figures}), flush=True)
    print(json.dumps(summary | {"count": arguments.count, "num_cpus": os.cpu_count()}))


if __name__ == "__main__":
    main()
