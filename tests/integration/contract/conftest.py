"""The gateway with data of every kind behind it."""

from gateway import filled_gateway, filled_servers

__all__ = ["filled_gateway", "filled_servers"]
