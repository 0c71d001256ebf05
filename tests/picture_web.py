"""Picture hosts on loopback: most are good, others slow, failing, lying, enormous or hostile.

    with picture_web(folder, 10_000) as web:
        web.urls, web.expected, web.environment

runs this file as a separate process, so that the cost of the hosts is not counted elsewhere. `KINDS` has the
number of each kind in ten thousand, and the outcome that a careful scraper reports. As on the web, most
pictures come over TLS: one in ten good hosts uses plain HTTP.
"""

import argparse
import asyncio
import json
import random
import ssl
import struct
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import certifi
import numpy as np
import trustme
from PIL import Image

NUM_GOOD_HOSTS = 64
"""One host is asked ten things in a second, so that few hosts would be what is measured."""
_PLAIN = 10  # every tenth of them

# Kind: how many in ten thousand addresses, and the report's name for each. The rest are "good".
KINDS = {
    "copy": (200, "exact_duplicate"),
    "moved": (200, "taken"),
    "later": (20, "taken"),
    "slow": (40, "taken"),
    "wrong-name": (10, "bad_certificate"),
    "expired": (10, "bad_certificate"),
    "dripping": (3, "timed_out"),
    "silent": (4, "timed_out"),
    "gone": (30, "http_404"),
    "broken": (10, "http_500"),
    "nonsense": (10, "bad_answer"),
    "headers": (10, "bad_answer"),
    "page": (30, "unexpected_type"),
    "liar": (30, "not_a_picture"),
    "cut": (10, "unreachable"),
    "huge": (4, "too_large"),
    "endless": (4, "too_large"),
    "bomb": (10, "too_many_pixels"),
    "loop": (10, "too_many_redirects"),
    "inside": (10, "address_refused"),
    "optout": (20, "opted_out"),
    "private": (20, "robots_disallowed"),
}
_BAD_TLS = ("wrong-name", "expired")
_ENORMOUS = 40 * 2**20
ROBOTS = b"User-agent: *\nDisallow: /private\n"


@dataclass(frozen=True)
class Web:
    """The running web: its addresses, the expected number of each outcome, and the scraper's settings."""

    urls: list[str]
    expected: Counter[str]
    environment: dict[str, str]


@contextmanager
def picture_web(folder: Path, count: int, *, without: tuple[str, ...] = ()) -> Iterator[Web]:
    """Serve `count` addresses until the block ends; pictures already in `folder` are reused."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(_save_picture, folder), range(count), chunksize=50))
    names = [name for name in KINDS if name not in without]
    child = subprocess.Popen(
        [sys.executable, __file__, str(folder), str(count), *names], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        told = json.loads(child.stdout.readline())
        yield Web(told["urls"], Counter(told["expected"]), told["environment"])
    finally:
        child.terminate()
        child.wait()


def _save_picture(folder: Path, number: int) -> None:
    """Create a unique JPEG of a photo's size: 900×700, some 50 kB."""
    path = folder / f"{number}.jpg"
    if path.exists():
        return
    generator = np.random.default_rng(number)
    coarse = Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    grain = generator.normal(0, 5, (700, 900, 1))
    smooth = np.asarray(coarse.resize((900, 700), Image.Resampling.BICUBIC), np.float64)
    Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(path, "JPEG", quality=80)


