"""Sample sheets from the same seeds throughout a run, the film made from them, and a latent walk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pika_kit.images import sheet
from pika_kit.png import encode_png

FILM_SIDE = 512  # approximate; sheets are enlarged by an integer factor
FILM_FRAMES = 120  # long runs are thinned out to at most this many
FRAME_MILLISECONDS = 120
LAST_FRAME_MILLISECONDS = 2500
NEIGHBOUR_COLUMNS = 8
WALK_FRAMES, WALK_MILLISECONDS, WALK_SIDE = 12, 80, 256


def sheet_path(folder: Path, step: int) -> Path:
    """Return the path of the sheet of `step`; names sort by step."""
    return folder / f"step-{step:08d}.png"


def save_sheet(pictures: np.ndarray, folder: Path, step: int) -> Path:
    """Write the sheet of one step as PNG and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = sheet_path(folder, step)
    path.write_bytes(encode_png(sheet(pictures)))
    return path


def save_neighbours(drawn: np.ndarray, nearest: np.ndarray, path: Path) -> None:
    """Write drawn pictures with the nearest training picture below each, both uint8 (N, S, S, 3)."""
    columns = min(NEIGHBOUR_COLUMNS, len(drawn))
    rows = []
    for start in range(0, len(drawn), columns):
        rows += [drawn[start : start + columns], nearest[start : start + columns]]
    path.write_bytes(encode_png(sheet(np.concatenate(rows), columns=columns)))


def walk_latents(stops: np.ndarray, frames_each: int = WALK_FRAMES) -> np.ndarray:
    """Interpolate latents (K, D) → (K · frames_each, D): from each to the next, the last to the first.

    On the sphere (Shoemake 1985): straight lines would pass through a region that contains hardly any
    latents.
    """
    frames = []
    for start, end in zip(stops, np.roll(stops, -1, axis=0), strict=True):
        cosine = float(start @ end / max(np.linalg.norm(start) * np.linalg.norm(end), 1e-12))
        angle = np.arccos(np.clip(cosine, -1.0, 1.0))
        for at in np.arange(frames_each) / frames_each:
            if angle < 1e-4:
                frames.append(start)
                continue
            frames.append((np.sin((1 - at) * angle) * start + np.sin(at * angle) * end) / np.sin(angle))
    return np.stack(frames).astype(np.float32)


def save_walk(pictures: np.ndarray, path: Path) -> None:
    """Write uint8 (N, S, S, 3) as a looping animated WebP."""
    frames = [_enlarged(Image.fromarray(picture), WALK_SIDE) for picture in pictures]
    _save_animation(frames, [WALK_MILLISECONDS] * len(frames), path)


def save_film(folder: Path, path: Path) -> bool:
    """Make an animated WebP of all sheets, the last one longer. Return False without any."""
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
