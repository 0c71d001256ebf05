"""The whole way in one go: pictures → scrape → prepare → labels → classifier → filter → GAN → new pictures.

Every step can be run again: pictures are known by their hash, and the long jobs by their ids, which are
written down as they start. So a demo that was interrupted goes on where it was.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pikastack import actions
from pikastack.client import Answer, ServiceError
from pikastack.commands_models import save_pictures
from pikastack.options import Session
from pikastack.state import StateFolder, write_private

ENOUGH_PICTURES = 200
LOWER_THRESHOLDS = (0.95, 0.9, 0.8, 0.65, 0.5)
NUM_SINGLES = 8
NUM_ASKED = 4
SHEETS = (25, 64)
SHOWN_SIZE = 128
"""Side in pixels of what is saved; the networks draw smaller ones, which are hard to look at."""
_NUM_STEPS = 7


@dataclass(frozen=True)
class Sources:
    """What a demo works on. `is_drawn`: the project drew them itself, into `pictures` and `labels`."""

    pictures: Path
    labels: Path
    is_drawn: bool

    def description(self) -> str:
        """Tells one demo's pictures from another's."""
        return "drawn" if self.is_drawn else str(self.pictures.resolve())


@dataclass
class Demo:
    """One run of the demo on a running stack; `report` grows as it goes."""

    session: Session
    state: StateFolder
    sources: Sources
    out: Path
    minutes: float
    report: dict[str, Any] = field(default_factory=dict)
    _step: int = 0

    def run(self) -> dict[str, Any]:
        """All steps; the report."""
        self.report = {
            "source": self.sources.description(),
            "url": self.session.client.url,
            "state": str(self.state.root),
            "seconds": {},
        }
        self._collect()
        self._label()
        self._train_classifier()
        self._filter()
        self._train_gan()
        self._draw()
        self._ask()
        # The next demo is a new one.
        self._jobs_file.unlink(missing_ok=True)
        return self.report

    def _collect(self) -> None:
        with self._stage("taking pictures in", "scrape"):
            intake = actions.scrape_folder(self.session, self.sources.pictures)
        with self._stage("making them square, finding duplicates", "prepare"):
            prepared = actions.prepare(self.session)
        buckets = self.session.client.get("/buckets").json()
        self.report["intake"] = intake
        self.report["prepared"] = prepared
        self.report["buckets"] = buckets["buckets"]
        self.report["near_duplicates"] = buckets["near_duplicates"]
        self._say(
            f"{intake['looked_at']} files: {intake['taken']} taken, {intake['already_there']} there before, "
            f"{intake['exact_duplicates']} exact and {buckets['near_duplicates']} near duplicates, "
            f"{intake['refused']} refused"
        )

    def _label(self) -> None:
        with self._stage("taking labels in", "label"):
            actions.import_labels(self.session, self.sources.labels)
        self.report["labels"] = actions.count_labels(self.session)

    def _train_classifier(self) -> None:
        with self._stage("learning which pictures show Pikachu", "classifier"):
            self.report["classifier"] = self._job("classifier", lambda: self._post("/classifier/train", {}))

    def _filter(self) -> None:
        """Filter at the operator's threshold; lower it, and say so, where that leaves too few."""
        with self._stage("choosing the Pikachus", "filter"):
            chosen = self._filter_at(None)
            self.report["default_threshold"] = chosen["threshold"]
            self.report["chosen_at_default"] = chosen["chosen"]
            for threshold in LOWER_THRESHOLDS:
                if chosen["chosen"] >= ENOUGH_PICTURES:
                    break
                if threshold >= chosen["threshold"]:
                    continue
                self._say(
                    f"[yellow]only {chosen['chosen']} pictures reach {chosen['threshold']}: "
                    f"lowering the threshold to {threshold}[/]"
                )
                chosen = self._filter_at(threshold)
        self.report["filter"] = chosen
        self._say(f"{chosen['chosen']} pictures are Pikachu at {chosen['threshold']}")

    def _filter_at(self, threshold: float | None) -> dict[str, Any]:
        return self._job(f"filter-{threshold}", lambda: self._post("/filter", {"threshold": threshold}))

    def _train_gan(self) -> None:
        with self._stage(f"learning to draw them, {self.minutes:g} minutes", "gan"):
            request = {"minutes": self.minutes}
            self.report["gan"] = self._job("gan", lambda: self._post("/gan/train", request))

    def _draw(self) -> None:
        with self._stage("drawing", "generate"):
            files = {}
            for num in SHEETS:
                (sheet,) = actions.draw(self.session, {"n": num, "seed": 0, "grid": True, "size": SHOWN_SIZE})
                (files[f"sheet of {num}"],) = save_pictures([sheet], self.out / f"sheet-{num}.png", "png")
            singles = actions.draw(self.session, {"n": NUM_SINGLES, "seed": 0, "size": SHOWN_SIZE})
            for picture, path in zip(
                singles, save_pictures(singles, self.out / "singles", "png"), strict=True
            ):
                files[f"seed {picture.seeds[0]}"] = path
            files["film of the training"] = self._save_film()
        self.report["files"] = {name: str(path) for name, path in files.items()}

    def _save_film(self) -> Path:
        film = self.session.client.get(f"/gan/models/{self.report['gan']['model_version']}/film")
        path = self.out / "film.webp"
        path.write_bytes(film.data)
        return path

    def _ask(self) -> None:
        """What the classifier says of some drawn and some given pictures."""
        drawn = [Path(path) for name, path in self.report["files"].items() if name.startswith("seed")]
        given = [
            path
            for label in ("pikachu", "others")
            for path in sorted((self.sources.labels / "valids" / label).glob("*"))[:NUM_ASKED]
        ]
        asked = [*drawn[:NUM_ASKED], *given]
        answers = actions.ask_is_pikachu(self.session, [(path.name, path.read_bytes()) for path in asked])
        self.report["asked"] = [
            {"file": _short_name(path), **answer} for path, answer in zip(asked, answers, strict=True)
        ]

    def _post(self, path: str, request: dict[str, Any]) -> Answer:
        return self.session.client.post(path, request)

    def _job(self, key: str, start: Callable[[], Answer]) -> dict[str, Any]:
        """The result of this step's job: the one an earlier, interrupted demo has started, else a new one."""
        jobs = json.loads(self._jobs_file.read_text()) if self._jobs_file.exists() else {}
        view = self._earlier(jobs.get(key))
        if view is None:
            view = start().json()
            self._jobs_file.parent.mkdir(parents=True, exist_ok=True)
            write_private(self._jobs_file, json.dumps({**jobs, key: view["id"]}))
        view = self.session.terminal.watch(self.session.client, view, f"  {view['name']}")
        result: dict[str, Any] = view["result"]
        return result

    def _earlier(self, job_id: str | None) -> dict[str, Any] | None:
        try:
            view = self.session.client.job(job_id) if job_id else None
        except ServiceError as error:
            if error.status not in (404, 410):
                raise
            return None
        return view if view and view["status"] in ("queued", "running", "finished") else None

    @property
    def _jobs_file(self) -> Path:
        return self.state.demo / "jobs.json"

    @contextmanager
    def _stage(self, what: str, key: str) -> Iterator[None]:
        self._step += 1
        started = time.monotonic()
        self._say(f"[bold][{self._step}/{_NUM_STEPS}] {what}[/]".replace("[bold][", "[bold]\\["))
        yield
        self.report["seconds"][key] = round(time.monotonic() - started, 1)

    def _say(self, text: str) -> None:
        self.session.terminal.say(text)


def _short_name(path: Path) -> str:
    return "/".join(path.parts[-3:]) if path.parent.parent.name in ("trains", "valids") else path.name
