"""Zips: bombs are refused, names are not trusted, desktop leftovers are counted and skipped."""

import io
import os
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from pika_kit.zips import BadZip, Refused, SafeZip, ZipLimits, is_hidden, label


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    buffer.seek(0)
    return buffer


def reason(archive: SafeZip, index: int = 0) -> str:
    with pytest.raises(Refused) as caught:
        archive.read(archive.entries[index])
    return caught.value.code


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_files_are_read_wherever_they_lie(compression):
    files = {"a.png": b"first", "deep/er/ピカチュウ.jpg": b"second", "deep/": b""}
    with SafeZip(zipped(files, compression)) as archive:
        assert [entry.filename for entry in archive.entries] == ["a.png", "deep/er/ピカチュウ.jpg"]
        assert [archive.read(entry) for entry in archive.entries] == [b"first", b"second"]
        assert archive.num_bytes == 11


def test_hidden_files_are_left_out_and_counted():
    names = ["__MACOSX/._a.png", ".DS_Store", "x/.hidden/a.png", "x/.thumb.jpg", "real.png", "x/__MACOSX/b"]
    with SafeZip(zipped(dict.fromkeys(names, b"x"))) as archive:
        assert [entry.filename for entry in archive.entries] == ["real.png"]
        assert archive.num_hidden == 5


def test_hidden_is_told_by_any_part_of_the_name():
    assert is_hidden("a\\.git\\x.png")
    assert not is_hidden("a/../b.png")
    assert not is_hidden("name.with.dots.png")


def test_names_that_lead_elsewhere_are_labels_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["../../up.png", "/etc/passwd", "C:\\windows\\x.png", "a\0b.png"]
    with SafeZip(zipped(dict.fromkeys(names, b"data"))) as archive:
        assert [archive.read(entry) for entry in archive.entries] == [b"data"] * 4
    assert list(tmp_path.iterdir()) == []


def test_labels_are_printable_and_short():
    assert label("ピカチュウ 1.png") == "ピカチュウ 1.png"
    assert label("a\r\nb\x1b[31m\u202e") == "a\ufffd\ufffdb\ufffd[31m\ufffd"
    assert len(label("x" * 5000 + ".png")) == 200
    assert label("x" * 5000 + ".png").endswith(".png")
    label("lone \udcff surrogate").encode()


def test_a_bomb_by_ratio_is_refused_and_the_rest_is_read():
    files = {"bomb.bmp": bytes(20_000_000), "good.png": b"good"}
    with SafeZip(zipped(files)) as archive:
        assert reason(archive) == "zip_ratio"
        assert archive.read(archive.entries[1]) == b"good"


def test_an_entry_that_is_too_large_is_refused():
    with SafeZip(zipped({"a": bytes(1001)}), ZipLimits(max_entry_bytes=1000)) as archive:
        assert reason(archive) == "too_large"


def test_an_entry_that_tells_a_smaller_size_yields_no_more_than_that():
    data = bytearray(zipped({"a": bytes(range(256)) * 40}).getvalue())
    directory = data.index(b"PK\x01\x02")
    struct.pack_into("<L", data, directory + 24, 100)  # the uncompressed size in the central directory
    with SafeZip(io.BytesIO(bytes(data))) as archive:
        assert reason(archive) == "zip_entry_unreadable"  # the checksum covers more


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (ZipLimits(max_entries=2), "at most 2 files"),
        (ZipLimits(max_total_bytes=29), "at most 29 bytes"),
        (ZipLimits(max_directory_bytes=100), "at most 100 bytes of directory"),
    ],
)
def test_a_zip_that_is_too_much_as_a_whole_is_refused(limits, message):
    with pytest.raises(BadZip, match=message):
        SafeZip(zipped({name: bytes(10) for name in "abc"}), limits)


@pytest.mark.parametrize("size", [101, 2**32, 2**40, 2**63])
@pytest.mark.parametrize("locator_leads_elsewhere", [False, True])
def test_a_directory_is_bounded_whatever_its_64_bit_record_says(size, locator_leads_elsewhere):
    """Releases of `zipfile` differ: they use the record before the locator, or the one it names."""
    data = bytearray(zipped({"a": b"x"}).getvalue())
    end = data.index(b"PK\x05\x06")

    def record(of: int) -> bytes:
        return b"PK\x06\x06" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, 1, 1, of, 0)

    harmless, hostile = record(47), record(size)
    records = harmless + hostile if locator_leads_elsewhere else hostile
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, end, 1)
    data[end:end] = records + locator
    with pytest.raises(BadZip):
        SafeZip(io.BytesIO(bytes(data)), ZipLimits(max_directory_bytes=100))


def test_a_directory_of_too_many_entries_is_refused_before_they_are_read(monkeypatch):
    made: list = []
    data = zipped({f"{number}": b"" for number in range(40)})
    monkeypatch.setattr(zipfile, "ZipInfo", lambda *given: made.append(given))
    with pytest.raises(BadZip, match="at most 30 files, received 40"):
        SafeZip(data, ZipLimits(max_entries=30))
    assert not made


def test_a_zip_by_its_path_is_closed_with_it_and_also_where_it_is_none(tmp_path):
    def open_here() -> int:
        targets = []
        for descriptor in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                targets.append(os.readlink(descriptor))
        return sum(target.startswith(str(tmp_path)) for target in targets)

    (tmp_path / "good.zip").write_bytes(zipped({"a": b"x"}).getvalue())
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    with SafeZip(tmp_path / "good.zip") as archive:
        assert archive.read(archive.entries[0]) == b"x"
        assert open_here() == 1
    with pytest.raises(BadZip):
        SafeZip(tmp_path / "bad.zip")
    assert open_here() == 0


def test_an_encrypted_entry_is_refused():
    data = bytearray(zipped({"a.png": b"secret"}).getvalue())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", data, data.index(signature) + offset, 1)
    with SafeZip(io.BytesIO(bytes(data))) as archive:
        assert reason(archive) == "zip_encrypted"


def test_a_damaged_entry_is_refused_and_the_rest_is_read():
    data = bytearray(zipped({"a": b"a" * 50, "b": b"b" * 50}, zipfile.ZIP_STORED).getvalue())
    data[data.index(b"a" * 50) + 3] ^= 0xFF
    with SafeZip(io.BytesIO(bytes(data))) as archive:
        assert reason(archive) == "zip_entry_unreadable"
        assert archive.read(archive.entries[1]) == b"b" * 50


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"PK\x05\x06", b"no zip at all" * 10, b"PK\x05\x06" + b"\xff" * 40]
)
def test_what_is_no_zip_is_told(data):
    with pytest.raises(BadZip, match="expected a zip"):
        SafeZip(io.BytesIO(data))
