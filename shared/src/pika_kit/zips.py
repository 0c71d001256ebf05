"""Zips from strangers: bounded in entries, sizes and ratio; their names are labels and never paths.

with SafeZip(path) as archive:
    for entry in archive.entries:
        data = archive.read(entry)     # raises Refused for this entry alone
"""

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_ENTRY = b"PK\x01\x02"
_NO_ZIP = (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error, OverflowError)
_ENCRYPTED = 0x1
_LABEL_LENGTH = 200


@dataclass(frozen=True)
class ZipLimits:
    """Bounds for one zip. The sizes that a zip tells are not believed: reading stops at them as well."""

    max_entries: int = 50_000
    max_directory_bytes: int = 16 * 2**20
    """Of the central directory, which is read into memory whole before anything else."""
    max_entry_bytes: int = 32 * 2**20
    max_total_bytes: int = 8 * 2**30
    max_ratio: float = 200.0
    """Uncompressed to compressed, for entries above `ratio_from_bytes`; pictures hardly compress at all."""
    ratio_from_bytes: int = 2**20


class BadZip(Exception):
    """A whole zip cannot be used: it is none, or it is too much of one. The text is for people."""


class Refused(Exception):
    """One file is refused, the others go on. `code` is stable and counted, `detail` is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


class SafeZip:
    """An opened zip. `entries` are the files in it that may be pictures, in the zip's own order.

    Attributes:
        num_hidden: how many entries were left out because desktops put them there (`__MACOSX`, dot files).
        num_bytes: what all entries come to when unpacked; reading never yields more.
    """

    def __init__(self, file: Path | BinaryIO, limits: ZipLimits | None = None) -> None:
        self.limits = limits or ZipLimits()
        bounded = _Bounded(file.open("rb") if isinstance(file, Path) else file, self.limits)
        self._opened = bounded if isinstance(file, Path) else None
        try:
            self._zip = zipfile.ZipFile(bounded)
        except _NO_ZIP as error:
            self._close_file()
            raise BadZip(f"expected a zip, received something else: {error}") from error
        except BaseException:
            self._close_file()
            raise
        bounded.is_open = True
        # `is_dir` fails for an entry without a name.
        files = [entry for entry in self._zip.infolist() if not entry.filename.endswith("/")]
        self.entries = [entry for entry in files if not is_hidden(entry.filename)]
        self.num_hidden = len(files) - len(self.entries)
        self.num_bytes = sum(entry.file_size for entry in self.entries)
        if len(files) > self.limits.max_entries:
            self.close()
            raise BadZip(
                f"expected at most {self.limits.max_entries:,} files, received {len(files):,}",
            )
        if self.num_bytes > self.limits.max_total_bytes:
            self.close()
            raise BadZip(
                f"expected at most {self.limits.max_total_bytes:,} bytes in all, received {self.num_bytes:,}"
            )

    def __enter__(self) -> "SafeZip":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the zip; a file object that was handed in stays open."""
        self._zip.close()
        self._close_file()

    def _close_file(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def read(self, entry: zipfile.ZipInfo) -> bytes:
        """Unpack one entry; may be called from several threads.

        Raises:
            Refused: "too_large", "zip_ratio", "zip_encrypted" or "zip_entry_unreadable".
        """
        limits = self.limits
        if entry.flag_bits & _ENCRYPTED:
            raise Refused("zip_encrypted", "expected a zip without a password")
        if entry.file_size > limits.max_entry_bytes:
            raise Refused("too_large", f"expected at most {limits.max_entry_bytes:,} bytes unpacked")
        ratio = entry.file_size / max(1, entry.compress_size)
        if entry.file_size > limits.ratio_from_bytes and ratio > limits.max_ratio:
            raise Refused("zip_ratio", f"expected at most {limits.max_ratio:.0f}:1, received {ratio:.0f}:1")
        try:
            with self._zip.open(entry) as file:
                return file.read(limits.max_entry_bytes)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError) as error:
            raise Refused("zip_entry_unreadable", f"the entry cannot be unpacked: {error}") from error
        except Exception as error:
            # bz2 and lzma have errors of their own, and zipfile lets them through.
            raise Refused("zip_entry_unreadable", "the entry cannot be unpacked") from error


class _Bounded:
    """A file of which `zipfile` reads no directory that is too large, whatever the zip's records say of it.

    Where the directory lies and how long it is stands in records that contradict each other in a bad zip, and
    which of them `zipfile` believes differs from release to release. So the reading itself is bounded.
    """

    def __init__(self, file: BinaryIO, limits: ZipLimits) -> None:
        self._file, self._limits = file, limits
        self.is_open = False
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int = -1) -> bytes:
        if self.is_open:
            return self._file.read(size)
        limits = self._limits
        if size > limits.max_directory_bytes:
            raise BadZip(
                f"expected at most {limits.max_directory_bytes:,} bytes of directory, received {size:,}"
            )
        # Without a size the end of the file is wanted, which is as long as a comment may be.
        data = self._file.read(size if size >= 0 else limits.max_directory_bytes)
        count = data.count(_ENTRY)
        if count > limits.max_entries:
            raise BadZip(f"expected at most {limits.max_entries:,} files, received {count:,}")
        return data

    def seekable(self) -> bool:
        return True


def is_hidden(name: str) -> bool:
    """Whether a name is of what desktops leave behind: `__MACOSX/…`, `.DS_Store`, any dot file or folder."""
    parts = name.replace("\\", "/").split("/")
    return any(part == "__MACOSX" or (part.startswith(".") and part not in {".", ".."}) for part in parts)


def label(name: str) -> str:
    """A name from outside as it may be shown and stored: printable, bounded, and no path to anything."""
    printable = "".join(char if char.isprintable() else "\ufffd" for char in name)
    encodable = printable.encode("utf-8", "replace").decode()
    return encodable if len(encodable) <= _LABEL_LENGTH else "…" + encodable[-_LABEL_LENGTH + 1 :]
