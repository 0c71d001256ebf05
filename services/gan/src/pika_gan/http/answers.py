"""Response models of the GAN's views, for its OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from pika_kit.contract import example


class DrawnPicture(BaseModel):
    """One picture in a JSON response."""

    b64_json: str = Field(description="The encoded picture, base64")
    seed: int | None = Field(default=None, description="Of a picture that was drawn from a seed")
    latent: list[float] | None = Field(
        default=None, description="Where `return_latents` asks for it; of candidates, the chosen one's"
    )


class GenerateAnswer(BaseModel):
    """The pictures and what each was drawn from."""

    model_config = example(
        {
            "created": 1795673846,
            "model_version": "v1",
            "request_id": "3f2b8c1d9a4e4f0b8c7d6e5f4a3b2c1d",
            "seeds": [7, 8],
            "truncation": 1.0,
            "candidates": 1,
            "size": 64,
            "format": "png",
            "grid": False,
            "data": [
                {"b64_json": "iVBORw0KGgo=", "seed": 7},
                {"b64_json": "iVBORw0KGgo=", "seed": 8},
            ],
        }
    )

    created: int = Field(description="Unix time")
    model_version: str
    request_id: str
    seeds: list[int] | None = Field(description="Null where latents were sent")
    truncation: float
    candidates: int = Field(description="At most so many are drawn for each picture that is returned")
    size: int = Field(description="Side of each picture in pixels")
    format: Literal["png", "jpeg", "webp"]
    grid: bool
    data: list[DrawnPicture]
    latents: list[list[float]] | None = Field(default=None, description="Of a grid, where they are asked for")


class ProjectAnswer(BaseModel):
    """The latent that was found, and its picture."""

    model_config = example(
        {
            "latent": [0.12, -1.3],
            "distance": 0.008,
            "size": 64,
            "model_version": "v1",
            "request_id": "3f2b8c1d9a4e4f0b8c7d6e5f4a3b2c1d",
            "b64_json": "iVBORw0KGgo=",
        }
    )

    latent: list[float]
    distance: float = Field(description="Between the given picture and the latent's, 0 for the same")
    size: int
    model_version: str
    request_id: str
    b64_json: str = Field(description="The latent's picture as PNG, base64")


_RUN: dict[str, Any] = {
    "run_id": "0d9f3c3c5e8f4b0f9d5b8a6f2c1e7a44",
    "url": "/gan/samples/0d9f3c3c5e8f4b0f9d5b8a6f2c1e7a44",
    "latest_url": "/gan/samples/0d9f3c3c5e8f4b0f9d5b8a6f2c1e7a44/latest",
    "film_url": "/gan/samples/0d9f3c3c5e8f4b0f9d5b8a6f2c1e7a44/film",
    "log_url": "/gan/samples/0d9f3c3c5e8f4b0f9d5b8a6f2c1e7a44/log",
}


class RunAnswer(BaseModel):
    """A training run: its status and links to its pictures."""

    model_config = example(_RUN, extra="allow")

    run_id: str
    url: str
    latest_url: str
    film_url: str
    log_url: str


class RunsAnswer(BaseModel):
    """All runs, most recent first."""

    model_config = example({"runs": [_RUN]})

    runs: list[RunAnswer]


class SheetOfStep(BaseModel):
    """The sample sheet of one step."""

    step: int
    url: str


class RunSheetsAnswer(RunAnswer):
    """A training run with all its sheets."""

    model_config = example(_RUN | {"sheets": [{"step": 100, "url": f"{_RUN['url']}/sheets/100"}]})

    sheets: list[SheetOfStep]


class RunLogAnswer(BaseModel):
    """The curves of a run, one line per log entry."""

    model_config = example({"lines": [{"kind": "train", "step": 20, "discriminator_loss": 0.69}]})

    lines: list[dict[str, Any]]
