"""Fuzz targets: each takes any bytes and may only raise what its callers expect."""

import io
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pika_kit.images import PictureError
from pika_kit.zips import BadZip, Refused, SafeZip, ZipLimits
from pika_scraper.config import PrepareConfig
from pika_scraper.errors import SourceError
from pika_scraper.pictures.pipeline import examine
from pika_scraper.sources import url_list
from pika_scraper.web.transport import parse_url

_CONFIG = PrepareConfig(size=32, fit="pad")
_LIMITS = ZipLimits(max_entries=50, max_directory_bytes=2**16, max_entry_bytes=2**16, max_total_bytes=2**20)


def picture(data: bytes) -> None:
    """The verifier, and everything derived from a picture."""
    with suppress(PictureError):
        examine(data, _CONFIG)


def zip_file(data: bytes) -> None:
    """A zip's directory, and each of its entries."""
    with suppress(BadZip), SafeZip(io.BytesIO(data), _LIMITS) as archive:
        for entry in archive.entries:
            with suppress(Refused):
                assert len(archive.read(entry)) <= _LIMITS.max_entry_bytes


def csv_list(data: bytes) -> None:
    """A list of addresses, and each of them."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(data)
        file.flush()
        with suppress(SourceError):
            for row in url_list._read(Path(file.name)):
                with suppress(Refused):
                    parse_url(str(row["url"]).strip())


TARGETS: dict[str, Callable[[bytes], None]] = {"picture": picture, "zip": zip_file, "csv": csv_list}


def corpus(name: str) -> dict[str, bytes]:
    """Return a target's corpus: file name → input."""
    with zipfile.ZipFile(Path(__file__).with_name("corpus") / f"{name}.zip") as archive:
        return {entry: archive.read(entry) for entry in archive.namelist()}
