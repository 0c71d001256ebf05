"""The only way from a URL to bytes: checked addresses, polite pacing, hosts' own rules, bounded time."""
