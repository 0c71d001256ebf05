"""The address suite: what is not on the public internet is refused in every spelling."""

import socket

import pytest

from pika_scraper.errors import Refused
from pika_scraper.web.addresses import checked_addresses, is_public, resolve
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
    # IPv6 that carries IPv4: mapped, compatible, 6to4, Teredo, NAT64
    "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "::ffff:0:127.0.0.1", "2002:7f00:1::1", "2002:a00:1::1", "2001:0:7f00:1::1", "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1",
    # no numeric address at all
    "localhost", "", "127.0.0.1:80",
]  # fmt: skip

FETCHER = Fetcher()

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]

# Spellings that a resolver understands, of addresses that must not be reached.
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
    # "unresolvable" where this system's resolver does not know a spelling: then nobody can be reached by it.
    assert caught.value.code in {"address_refused", "unresolvable"}


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
    found = resolve("127.0.0.1", 80)
    assert found == ["127.0.0.1"]
