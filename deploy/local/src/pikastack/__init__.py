"""The pikastack command: runs the whole stack on one machine without Docker, and talks to it."""