class Hosts:
    """Handle requests by the first word of the path: /<kind>/<number>.jpg."""

    def __init__(self, folder: Path, count: int, kinds: list[str]) -> None:
        self.folder, self.count, self.kinds = folder, count, kinds
        self.port = 0
        self._asked_later: set[str] = set()

    def addresses(self) -> list[tuple[str, str]]:
        """Return (URL, expected outcome) of all, shuffled in a fixed order."""
        amounts = {kind: max(1, KINDS[kind][0] * self.count // 10_000) for kind in self.kinds}
        amounts["good"] = self.count - sum(amounts.values())
        names = [kind for kind, amount in amounts.items() for _ in range(amount)]
        random.Random(0).shuffle(names)
        good = [number for number, kind in enumerate(names) if kind == "good"]
        addresses = []
        for number, kind in enumerate(names):
            # A copy is another address with the bytes of a good picture.
            shown = good[number % len(good)] if kind == "copy" else number
            query = f"?{number}" if kind == "copy" else ""
            url = f"{self.origin(kind, number)}/{kind}/{shown}.jpg{query}"
            addresses.append((url, KINDS[kind][1] if kind in KINDS else "taken"))
        return addresses

    def origin(self, kind: str, number: int) -> str:
        """Return the host of an address: one of many good ones, or of a few bad ones, which may block."""
        secure = self.port + 1
        if kind in _BAD_TLS:
            return f"https://127.0.2.{1 + _BAD_TLS.index(kind)}:{secure}"
        if kind in ("good", "copy", "moved"):
            host = number % NUM_GOOD_HOSTS
            is_plain = host % _PLAIN == 0
            address = f"127.0.1.{1 + host}"
            return f"http://{address}:{self.port}" if is_plain else f"https://{address}:{secure}"
        return f"http://127.0.3.{1 + number % 8 + 8 * list(KINDS).index(kind)}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which stays open while its responses are good."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            stays = True
            while stays:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                stays = await self._answer(path, writer)
                await writer.drain()
        writer.close()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> bool:
        if path == "/robots.txt":
            return _send(writer, ROBOTS, media_type="text/plain")
        kind, _, name = path.strip("/").partition("?")[0].partition("/")
        if kind in _BAD:
            return await _BAD[kind](writer)
        number = int(name.partition(".")[0])
        if kind == "moved":
            elsewhere = f"{self.origin('good', number + 1)}/good/{number}.jpg"
            return _send(writer, b"", 302, {"Location": elsewhere})
        if kind == "later" and name not in self._asked_later:
            self._asked_later.add(name)
            return _send(writer, b"", 503, {"Retry-After": "1"})
        self._asked_later.discard(name)
        if kind == "slow":
            await asyncio.sleep(2.0)
        more = {"X-Robots-Tag": "noai"} if kind == "optout" else {}
        return _send(writer, (self.folder / f"{number}.jpg").read_bytes(), more=more)


def _send(
    writer: asyncio.StreamWriter,
    body: bytes,
    status: int = 200,
    more: dict[str, str] | None = None,
    media_type: str = "image/jpeg",
) -> bool:
    headers = {"Content-Type": media_type, "Content-Length": str(len(body))} | (more or {})
    lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    return True


async def _dripping(writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(180):
        writer.write(b"\xff")
        await writer.drain()
        await asyncio.sleep(0.5)
    return False


async def _silent(_writer: asyncio.StreamWriter) -> bool:
    await asyncio.sleep(30.0)
    return False


async def _gone(writer: asyncio.StreamWriter) -> bool:
    return _send(writer, b"gone", 404)


async def _broken(writer: asyncio.StreamWriter) -> bool:
    return _send(writer, b"broken", 500)


async def _nonsense(writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTP/9 what\r\n\r\n")
    return False


async def _headers(writer: asyncio.StreamWriter) -> bool:
    return _send(writer, b"", more={f"X-{number}": "much" for number in range(200)})


async def _page(writer: asyncio.StreamWriter) -> bool:
    return _send(writer, b"<html>gone</html>", media_type="text/html")


async def _liar(writer: asyncio.StreamWriter) -> bool:
    return _send(writer, b"<html>gone</html>")


async def _cut(writer: asyncio.StreamWriter) -> bool:
    _send(writer, b"\xff\xd8 and no more", more={"Content-Length": "5000"})
    return False


async def _huge(writer: asyncio.StreamWriter) -> bool:
    _send(writer, b"", more={"Content-Length": str(_ENORMOUS)})
    return await _pour(writer, lambda part: part)


async def _endless(writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n")
    await _pour(writer, lambda part: b"%x\r\n%b\r\n" % (len(part), part))
    writer.write(b"0\r\n\r\n")
    return False


async def _pour(writer: asyncio.StreamWriter, framed: Callable[[bytes], bytes]) -> bool:
    part = framed(bytes(65_536))
    for _ in range(_ENORMOUS // 65_536):
        writer.write(part)
        await writer.drain()
    return False


async def _bomb(writer: asyncio.StreamWriter) -> bool:
    """Return a PNG whose header says 10,000 × 9,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 10_000, 9_000, 1, 0, 0, 0, 0)
    lines = zlib.compress(bytes(9_000 * 1251))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")
    return _send(writer, png, media_type="image/png")


async def _loop(writer: asyncio.StreamWriter) -> bool:
    return _send(writer, b"", 302, {"Location": "/loop/again.jpg"})


async def _inside(writer: asyncio.StreamWriter) -> bool:
    """Return a redirect to a loopback port that is not allowed."""
    return _send(writer, b"", 302, {"Location": "http://127.0.0.1/secret.jpg"})


_BAD: dict[str, Callable[[asyncio.StreamWriter], Awaitable[bool]]] = {
    "dripping": _dripping,
    "silent": _silent,
    "gone": _gone,
    "broken": _broken,
    "nonsense": _nonsense,
    "headers": _headers,
    "page": _page,
    "liar": _liar,
    "cut": _cut,
    "huge": _huge,
    "endless": _endless,
    "bomb": _bomb,
    "loop": _loop,
    "inside": _inside,
}


def _certificates(authority: trustme.CA, good: list[str]) -> dict[str, ssl.SSLContext]:
    """Select a certificate by the host's address: valid, for another name, or expired."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    issued = dict.fromkeys(good, authority.issue_cert(*good)) | {
        "127.0.2.1": authority.issue_cert("elsewhere.test"),
        "127.0.2.2": authority.issue_cert("127.0.2.2", not_before=yesterday, not_after=yesterday),
    }
    contexts = {}
    for address, certificate in issued.items():
        contexts[address] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(contexts[address])
    return contexts


async def _main(folder: Path, count: int, kinds: list[str]) -> None:
    hosts = Hosts(folder, count, kinds)
    authority = trustme.CA()
    # Add it to the public ones, as on a real machine: loading them is part of each scraper's cost.
    known = Path(certifi.where()).read_bytes() + authority.cert_pem.bytes()
    (folder / "authority.pem").write_bytes(known)
    good = [f"127.0.1.{1 + n}" for n in range(NUM_GOOD_HOSTS)]
    plain = good + [f"127.0.3.{1 + n}" for n in range(8 * len(KINDS))]
    servers = [await asyncio.start_server(hosts.serve, plain[0], 0, backlog=512)]
    hosts.port = servers[0].sockets[0].getsockname()[1]
    for address in plain[1:]:
        servers.append(await asyncio.start_server(hosts.serve, address, hosts.port, backlog=512))
    contexts = _certificates(authority, good)
    for address, context in contexts.items():
        servers.append(
            await asyncio.start_server(hosts.serve, address, hosts.port + 1, ssl=context, backlog=512)
        )
    pairs = [f"{address}:{hosts.port}" for address in plain]
    pairs += [f"{address}:{hosts.port + 1}" for address in contexts]
    addresses = hosts.addresses()
    told = {
        "urls": [url for url, _ in addresses],
        "expected": Counter(outcome for _, outcome in addresses),
        "environment": {
            "PIKA_FETCH_ALLOW": ",".join(pairs),
            "SSL_CERT_FILE": str(folder / "authority.pem"),
        },
    }
    print(json.dumps(told), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("kinds", nargs="*")
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.folder, arguments.count, arguments.kinds))
