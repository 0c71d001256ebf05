"""Request models of the GAN's views, and the syntax of seed lists: "0,4-6"."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from pika_gan.latents import MAX_SEED
from pika_gan.presets import DEFAULT_PRESET, PRESETS
from pika_kit.bodies import OneOf, OptionalBody
from pika_kit.datasets import REFERENCE_PATTERN

MAX_PICTURES = 64
MAX_CANDIDATES = 8
MAX_SIZE = 512
MAX_PIXELS = MAX_PICTURES * 256**2
"""Of all pictures of one answer together: 12 MB, and several times that while they are encoded."""
_SEEDS_PATTERN = r"^ *[0-9]{1,9}( *- *[0-9]{1,9})? *(, *[0-9]{1,9}( *- *[0-9]{1,9})? *){0,63}$"
Size = Annotated[
    int,
    WithJsonSchema({"type": "integer", "enum": [2**power for power in range(3, MAX_SIZE.bit_length())]}),
]
Latent = Annotated[list[float], Field(max_length=4096)]
Seeds = Annotated[
    list[int],
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _SEEDS_PATTERN, "examples": ["0,4-6"]},
                {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0, "maximum": MAX_SEED},
                    "minItems": 1,
                    "maxItems": MAX_PICTURES,
                },
            ]
        }
    ),
]
PresetName = Annotated[str, OneOf(PRESETS)]
PictureFormat = Literal["png", "jpeg", "jpg", "webp"]
_PART = re.compile(r"\s*(\d{1,10})\s*(?:-\s*(\d{1,10})\s*)?")


def parse_seeds(text: str) -> list[int]:
    """Parse "0,4-6" to [0, 4, 5, 6], in the order written. Raises ValueError with what was expected."""
    seeds: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise ValueError(f"expected seeds such as '0,4-6', received {text[:100]!r}")
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        if last < first:
            raise ValueError(f"expected a rising range, received {part.strip()!r}")
        if len(seeds) + last - first + 1 > MAX_PICTURES:
            raise ValueError(f"expected at most {MAX_PICTURES} seeds, received more")
        seeds.extend(range(first, last + 1))
    return seeds


class GenerateQuery(OptionalBody):
    """Which pictures to draw, and how to return them."""

    model_config = ConfigDict(strict=False)  # a query string contains only strings

    n: int | None = Field(
        None,
        ge=1,
        le=MAX_PICTURES,
        description="How many pictures; default: 1, or as many as seeds or latents",
    )
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="The first seed; with n: seed, seed + 1, …")
    seeds: Seeds | None = Field(None, description='Seeds: "0,4-6", or a list')
    truncation: float = Field(
        1.0, ge=0.0, le=2.0, description="Factor for the latents; below 1 pictures are plainer and more alike"
    )
    candidates: int = Field(
        1,
        ge=1,
        le=MAX_CANDIDATES,
        description="Draw up to this many pictures for each seed and return the first one that the model's "
        "critic accepts, or else the best: better pictures, and up to so many times the work. Not with "
        "latents",
    )
    size: Size | None = Field(
        None, description="Side in pixels, a power of two from 8 to 512; default: the model's own"
    )
    format: PictureFormat | None = Field(
        None,
        description="Format of each picture; default: what Accept asks for, else png",
    )
    quality: int = Field(90, ge=1, le=100, description="Quality of JPEG and WebP")
    grid: bool = Field(False, description="Return all pictures as one sheet")
    response_format: Literal["image", "b64_json"] | None = Field(
        None,
        description="The picture's bytes, or JSON with base64; default: image for one picture or a grid",
    )
    return_latents: bool = Field(False, description="Return the latents as well (JSON only)")
    model_version: str | None = Field(None, description="Such as v2; default: the current version")

    @field_validator("format", mode="before")
    @classmethod
    def _read_format(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("seeds", mode="before")
    @classmethod
    def _read_seeds(cls, value: Any) -> Any:
        # A query string contains the list as one or several strings.
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            value = ",".join(value)
        if isinstance(value, str):
            return parse_seeds(value)
        return value

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, value: list[int] | None) -> list[int] | None:
        if value is not None and (not 1 <= len(value) <= MAX_PICTURES):
            raise ValueError(f"expected 1 to {MAX_PICTURES} seeds, received {len(value)}")
        if value is not None and not all(0 <= seed <= MAX_SEED for seed in value):
            raise ValueError(f"expected seeds from 0 to {MAX_SEED}")
        return value

    @field_validator("size")
    @classmethod
    def _check_size(cls, value: int | None) -> int | None:
        if value is not None and (not 8 <= value <= MAX_SIZE or value & (value - 1)):
            raise ValueError(f"expected a power of two from 8 to {MAX_SIZE}")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> GenerateQuery:
        given = [name for name in ("seed", "seeds", "latents") if getattr(self, name, None) is not None]
        if len(given) > 1:
            raise ValueError(f"expected one of seed, seeds and latents, received {' and '.join(given)}")
        listed = self._listed
        if listed is not None:
            if not 1 <= len(listed) <= MAX_PICTURES:
                raise ValueError(f"expected 1 to {MAX_PICTURES} pictures, received {len(listed)}")
            if self.n is not None and self.n != len(listed):
                raise ValueError(
                    f"n: expected {len(listed)}, as many as {given[0]}, or nothing; received {self.n}"
                )
        if self.seed is not None and self.seed + self.num_pictures - 1 > MAX_SEED:
            raise ValueError(f"seed: expected seed + n - 1 to be at most {MAX_SEED}")
        if self.candidates > 1 and self.given_latents is not None:
            raise ValueError(f"candidates: expected 1 with latents, received {self.candidates}")
        if self.response_format == "image" and self.num_pictures > 1 and not self.grid:
            raise ValueError(
                "response_format image: expected one picture, or grid=true; b64_json gives several"
            )
        if self.return_latents and not self.is_json:
            raise ValueError("return_latents: expected response_format b64_json")
        return self

    @property
    def given_latents(self) -> list[list[float]] | None:
        """Latents, as an alternative to seeds."""
        return None

    @property
    def _listed(self) -> list[Any] | None:
        return self.seeds if self.seeds is not None else self.given_latents

    @property
    def num_pictures(self) -> int:
        """The number of requested pictures."""
        return len(self._listed) if self._listed is not None else self.n or 1

    @property
    def is_json(self) -> bool:
        """Whether to answer with JSON; by default for several pictures that are not a grid."""
        if self.response_format is None:
            return self.num_pictures > 1 and not self.grid
        return self.response_format == "b64_json"


class GenerateRequest(GenerateQuery):
    """Which pictures to draw, from seeds or latents, and how to return them."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={
            "examples": [
                {"n": 4, "seed": 7},
                {"seeds": "0,4-6", "grid": True, "size": 128, "format": "webp"},
            ]
        },
    )

    latents: Annotated[list[Latent], Field(max_length=MAX_PICTURES)] | None = Field(
        None, description="Latent vectors themselves, in place of seeds"
    )

    @property
    def given_latents(self) -> list[list[float]] | None:
        """The latents as sent."""
        return self.latents


class ProjectQuery(OptionalBody):
    """Which model to project into."""

    model_version: str | None = Field(None, description="Such as v2; default: the current version")


class GanTrainRequest(OptionalBody):
    """A training run. Without steps and minutes the preset's own budget holds; with both, whichever ends
    first.
    """

    preset: PresetName = Field(DEFAULT_PRESET, description="The recipe")
    minutes: Annotated[float, Field(gt=0, le=60 * 24 * 30)] | None = Field(
        None, description="Of training time"
    )
    steps: Annotated[int, Field(ge=1)] | None = Field(None, description="Updates of both networks")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of weights, order, latents and augmentation")
    dataset: str | None = Field(
        None,
        pattern=REFERENCE_PATTERN,
        description="A data set of the bucket pikachu, name/v2 or the latest of a name; all of it if absent",
    )
    activate: bool = Field(True, description="Make the result the current version")


class RunPath(BaseModel):
    """A run's id, which is its job's."""

    run_id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")


class SheetPath(RunPath):
    """One sample sheet of a run."""

    step: int = Field(ge=0)
