"""Decoding: by content, upright, RGB on white, 8 bits; otherwise refused with a code, never worse."""

import io
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageFile

from pika_kit import images
from pika_kit.images import PictureError


def saved(image: Image.Image, name: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def drawing(width: int = 120, height: int = 80) -> Image.Image:
    """A picture whose four corners differ: red, green, blue, yellow."""
    image = Image.new("RGB", (width, height), "white")
    half = (width // 2, height // 2)
    for corner, colour in (((0, 0), "red"), ((half[0], 0), "lime"), ((0, half[1]), "blue"), (half, "yellow")):
        image.paste(colour, (*corner, corner[0] + half[0], corner[1] + half[1]))
    return image


def png_header_only(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and contains almost no pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_each_format_is_read_by_its_content(name):
    data = saved(drawing(), name)
    picture = images.decode(data)
    assert (picture.format, picture.width, picture.height) == (name.lower(), 120, 80)
    assert picture.pixels.shape == (80, 120, 3)
    assert picture.pixels.dtype == np.uint8
    expected = np.asarray(drawing())
    assert np.abs(picture.pixels[5:-5:30, 5:-5:50].astype(int) - expected[5:-5:30, 5:-5:50]).max() < 40


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("L", 100, (100, 100, 100)),
        ("1", 1, (255, 255, 255)),
        ("LA", (100, 255), (100, 100, 100)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("RGBA", (0, 0, 0, 128), (127, 127, 127)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 32896, (128, 128, 128)),
        ("I;16", 200, (0, 0, 0)),
    ],
)
def test_every_mode_becomes_rgb_on_white(mode, value, expected):
    picture = images.decode(saved(Image.new(mode, (9, 7), value), "PNG"))
    assert picture.pixels.shape == (7, 9, 3)
    assert np.abs(picture.pixels.astype(int) - expected).max() <= 1


def test_palette_transparency_lies_on_white():
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 4, 8))
    pixels = images.decode(saved(image, "PNG", transparency=0)).pixels
    assert (pixels[:, :4] == 255).all()
    assert (pixels[:, 4:] == (0, 0, 255)).all()


