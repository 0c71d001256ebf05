"""`pikastack scrape`, `label`, `filter`, `is-pikachu`: import pictures and labels, and find the Pikachus."""

import csv
import sys
from pathlib import Path
from typing import Any

import click

from pikastack.cli import actions
from pikastack.cli.describe import (
    describe_intake,
    describe_job,
    describe_label_counts,
    describe_labels,
    describe_preparation,
)
from pikastack.cli.label_terminal import label_in_terminal
from pikastack.cli.options import Session, session_options, wait_option
from pikastack.typed import command

_LIST_SUFFIXES = {".txt", ".csv", ".list"}
_TABLE_SUFFIXES = {".csv", ".parquet", ".pq"}


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option("--queries", help='Words to search the web for, such as "ピカチュウ,Pikachu".')
@click.option(
    "--from",
    "catalogues",
    multiple=True,
    type=click.Choice(["openverse", "commons", "google"]),
    help="Where to search; repeatable.  [default: all that are set up]",
)
@click.option(
    "--limit", type=click.IntRange(1), help="Maximum number of pictures from each folder or search."
)
@session_options
def scrape(
    session: Session,
    sources: tuple[str, ...],
    queries: str | None,
    catalogues: tuple[str, ...],
    limit: int | None,
) -> None:
    """Collect pictures and prepare them: verified, upright, square, without duplicates.

    A SOURCE is a folder, a .zip, a text file with one URL on each line, or a URL itself; --queries searches
    catalogues of free pictures.
    """
    if not sources and not queries:
        raise click.UsageError("expected a SOURCE or --queries")
    urls = [source for source in sources if source.startswith(("http://", "https://"))]
    reports = []
    for source in sources:
        if source not in urls:
            reports.append(_scrape_path(session, Path(source), limit) | {"source": source})
    if urls:
        reports.append(actions.scrape_urls(session, urls) | {"source": "urls"})
    if queries:
        reports.append(actions.scrape_queries(session, queries, catalogues, limit))
    # Uploads still have to be prepared; for scraped pictures, which are ready, this finds nothing to do.
    prepared = actions.prepare(session)
    text = "\n".join(f"[bold]{report['source']}[/]\n{describe_intake(report)}" for report in reports)
    session.terminal.result(
        {"reports": reports, "prepared": prepared}, f"{text}\n{describe_preparation(prepared)}"
    )


def _scrape_path(session: Session, path: Path, limit: int | None) -> dict[str, Any]:
    if path.is_dir():
        return actions.scrape_folder(session, path, limit)
    if not path.is_file():
        raise click.BadParameter(f"expected a folder, zip, list of URLs or URL; received {str(path)!r}")
    if path.suffix.lower() == ".zip":
        return actions.scrape_zip(session, path)
    if path.suffix.lower() in _TABLE_SUFFIXES:
        report = actions.scrape_table(session, path)
        if report is not None:
            return report
        if path.suffix.lower() != ".csv":
            raise click.BadParameter(
                f"expected {str(path)!r} below a folder that the scraper may read (PIKA_SCRAPE_ROOTS)"
            )
    if path.suffix.lower() in _LIST_SUFFIXES:
        return actions.scrape_urls(session, list_urls(path))
    return actions.scrape_files(session, [path], path.parent)


