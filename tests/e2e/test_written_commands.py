"""Run every `sh` and `python` block of the README and the guides against a stack as a user has it.

Those of the guide to the containers have a test of their own, in `containers`.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from servers import scripts

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
DOCUMENTS = [ROOT / "README.md", *(guide for guide in GUIDES if guide.stem != "containers")]
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Replaces half an hour of training by seconds.
_QUICKER = {
    "./run train gan --minutes 30": "./run train gan --preset tiny --steps 20",
    "--dataset free/v1 --minutes 30": "--dataset free/v1 --preset tiny --steps 20",
    "train_gan(minutes=30)": 'train_gan(preset="tiny", steps=20)',
    ".pikastack/": "$PIKASTACK_STATE/",
}


def blocks():
    """Return (document, number, language, text) of each block."""
    for path in DOCUMENTS:
        for number, match in enumerate(_BLOCK.finditer(path.read_text(encoding="utf-8")), start=1):
            yield pytest.param(match[1], match[2], id=f"{path.stem}-{number}")


@pytest.fixture(scope="module")
def place(stack, generator, classifier, scraped, drawn, tmp_path_factory):
    """A folder with the files that the documents mention, and a user's environment."""
    folder, _ = drawn
    home = tmp_path_factory.mktemp("home")
    pile = sorted((folder / "labels" / "trains" / "pikachu").iterdir())
    from PIL import Image

    Image.open(pile[0]).convert("RGB").save(home / "picture.jpg")
    Image.open(pile[1]).convert("RGB").save(home / "other.png")
    shutil.copytree(folder / "labels", home / "labelled")
    (home / "pictures").mkdir()
    for path in sorted((folder / "pile").iterdir())[:5]:
        shutil.copy(path, home / "pictures")
    run = home / "run"
    run.write_text(f'#!/bin/sh\nexec {scripts() / "pikastack"} "$@"\n')
    run.chmod(0o755)
    # Use the stack's Python, and let curl fail on HTTP errors.
    (home / "bin").mkdir()
    (home / "bin" / "curl").write_text(f'#!/bin/sh\nexec {shutil.which("curl")} --fail-with-body -sS "$@"\n')
    (home / "bin" / "curl").chmod(0o755)
    environ = {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "PIKASTACK_STATE": str(stack.state),
    }
    return home, environ


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize(("language", "text"), blocks())
def test_what_is_written_works(stack, place, language, text):
    folder, environ = place
    for written, quicker in _QUICKER.items():
        text = text.replace(written, quicker)
    text = text.replace("http://127.0.0.1:8080", stack.url)
    command = ["bash", "-euo", "pipefail", "-c", text] if language == "sh" else [sys.executable, "-c", text]
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, f"{text}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"


def test_there_are_blocks_in_each_document():
    for path in DOCUMENTS:
        assert _BLOCK.search(path.read_text(encoding="utf-8")), path.name
