"""Folders of drawn pictures: a pile as a web search leaves it, and a small labelled set.

The pile's names are meaningless; formats, sizes and shapes differ, some pictures are repeated, and some files
are not pictures, so that every following step has work to do. The same seed gives the same files, with one
process or with several.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from pika_drawings.picture import draw_other, draw_pikachu

Progress = Callable[[int, int], None]

# One stream of random numbers per use, so that a labelled picture never repeats one of the pile.
PILE, TRAINS, VALIDS, ARRANGEMENT = range(4)
FORMATS = (("JPEG", ".jpg", 0.62), ("PNG", ".png", 0.26), ("WEBP", ".webp", 0.12))


@dataclass
class Truth:
    """A pile's contents, by file name; duplicates are listed with the picture they repeat."""

    pikachu: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    duplicates: dict[str, str] = field(default_factory=dict)
    near_duplicates: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Order:
    """A picture to draw: number `index` of a class in one of the streams."""

    label: str
    seed: int
    stream: int
    index: int


def write_collection(
    folder: Path,
    *,
    num_pikachu: int,
    num_others: int,
    seed: int,
    progress: Progress | None = None,
    processes: int = 1,
) -> Truth:
    """Fill `folder` with num_pikachu + num_others different pictures, some repeats, and five broken files.

    About 1 % of the pictures are repeated byte for byte, and 2 % in another size and quality. `progress(done,
    total)` is called after every picture. Returns the truth about the files. The folder may exist but must be
    empty (FileExistsError).
    """
    _make_empty(folder)
    orders = [_Order("pikachu", seed, PILE, index) for index in range(num_pikachu)]
    orders += [_Order("others", seed, PILE, index) for index in range(num_others)]
    num_again, num_resized = max(2, len(orders) // 100), max(3, len(orders) // 50)
    rng = np.random.default_rng([seed, ARRANGEMENT])
    numbers = iter((rng.permutation(len(orders) + num_again + num_resized + 5) + 1).tolist())
    truth = Truth()
    names: list[str] = []
    for order, (data, suffix) in zip(orders, _drawn(orders, progress, processes), strict=True):
        name = _write(folder, next(numbers), suffix, data)
        (truth.pikachu if order.label == "pikachu" else truth.others).append(name)
        names.append(name)
    if names:
        for name in rng.choice(names, num_again):
            copy = _write(folder, next(numbers), Path(name).suffix, (folder / name).read_bytes())
            truth.duplicates[copy] = str(name)
        for name in rng.choice(names, num_resized):
            copy = _write(folder, next(numbers), ".jpg", _resized(folder / name, rng))
            truth.near_duplicates[copy] = str(name)
    for reason, suffix, data in _broken(seed):
        truth.broken[_write(folder, next(numbers), suffix, data)] = reason
    return truth


def write_labels(
    folder: Path,
    *,
    num_trains: int,
    num_valids: int,
    seed: int,
    progress: Progress | None = None,
    processes: int = 1,
) -> None:
    """Fill trains|valids / pikachu|others under `folder`, with that many pictures in each of the four."""
    _make_empty(folder)
    parts = (("trains", TRAINS, num_trains), ("valids", VALIDS, num_valids))
    places = [(part, _Order(label, seed, stream, index)) for part, stream, number in parts
              for label in ("pikachu", "others") for index in range(number)]  # fmt: skip
    pictures = _drawn([order for _, order in places], progress, processes)
    for (part, order), (data, suffix) in zip(places, pictures, strict=True):
        target = folder / part / order.label
        target.mkdir(parents=True, exist_ok=True)
        _write(target, order.index + 1, suffix, data)


def _make_empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"expected an empty folder, received {folder}, which has files in it")


def _write(folder: Path, number: int, suffix: str, data: bytes) -> str:
    name = f"{number:04d}{suffix}"
    (folder / name).write_bytes(data)
    return name


def _drawn(
    orders: Sequence[_Order], progress: Progress | None, processes: int
) -> Iterator[tuple[bytes, str]]:
    """Yield the bytes and the suffix of every picture, in the given order."""
    if processes == 1:
        yield from _counted(map(_draw, orders), len(orders), progress)
        return
    # "spawn", not "fork": the caller may have threads that hold locks.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        yield from _counted(pool.map(_draw, orders, chunksize=8), len(orders), progress)


def _counted(
    pictures: Iterator[tuple[bytes, str]], total: int, progress: Progress | None
) -> Iterator[tuple[bytes, str]]:
    for done, picture in enumerate(pictures, start=1):
        yield picture
        if progress is not None:
            progress(done, total)


def _draw(order: _Order) -> tuple[bytes, str]:
    """Draw and encode one picture of 180 to 400 pixels, one in four not square."""
    rng = np.random.default_rng([order.seed, order.stream, order.label == "pikachu", order.index])
    width = height = int(rng.integers(200, 301) if rng.random() < 0.8 else rng.integers(180, 401))
    if rng.random() < 0.25:
        longer = min(400, round(width * rng.uniform(1.1, 1.4)))
        width, height = (longer, height) if rng.random() < 0.5 else (width, longer)
    draw = draw_pikachu if order.label == "pikachu" else draw_other
    picture = Image.fromarray(draw(rng, (width, height)))
    file_format, suffix, _ = FORMATS[rng.choice(len(FORMATS), p=[share for *_, share in FORMATS])]
    return _encoded(picture, file_format, int(rng.integers(80, 96))), suffix


def _encoded(picture: Image.Image, file_format: str, quality: int) -> bytes:
    buffer = BytesIO()
    options: dict[str, int] = {"compress_level": 3} if file_format == "PNG" else {"quality": quality}
    if file_format == "WEBP":
        options["method"] = 1  # the fastest encoding
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def _resized(path: Path, rng: np.random.Generator) -> bytes:
    """Encode the picture again, at 60–90 % of its size and with stronger compression."""
    with Image.open(path) as picture:
        share = rng.uniform(0.6, 0.9)
        size = round(picture.width * share), round(picture.height * share)
        return _encoded(picture.convert("RGB").resize(size), "JPEG", int(rng.integers(55, 75)))


def _broken(seed: int) -> Iterator[tuple[str, str, bytes]]:
    """Return files that are pictures by name only: reason, suffix, bytes."""
    rng = np.random.default_rng([seed, ARRANGEMENT, 1])
    picture = Image.fromarray(draw_pikachu(rng, 200))
    for file_format, suffix in (("JPEG", ".jpg"), ("PNG", ".png")):
        whole = _encoded(picture, file_format, 85)
        yield f"{file_format} cut off", suffix, whole[: len(whole) // 2]
    yield "a page in place of a picture", ".jpg", b"<!DOCTYPE html><title>404</title><h1>Not Found</h1>\n"
    yield "empty", ".png", b""
    yield "random bytes", ".webp", rng.bytes(3000)
