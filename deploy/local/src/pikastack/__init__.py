"""The pikastack command: run the whole stack on one machine without Docker, and talk to it."""
