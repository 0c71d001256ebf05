"""`pikastack evaluate`: compare the GAN's versions side by side."""

from typing import Any

import click
from rich.table import Table

from pikastack.cli import actions
from pikastack.cli.options import Session, session_options
from pikastack.client import ServiceError

NUM_ASKED = 64
_SEED = 1_000


@click.command()
@click.argument("versions", nargs=-1, metavar="[VERSION]...")
@click.option(
    "--ask/--no-ask",
    "asks",
    default=True,
    show_default=True,
    help=f"Draw {NUM_ASKED} pictures of each version and ask the classifier about them.",
)
@session_options
def evaluate(session: Session, versions: tuple[str, ...], asks: bool) -> None:
    """Compare trained GANs by the figures on their cards and by what the classifier says of their pictures.

    Default: all versions. Pictures are at /gan/models/VERSION/sheet, /nearest, /walk and /film.
    """
    cards = {card["version"]: card for card in session.client.get("/gan/models").json()["models"]}
    unknown = [version for version in versions if version not in cards]
    if unknown:
        raise click.UsageError(
            f"there is no version {', '.join(unknown)}; there are: {', '.join(cards) or 'none'}"
        )
    rows = [figures_of(cards[version]) for version in versions or cards]
    if asks:
        for row in rows:
            session.terminal.say(f"drawing {NUM_ASKED} pictures of {row['version']} and asking about them")
            row["called_pikachu"] = share_called_pikachu(session, row["version"])
    if session.terminal.as_json:
        session.terminal.result({"versions": rows})
        return
    session.terminal.out.print(_table(rows))


def figures_of(card: dict[str, Any]) -> dict[str, Any]:
    """Return a card's figures about the quality of its pictures."""
    measured = card["evaluation"]
    names = ("kid", "kid_interval", "fid", "precision", "recall", "likeness", "diversity", "near_copy_rate")
    return {
        "version": card["version"],
        "preset": card["preset"]["name"],
        "resolution": card["resolution"],
        "steps": card["steps"],
        "minutes": card["minutes"],
        "is_current": card["is_current"],
        **{name: measured.get(name) for name in names},
        "critic": _of_preferred(card),
        "feature_version": measured["feature_version"],
        "faults": card["gate"]["faults"],
    }


def _of_preferred(card: dict[str, Any]) -> dict[str, Any] | None:
    """Return the figures of what the version's critic chooses among candidates, if it has one."""
    critic = card.get("critic")
    if critic is None:
        return None
    names = ("kid", "kid_interval", "precision", "recall", "likeness")
    return {"candidates": critic["candidates"], **{name: critic["evaluation"].get(name) for name in names}}


def share_called_pikachu(session: Session, version: str) -> float | None:
    """Count how many newly generated pictures the classifier calls Pikachu; None without a classifier."""
    request = {"n": NUM_ASKED, "seed": _SEED, "model_version": version}
    pictures = actions.draw(session, request)
    named = [(f"{number}.png", picture.data) for number, picture in enumerate(pictures)]
    try:
        answers = actions.ask_is_pikachu(session, named)
    except ServiceError as error:
        if error.kind != "model-missing":
            raise
        return None
    said = [answer["is_pikachu"] for answer in answers if "is_pikachu" in answer]
    return sum(said) / len(said) if said else None


def _table(rows: list[dict[str, Any]]) -> Table:
    """Format one column per version; KID and its interval × 1000."""
    table = Table("", *(f"{row['version']}{' ✓' if row['is_current'] else ''}" for row in rows))
    lines: dict[str, Any] = {
        "preset": lambda row: row["preset"],
        "size": lambda row: f"{row['resolution']} px",
        "steps, minutes": lambda row: f"{row['steps']:,}, {row['minutes']:g}",
        "KID × 1000": _kid,
        "precision, recall": lambda row: f"{_share(row['precision'])}, {_share(row['recall'])}",
        "likeness": lambda row: _share(row["likeness"]),
        "with candidates:\n  KID × 1000\n  precision, recall\n  likeness": _with_candidates,
        "diversity": lambda row: _share(row["diversity"]),
        "near copies": lambda row: _share(row["near_copy_rate"]),
        "called Pikachu": lambda row: _share(row.get("called_pikachu")),
        "faults": lambda row: "; ".join(row["faults"]) or "none",
    }
    for title, cell in lines.items():
        table.add_row(title, *(cell(row) for row in rows))
    return table


def _kid(row: dict[str, Any]) -> str:
    interval = row["kid_interval"]
    around = f" ({1000 * interval[0]:.0f}–{1000 * interval[1]:.0f})" if interval else ""
    return f"{1000 * row['kid']:.0f}{around}"


def _with_candidates(row: dict[str, Any]) -> str:
    """Return the figures of what is chosen among candidates, a line each."""
    critic = row["critic"]
    if not critic:
        return "–"
    shares = f"{_share(critic['precision'])}, {_share(critic['recall'])}"
    return f"up to {critic['candidates']}\n{_kid(critic)}\n{shares}\n{_share(critic['likeness'])}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
