"""The import contracts fail when they are broken: each shown on a copy of the code with one bad line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = [ROOT / "shared/src", *sorted(ROOT.glob("services/*/src")), *sorted(ROOT.glob("deploy/*/src"))]


def lint(folder: Path) -> subprocess.CompletedProcess:
    """Run the contracts of the root's pyproject.toml over the packages in `folder`."""
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--config", ROOT / "pyproject.toml", "--no-cache"],
        env=os.environ | {"PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path) -> Path:
    """Copies of all packages, which a test may modify; they shadow the installed ones."""
    for source in SOURCES:
        shutil.copytree(
            source, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    return tmp_path


def test_the_code_as_it_stands_keeps_all_contracts(copy):
    result = lint(copy)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("pika_gan/config.py", "import pika_classifier"),
        ("pika_scraper/config.py", "from pika_gan import config"),
        ("pikastack/stack/ports.py", "import pika_scraper.app"),
        ("pika_kit/images.py", "import pika_scraper"),
        ("pika_kit/models.py", "import tensorflow"),
        ("pika_scraper/jobs.py", "def late():\n    import keras"),
        ("pikastack/stack/state.py", "import keras.ops"),
        ("pika_gan/app.py", "import tensorflow"),
        ("pika_gan/http/generate.py", "from pika_gan import networks"),
        ("pika_gan/losses.py", "from pika_gan import train"),
        ("pika_classifier/serve/predictor.py", "import keras"),
        ("pika_classifier/learn/networks.py", "from pika_classifier.learn import train"),
        ("pika_scraper/web/fetch.py", "from pika_scraper import views"),
        ("pika_kit/stages.py", "from pika_kit import service"),
    ],
)
def test_a_broken_rule_is_found(copy, module, line):
    path = copy / module
    path.write_text(path.read_text(encoding="utf-8") + f"\n\n{line}\n", encoding="utf-8")
    result = lint(copy)
    assert result.returncode == 1, result.stdout
    assert "BROKEN" in result.stdout
