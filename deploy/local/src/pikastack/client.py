"""The client of a stack, for programs.

    from pikastack.client import Client

    stack = Client("http://127.0.0.1:8080")
    for picture in stack.generate(4, seed=7, size=128):
        picture.save(f"pikachu-{picture.seed}.png")
    verdict = stack.is_pikachu("holiday.jpg")
    result = stack.wait(stack.train_gan(minutes=30))

Every method raises ServiceError, in the service's own words, where it does not get what it asked for. What
has no method here is a request away: `stack.get("/buckets").json()`. The interface is described at /docs.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from pikastack.connection import OVER, Answer, Connection, ServiceError

__all__ = [
    "OVER",
    "Answer",
    "Client",
    "Drawn",
    "Job",
    "JobError",
    "Projected",
    "ServiceError",
    "Verdict",
]

Picture = bytes | str | Path
"""An encoded picture, or the path of one."""
Format = Literal["png", "jpeg", "webp"]
ModelName = Literal["gan", "classifier"]


@dataclass(frozen=True)
class Drawn:
    """One generated picture.

    Attributes:
        data: the encoded picture.
        seed: what it was generated from; None for a latent.
        latent: if it was requested.
    """

    data: bytes = field(repr=False)
    format: str
    model_version: str
    seed: int | None = None
    latent: list[float] | None = field(default=None, repr=False)

    def save(self, path: str | Path) -> Path:
        """Write the picture to a file."""
        Path(path).write_bytes(self.data)
        return Path(path)


@dataclass(frozen=True)
class Verdict:
    """The classifier's answer for one picture.

    Attributes:
        is_pikachu: whether `probability` reaches `threshold`.
        novelty: how unlike all known pictures it is; above 1: more than 99 % of them. None if the model
            cannot tell.
    """

    is_pikachu: bool
    probability: float
    threshold: float
    novelty: float | None
    model_version: str


@dataclass(frozen=True)
class Projected:
    """The latent whose picture is closest to a given one, that picture (PNG), and its distance."""

    latent: list[float]
    distance: float
    data: bytes = field(repr=False)
    model_version: str


@dataclass(frozen=True)
class Job:
    """A started job."""

    id: str
    kind: str


class JobError(Exception):
    """A job failed or was cancelled; `view` is its last known view."""

    def __init__(self, view: dict[str, Any]) -> None:
        super().__init__(view.get("error") or f"job {view['id']} was {view['status']}")
        self.view = view


class Client(Connection):
    """One stack, by its gateway's URL. Thread-safe."""

    def generate(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        seeds: str | Sequence[int] | None = None,
        latents: Sequence[Sequence[float]] | None = None,
        truncation: float | None = None,
        candidates: int | None = None,
        size: int | None = None,
        format: Format = "png",
        quality: int | None = None,
        model_version: str | None = None,
        return_latents: bool = False,
    ) -> list[Drawn]:
        """Generate pictures.

        Args:
            n: how many, 1–64; by default one, or one for each of `seeds` or `latents`.
            seed: the first of n consecutive seeds.
            seeds: "0,4-6", or a list, instead of `seed`.
            latents: instead of seeds.
            truncation: 0–2; smaller values give plainer pictures.
            candidates: 1–8; draw up to this many for each seed and return the first one that the model's
                critic accepts, or else the best.
            size: side in pixels, a power of two from 8 to 512; by default the model's own.
            quality: 1–100, for JPEG and WebP.
            model_version: such as "v2"; by default the current one.
        """
        request = {
            "n": n,
            "seed": seed,
            "seeds": list(seeds) if seeds is not None and not isinstance(seeds, str) else seeds,
            "latents": None if latents is None else [list(map(float, row)) for row in latents],
            "truncation": truncation,
            "candidates": candidates,
            "size": size,
            "format": format,
            "quality": quality,
            "model_version": model_version,
            "return_latents": return_latents or None,
            "response_format": "b64_json",
        }
        told = self.post("/generate", request).json()
        return [
            Drawn(
                base64.b64decode(one["b64_json"]),
                told["format"],
                told["model_version"],
                one.get("seed"),
                one.get("latent"),
            )
            for one in told["data"]
        ]

    def sheet(self, n: int = 16, *, seed: int | None = None, format: Format = "png", **more: Any) -> bytes:
        """Generate one sheet with n pictures; `more` is as for POST /generate."""
        request = {"n": n, "seed": seed, "format": format, "grid": True, **more}
        return self.post("/generate", request).data

    def is_pikachu(
        self, picture: Picture, *, threshold: float | None = None, precision: float | None = None
    ) -> Verdict:
        """Ask about one picture, with a threshold or a precision instead of the model's recommendation."""
        path = self._with_query("/is-pikachu", threshold=threshold, precision=precision)
        return _verdict(self.post_bytes(path, _bytes_of(picture), "application/octet-stream").json())

    def are_pikachu(
        self,
        pictures: Sequence[Picture],
        *,
        threshold: float | None = None,
        precision: float | None = None,
    ) -> list[Verdict | ServiceError]:
        """Ask about several pictures; unreadable ones give an error instead of a verdict."""
        files = [(f"{number}", _bytes_of(picture)) for number, picture in enumerate(pictures)]
        told = self.post_files(
            self._with_query("/is-pikachu", threshold=threshold, precision=precision), files
        )
        return [
            ServiceError(one["problem"]["detail"], status=one["problem"]["status"], problem=one["problem"])
            if "problem" in one
            else _verdict(one)
            for one in told.json()
        ]

    def project(self, picture: Picture, *, model_version: str | None = None) -> Projected:
        """Find the latent whose picture is closest to a given one; takes some seconds."""
        path = self._with_query("/project", model_version=model_version)
        told = self.post_bytes(path, _bytes_of(picture), "application/octet-stream").json()
        data = base64.b64decode(told["b64_json"])
        return Projected(told["latent"], told["distance"], data, told["model_version"])

    def scrape(self, **request: Any) -> Job:
        """Collect pictures, as a job: `queries="ピカチュウ"`, `source="folder", location=…`; see /docs."""
        return self._start("/scrape", request)

    def train_classifier(self, **request: Any) -> Job:
        """Train the classifier on all labels, as a job."""
        return self._start("/classifier/train", request)

    def filter(self, **request: Any) -> Job:
        """Select the Pikachus, as a job: `precision=0.95`, or a `threshold`, or the model's own."""
        return self._start("/filter", request)

    def train_gan(self, **request: Any) -> Job:
        """Train the GAN on the selected pictures, as a job: `minutes=30`, `preset="cpu-64"`."""
        return self._start("/gan/train", request)

    def wait(
        self, job: Job | str, on_progress: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Wait for a job and return its result.

        Args:
            job: from one of the methods above.
            on_progress: called with the job's view at each change.

        Raises:
            JobError: it failed or was cancelled.
        """
        job_id = job if isinstance(job, str) else job.id
        view = self.job(job_id)
        if view["status"] not in OVER:
            for view in self.watch(job_id):
                if on_progress is not None:
                    on_progress(view)
        if view["status"] != "finished":
            raise JobError(view)
        result: dict[str, Any] = view["result"] or {}
        return result

    def models(self, name: ModelName) -> list[dict[str, Any]]:
        """Return the cards of all versions, oldest first."""
        cards: list[dict[str, Any]] = self.get(f"/{name}/models").json()["models"]
        return cards

    def activate(self, name: ModelName, version: str) -> dict[str, Any]:
        """Activate a version and return its card."""
        card: dict[str, Any] = self.put(f"/{name}/models/current", {"version": version}).json()["card"]
        return card

    def _start(self, path: str, request: dict[str, Any]) -> Job:
        view = self.post(path, request).json()
        return Job(view["id"], view["name"])

    @staticmethod
    def _with_query(path: str, **query: Any) -> str:
        given = urlencode({name: value for name, value in query.items() if value is not None})
        return f"{path}?{given}" if given else path


def _bytes_of(picture: Picture) -> bytes:
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()


def _verdict(told: dict[str, Any]) -> Verdict:
    names = ("is_pikachu", "probability", "threshold", "novelty", "model_version")
    return Verdict(**{name: told[name] for name in names})
