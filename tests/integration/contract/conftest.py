"""The gateway with something of everything behind it."""

from gateway import filled_gateway

__all__ = ["filled_gateway"]
