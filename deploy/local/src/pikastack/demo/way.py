"""The whole pipeline: pictures → scrape → prepare → labels → classifier → filter → GAN → new pictures.

Every step can be repeated: pictures are identified by their hash, and long jobs by their ids, which are
recorded as they start. An interrupted demo therefore continues where it was. If there are too few pictures
for a step, the demo ends there and the report says what was missing.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pikastack.cli import actions
from pikastack.cli.models import save_pictures
from pikastack.cli.options import Session
from pikastack.cli.terminal import JobFailed
from pikastack.client import Answer, ServiceError
from pikastack.demo.results import Choice, ClassifierRun, GanRun, Intake, Results, Verdict
from pikastack.stack.state import StateFolder, write_private

ENOUGH_PICTURES = 60
"""Below it the GAN would learn from too few, and the threshold is lowered."""
LOWER_THRESHOLDS = (0.9, 0.8, 0.65, 0.5)
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
        """Identify one demo's pictures among others'."""
        return "drawn" if self.is_drawn else str(self.pictures.resolve())


class Shortfall(Exception):
    """There are too few pictures for a step; the message is for the report."""


@dataclass
class Demo:
    """One run of the demo on a running stack; `results` grow as it proceeds."""

    session: Session
    state: StateFolder
    sources: Sources
    out: Path
    minutes: float
    results: Results = field(init=False)
    _step: int = 0

    def __post_init__(self) -> None:
        self.results = Results(self.sources.description(), self.session.client.url, str(self.state.root))

    def run(self) -> Results:
        """Run all steps, as far as the pictures allow."""
        try:
            self._collect()
            self._label()
            self._train_classifier()
            self._filter()
            self._draw(self._train_gan())
        except Shortfall as shortfall:
            self.results.shortfalls.append(str(shortfall))
            self._say(f"[yellow]{shortfall}[/]")
        if self.results.classifier:
            self._ask()
        # The next demo is a new one.
        self._jobs_file.unlink(missing_ok=True)
        return self.results

    def _collect(self) -> None:
        with self._stage("taking pictures in", "scrape"):
            scraped = actions.scrape_folder(self.session, self.sources.pictures)
        with self._stage("making them square, finding duplicates", "prepare"):
            prepared = actions.prepare(self.session)
        buckets = self.session.client.get("/buckets").json()
        self.results.intake = intake = Intake.of(scraped, prepared, buckets)
        self._say(
            f"{intake.looked_at} files: {intake.taken} taken, {intake.already_there} there before, "
            f"{intake.exact_duplicates} exact and {intake.near_duplicates} near duplicates, "
            f"{intake.refused} refused"
        )

    def _label(self) -> None:
        with self._stage("taking labels in", "label"):
            actions.import_labels(self.session, self.sources.labels)
        self.results.labels = actions.count_labels(self.session)

    def _train_classifier(self) -> None:
        with self._stage("learning which pictures show Pikachu", "classifier"):
            result = self._job("classifier", lambda: self._post("/classifier/train", {}))
        self.results.classifier = ClassifierRun.of(result)

    def _filter(self) -> None:
        """Filter at the card's threshold; lower it, and say so, if that leaves too few."""
        with self._stage("choosing the Pikachus", "filter"):
            self.results.at_recommended = choice = self._filter_at(None)
            for threshold in LOWER_THRESHOLDS:
                if choice.chosen >= ENOUGH_PICTURES:
                    break
                if threshold >= choice.threshold:
                    continue
                self._say(
                    f"[yellow]only {choice.chosen} pictures reach {choice.threshold:.3g}: "
                    f"lowering the threshold to {threshold}[/]"
                )
                choice = self._filter_at(threshold)
        self.results.choice = choice
        self._say(f"{choice.chosen} pictures are Pikachu at {choice.threshold:.3g}")

    def _filter_at(self, threshold: float | None) -> Choice:
        outcome = self._job(f"filter-{threshold}", lambda: self._post("/filter", {"threshold": threshold}))
        return Choice(outcome["threshold"], outcome["chosen"])

    def _train_gan(self) -> GanRun:
        with self._stage(f"learning to draw them, {self.minutes:g} minutes", "gan"):
            request = {"minutes": self.minutes}
            result = self._job("gan", lambda: self._post("/gan/train", request))
        self.results.gan = gan = GanRun.of(result)
        return gan

    def _draw(self, gan: GanRun) -> None:
        """Use the version just trained, even if its faults keep it from being served.

        If it has a critic, everything that is shown is what it chooses among as many candidates as it was
        measured with.
        """
        asked = {"seed": 0, "size": SHOWN_SIZE, "model_version": gan.version, "candidates": gan.candidates}
        files = self.results.files
        with self._stage("drawing", "generate"):
            for num in SHEETS:
                (sheet,) = actions.draw(self.session, {**asked, "n": num, "grid": True})
                (files[f"sheet of {num}"],) = save_pictures([sheet], self.out / f"sheet-{num}.png", "png")
            singles = actions.draw(self.session, {**asked, "n": NUM_SINGLES})
            for picture, path in zip(
                singles, save_pictures(singles, self.out / "singles", "png"), strict=True
            ):
                files[f"seed {picture.seeds[0]}"] = path
            files["film of the training"] = self._save_film(gan.version)

    def _save_film(self, version: str) -> Path:
        path = self.out / "film.webp"
        path.write_bytes(self.session.client.get(f"/gan/models/{version}/film").data)
        return path

    def _ask(self) -> None:
        """Ask the classifier about some generated and some given pictures, at the card's threshold."""
        drawn = [path for name, path in self.results.files.items() if name.startswith("seed")]
        given = [
            path
            for label in ("pikachu", "others")
            for path in sorted((self.sources.labels / "valids" / label).glob("*"))[:NUM_ASKED]
        ]
        asked = [*drawn[:NUM_ASKED], *given]
        answers = actions.ask_is_pikachu(self.session, [(path.name, path.read_bytes()) for path in asked])
        self.results.verdicts = [
            Verdict.of(_short_name(path), answer) for path, answer in zip(asked, answers, strict=True)
        ]

    def _post(self, path: str, request: dict[str, Any]) -> Answer:
        return self.session.client.post(path, request)

    def _job(self, key: str, start: Callable[[], Answer]) -> dict[str, Any]:
        """Return the result of this step's job: that of an earlier, interrupted demo, or of a new one.

        Raises:
            Shortfall: the job rejects these pictures or labels.
        """
        jobs = json.loads(self._jobs_file.read_text()) if self._jobs_file.exists() else {}
        view = self._earlier(jobs.get(key))
        if view is None:
            view = start().json()
            self._jobs_file.parent.mkdir(parents=True, exist_ok=True)
            write_private(self._jobs_file, json.dumps({**jobs, key: view["id"]}))
        try:
            view = self.session.terminal.watch(self.session.client, view, f"  {view['name']}")
        except JobFailed as failed:
            if failed.view.get("error_kind") != "user":
                raise
            raise Shortfall(f"{view['name']}: {failed}") from failed
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
        self.results.seconds[key] = round(time.monotonic() - started, 1)

    def _say(self, text: str) -> None:
        self.session.terminal.say(text)


def _short_name(path: Path) -> str:
    return "/".join(path.parts[-3:]) if path.parent.parent.name in ("trains", "valids") else path.name
