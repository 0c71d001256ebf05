"""Provenance as a Parquet file with the columns of img2dataset's metadata, followed by our own.

https://github.com/rom1504/img2dataset#output-format: url, key, status, error_message, caption, width, height,
original_width, original_height, exif, sha256. Tools for img2dataset's files can read it.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import write_parquet

_BATCH = 5000
_PIECE = 65_536

Record = dict[str, Any]


def _text(name: str) -> Callable[[Record], Any]:
    return lambda record: record[name]


# Column → (whether it is a number, its value for a record).
_COLUMNS: dict[str, tuple[bool, Callable[[Record], Any]]] = {
    "url": (False, _text("url")),
    "key": (False, _text("id")),
    "status": (False, lambda _record: "success"),
    "error_message": (False, lambda _record: None),
    "caption": (False, lambda record: record["name"] or record["query"]),
    "width": (True, _text("width")),
    "height": (True, _text("height")),
    "original_width": (True, _text("width")),
    "original_height": (True, _text("height")),
    "exif": (False, lambda _record: None),
    "sha256": (False, _text("sha256")),
    "format": (False, _text("format")),
    "num_bytes": (True, _text("num_bytes")),
    **{
        name: (False, _text(name))
        for name in (
            "source",
            "query",
            "name",
            "page",
            "licence",
            "licence_url",
            "author",
            "time",
            "job",
            "note",
        )
    },
}
_TYPES = {
    name: DataType.int64() if is_number else DataType.utf8() for name, (is_number, _) in _COLUMNS.items()
}
_SCHEMA = Schema([Field(name, kind, nullable=True) for name, kind in _TYPES.items()])


def as_parquet(records: Iterable[Record], scratch: Path) -> Iterator[bytes]:
    """Stream the file; it is written to `scratch` first, because its index is at the end."""
    with tempfile.TemporaryFile(dir=scratch) as file:
        # The writer would close it.
        with open(file.fileno(), "wb", closefd=False) as target:
            write_parquet(RecordBatchReader.from_batches(_SCHEMA, list(_batches(records))), target)
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _batches(records: Iterable[Record]) -> Iterator[RecordBatch]:
    remaining = iter(records)
    while batch := list(islice(remaining, _BATCH)):
        arrays = [
            Array([value(record) for record in batch], type=_TYPES[name])
            for name, (_, value) in _COLUMNS.items()
        ]
        yield RecordBatch.from_arrays(arrays, schema=_SCHEMA)
