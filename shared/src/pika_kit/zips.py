"""Untrusted zips: bounded in entries, sizes and ratio; entry names are labels, never paths.

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
    """Limits for one zip. The sizes that a zip declares are not trusted: reading is limited as well."""

    max_entries: int = 50_000
    max_directory_bytes: int = 16 * 2**20
    """Of the central directory, which is read into memory whole before anything else."""
    max_entry_bytes: int = 32 * 2**20
    max_total_bytes: int = 8 * 2**30
    max_ratio: float = 200.0
    """Uncompressed to compressed, for entries above `ratio_from_bytes`; pictures hardly compress at all."""
    ratio_from_bytes: int = 2**20


class BadZip(Exception):
    """The zip as a whole is unusable: not a zip, or over a limit. The text is for people."""


class Refused(Exception):
    """One file is rejected, the others continue. `code` is stable and counted, `detail` is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


class SafeZip:
    """An opened zip. `entries` are the files that may be pictures, in the zip's own order.

    Attributes:
        num_hidden: how many entries were skipped as desktop clutter (`__MACOSX`, dot files).
        num_bytes: total unpacked size of all entries; reading never yields more.
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
        """Close the zip; a file object that was passed in stays open."""
        self._zip.close()
        self._close_file()

    def _close_file(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def read(self, entry: zipfile.ZipInfo) -> bytes:
        """Unpack one entry. Thread-safe.

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
            # zipfile passes on the exceptions of bz2 and lzma.
            raise Refused("zip_entry_unreadable", "the entry cannot be unpacked") from error


class _Bounded:
    """A file from which `zipfile` cannot read an oversized directory, whatever the zip's records claim.

    The directory's position and length are in records that contradict each other in a malicious zip, and
    which of them `zipfile` believes differs between releases. So reading itself is bounded.
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
        # Without a size `zipfile` reads the end of the file, which is as long as a comment may be.
        data = self._file.read(size if size >= 0 else limits.max_directory_bytes)
        count = data.count(_ENTRY)
        if count > limits.max_entries:
            raise BadZip(f"expected at most {limits.max_entries:,} files, received {count:,}")
        return data

    def seekable(self) -> bool:
        return True


def is_hidden(name: str) -> bool:
    """Return whether a name is desktop clutter: `__MACOSX/…`, `.DS_Store`, any dot file or folder."""
    parts = name.replace("\\", "/").split("/")
    return any(part == "__MACOSX" or (part.startswith(".") and part not in {".", ".."}) for part in parts)


def label(name: str) -> str:
    """Clean a name from outside for display and storage: printable, bounded, and not a path."""
    printable = "".join(char if char.isprintable() else "\ufffd" for char in name)
    encodable = printable.encode("utf-8", "replace").decode()
    return encodable if len(encodable) <= _LABEL_LENGTH else "…" + encodable[-_LABEL_LENGTH + 1 :]
