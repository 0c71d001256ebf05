"""How the user invoked this program, for hints that can be typed as shown."""

import os


def command() -> str:
    """Return `./run` in a clone (whose script says so), otherwise `pikastack`."""
    return os.environ.get("PIKASTACK_COMMAND") or "pikastack"
