"""What schemathesis sends: valid pictures and zips where the document asks for them, and no endless lines."""

import base64
import io
import re
import uuid
import zipfile
from urllib.parse import urlencode

import numpy as np
import schemathesis
from hypothesis import strategies
from PIL import Image

LONGEST_LINE = 8_000
"""Gunicorn takes 8,190 bytes, with the method and the version; see pika_kit/gunicorn_config.py."""


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


@schemathesis.hook
def filter_case(context, case):
    """Leave out requests with a line too long for gunicorn, which refuses them before a service sees them."""
    line = case.formatted_path + urlencode(case.query or {}, doseq=True)
    return len(line) < LONGEST_LINE
