"""The address suite: everything outside the public internet is refused in every spelling."""

import http.server
import itertools
import socket
import threading
from ipaddress import IPv6Address, IPv6Network
from urllib.parse import quote

import pytest

from pika_scraper.errors import Refused
from pika_scraper.web.addresses import checked_addresses, inside, is_public, resolve
from pika_scraper.web.fetch import Fetcher

NOT_PUBLIC = [
    # loopback, this host, private, shared, link-local, cloud metadata
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254",
    "192.168.0.1", "192.168.255.254", "100.64.0.1", "169.254.0.1", "169.254.169.254", "169.254.170.2",
    # special purposes, documentation, benchmarks, multicast, reserved, broadcast
    "192.0.0.1", "192.0.0.8", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.254",
    "192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    # IPv6: loopback, unspecified, link-local, unique local, multicast, documentation, discard
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "3fff::1",
    "100::1", "5f00::1", "fec0::1",
    # IPv6 that embeds IPv4: mapped, compatible, 6to4, Teredo, NAT64
    "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "::ffff:0:127.0.0.1", "2002:7f00:1::1", "2002:a00:1::1", "2001:0:7f00:1::1", "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1",
    # not numeric
    "localhost", "", "127.0.0.1:80",
]  # fmt: skip

NUMERIC = [host for host in NOT_PUBLIC if host not in ("localhost", "", "127.0.0.1:80") and "%" not in host]
FETCHER = Fetcher()

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]

# Spellings that a resolver accepts, of addresses that must not be reached.
HOSTS = [
    "localhost", "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7f.1",
    "0177.0.0.1", "0177.1", "017700000001", "00000177.0.0.1", "0", "0.0.0.0", "169.254.169.254", "2852039166",
    "0xa9fea9fe", "0251.0376.0251.0376", "10.0.0.1", "167772161", "192.168.1.1", "3232235777", "localhost.",
    "LOCALHOST", "①②⑦.⓪.⓪.①", "127。0。0。1", "[::1]", "[::]", "[::ffff:127.0.0.1]",
    "[0:0:0:0:0:ffff:7f00:1]", "[::ffff:a9fe:a9fe]", "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_told_apart(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_that_is_public_is_told_apart(address):
    assert is_public(address)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_is_refused_in_every_spelling(host, scheme, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("a connection was opened"))
    with pytest.raises(Refused) as caught:
        FETCHER.fetch(f"{scheme}://{host}/picture.png")
    # "unresolvable" where this system's resolver rejects a spelling: then it cannot reach anything.
    assert caught.value.code in {"address_refused", "unresolvable"}


class Redirecting(http.server.BaseHTTPRequestHandler):
    """Redirect every request to the place named in the path."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(302)
        self.send_header("Location", self.path[1:])
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def redirecting():
    """A redirecting server on loopback, and a fetcher for which only it is allowed."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"127.0.0.1:{server.server_address[1]}"
        yield place, server.asked, Fetcher((place,))
        server.shutdown()


@pytest.mark.parametrize("host", HOSTS + [f"[{number}]" if ":" in number else number for number in NUMERIC])
def test_an_address_is_refused_in_every_spelling_through_a_redirect(redirecting, host):
    place, asked, fetcher = redirecting
    asked.clear()
    with pytest.raises(Refused) as caught:
        fetcher.fetch(f"http://{place}/http://{quote(host, safe='[]:')}/picture.png")
    assert caught.value.code in {"address_refused", "unresolvable", "bad_url"}
    assert len(asked) == 1
    if caught.value.code == "unresolvable":
        with pytest.raises((OSError, UnicodeError)):
            resolve(host.strip("[]"), 80)


def test_the_suite_of_addresses_has_sixty_forms_that_are_resolved_for_real():
    refused = []
    for host in dict.fromkeys(HOSTS + [f"[{number}]" if ":" in number else number for number in NUMERIC]):
        with pytest.raises(Refused) as caught:
            FETCHER.fetch(f"http://{host}/")
        refused += [host] if caught.value.code == "address_refused" else []
    assert len(refused) >= 60


@pytest.mark.parametrize("inside_address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1"])
def test_a_name_whose_address_changes_is_refused_whenever_it_is_not_public(monkeypatch, inside_address):
    """Rebinding: public at the first lookup, internal at the second attempt's."""
    answers = itertools.cycle([["8.8.8.8"], [inside_address]])
    connected = []

    def connect(address, *_given, **_options):
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    fetcher = Fetcher(resolver=lambda *_: next(answers), sleep=lambda _: None)
    with pytest.raises(Refused) as caught:
        fetcher.fetch("http://rebound.test/picture.png")
    assert caught.value.code == "address_refused"
    assert connected == ["8.8.8.8"]


