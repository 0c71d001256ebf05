"""The one way from a URL to bytes: checked addresses, polite turns, hosts' own rules, bounded time."""
