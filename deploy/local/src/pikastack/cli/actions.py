"""What the commands and the demo do with a running stack: import pictures and labels, run jobs, generate."""

import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pikastack.cli.options import Session
from pikastack.cli.uploads import list_files, zip_batches
from pikastack.client import Answer


class NothingThere(Exception):
    """The named folder or file contains nothing to work on."""


@dataclass(frozen=True)
class Picture:
    """One generated picture: its encoded bytes and the seeds it came from."""

    data: bytes
    seeds: list[int]


def run_job(session: Session, answer: Answer, title: str) -> dict[str, Any]:
    """Watch the job that a response started; return its last view."""
    return session.terminal.watch(session.client, answer.json(), title)


def start_or_run(session: Session, answer: Answer, title: str, *, wait: bool) -> dict[str, Any]:
    """Like `run_job`, or return the started job's view without waiting."""
    if wait:
        return run_job(session, answer, title)
    view: dict[str, Any] = answer.json()
    return view


def scrape_folder(session: Session, folder: Path, limit: int | None = None) -> dict[str, Any]:
    """Import a folder's pictures, read by the scraper if it may, otherwise uploaded; return the report."""
    folder = folder.resolve()
    if _may_be_read(session, folder):
        return _scrape(session, {"source": "folder", "location": str(folder), "limit": limit})
    files = list_files(folder)[:limit]
    session.terminal.say(f"uploading {len(files)} files of {folder}, which the scraper may not read itself")
    return scrape_files(session, files, folder)


def scrape_files(session: Session, files: Sequence[Path], root: Path) -> dict[str, Any]:
    """Upload files below `root`; return a report like a scrape's."""
    if not files:
        raise NothingThere(f"{root} holds no files")
    total: dict[str, Any] = {}
    for batch in zip_batches(list(files), root):
        total = merge_reports(total, upload_zip(session, batch.data))
    return total


def scrape_zip(session: Session, path: Path) -> dict[str, Any]:
    """Import a zip's pictures."""
    path = path.resolve()
    if _may_be_read(session, path):
        return _scrape(session, {"source": "zip", "location": str(path)})
    return upload_zip(session, path.read_bytes())


def scrape_table(session: Session, path: Path) -> dict[str, Any] | None:
    """Import what a CSV or Parquet list names, with all columns; None if the scraper may not read it."""
    path = path.resolve()
    if not _may_be_read(session, path):
        return None
    return _scrape(session, {"source": "urls", "location": str(path)})


def scrape_urls(session: Session, urls: Sequence[str]) -> dict[str, Any]:
    """Import the pictures at some addresses."""
    if not urls:
        raise NothingThere("the list holds no addresses")
    return _scrape(session, {"source": "urls", "urls": list(urls)})


def scrape_queries(
    session: Session, queries: str, catalogues: Sequence[str], limit: int | None
) -> dict[str, Any]:
    """Search catalogues and import what they name."""
    request = {"queries": queries, "sources": list(catalogues) or None, "limit": limit}
    return _scrape(session, request)


def _scrape(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    # Prepare once, after all sources.
    answer = session.client.post("/scrape", {**request, "prepare": False})
    return _report(run_job(session, answer, "scrape"))


def prepare(session: Session) -> dict[str, Any]:
    """Make squares of all new pictures; return the report."""
    return _report(run_job(session, session.client.post("/prepare", {}), "prepare"))


def upload_zip(session: Session, data: bytes) -> dict[str, Any]:
    """Upload one zip, processed at once or, if large, by a job; return a report like a scrape's."""
    answer = session.client.post_bytes("/images", data, "application/zip")
    if answer.status == 202:
        return _report(run_job(session, answer, "upload"))
    told = answer.json()
    samples: dict[str, list[str]] = {}
    for entry in told["pictures"]:
        if "problem" in entry:
            samples.setdefault(entry["problem"].get("reason", "other"), []).append(entry["name"])
    counts = ("looked_at", "taken", "exact_duplicates", "refused", "refused_by_reason", "skipped")
    return {name: told[name] for name in counts} | {"already_there": 0, "samples": samples}


def _may_be_read(session: Session, path: Path) -> bool:
    """Return whether the stack runs here and its scraper may read `path`."""
    roots = (session.local or {}).get("scrape_roots", [])
    return any(path.is_relative_to(root) for root in roots)


def _report(view: dict[str, Any]) -> dict[str, Any]:
    report: dict[str, Any] = view["result"] or {}
    return report


def merge_reports(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Merge two reports: numbers are added, also inside dictionaries; lists are joined."""
    merged = dict(one)
    for name, value in other.items():
        before = merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = merge_reports(before, value)
        elif _can_be_added(before) and _can_be_added(value):
            merged[name] = before + value
        else:
            merged[name] = value
    return merged


def _can_be_added(value: Any) -> bool:
    return isinstance(value, int | float | list) and not isinstance(value, bool)


def draw(session: Session, request: dict[str, Any]) -> list[Picture]:
    """Call POST /generate; one picture for each seed, or a single sheet with `grid`."""
    if request.get("grid"):
        answer = session.client.post("/generate", {**request, "response_format": "image"})
        return [Picture(answer.data, _seeds(answer))]
    answer = session.client.post("/generate", {**request, "response_format": "b64_json"})
    return [
        Picture(base64.b64decode(item["b64_json"]), [item["seed"]] if "seed" in item else [])
        for item in answer.json()["data"]
    ]


def _seeds(answer: Answer) -> list[int]:
    text = answer.headers.get("X-Seeds", "")
    return [int(word) for word in text.split(",") if word.strip().isdigit()]


def import_labels(session: Session, folder: Path) -> dict[str, Any]:
    """Import a folder's labelled pictures, trains|valids / pikachu|others; return the merged report.

    Raises:
        NothingThere: there is no such layout below the folder.
    """
    parts = [folder / split / label for split in ("trains", "valids") for label in ("pikachu", "others")]
    files = [path for part in parts if part.is_dir() for path in list_files(part)]
    if not files:
        raise NothingThere(
            f"{folder}: expected pictures in trains/pikachu, trains/others, valids/pikachu and "
            "valids/others; found none"
        )
    total: dict[str, Any] = {}
    # One import, in any number of parts: it is undone as a whole.
    path = f"/labels/import?unit={uuid.uuid4().hex}"
    for batch in zip_batches(files, folder):
        answer = session.client.post_bytes(path, batch.data, "application/zip")
        report = _report(run_job(session, answer, "labels")) if answer.status == 202 else answer.json()
        total = merge_reports(total, report)
    return total


def count_labels(session: Session) -> dict[str, Any]:
    """Count labels: split → label → count."""
    labels = session.client.get("/labels", limit=1).json()
    return {split: labels[split] for split in ("trains", "valids")}


def ask_is_pikachu(session: Session, pictures: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """Return the classifier's answer for each picture: a verdict, or the problem with that picture."""
    answers = session.client.post_files("/is-pikachu", pictures).json()
    return [answer.get("problem", answer) for answer in answers]
