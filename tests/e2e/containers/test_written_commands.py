"""Run the `sh` blocks of the guide to the containers against the base stack."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from steps import pack

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "containers.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
# Installed already, and seconds of training in place of half an hour.
_QUICKER = {
    "pip install ./deploy/local": "true",
    "train gan --minutes 30": "train gan --preset tiny --steps 20",
    '{"minutes": 30}': '{"preset": "tiny", "steps": 20}',
}


@pytest.fixture(scope="module")
def place(project, client, walked, drawn, tmp_path_factory):
    """A folder with the files that the guide mentions, and a user's environment."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(drawn / "pile", home / "pictures")
    shutil.copytree(drawn / "labels", home / "labelled")
    (home / "pictures.zip").write_bytes(pack(drawn / "pile"))
    (home / "labels.zip").write_bytes(pack(drawn / "labels"))
    (home / "deploy").symlink_to(project.folder / "deploy")
    key = project.headers["Authorization"].removeprefix("Bearer ")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PIKA")}
    path = f"{client.parent}:{os.environ['PATH']}"
    return home, environ | {"PATH": path, "PIKA_API_KEY": key, "PIKASTACK_URL": project.url}


@pytest.mark.parametrize("text", BLOCKS, ids=["command", "curl"])
def test_what_is_written_works(project, place, text):
    folder, environ = place
    for written, quicker in _QUICKER.items():
        text = text.replace(written, quicker)
    text = text.replace("http://127.0.0.1:8080", project.url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    assert '"status": "failed"' not in done.stdout, done.stdout[-1500:]
