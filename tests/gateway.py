"""The three services behind the real gateway, on real servers, without workers: jobs stay queued."""

import io
import os
import sysconfig
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from servers import answers, environment_on, free_ports, process, service, wait_for, worker

from pika_kit.images import sha256
from pika_kit.models import Registry
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.queue import JobQueue
from pika_kit.settings import Settings
from pika_kit.stages import Bucket
from pika_kit.storage import Store

ROOT = Path(__file__).parent.parent
SERVICES = ("scraper", "classifier", "gan")


@contextmanager
def gateway(environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Start the gateway and yield its URL once all services are ready."""
    (port,) = free_ports(1)
    with ExitStack() as stack:
        urls = {name: stack.enter_context(service(name, environment, folder)) for name in SERVICES}
        settings = {
            "PIKA_FRONT_SITE": f"http://:{port}",
            "PIKA_FRONT_BIND": "127.0.0.1",
            "PIKA_FRONT_STORAGE": str(folder / "caddy"),
            "PIKA_STUDIO": str(ROOT / "services" / "studio"),
            "XDG_CONFIG_HOME": str(folder / "caddy"),
            "XDG_DATA_HOME": str(folder / "caddy"),
            **{f"PIKA_{name.upper()}": url.removeprefix("http://") for name, url in urls.items()},
        }
        caddy = Path(sysconfig.get_path("scripts")) / "caddy"
        config = ROOT / "deploy" / "caddy" / "Caddyfile"
        command = [str(caddy), "run", "--config", str(config), "--adapter", "caddyfile"]
        stack.enter_context(process(command, folder / "front.log", os.environ | settings))
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(f"{url}/health/ready"), "the gateway is ready")
        yield url


def squares(num: int, *, is_yellow: bool, seed: int) -> list[bytes]:
    """Return PNGs of 256×256: a yellow disc, or a blue square."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:256, 0:256]
    pictures = []
    for _ in range(num):
        picture = np.full((256, 256, 3), random.integers(180, 256, 3), np.uint8)
        down, right = rows - random.uniform(90, 166), columns - random.uniform(90, 166)
        if is_yellow:
            picture[down**2 + right**2 < random.uniform(30, 70) ** 2] = (250, 210, 40)
        else:
            picture[np.maximum(abs(down), abs(right)) < random.uniform(30, 70)] = (50, 80, 200)
        pictures.append(encode_png(picture))
    return pictures


def labelled_zip() -> bytes:
    """Ten of each kind and split, in the article's layout."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, split in enumerate(("trains", "valids")):
            for label in ("pikachu", "others"):
                for index, data in enumerate(squares(10, is_yellow=label == "pikachu", seed=number)):
                    archive.writestr(f"{split}/{label}/{index}.png", data)
    return buffer.getvalue()


def _fill(store: Store) -> None:
    for bucket in (Bucket.RAW, Bucket.IMAGES, Bucket.PIKACHU):
        pictures = PictureBucket(store, bucket)
        for data in squares(40, is_yellow=True, seed=7):
            pictures.add(sha256(data), data, "png", {"id": sha256(data), "origins": [{"source": "upload"}]})


def _label(store: Store) -> None:
    from pika_classifier.labels.archive import import_zip
    from pika_classifier.labels.log import LabelSet

    import_zip(labelled_zip(), LabelSet(store), "a test", None)


def _train(queue: JobQueue, environment: dict[str, str], folder: Path) -> None:
    for name, kind, arguments in (
        ("classifier", "classifier-train", {"preset": "tiny"}),
        ("gan", "gan-train", {"preset": "tiny", "steps": 10}),
    ):
        job = queue.enqueue(kind, arguments)
        with worker(name, environment, folder):
            view = wait_for(lambda job=job: (view := queue.get(job.id)).is_over and view, f"{kind} ends", 240)
        assert view.status == "finished", view.error


@pytest.fixture(scope="session")
def filled_servers(running_servers, tmp_path_factory):
    """The services' environment; the store contains pictures, labels, and a model of each kind."""
    folder = tmp_path_factory.mktemp("contract")
    environment = environment_on(running_servers, folder)
    settings = Settings.from_environment(environment)
    store, queue = Store.connect(settings), JobQueue.connect(settings)
    store.ensure_buckets()
    _fill(store)
    _label(store)
    _train(queue, environment, folder)
    # after such a short training a version is only served if activated by hand
    Registry(store, "gan").activate("v1")
    return environment


@pytest.fixture(scope="session")
def filled_gateway(filled_servers, tmp_path_factory):
    """The URL of a gateway with data of every kind behind it, and no worker."""
    with gateway(filled_servers, tmp_path_factory.mktemp("gateway")) as url:
        yield url


@pytest.fixture
def locked_gateway(filled_servers, tmp_path):
    """The URL of a gateway whose services require an API key, and the key."""
    key = "a-key-for-the-page-0123456789abcdef"
    with gateway({**filled_servers, "PIKA_API_KEYS": f"page:{key}"}, tmp_path) as url:
        yield url, key
