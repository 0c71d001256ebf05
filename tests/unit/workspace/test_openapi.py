"""The committed document of the whole stack is what the services produce now."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_merged_document_is_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "deploy" / "merge_openapi.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
