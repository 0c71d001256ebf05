"""Hosts' wishes are respected: robots.txt before the first picture, X-Robots-Tag with each."""

import pytest

from pika_scraper.config import RobotsLimits
from pika_scraper.errors import Refused
from pika_scraper.web.fetch import Received
from pika_scraper.web.optout import opted_out
from pika_scraper.web.robots import Robots
from pika_scraper.web.transport import parse_url

RULES = b"""
User-agent: *
Disallow: /private/
Allow: /private/but-this$
Disallow: /*.gif$

User-agent: pikastack
Disallow: /not-for-us/

User-agent: otherbot
Disallow: /
"""


class Host:
    """Serve a robots.txt, or fail with a status; count the requests."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def receive(self, url, wanted):
        self.asked.append(url)
        assert not wanted.obeys_robots
        if isinstance(self.answer, str):
            raise Refused(self.answer, "no")
        return Received(self.answer, {})


def outcome(robots, url):
    try:
        robots.check(parse_url(url))
    except Refused as refused:
        return refused.code
    return "permitted"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/open.png", "permitted"), ("/not-for-us/1.png", "robots_disallowed"), ("/private/1.png", "permitted")],
)
def test_rules_for_us_go_before_those_for_all(path, expected):
    assert outcome(Robots(Host(RULES).receive), f"http://a.test{path}") == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/open.png", "permitted"),
        ("/private/1.png", "robots_disallowed"),
        ("/private/but-this", "permitted"),
        ("/a/b.gif", "robots_disallowed"),
        ("/a/b.gif?x=1", "permitted"),
    ],
)
def test_rules_for_all_hold_where_there_are_none_for_us(path, expected):
    rules = RULES.replace(b"User-agent: pikastack", b"User-agent: nobody")
    assert outcome(Robots(Host(rules).receive), f"http://a.test{path}") == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("http_404", "permitted"),
        ("http_403", "permitted"),
        ("http_500", "robots_unreachable"),
        ("http_429", "robots_unreachable"),
        ("timed_out", "robots_unreachable"),
        ("unreachable", "robots_unreachable"),
        ("too_large", "robots_unreachable"),
        ("too_many_redirects", "robots_unreachable"),
        # The header comes with the picture itself.
        ("address_refused", "permitted"),
    ],
)
def test_a_robots_txt_that_cannot_be_had_means_what_the_rfc_says(code, expected):
    assert outcome(Robots(Host(code).receive), "http://a.test/1.png") == expected


def test_each_origin_is_asked_once_until_its_rules_are_old():
    host = Host(RULES)
    robots = Robots(host.receive)
    for url in (
        "http://a.test/1",
        "http://a.test/2",
        "https://a.test/1",
        "http://a.test:8080/",
        "http://[::1]/",
    ):
        outcome(robots, url)
    assert host.asked == [
        "http://a.test:80/robots.txt",
        "https://a.test:443/robots.txt",
        "http://a.test:8080/robots.txt",
        "http://[::1]:80/robots.txt",
    ]
    forgetful = Robots(host.receive, RobotsLimits(kept_seconds=0))
    host.asked.clear()
    outcome(forgetful, "http://a.test/1")
    outcome(forgetful, "http://a.test/2")
    assert len(host.asked) == 2


def test_a_host_that_was_unreachable_is_asked_again_later():
    host = Host("http_503")
    robots = Robots(host.receive, RobotsLimits(unreachable_seconds=0))
    assert outcome(robots, "http://a.test/1") == "robots_unreachable"
    host.answer = b""
    assert outcome(robots, "http://a.test/1") == "permitted"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([], False),
        (["all"], False),
        (["nofollow"], False),
        (["noai"], True),
        (["nofollow, NoImageAI"], True),
        (["nofollow", "noindex"], True),
        (["none"], True),
        (["otherbot: noindex"], False),
        (["otherbot: noindex, noai"], False),
        (["otherbot: noindex", "noai"], True),
        (["pikastack: noindex"], True),
        (["otherbot: nofollow, pikastack: noml"], True),
        (["max-snippet: 9, noai"], True),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST"], False),
    ],
)
def test_opt_outs_are_told_apart(tags, expected):
    assert opted_out(tags) is expected
