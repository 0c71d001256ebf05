"""Sample sheets drawn from the same seeds through the whole run, and the film made from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pika_kit.images import encode_png, sheet

FILM_SIDE = 512  # about; sheets are enlarged by a whole factor
FILM_FRAMES = 120  # at most; long runs are thinned
FRAME_MILLISECONDS = 120
LAST_FRAME_MILLISECONDS = 2500


def sheet_path(folder: Path, step: int) -> Path:
    """Where the sheet of `step` lies; names sort by step."""
    return folder / f"step-{step:08d}.png"


def save_sheet(pictures: np.ndarray, folder: Path, step: int) -> Path:
    """Writes the sheet of one step as PNG and tells where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = sheet_path(folder, step)
    path.write_bytes(encode_png(sheet(pictures)))
    return path


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
    return True


def _enlarged(image: Image.Image) -> Image.Image:
    factor = max(1, FILM_SIDE // image.width)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
