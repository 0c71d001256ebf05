"""The front door with something of everything behind it."""

from front_door import filled_front_door

__all__ = ["filled_front_door"]