@pytest.mark.parametrize("port", [1, 22, 6379, 8080, 9000, 65535])
def test_other_ports_than_those_of_the_web_are_refused_at_an_address_that_is_public(port):
    with pytest.raises(Refused) as caught:
        checked_addresses("pictures.test", port, frozenset(), lambda *_: ["8.8.8.8"])
    assert caught.value.code == "port_refused"
    assert checked_addresses(
        "pictures.test", port, frozenset({f"pictures.test:{port}"}), lambda *_: ["8.8.8.8"]
    )


@pytest.mark.parametrize(
    ("prefix", "address", "inside_address"),
    [  # RFC 6052, 2.4
        ("2001:db8::/32", "2001:db8:c000:221::", "192.0.2.33"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::", "192.0.2.33"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::", "192.0.2.33"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::", "192.0.2.33"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::", "192.0.2.33"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33", "192.0.2.33"),
    ],
)
def test_behind_a_translators_prefix_the_address_inside_counts(prefix, address, inside_address):
    network = IPv6Network(prefix)
    assert str(inside(IPv6Address(address), network)) == inside_address
    assert not is_public(address, (network,))


def test_a_translators_prefix_hides_nothing_and_bars_nothing():
    prefix = (IPv6Network("2600:1234::/96"), IPv6Network("64:ff9b::/96"))
    assert is_public("2600:1234::127.0.0.1")  # without the setting it is an ordinary address
    assert not is_public("2600:1234::127.0.0.1", prefix)
    assert not is_public("64:ff9b::10.0.0.1", prefix)
    assert is_public("64:ff9b::8.8.8.8", prefix)


def test_the_usual_address_spellings_are_resolved_and_refused_here():
    refused = set()
    for host in ("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]"):
        with pytest.raises(Refused) as caught:
            FETCHER.fetch(f"http://{host}/")
        refused.add(caught.value.code)
    assert refused == {"address_refused"}


def test_one_private_address_among_public_ones_refuses_the_host():
    with pytest.raises(Refused) as caught:
        checked_addresses("mixed.test", 80, frozenset(), lambda *_: ["8.8.8.8", "10.0.0.1"])
    assert caught.value.code == "address_refused"
    assert "10.0.0.1" not in caught.value.detail


def test_a_host_without_an_address_is_unresolvable():
    def fails(*_):
        raise socket.gaierror(-2, "Name or service not known")

    for resolver in (fails, lambda *_: []):
        with pytest.raises(Refused) as caught:
            checked_addresses("nowhere.test", 80, frozenset(), resolver)
        assert caught.value.code == "unresolvable"


def test_the_operators_pairs_are_let_through_with_their_port_only():
    allowed = frozenset({"pictures.test:8000", "[::1]:8000"})
    answer = checked_addresses("pictures.test", 8000, allowed, lambda *_: ["127.0.0.1"])
    assert answer == ["127.0.0.1"]
    assert checked_addresses("::1", 8000, allowed, lambda *_: ["::1"]) == ["::1"]
    with pytest.raises(Refused):
        checked_addresses("pictures.test", 8001, allowed, lambda *_: ["127.0.0.1"])


def test_resolve_gives_each_address_once():
    resolved = resolve("127.0.0.1", 80)
    assert resolved == ["127.0.0.1"]
