"""How the user calls this program, for hints that can be typed as they stand."""

import os


def command() -> str:
    """`./run` in a clone (whose script says so), else `pikastack`."""
    return os.environ.get("PIKASTACK_COMMAND") or "pikastack"
