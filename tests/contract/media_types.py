"""What schemathesis sends where the document says "bytes of a picture" or "a zip": valid ones."""

import base64
import io
import re
import uuid
import zipfile

import numpy as np
import schemathesis
from hypothesis import strategies
from PIL import Image


def picture(seed: int, kind: str) -> bytes:
    """A small picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def labelled(seed: int) -> bytes:
    """A labelled folder as a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("trains/pikachu/a.png", picture(seed, "PNG"))
    return buffer.getvalue()


seeds = strategies.integers(0, 20)
pictures = strategies.builds(picture, seeds, strategies.sampled_from(["PNG", "JPEG", "WEBP"]))
for content_type in ("image/*", "application/octet-stream"):
    schemathesis.openapi.media_type(content_type, pictures)
schemathesis.openapi.media_type("application/zip", strategies.builds(labelled, seeds))
schemathesis.openapi.format("binary", pictures)
schemathesis.openapi.format("byte", pictures.map(lambda data: base64.b64encode(data).decode()))


@schemathesis.hook
def before_call(context, case, kwargs):
    """Send a new Idempotency-Key with each request: one that was used for another request is refused."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch("[!-~]{1,128}", key):
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
