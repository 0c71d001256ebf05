"""The gateway with something of everything behind it."""

from gateway import filled_gateway, filled_servers

__all__ = ["filled_gateway", "filled_servers"]
