"""Bytes of unknown origin → a verified picture: upright, RGB, eight bits, with its content hash.

Formats are known by content, never by name: JPEG (of an MPO its first picture), PNG (of an APNG its first
frame), WebP, GIF (first frame) and BMP. Everything here may run in many threads at once; no process-wide
switch of Pillow is ever turned while pictures are read, `LOAD_TRUNCATED_IMAGES` stays off.

    picture = decode(data)                     # raises PictureError(code, detail), and nothing else
    png = encode_png(square(picture.pixels))   # 256×256
"""

import hashlib
import io
import math
import threading
import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Imported by name: with `formats=` given, Pillow loads no plugin that has not been loaded already.
from PIL import (
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageOps,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 25_000_000
"""The largest picture that is decoded, width × height; a larger one is refused from its header alone."""

MAX_JPEG_SCANS = 100
"""A progressive JPEG has some ten scans, each of which goes over all pixels. One of fourteen bytes can be
repeated tens of thousands of times in a megabyte, which takes minutes to decode."""
_SCAN = b"\xff\xda"

# A picture of 25 megapixels takes some 200 MB while it is decoded: one at a time, whatever the callers do.
_LARGE_PIXELS = 4_000_000
LARGE = threading.Semaphore(1)

# The first 8 rows of the DCT-II matrix of 32 points, unnormalised: 2·cos(π·frequency·(2·position + 1) / 64).
_COSINES = 2 * np.cos(np.pi / 64 * np.outer(np.arange(8), 2 * np.arange(32) + 1))

# Once, when the module is loaded: `warnings.catch_warnings` around each call would not be thread-safe.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

EXTENSIONS = {"jpeg": "jpg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp"}
CONTENT_TYPES = {name: f"image/{name}" for name in EXTENSIONS}

_MAGIC = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"II*\x00": "other",  # TIFF, both byte orders
    b"MM\x00*": "other",
    b"8BPS": "other",  # Photoshop
    b"\x00\x00\x01\x00": "other",  # ICO
    b"\xff\x0a": "other",  # JPEG XL, bare and boxed
    b"\x00\x00\x00\x0cJXL ": "other",
    b"\x00\x00\x00\x0cjP  ": "other",  # JPEG 2000
    b"qoif": "other",
}
_BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)
_OTHER_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
_KNOWN = "JPEG, PNG, WebP, GIF or BMP"

_ORIENTATION_TAG = 0x0112
# EXIF 2.32, tag Orientation: how a stored picture is turned to stand upright. 1 is upright already.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES = {_UPRIGHT[5], _UPRIGHT[6], _UPRIGHT[7], _UPRIGHT[8]}


class PictureError(ValueError):
    """The bytes are no picture that is read here; `code` is stable, `detail` is for people.

    Codes: "empty", "not_a_picture", "unsupported_format" (a picture, but of no format read here),
    "too_many_pixels", "too_many_scans", "damaged" (begins like a picture and cannot be read to its end).
    """

    CODES = ("empty", "not_a_picture", "unsupported_format", "too_many_pixels", "too_many_scans", "damaged")

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: uint8 (H, W, 3), RGB, upright, transparency laid on white; smaller than the original where
            `decode` was told how much is needed.
        format: "jpeg", "png", "webp", "gif" or "bmp": what the content is, whatever the name said.
        width, height: of the original, upright, in pixels.
        sha256: of the bytes, as hexadecimal digits.
    """

    pixels: Pixels
    format: str
    width: int
    height: int
    sha256: str


def sniff(data: bytes) -> str | None:
    """What the first bytes say: a format of `EXTENSIONS`, "other" (a picture not read here), or None."""
    head = data[:512]
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    # "BM" alone begins many a text; a bitmap's second header also tells its own size.
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return "bmp"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    is_svg = text.startswith((b"<svg", b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in text
    is_container = head[4:8] == b"ftyp" and head[8:12] in _OTHER_BRANDS
    return "other" if is_svg or is_container else None


def decode(
    data: bytes, *, at_least: int | None = None, large: AbstractContextManager[Any] = LARGE
) -> Picture:
    """Verify and decode one picture, all of it.

    Args:
        data: the bytes as found.
        at_least: how many pixels the shorter side must keep; large pictures are then decoded smaller, which
            is many times cheaper for a JPEG.
        large: entered while a picture of many pixels is decoded, so that few are in memory at once.

    Raises:
        PictureError: for everything that is not a readable picture of at most `MAX_PIXELS`.
    """
    if not data:
        raise PictureError("empty", "expected a picture, received 0 bytes")
    found = sniff(data)
    if found is None:
        raise PictureError(
            "not_a_picture",
            f"expected {_KNOWN}, received {len(data)} bytes beginning {data[:8].hex(' ')}",
        )
    if found == "other":
        raise PictureError("unsupported_format", f"expected {_KNOWN}, received another format")
    # The two bytes never stand in a scan's data; those of a thumbnail inside count too, and are one or two.
    if found == "jpeg" and data.count(_SCAN) > MAX_JPEG_SCANS:
        raise PictureError(
            "too_many_scans", f"expected at most {MAX_JPEG_SCANS} scans, received {data.count(_SCAN):,}"
        )
    try:
        pixels, width, height = _read(data, found, at_least, large)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError("too_many_pixels", f"expected at most {MAX_PIXELS:,} pixels: {error}") from error
    except MemoryError as error:
        raise PictureError("too_much_memory", f"begins like {found} and takes too much memory") from error
    except UnidentifiedImageError as error:
        raise PictureError("damaged", f"begins like {found} and its header cannot be read") from error
    except Exception as error:
        # Pillow's decoders let struct.error, SyntaxError, KeyError, MemoryError and more out for bad bytes;
        # which ones changes from release to release, and none of them is a fault of the caller.
        raise PictureError("damaged", f"begins like {found} and cannot be read: {error}") from error
    return Picture(pixels, found, width, height, sha256(data))


def sha256(data: bytes) -> str:
    """The content hash which is a picture's id everywhere: 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def square(pixels: Pixels, size: int = 256) -> Pixels:
    """Crop around the centre to a square and resize to uint8 (size, size, 3), Lanczos filter."""
    image = ImageOps.fit(Image.fromarray(pixels), (size, size), method=Image.Resampling.LANCZOS)
    return np.asarray(image)


