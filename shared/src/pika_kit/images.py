"""Untrusted bytes → a verified picture: upright, RGB, eight bits, with its content hash.

Formats are recognised by content, never by name: JPEG (the first picture of an MPO), PNG (the first frame of
an APNG), WebP, GIF (first frame) and BMP. Every function is thread-safe: no process-wide option of Pillow is
changed, and `LOAD_TRUNCATED_IMAGES` stays off.

    picture = decode(data)                     # raises PictureError(code, detail), and nothing else
    pixels = square(picture.pixels)            # 256×256
"""

import hashlib
import io
import math
import threading
import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

# Imported by name: with `formats=` given, Pillow loads no further plugins.
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

from pika_kit.png import encode_png

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 25_000_000
"""The largest picture that is decoded, width × height; a larger one is refused from its header alone."""

MAX_JPEG_SCANS = 100
"""A progressive JPEG has some ten scans, each of which goes over all pixels. One of fourteen bytes can be
repeated tens of thousands of times in a megabyte, which takes minutes to decode."""
_SCAN = b"\xff\xda"

# Decoding 25 megapixels takes about 200 MB, so only one such picture is decoded at a time.
_LARGE_PIXELS = 4_000_000
LARGE = threading.Semaphore(1)

# The first 8 rows of the 32-point DCT-II matrix, unnormalised: 2·cos(π·frequency·(2·position + 1) / 64).
_COSINES = 2 * np.cos(np.pi / 64 * np.outer(np.arange(8), 2 * np.arange(32) + 1))

SQUARE_FILTER = Image.Resampling.BICUBIC
"""With antialiasing, as Pillow does it: recommended by Parmar et al. (2022, "On Aliased Resizing") for what
generative models learn from and are measured by. A third faster than Lanczos."""

