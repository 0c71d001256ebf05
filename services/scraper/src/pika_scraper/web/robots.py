"""What a host does not want to be fetched: its robots.txt (RFC 9309), read before the first picture.

If there is none (4xx) everything may be fetched, and if it is unavailable (5xx, no answer) nothing: see
2.3.1.3 and 2.3.1.4. `fetch` rejects what a response's X-Robots-Tag forbids.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from protego import Protego

from pika_kit.settings import Settings
from pika_scraper.config import PRODUCT, FetchLimits, Politeness, RobotsLimits, user_agent
from pika_scraper.errors import Refused
from pika_scraper.web.fetch import Fetcher, Received, Wanted
from pika_scraper.web.hosts import Hosts
from pika_scraper.web.transport import Target

_TOLD_BETTER = {"unresolvable", "port_refused", "address_refused", "bad_certificate", "bad_url"}
"""What is wrong with an address, which the picture's own request tells."""
_ANYTHING = Wanted("text/plain, */*;q=0.1", ("",), obeys_robots=False)


@dataclass
class _Host:
    """One origin's rules; None allows nothing. Only the thread that holds `lock` requests them."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    rules: Protego | None = None
    expires: float = float("-inf")


class Robots:
    """The rules of all hosts contacted so far. Thread-safe.

    Args:
        receive: fetches one file, as `Fetcher.receive`.
    """

    def __init__(
        self, receive: Callable[[str, Wanted], Received], limits: RobotsLimits | None = None
    ) -> None:
        self._receive, self._limits = receive, limits or RobotsLimits()
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    def check(self, target: Target) -> None:
        """Raise Refused: "robots_disallowed", or "robots_unreachable" if the rules are unavailable."""
        host_name = f"[{target.host}]" if ":" in target.host else target.host
        origin = f"{target.scheme}://{host_name}:{target.port}"
        with self._lock:
            host = self._hosts.setdefault(origin, _Host())
        with host.lock:
            if time.monotonic() >= host.expires:
                host.rules = self._ask(origin)
                kept = self._limits.kept_seconds if host.rules else self._limits.unreachable_seconds
                host.expires = time.monotonic() + kept
            rules = host.rules
        if rules is None:
            raise Refused("robots_unreachable", f"{target.host} does not tell what may be fetched there")
        if not rules.can_fetch(f"{origin}{target.path}", PRODUCT):
            raise Refused("robots_disallowed", f"the robots.txt of {target.host} forbids it")

    def _ask(self, origin: str) -> Protego | None:
        try:
            text = self._receive(f"{origin}/robots.txt", _ANYTHING).data.decode("utf-8", "replace")
        except Refused as refused:
            is_missing = refused.code.startswith("http_4") and refused.code != "http_429"
            if is_missing or refused.code in _TOLD_BETTER:
                return Protego.parse("")
            return None
        return Protego.parse(text)


def picture_fetcher(settings: Settings) -> Fetcher:
    """Create the fetcher of pictures, which identifies itself and obeys each host's rules."""
    agent = user_agent(settings.contact)
    limits = RobotsLimits()
    for_rules = FetchLimits(
        max_bytes=limits.max_bytes, total_seconds=limits.total_seconds, max_attempts=2, user_agent=agent
    )
    nat64 = settings.nat64_prefixes
    rules = Fetcher(settings.fetch_allow, for_rules, nat64=nat64)
    robots = Robots(rules.receive, limits)
    return Fetcher(
        settings.fetch_allow,
        FetchLimits(user_agent=agent),
        permit=robots.check,
        hosts=Hosts(Politeness()),
        nat64=nat64,
        shares=rules,  # pictures reuse the connection that the rules came over
    )
