"""Run schemathesis with all its checks against the whole stack's document at its gateway."""

import os
import subprocess
import sys
from pathlib import Path

from servers import scripts

HERE = Path(__file__).parent


def run_schemathesis(url: str, folder: Path, *options: str) -> None:
    """Fail with the report if schemathesis finds anything."""
    done = subprocess.run(
        [
            scripts() / "schemathesis",
            *("--config-file", HERE / "schemathesis.toml"),
            "run",
            f"{url}/openapi.json",
            *options,
        ],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "media_types", "PYTHONPATH": str(HERE)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout[-6000:], file=sys.stderr)
    assert done.returncode == 0, f"{done.stdout[-20000:]}\n{done.stderr[-3000:]}"