# Once, at import: `warnings.catch_warnings` around each call would not be thread-safe.
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
# EXIF 2.32, tag Orientation: the transformation that makes a stored picture upright. 1 means none.
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
    """The bytes are not a supported picture; `code` is stable, `detail` is for people.

    Codes: "empty", "not_a_picture", "unsupported_format" (a picture in another format), "too_many_pixels",
    "too_many_scans", "damaged" (starts like a picture but cannot be read to its end).
    """

    CODES = ("empty", "not_a_picture", "unsupported_format", "too_many_pixels", "too_many_scans", "damaged")

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        image: RGB, upright, transparency composed onto white; smaller than the original if `decode` was told
            how many pixels are needed.
        format: "jpeg", "png", "webp", "gif" or "bmp", from the content and not from a name.
        width, height: of the original, upright, in pixels.
    """

    image: Image.Image
    format: str
    width: int
    height: int

    @cached_property
    def pixels(self) -> Pixels:
        """The image as uint8 (H, W, 3)."""
        return np.asarray(self.image)


def sniff(data: bytes) -> str | None:
    """Recognise the first bytes: a format of `EXTENSIONS`, "other" (unsupported), or None."""
    head = data[:512]
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    # Many texts begin with "BM"; a bitmap's second header also states its own size.
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return "bmp"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    is_svg = text.startswith((b"<svg", b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in text
    is_container = head[4:8] == b"ftyp" and head[8:12] in _OTHER_BRANDS
    return "other" if is_svg or is_container else None


def decode(
    data: bytes, *, at_least: int | None = None, large: AbstractContextManager[Any] = LARGE
) -> Picture:
    """Verify and decode one picture completely.

    Args:
        data: the bytes of the file.
        at_least: how many pixels the shorter side must keep; larger pictures are then decoded at a reduced
            size, which is many times cheaper for a JPEG.
        large: context manager entered while a large picture is decoded, to limit how many are in memory.

    Raises:
        PictureError: the bytes are not a readable picture of at most `MAX_PIXELS`.
    """
    if not data:
        raise PictureError("empty", "expected a picture, received 0 bytes")
    format = sniff(data)
    if format is None:
        raise PictureError(
            "not_a_picture",
            f"expected {_KNOWN}, received {len(data)} bytes beginning {data[:8].hex(' ')}",
        )
    if format == "other":
        raise PictureError("unsupported_format", f"expected {_KNOWN}, received another format")
    # These two bytes never occur inside a scan's data. Scans of an embedded thumbnail count too: one or two.
    if format == "jpeg" and data.count(_SCAN) > MAX_JPEG_SCANS:
        raise PictureError(
            "too_many_scans", f"expected at most {MAX_JPEG_SCANS} scans, received {data.count(_SCAN):,}"
        )
    try:
        image, width, height = _read(data, format, at_least, large)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError("too_many_pixels", f"expected at most {MAX_PIXELS:,} pixels: {error}") from error
    except MemoryError as error:
        raise PictureError("too_much_memory", f"begins like {format} and takes too much memory") from error
    except UnidentifiedImageError as error:
        raise PictureError("damaged", f"begins like {format} and its header cannot be read") from error
    except Exception as error:
        # Pillow's decoders raise struct.error, SyntaxError, KeyError, MemoryError and more for bad bytes, and
        # which ones differs between releases. None of them is the caller's fault.
        raise PictureError("damaged", f"begins like {format} and cannot be read: {error}") from error
    return Picture(image, format, width, height)


def sha256(data: bytes) -> str:
    """Return the content hash, 64 hexadecimal digits, which identifies a picture everywhere."""
    return hashlib.sha256(data).hexdigest()


def square(pixels: Pixels, size: int = 256) -> Pixels:
    """Crop to the central square and resize to uint8 (size, size, 3) with `SQUARE_FILTER`."""
    image = ImageOps.fit(Image.fromarray(pixels), (size, size), method=SQUARE_FILTER)
    return np.asarray(image)


def thumbnail(pixels: Pixels, size: int) -> Pixels:
    """Shrink the whole picture until its longer side has at most `size` pixels; never enlarge it."""
    image = Image.fromarray(pixels)
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    return np.asarray(image)


def encode(pixels: Pixels, format: str = "png", quality: int = 90) -> bytes:
    """Encode uint8 (H, W, 3) as "png", "jpeg" or "webp"; `quality` (1–100) applies to the latter two."""
    if format == "png":
        return encode_png(pixels)
    if format == "jpeg":
        return _save(pixels, "JPEG", quality=quality)
    if format == "webp":
        return _save(pixels, "WEBP", quality=quality, method=0)
    raise ValueError(f"expected the format png, jpeg or webp, received {format!r}")


def perceptual_hash(picture: Pixels | Image.Image) -> str:
    """Compute a perceptual hash: 64 bits as 16 hexadecimal digits.

    Similar pictures differ in few bits (`hash_distance`). This is the pHash of Zauner (2010) with the sizes
    of `imagehash.phash`: the 8 × 8 lowest frequencies of the DCT-II of 32 × 32 grey values are compared with
    their median.
    """
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    # A large picture is first averaged over whole pixels: four times faster, and hardly a bit changes.
    grey = image.convert("L").resize((32, 32), Image.Resampling.LANCZOS, reducing_gap=3)
    low = _COSINES @ np.asarray(grey, np.float64) @ _COSINES.T
    # Symmetric pictures lack some frequencies; rounding keeps rounding errors of either sign at 0.
    low = low.round(6)
    return np.packbits(low > np.median(low)).tobytes().hex()


def hash_distance(first: str, second: str) -> int:
    """Count the bits in which two hexadecimal hashes differ, 0–64."""
    if len(first) != len(second):
        raise ValueError(f"expected two hashes of one length, received {first!r} and {second!r}")
    return (int(first, 16) ^ int(second, 16)).bit_count()


def sheet(pixels: Pixels, columns: int | None = None, gap: int = 2) -> Pixels:
    """Arrange uint8 (N, H, W, 3) in a grid, with `gap` white pixels between pictures."""
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
    """Return the default number of columns of `sheet`."""
    return math.ceil(math.sqrt(num_pictures))


def blank_tiles(pixels: Pixels, tiles: Iterable[int], columns: int, gap: int = 2) -> Pixels:
    """Arrange square pictures as `sheet` does, with some of them blanked."""
    side = (pixels.shape[1] + gap) // columns
    result = pixels.copy()
    for index in tiles:
        top, left = (index // columns) * side, (index % columns) * side
        result[top : top + side - gap, left : left + side - gap] = 255
    return result


def _read(
    data: bytes, format: str, at_least: int | None, large: AbstractContextManager[Any]
) -> tuple[Image.Image, int, int]:
    """Decode to an upright RGB image and the original's upright width and height."""
    with Image.open(io.BytesIO(data), formats=(format,)) as image:
        _check_size(image)
        width, height = image.size
        with large if width * height > _LARGE_PIXELS else nullcontext():
            if at_least is not None and format == "jpeg":
                image.draft(None, (at_least, at_least))
            image.load()
            transposition = _UPRIGHT.get(_orientation(image))
            result = _rgb(image)
            if at_least is not None:
                # Down to twice the target size a box filter loses nothing that the next filter would keep.
                factor = min(result.size) // (2 * at_least)
                result = result.reduce(factor) if factor > 1 else result
            if transposition is not None:
                result = result.transpose(transposition)
            if transposition in _SWAPS_SIDES:
                width, height = height, width
            return result, width, height


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
    """Convert any mode of the five formats to RGB; transparency onto white, 16 bits scaled to 8."""
    if image.mode.startswith("I"):
        return _eight_bits(image).convert("RGB")
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        result = Image.new("RGB", rgba.size, "white")
        result.paste(rgba, mask=rgba)
        return result
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Convert 16-bit greyscale (modes I;16 and I) to mode L; 65535 becomes 255."""
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray((np.clip(values, 0, 65535) // 257).astype(np.uint8))


def _save(pixels: Pixels, name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, name, **options)
    return buffer.getvalue()
