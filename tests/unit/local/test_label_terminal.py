"""Labelling in a terminal: pictures as half blocks, numbers as answers, undo."""

import io
from types import SimpleNamespace

import click
import pytest
from PIL import Image

from pikastack.cli import label_terminal
from pikastack.cli.label_terminal import half_blocks, label_in_terminal, numbers_of
from pikastack.cli.options import Session
from pikastack.cli.terminal import Terminal


def png(*colours):
    """Return a picture with rows of one colour each."""
    image = Image.new("RGB", (4, len(colours)))
    for row, colour in enumerate(colours):
        image.paste(colour, (0, row, 4, row + 1))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


class FakeClient:
    """Five unlabelled pictures; records what it is sent."""

    def __init__(self):
        self.ids = [str(number) for number in range(5)]
        self.sent = []

    def get(self, path, **query):
        if path.startswith("/images/"):
            return SimpleNamespace(data=png("red", "blue", "red", "blue"))
        left = [{"id": one, "why": "random"} for one in self.ids[: query["count"]]]
        return SimpleNamespace(json=lambda: {"pictures": left})

    def post(self, path, body):
        assert path == "/labels"
        self.sent.append(body)
        self.ids = [one for one in self.ids if one not in {label["id"] for label in body["labels"]}]

    def delete(self, path):
        labels = self.sent.pop()["labels"]
        self.ids = [label["id"] for label in labels] + self.ids
        return SimpleNamespace(json=lambda: {"undone": {"labels": labels}})


@pytest.fixture
def session():
    return Session(FakeClient(), Terminal(), None)


def answer(monkeypatch, *lines):
    left = iter(lines)
    monkeypatch.setattr(label_terminal.click, "prompt", lambda *_args, **_options: next(left))


def test_numbers_name_the_pikachus_of_a_page(session, monkeypatch):
    monkeypatch.setattr(label_terminal, "PER_PAGE", 3)
    answer(monkeypatch, "1 3", "none", "q")
    given = label_in_terminal(session)
    assert (given.pikachu, given.others) == (2, 3)
    first, second = session.client.sent
    assert [label["label"] for label in first["labels"]] == ["pikachu", "others", "pikachu"]
    assert {label["why"] for label in first["labels"]} == {"random"}
    assert [label["label"] for label in second["labels"]] == ["others", "others"]


def test_what_was_given_can_be_taken_back_and_nonsense_is_asked_again(session, monkeypatch):
    monkeypatch.setattr(label_terminal, "PER_PAGE", 3)
    answer(monkeypatch, "1", "u", "7", "eins", "2 3", "q")
    given = label_in_terminal(session)
    assert (given.pikachu, given.others) == (2, 1)
    # Pictures whose labels were undone come first again.
    (sent,) = session.client.sent
    assert [(label["id"], label["label"]) for label in sent["labels"]] == [
        ("0", "others"),
        ("1", "pikachu"),
        ("2", "pikachu"),
    ]


@pytest.mark.parametrize("text", ["0", "4", "-1", "1 x", ""])
def test_numbers_that_no_picture_has_are_refused(text):
    with pytest.raises(click.BadParameter, match="from 1 to 3"):
        numbers_of(text, 3)
    assert numbers_of("3, 1", 3) == {1, 3}


def test_half_blocks_show_two_rows_of_pixels_in_one_of_text():
    text = half_blocks(png("red", "blue", "red", "blue"), 4)
    assert text.plain == "▀▀▀▀\n▀▀▀▀\n"
    styles = {str(span.style) for span in text.spans}
    assert styles == {"#ff0000 on #0000ff"}
