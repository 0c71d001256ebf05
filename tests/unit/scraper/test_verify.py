"""Decoding in a child process: the same results, and one hostile picture costs one picture."""

import io
import os
import signal
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from PIL import Image

from pika_kit.images import MAX_JPEG_SCANS, PictureError
from pika_scraper.config import DecodeLimits, PrepareConfig
from pika_scraper.intake import verify
from pika_scraper.intake.verify import Decoders
from pika_scraper.pictures.pipeline import examine

CONFIG = PrepareConfig()


def children() -> list[psutil.Process]:
    """The decoding processes of this test process."""
    pictures = []
    for child in psutil.Process().children():
        try:
            if any("intake.decoder" in word for word in child.cmdline()):
                pictures.append(child)
        except psutil.Error:
            continue
    return pictures


def large_png() -> bytes:
    """25 megapixels in some kilobytes."""
    buffer = io.BytesIO()
    Image.new("RGBA", (5000, 5000), (250, 220, 60, 128)).save(buffer, "PNG")
    return buffer.getvalue()


def examined(decoders, data) -> str | None:
    """Return why a picture is refused, or None."""
    try:
        decoders.examine(data)
    except PictureError as error:
        return error.code
    return None


def slow_jpeg() -> bytes:
    """A progressive JPEG of 25 megapixels whose last scan is repeated up to the limit: one or two seconds."""
    buffer = io.BytesIO()
    Image.new("RGB", (5000, 5000), (250, 3, 4)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    return data[:last] + scan * (MAX_JPEG_SCANS - data.count(b"\xff\xda") + 1) + data[-2:]


@pytest.mark.parametrize("config", [None, CONFIG, PrepareConfig(size=64, fit="pad")])
def test_a_child_says_what_would_be_said_here(decoders, make_picture, config):
    for data in (
        make_picture(1, (300, 200), "JPEG"),
        make_picture(2, (90, 400)),
        make_picture(3, (64, 64), "WEBP"),
    ):
        assert decoders.examine(data, config) == examine(data, config)


@pytest.mark.parametrize("data", [b"", b"<html>", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture_is_refused_with_the_same_words(decoders, data):
    with pytest.raises(PictureError) as here:
        examine(data)
    with pytest.raises(PictureError) as there:
        decoders.examine(data)
    assert (there.value.code, there.value.detail) == (here.value.code, here.value.detail)


def test_the_largest_picture_fits_into_a_childs_memory(decoders):
    assert decoders.examine(large_png(), CONFIG).width == 5000


def test_a_picture_that_takes_too_much_memory_is_refused_alone(make_picture):
    with Decoders(1, DecodeLimits(memory_bytes=200 * 2**20)) as decoders:
        assert decoders.examine(make_picture(1)).width == 120
        with pytest.raises(PictureError) as refused:
            decoders.examine(large_png())
        assert refused.value.code in ("too_much_memory", "decoder_crashed")
        assert decoders.examine(make_picture(1)).width == 120


def test_a_picture_that_takes_too_much_of_a_core_is_refused_alone(make_picture):
    with Decoders(1, DecodeLimits(cpu_seconds=0)) as decoders:
        assert decoders.examine(make_picture(1)).width == 120
        # The kernel counts whole seconds: a fast machine may finish just before the next one starts.
        refused = [examined(decoders, slow_jpeg()) for _ in range(3)]
        assert "too_slow" in refused
        assert decoders.examine(make_picture(1)).width == 120


def test_time_is_limited_where_the_child_does_nothing_at_all(make_picture):
    before = {child.pid for child in children()}
    with Decoders(1, DecodeLimits(wall_seconds=2.0)) as decoders:
        decoders.examine(make_picture(1))
        (child,) = [child for child in children() if child.pid not in before]
        child.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(PictureError) as refused:
            decoders.examine(make_picture(2))
        assert refused.value.code == "too_slow"
        assert time.monotonic() - began < 4.0
        assert decoders.examine(make_picture(2)).width == 120


def test_a_crash_costs_one_picture_and_the_others_go_on(make_picture):
    """The child is killed repeatedly while eight threads examine pictures."""
    others = {child.pid for child in children()}
    with Decoders(2) as decoders, ThreadPoolExecutor(8) as pool:

        def outcome(number: int) -> str:
            try:
                return str(decoders.examine(make_picture(number, (200, 200)), CONFIG).width)
            except PictureError as error:
                return error.code

        futures = [pool.submit(outcome, number) for number in range(60)]
        killed = 0
        while not all(future.done() for future in futures) and killed < 3:
            for child in children():
                if child.pid not in others:
                    os.kill(child.pid, signal.SIGKILL)
                    killed += 1
            time.sleep(0.4)
        outcomes = [future.result() for future in futures]
        assert set(outcomes) <= {"200", "decoder_crashed"}
        assert outcomes.count("decoder_crashed") <= killed
        assert outcomes.count("200") >= 60 - killed
        assert killed >= 1


def test_the_child_has_no_keys_and_nothing_of_ours_open(make_picture, monkeypatch, tmp_path):
    monkeypatch.setenv("PIKA_S3_SECRET_KEY", "do-not-tell")
    with (tmp_path / "held").open("w") as held, Decoders(1) as fresh:
        os.set_inheritable(held.fileno(), True)
        before = {child.pid for child in children()}
        fresh.examine(make_picture(1))
        (child,) = [child for child in children() if child.pid not in before]
        assert "do-not-tell" not in Path(f"/proc/{child.pid}/environ").read_text()
        targets = [os.readlink(link) for link in Path(f"/proc/{child.pid}/fd").iterdir()]
        assert held.name not in targets
        # Standard input, and its duplicate.
        assert sum(target.startswith("socket:") for target in targets) == 2


def test_a_child_makes_room_for_a_new_one_after_some_pictures(make_picture):
    before = {child.pid for child in children()}
    seen = set()
    with Decoders(1, DecodeLimits(pictures_per_child=3)) as decoders:
        for number in range(10):
            assert decoders.examine(make_picture(number)).width == 120
            seen |= {child.pid for child in children()} - before
        assert len({child.pid for child in children()} - before) <= 1
    assert len(seen) == 4


def test_a_decoder_that_does_not_start_is_no_pictures_fault(make_picture, monkeypatch):
    monkeypatch.setattr(verify, "_PASSED_ON", ())
    monkeypatch.setattr(verify, "_QUICK_MEMORY", {"PYTHONHOME": "/nowhere"})
    with Decoders(1) as decoders, pytest.raises(verify.DecoderUnusable, match="did not start 3 times"):
        decoders.examine(make_picture(1))


def test_children_end_with_the_process_that_started_them(tmp_path):
    code = (
        "import os, sys\n"
        "from pika_scraper.intake.verify import Decoders\n"
        "decoders = Decoders(1)\n"
        "try:\n    decoders.examine(b'')\nexcept Exception:\n    pass\n"
        "print(next(open(f'/proc/{os.getpid()}/task/{os.getpid()}/children')).split()[0], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid = int(told.stdout)
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail(f"the decoder {pid} went on")


def test_closed_decoders_leave_no_process(make_picture):
    before = {child.pid for child in children()}
    decoders = Decoders(2)
    decoders.examine(make_picture(1))
    decoders.close()
    assert {child.pid for child in children()} <= before
    with pytest.raises(verify.DecodersClosed):
        decoders.examine(make_picture(1))


def test_bombs_are_refused_from_their_headers(decoders):
    buffer = io.BytesIO()
    Image.new("1", (1, 1)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    with pytest.raises(PictureError) as refused:
        decoders.examine(bytes(data))
    assert refused.value.code == "too_many_pixels"
