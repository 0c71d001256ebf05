"""Which addresses may be fetched: only those that are globally routable.

`is_public` is stricter than `ipaddress.is_global`: it also rejects multicast, and IPv6 addresses that embed
an IPv4 address (mapped, 6to4, Teredo, NAT64), through which a private one could be reached.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence

from pika_scraper.errors import Refused

_PORTS = (80, 443)
Resolver = Callable[[str, int], list[str]]

_IPV6_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# IANA's special-purpose registry: ranges inside 2000::/3 that are not ordinary internet hosts.
_IPV6_SPECIAL = tuple(
    ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_IPV4_SPECIAL = tuple(
    ipaddress.IPv4Network(network) for network in ("192.0.0.0/24", "192.88.99.0/24", "192.175.48.0/24")
)


def is_public(address: str, nat64: Sequence[ipaddress.IPv6Network] = ()) -> bool:
    """Return whether a numeric IPv4 or IPv6 address is on the public internet; False for anything else.

    Args:
        address: in its numeric form.
        nat64: prefixes through which this network reaches IPv4; the embedded address is checked.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False  # not numeric, or with a zone ("fe80::1%eth0"), which only link-local addresses have
    if isinstance(parsed, ipaddress.IPv6Address):
        for prefix in nat64:
            if parsed in prefix:
                return is_public(str(inside(parsed, prefix)))
    if parsed.is_multicast or parsed.is_reserved or not parsed.is_global:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _IPV4_SPECIAL)
    return parsed in _IPV6_GLOBAL_UNICAST and not any(parsed in network for network in _IPV6_SPECIAL)


def inside(address: ipaddress.IPv6Address, prefix: ipaddress.IPv6Network) -> ipaddress.IPv4Address:
    """Return the IPv4 address embedded in a translated one (RFC 6052, 2.2)."""
    packed = address.packed
    start = prefix.prefixlen // 8
    # The ninth octet is zero and not part of it.
    octets = [packed[index] for index in range(start, 16) if index != 8][:4]
    return ipaddress.IPv4Address(bytes(octets))


def resolve(host: str, port: int) -> list[str]:
    """Resolve a name with the system's resolver, which also understands `127.1` and `0x7f000001`."""
    records = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in records))


def checked_addresses(
    host: str,
    port: int,
    allowed: frozenset[str],
    resolver: Resolver,
    nat64: Sequence[ipaddress.IPv6Network] = (),
) -> list[str]:
    """Resolve a host once and return addresses that may be connected to, in the resolver's order.

    Args:
        host: a name or a numeric address.
        port: of the URL.
        allowed: the operator's `host:port` pairs, whose ports and addresses are not checked.
        nat64: as in `is_public`.

    Raises:
        Refused: "port_refused" for ports other than 80 and 443; "unresolvable"; "address_refused" if any of
            the addresses is not public, because a legitimate name does not also point inside.
    """
    is_allowed = f"{host}:{port}" in allowed or f"[{host}]:{port}" in allowed
    if port not in _PORTS and not is_allowed:
        raise Refused("port_refused", f"expected the port 80 or 443, received {port}")
    try:
        addresses = resolver(host, port)
    except (OSError, UnicodeError) as error:
        raise Refused("unresolvable", f"the host {host!r} has no address: {error}") from error
    if not addresses:
        raise Refused("unresolvable", f"the host {host!r} has no address")
    if is_allowed:
        return addresses
    if not all(is_public(address, nat64) for address in addresses):
        # The message omits the address, which would reveal the internal network.
        raise Refused("address_refused", f"the host {host!r} is not on the public internet")
    return addresses