def thumbnail(pixels: Pixels, size: int) -> Pixels:
    """The whole picture, shrunk so that its longer side has at most `size` pixels; never enlarged."""
    image = Image.fromarray(pixels)
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    return np.asarray(image)


def encode_png(pixels: Pixels) -> bytes:
    """Lossless; zlib level 1, three times as fast as the default for a tenth more bytes."""
    return _save(pixels, "PNG", compress_level=1)


def encode(pixels: Pixels, format: str = "png", quality: int = 90) -> bytes:
    """Encode uint8 (H, W, 3) as "png", "jpeg" or "webp"; `quality` (1–100) is for the latter two."""
    if format == "png":
        return encode_png(pixels)
    if format == "jpeg":
        return _save(pixels, "JPEG", quality=quality)
    if format == "webp":
        return _save(pixels, "WEBP", quality=quality, method=0)
    raise ValueError(f"expected the format png, jpeg or webp, received {format!r}")


def perceptual_hash(picture: Pixels | Image.Image) -> str:
    """64 bits as 16 hexadecimal digits: which low frequencies of the picture's cosine transform are strong.

    Pictures that look alike differ in few bits (`hash_distance`). The pHash of Zauner (2010), with the sizes
    that `imagehash.phash` has: 32 × 32 grey values, of whose DCT-II the 8 × 8 lowest frequencies are compared
    with their median.
    """
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    grey = image.convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    low = _COSINES @ np.asarray(grey, np.float64) @ _COSINES.T
    # Frequencies that a symmetric picture lacks are rounding errors, of either sign; rounded, they are 0.
    low = low.round(6)
    return np.packbits(low > np.median(low)).tobytes().hex()


def hash_distance(first: str, second: str) -> int:
    """In how many of their bits two hexadecimal hashes differ, 0–64."""
    if len(first) != len(second):
        raise ValueError(f"expected two hashes of one length, received {first!r} and {second!r}")
    return (int(first, 16) ^ int(second, 16)).bit_count()


def sheet(pixels: Pixels, columns: int | None = None, gap: int = 2) -> Pixels:
    """Lay uint8 (N, H, W, 3) out in rows as one picture, `gap` white pixels between."""
    if pixels.ndim != 4 or pixels.shape[0] == 0 or pixels.shape[3] != 3:
        raise ValueError(f"expected uint8 (N, H, W, 3) with N ≥ 1, received {pixels.shape}")
    num_pictures, height, width, _ = pixels.shape
    columns = min(columns or sheet_columns(num_pictures), num_pictures)
    rows = math.ceil(num_pictures / columns)
    result = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for index, picture in enumerate(pixels):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        result[top : top + height, left : left + width] = picture
    return result


def sheet_columns(num_pictures: int) -> int:
    """How many pictures `sheet` lays into a row unless it is told."""
    return math.ceil(math.sqrt(num_pictures))


def blank_tiles(pixels: Pixels, tiles: Iterable[int], columns: int, gap: int = 2) -> Pixels:
    """A sheet of square pictures, as `sheet` lays them out, with some of them painted white."""
    side = (pixels.shape[1] + gap) // columns
    result = pixels.copy()
    for index in tiles:
        top, left = (index // columns) * side, (index % columns) * side
        result[top : top + side - gap, left : left + side - gap] = 255
    return result


def _read(
    data: bytes, found: str, at_least: int | None, large: AbstractContextManager[Any]
) -> tuple[Pixels, int, int]:
    """Pixels, upright and RGB, and the original's upright width and height; raises whatever Pillow raises."""
    with Image.open(io.BytesIO(data), formats=(found,)) as image:
        _check_size(image)
        width, height = image.size
        with large if width * height > _LARGE_PIXELS else nullcontext():
            if at_least is not None and found == "jpeg":
                image.draft(None, (at_least, at_least))
            image.load()
            transposition = _UPRIGHT.get(_orientation(image))
            result = _rgb(image)
            if at_least is not None:
                # At twice the wanted size a box filter is still no loss to the better filter that follows.
                factor = min(result.size) // (2 * at_least)
                result = result.reduce(factor) if factor > 1 else result
            if transposition is not None:
                result = result.transpose(transposition)
            if transposition in _SWAPS_SIDES:
                width, height = height, width
            return np.asarray(result), width, height


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PictureError(
            "too_many_pixels", f"expected at most {MAX_PIXELS:,} pixels, received {width} × {height}"
        )


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 — a picture whose metadata is broken is still a picture
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    """Any mode of the five formats → RGB; transparency on white, 16 bits scaled to 8 instead of clipped."""
    if image.mode.startswith("I"):
        return _eight_bits(image).convert("RGB")
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        result = Image.new("RGB", rgba.size, "white")
        result.paste(rgba, mask=rgba)
        return result
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit greyscale (modes I;16 and I) → mode L; 65535 becomes 255."""
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray((np.clip(values, 0, 65535) // 257).astype(np.uint8))


def _save(pixels: Pixels, name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, name, **options)
    return buffer.getvalue()