def list_urls(path: Path) -> list[str]:
    """Return a list's addresses: its lines, or the column url of a CSV file."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    if path.suffix.lower() == ".csv":
        rows = csv.reader(lines)
        names = [name.strip().lower() for name in next(rows, [])]
        if "url" in names:
            place = names.index("url")
            return [row[place].strip() for row in rows if len(row) > place and row[place].strip()]
    return [line.strip() for line in lines if line.strip().startswith("http")]


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--open/--no-open", "opens", default=None, help="Open the page.  [default: on a terminal]")
@click.option("--terminal", "in_terminal", is_flag=True, help="Label in the terminal, without a browser.")
@session_options
def label(session: Session, folder: Path | None, opens: bool | None, in_terminal: bool) -> None:
    """Label pictures: import a labelled FOLDER, or open the page for labelling with the keyboard.

    FOLDER is laid out trains/pikachu, trains/others, valids/pikachu, valids/others.
    """
    if in_terminal:
        given = label_in_terminal(session)
        text = f"labelled {given.pikachu} Pikachus and {given.others} others"
        session.terminal.result({"given": vars(given), "labels": actions.count_labels(session)}, text)
        return
    imported = actions.import_labels(session, folder) if folder else None
    counts = actions.count_labels(session)
    lines = [] if imported is None else [describe_labels(imported)]
    lines.append(describe_label_counts(counts))
    page = f"{session.client.url}/label"
    lines.append(f"label with the keyboard: {page}")
    session.terminal.result({"imported": imported, "labels": counts, "page": page}, "\n".join(lines))
    is_asked = opens is None and folder is None and sys.stdout.isatty() and not session.terminal.as_json
    if (opens or is_asked) and click.launch(page) != 0:
        session.terminal.say(f"no browser was found here: {command()} label --terminal does without")


@click.command("filter")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Minimum probability.  [default: the operator's setting, else the model card's]",
)
@click.option(
    "--precision",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Instead: the expected share of chosen pictures that show Pikachu.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be chosen, change nothing.")
@wait_option
@session_options
def filter_pictures(
    session: Session, threshold: float | None, precision: float | None, dry_run: bool, wait: bool
) -> None:
    """Copy every prepared picture that the classifier accepts to the GAN's bucket."""
    if threshold is not None and precision is not None:
        raise click.UsageError("expected --threshold or --precision, received both")
    request = {"threshold": threshold, "precision": precision, "dry_run": dry_run}
    answer = session.client.post("/filter", request)
    view = actions.start_or_run(session, answer, "filter", wait=wait)
    session.terminal.result(view, describe_job(view))


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--reason", default="", help="The reason, kept with the tombstone.")
@session_options
def withdraw(session: Session, ids: tuple[str, ...], reason: str) -> None:
    """Withdraw pictures by the SHA-256 of the file: remove them everywhere and never collect them again.

    Models trained on them are kept; `pikastack models` marks them.
    """
    done = session.client.post("/images/withdrawals", {"ids": list(ids), "reason": reason}).json()
    labelled = session.client.post("/labels/withdrawn").json()["removed_from"]
    for bucket, removed in labelled.items():
        for tombstone in done["withdrawn"]:
            tombstone["removed_from"] += [bucket] if tombstone["id"] in removed else []
    lines = [
        f"{tombstone['id']}: withdrawn, taken from {', '.join(tombstone['removed_from']) or 'no bucket'}"
        for tombstone in done["withdrawn"]
    ]
    if done["promoted"]:
        lines.append(f"{len(done['promoted'])} near duplicates are prepared in their place")
    session.terminal.result(done, "\n".join(lines))


@click.command("is-pikachu")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@session_options
def is_pikachu(session: Session, files: tuple[str, ...]) -> None:
    """Ask the classifier about pictures (- for stdin). Exit status 1 if any cannot be read."""
    pictures = [(name, sys.stdin.buffer.read() if name == "-" else _read(Path(name))) for name in files]
    answers = actions.ask_is_pikachu(session, pictures)
    lines = []
    for (name, _), answer in zip(pictures, answers, strict=True):
        if "probability" in answer:
            verdict = "Pikachu" if answer["is_pikachu"] else "not Pikachu"
            lines.append(f"{name}: {verdict} ({answer['probability']:.4f})")
        else:
            lines.append(f"{name}: {answer.get('detail') or answer.get('title')}")
    answers = [{"file": name, **answer} for (name, _), answer in zip(pictures, answers, strict=True)]
    session.terminal.result({"answers": answers}, "\n".join(lines))
    if any("probability" not in answer for answer in answers):
        raise SystemExit(1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise click.BadParameter(f"cannot read {str(path)!r}: {error.strerror}") from error
