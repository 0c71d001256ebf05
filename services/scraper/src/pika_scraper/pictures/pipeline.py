"""Original bytes → what they are and, if requested, the square for training. No store, no network.

Runs in a child process with limits (`intake.verify`), because the bytes are untrusted. Each picture is
decoded once, no larger than the square needs, and everything is derived from those pixels.
"""

from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

from PIL import Image

from pika_kit.images import LARGE, decode, perceptual_hash
from pika_scraper.config import PrepareConfig
from pika_scraper.pictures.flags import inspect
from pika_scraper.pictures.square import encode_square, fitted

COLOUR_GRID = 4


@dataclass(frozen=True)
class Prepared:
    """A prepared picture: its square as PNG, and what is added to its provenance.

    `fit` is how it became square: "crop" or "pad".
    """

    square: bytes
    perceptual_hash: str
    colours: str
    flags: list[str]
    background: list[int] | None
    box: list[float] | None
    fit: str

    def facts(self) -> dict[str, Any]:
        """Return everything except the square, as JSON."""
        return {name: value for name, value in asdict(self).items() if name != "square"}


@dataclass(frozen=True)
class Examined:
    """What a file contains: its format, the original's upright sides, and the square if requested."""

    format: str
    width: int
    height: int
    prepared: Prepared | None = None


def examine(
    data: bytes, config: PrepareConfig | None = None, large: AbstractContextManager[Any] = LARGE
) -> Examined:
    """Decode a picture completely, and prepare it if `config` is given.

    Args:
        data: the file's bytes.
        config: how to prepare it; None only verifies.
        large: context manager entered while a large picture is decoded.

    Raises:
        PictureError: as `pika_kit.images.decode`.
    """
    if config is None:
        # All bytes are read; only fewer pixels are produced.
        picture = decode(data, at_least=64, large=large)
        return Examined(picture.format, picture.width, picture.height)
    picture = decode(data, at_least=config.size, large=large)
    image, grey = picture.image, picture.image.convert("L")
    flags = inspect(picture, grey, config)
    ground = flags.background if config.fit == "pad" else None
    prepared = Prepared(
        square=encode_square(fitted(image, config.size, ground)),
        perceptual_hash=perceptual_hash(grey),
        colours=colour_signature(image),
        flags=flags.flags,
        background=flags.background,
        box=flags.box,
        fit="crop" if ground is None else "pad",
    )
    return Examined(picture.format, picture.width, picture.height, prepared)


def colour_signature(image: Image.Image) -> str:
    """Return the mean colours of a 4×4 grid over the picture: 48 bytes in hexadecimal."""
    coarse = image.resize((COLOUR_GRID, COLOUR_GRID), Image.Resampling.BOX, reducing_gap=3)
    return coarse.tobytes().hex()
