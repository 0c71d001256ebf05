"""Sheets drawn from the same seeds through the whole run, the film made from them, and a latent walk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pika_kit.images import encode_png, sheet

FILM_SIDE = 512  # about; sheets are enlarged by a whole factor
FILM_FRAMES = 120  # at most; long runs are thinned
FRAME_MILLISECONDS = 120
LAST_FRAME_MILLISECONDS = 2500
NEIGHBOUR_COLUMNS = 8
WALK_FRAMES, WALK_MILLISECONDS, WALK_SIDE = 12, 80, 256


def sheet_path(folder: Path, step: int) -> Path:
    """Where the sheet of `step` lies; names sort by step."""
    return folder / f"step-{step:08d}.png"


def save_sheet(pictures: np.ndarray, folder: Path, step: int) -> Path:
    """Writes the sheet of one step as PNG and tells where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = sheet_path(folder, step)
    path.write_bytes(encode_png(sheet(pictures)))
    return path


def save_neighbours(drawn: np.ndarray, nearest: np.ndarray, path: Path) -> None:
    """Writes drawn pictures with the nearest training picture below each, both uint8 (N, S, S, 3)."""
    columns = min(NEIGHBOUR_COLUMNS, len(drawn))
    rows = []
    for start in range(0, len(drawn), columns):
        rows += [drawn[start : start + columns], nearest[start : start + columns]]
    path.write_bytes(encode_png(sheet(np.concatenate(rows), columns=columns)))


def walk_latents(stops: np.ndarray, frames_each: int = WALK_FRAMES) -> np.ndarray:
    """Latents (K, D) → (K · frames_each, D): from each to the next and from the last to the first.

    On the sphere (Shoemake 1985): a straight line would pass where hardly any latent lies.
    """
    found = []
    for start, end in zip(stops, np.roll(stops, -1, axis=0), strict=True):
        cosine = float(start @ end / max(np.linalg.norm(start) * np.linalg.norm(end), 1e-12))
        angle = np.arccos(np.clip(cosine, -1.0, 1.0))
        for at in np.arange(frames_each) / frames_each:
            if angle < 1e-4:
                found.append(start)
                continue
            found.append((np.sin((1 - at) * angle) * start + np.sin(at * angle) * end) / np.sin(angle))
    return np.stack(found).astype(np.float32)


def save_walk(pictures: np.ndarray, path: Path) -> None:
    """Writes uint8 (N, S, S, 3) as an animated WebP that runs in a circle."""
    frames = [_enlarged(Image.fromarray(picture), WALK_SIDE) for picture in pictures]
    _save_animation(frames, [WALK_MILLISECONDS] * len(frames), path)


def save_film(folder: Path, path: Path) -> bool:
    """Makes an animated WebP of all sheets in `folder`; the last one stays longer. False when there is
    none.
    """
    sheets = sorted(folder.glob("step-*.png"))
    if not sheets:
        return False
    chosen = sorted({round(i) for i in np.linspace(0, len(sheets) - 1, min(FILM_FRAMES, len(sheets)))})
    frames = [_enlarged(Image.open(sheets[index]).convert("RGB")) for index in chosen]
    durations = [FRAME_MILLISECONDS] * (len(frames) - 1) + [LAST_FRAME_MILLISECONDS]
    _save_animation(frames, durations, path)
    return True


def _save_animation(frames: list[Image.Image], durations: list[int], path: Path) -> None:
    partial = path.with_name(f".{path.name}.partial")
    frames[0].save(
        partial,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        quality=80,
        method=2,
    )
    partial.replace(path)


def _enlarged(image: Image.Image, side: int = FILM_SIDE) -> Image.Image:
    factor = max(1, side // image.width)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