def test_cmyk_becomes_rgb():
    image = Image.new("CMYK", (16, 16), (0, 0, 255, 0))
    pixels = images.decode(saved(image, "JPEG", quality=95)).pixels
    assert np.abs(pixels.astype(int) - (255, 255, 0)).max() < 10


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright(orientation):
    upright = drawing()
    # How each orientation is stored: the inverse of the rotation that makes it upright.
    turns = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    turn = turns[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = images.decode(saved(stored, "PNG", exif=exif))
    assert (picture.width, picture.height) == upright.size
    assert (picture.pixels == np.asarray(upright)).all()


def test_broken_metadata_does_not_cost_the_picture():
    data = saved(drawing(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff broken")
    assert images.decode(data).pixels.shape == (80, 120, 3)


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(name):
    frames = [Image.new("RGB", (10, 10), colour) for colour in ("red", "blue")]
    data = saved(frames[0], name, save_all=True, append_images=frames[1:], lossless=True)
    assert (images.decode(data).pixels == (255, 0, 0)).all()


def test_of_an_mpo_the_first_picture_is_taken():
    first, second = drawing(), Image.new("RGB", (120, 80), "black")
    picture = images.decode(saved(first, "MPO", save_all=True, append_images=[second]))
    assert picture.format == "jpeg"
    assert picture.pixels.mean() > 50


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "not_a_picture"),
        (b'{"error": "not found"}', "not_a_picture"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "not_a_picture"),
        (bytes(range(256)) * 8, "not_a_picture"),
        (b"BM, which also begins a text about cars, is no bitmap", "not_a_picture"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported_format"),
        (b"\n  <svg/>", "unsupported_format"),
        (b"II*\x00" + bytes(64), "unsupported_format"),
        (b"\x00\x00\x00\x1cftypavif" + bytes(64), "unsupported_format"),
        (b"\xff\xd8\xff\xe0", "damaged"),
        (saved(drawing(), "JPEG")[:300], "damaged"),
        (saved(drawing(), "PNG")[:60], "damaged"),
        (b"GIF89a", "damaged"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "damaged"),
        (png_header_only(20_000, 20_000), "too_many_pixels"),
        (png_header_only(5_001, 5_000), "too_many_pixels"),
        (png_header_only(10_000, 9_000), "too_many_pixels"),
        (png_header_only(5_000, 5_000), "damaged"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_code(data, code):
    with pytest.raises(PictureError) as caught:
        images.decode(data)
    assert caught.value.code == code
    assert code in PictureError.CODES
    assert " object at 0x" not in caught.value.detail


def test_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded(monkeypatch):
    usual = saved(drawing(), "JPEG", progressive=True)
    assert 2 <= usual.count(b"\xff\xda") <= 12
    images.decode(usual)
    last_scan = usual[usual.rindex(b"\xff\xda") : -2]
    hostile = usual[:-2] + last_scan * images.MAX_JPEG_SCANS + usual[-2:]
    monkeypatch.setattr(images, "_read", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(PictureError) as caught:
        images.decode(hostile)
    assert caught.value.code == "too_many_scans"
    assert caught.value.code in PictureError.CODES


def test_a_flipped_byte_in_a_png_is_damage():
    data = bytearray(saved(drawing(), "PNG"))
    data[data.index(b"IDAT") + 8] ^= 0xFF
    with pytest.raises(PictureError) as caught:
        images.decode(bytes(data))
    assert caught.value.code == "damaged"


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_mutated_pictures_give_a_picture_or_a_refusal_and_nothing_else(name):
    rng = random.Random(name)
    original = saved(drawing(), name)
    refused = []
    for _ in range(150):
        data = bytearray(original)
        for _ in range(rng.randint(1, 12)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        data = data[: rng.randint(1, len(data))] if rng.random() < 0.3 else data
        try:
            images.decode(bytes(data))
        except PictureError as error:
            refused.append(error.code)
    assert refused
    assert set(refused) <= set(PictureError.CODES)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_only_as_many_pixels_as_needed_are_decoded():
    for name in ("JPEG", "PNG"):
        data = saved(drawing(2000, 1600), name)
        small, whole = images.decode(data, at_least=64), images.decode(data)
        assert (small.width, small.height) == (whole.width, whole.height) == (2000, 1600)
        assert 64 <= min(small.pixels.shape[:2]) < 400
        assert (
            np.abs(images.square(small.pixels, 32).astype(int) - images.square(whole.pixels, 32)).mean() < 6
        )


def test_at_least_never_enlarges():
    assert images.decode(saved(drawing(20, 10), "PNG"), at_least=256).pixels.shape == (10, 20, 3)


def test_decoding_in_many_threads_gives_what_one_gives():
    pictures = [saved(drawing(100 + n, 90), name) for n in range(6) for name in ("PNG", "JPEG", "WEBP")]
    large = saved(Image.new("RGB", (2500, 2000), "red"), "PNG")
    damaged = pictures[0][:80]

    def attempt(data):
        try:
            return images.decode(data).pixels.tobytes()
        except PictureError as error:
            return error.code

    work = [*pictures, large, damaged] * 3
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(attempt, work)) == [attempt(data) for data in work]


@pytest.mark.parametrize("size", [(400, 200), (200, 400), (1, 400), (1, 1), (30, 20)])
def test_square_crops_around_the_centre(size):
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    assert images.square(pixels).shape == (256, 256, 3)
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, 100:200] = 255
    assert images.square(wide, 50)[:, 5:-5].min() > 240


def test_encoding_goes_there_and_back():
    pixels = np.asarray(drawing())
    for name in ("png", "jpeg", "webp"):
        assert images.sniff(images.encode(pixels, name)) == name
    assert len(images.encode(pixels, "jpeg", 20)) < len(images.encode(pixels, "jpeg", 95))
    with pytest.raises(ValueError, match="tiff"):
        images.encode(pixels, "tiff")


def test_a_thumbnail_is_the_whole_picture_and_never_larger():
    assert images.thumbnail(np.zeros((100, 400, 3), np.uint8), 40).shape == (10, 40, 3)
    assert images.thumbnail(np.zeros((10, 20, 3), np.uint8), 40).shape == (10, 20, 3)


def test_perceptual_hashes_of_copies_are_near_and_of_others_far():
    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    other = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    picture = np.asarray(coarse.resize((300, 300), Image.Resampling.BICUBIC))
    copy = images.decode(saved(coarse.resize((300, 300)).resize((90, 90)), "JPEG", quality=60)).pixels
    first = images.perceptual_hash(picture)
    assert len(first) == 16
    assert images.hash_distance(first, images.perceptual_hash(copy)) <= 6
    assert images.hash_distance(first, images.perceptual_hash(np.asarray(other.resize((300, 300))))) > 16


@pytest.mark.parametrize(("size", "bits"), [((8, 8), 0), ((31, 90), 0), ((640, 480), 2), ((1800, 900), 2)])
def test_perceptual_hashes_are_those_of_imagehash(size, bits):
    """Except for two bits at most where a large picture is averaged first; near duplicates differ in six."""
    rng = np.random.default_rng(size)
    for cells in (8, 16):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        picture = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))
        theirs = str(imagehash.phash(Image.fromarray(picture)))
        assert images.hash_distance(images.perceptual_hash(picture), theirs) <= bits


def test_perceptual_hashes_do_not_hang_on_rounding_errors():
    """A flat picture has one frequency and a symmetric one only even ones: the others are exactly 0."""
    flat = np.full((100, 100, 3), 77, np.uint8)
    assert images.perceptual_hash(flat) == images.perceptual_hash(flat // 3) == "8000000000000000"
    half = np.random.default_rng(3).integers(0, 256, (64, 32), dtype=np.uint8)
    symmetric = np.concatenate([half, half[:, ::-1]], axis=1)[..., None].repeat(3, axis=2)
    digits = bytes.fromhex(images.perceptual_hash(symmetric))
    bits = np.unpackbits(np.frombuffer(digits, np.uint8)).reshape(8, 8)
    assert bits[:, 0::2].any()
    assert not bits[:, 1::2].any()


def test_hash_distance_counts_bits():
    assert images.hash_distance("00000000000000ff", "0000000000000000") == 8
    assert images.hash_distance("ffffffffffffffff", "0000000000000000") == 64
    with pytest.raises(ValueError, match="one length"):
        images.hash_distance("ff", "ffff")


def test_a_sheet_holds_every_picture_once():
    pixels = np.stack([np.full((4, 6, 3), value, np.uint8) for value in (10, 20, 30, 40, 50)])
    sheet = images.sheet(pixels, columns=3, gap=1)
    assert sheet.shape == (2 * 5 - 1, 3 * 7 - 1, 3)
    assert [int((sheet == value).all(axis=2).sum()) for value in (10, 20, 30, 40, 50)] == [24] * 5
    assert (sheet[5:, 14:] == 255).all()
    with pytest.raises(ValueError, match="received"):
        images.sheet(np.zeros((0, 4, 4, 3), np.uint8))
