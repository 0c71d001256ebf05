"""Labelling without a browser: pictures as coloured half blocks, answered with a line of numbers."""

import getpass
import io
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import click
from rich.style import Style
from rich.table import Table
from rich.text import Text

from pikastack.cli.options import Session
from pikastack.client import ServiceError

PER_PAGE = 6
_PER_ROW = 3
_GAP = 2
_HELP = "numbers of the Pikachus (1 4), none for no number, s to skip, u to undo, q to stop"
_UPPER_HALF = "▀"
Page = list[dict[str, Any]]


@dataclass
class Given:
    """Counts of what was labelled."""

    pikachu: int = 0
    others: int = 0


def label_in_terminal(session: Session) -> Given:
    """Show pages of pictures until the user stops or none is left; return what was labelled."""
    given, seed = Given(), 0
    annotator = getpass.getuser()
    waiting: list[Page] = []  # set aside while undone pictures are shown again
    while True:
        page = waiting.pop() if waiting else _next_page(session, seed, annotator)
        seed += 1
        if not page:
            session.terminal.say("no picture is left to label")
            return given
        _show(session, page)
        answer = _ask(session, len(page))
        if answer == "q":
            return given
        if answer == "u":
            undone = _undo(session, annotator, given)
            waiting += [page, undone] if undone else [page]
        elif isinstance(answer, set):
            _label(session, page, answer, annotator, given)


def numbers_of(text: str, num: int) -> set[int]:
    """Parse the picture numbers of an answer: "1 4" → {1, 4}, "none" → {}.

    Raises:
        click.BadParameter: invalid, or a number without a picture.
    """
    words = re.split(r"[\s,]+", text.strip())
    if words == ["none"]:
        return set()
    if not all(word.isdigit() and 1 <= int(word) <= num for word in words):
        raise click.BadParameter(f"expected numbers from 1 to {num}, or none, s, u or q; received {text!r}")
    return {int(word) for word in words}


def half_blocks(data: bytes, columns: int) -> Text:
    """Render a picture as text, `columns` wide: each character shows two pixels, one above the other."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise click.ClickException(
            "drawing pictures in the terminal needs Pillow: pip install pillow"
        ) from error
    with Image.open(io.BytesIO(data)) as opened:
        image = ImageOps.pad(opened.convert("RGB"), (columns, columns - columns % 2), color="white")
    text = Text(no_wrap=True)
    for top in range(0, image.height, 2):
        for left in range(image.width):
            upper, lower = (_rgb(image.getpixel((left, top + below))) for below in (0, 1))
            text.append(_UPPER_HALF, Style(color=upper, bgcolor=lower))
        text.append("\n")
    return text


def _rgb(pixel: Any) -> str:
    red, green, blue = pixel
    return f"#{red:02x}{green:02x}{blue:02x}"


def _show(session: Session, page: Page) -> None:
    width = max(12, min(32, (session.terminal.err.width - _GAP * _PER_ROW) // _PER_ROW))
    table = Table.grid(padding=(0, _GAP, 0, 0))
    for first in range(0, len(page), _PER_ROW):
        row = page[first : first + _PER_ROW]
        drawn = [
            half_blocks(session.client.get(f"/images/{picture['id']}?size={2 * width}").data, width)
            for picture in row
        ]
        table.add_row(*(f"[bold]{number}[/]" for number in range(first + 1, first + 1 + len(row))))
        table.add_row(*drawn)
    session.terminal.err.print(table)  # stdout is for the result


def _next_page(session: Session, seed: int, annotator: str) -> Page:
    answer = session.client.get("/labels/next", count=PER_PAGE, seed=seed, annotator=annotator)
    pictures: Page = answer.json()["pictures"]
    return pictures


def _ask(session: Session, num: int) -> set[int] | str:
    """Ask for the numbers of the Pikachus, or "s", "u" or "q", until the answer is valid."""
    while True:
        try:
            text = click.prompt(_HELP, prompt_suffix="\n> ", err=True).strip().lower()
            return text if text in ("s", "u", "q") else numbers_of(text, num)
        except click.BadParameter as error:
            session.terminal.say(error.message)
        except click.Abort:
            return "q"


def _label(session: Session, page: Page, chosen: set[int], annotator: str, given: Given) -> None:
    labels = [
        {
            "id": picture["id"],
            "label": "pikachu" if number in chosen else "others",
            "why": picture.get("why"),
        }
        for number, picture in enumerate(page, start=1)
    ]
    session.client.post("/labels", {"annotator": annotator, "labels": labels})
    given.pikachu += len(chosen)
    given.others += len(page) - len(chosen)


def _undo(session: Session, annotator: str, given: Given) -> Page:
    """Undo the last labels and return their pictures; none if there is nothing to undo."""
    try:
        answer = session.client.delete(f"/labels/last?annotator={quote(annotator)}")
    except ServiceError as error:
        session.terminal.say(str(error))
        return []
    undone: Page = answer.json()["undone"]["labels"]
    given.pikachu -= sum(label["label"] == "pikachu" for label in undone)
    given.others -= sum(label["label"] == "others" for label in undone)
    return undone[:PER_PAGE]
