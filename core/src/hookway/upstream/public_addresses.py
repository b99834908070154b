"""Which addresses a caller may make the gateway reach (OWASP: server-side request forgery)."""

from __future__ import annotations

import ipaddress

# They carry an IPv4 address inside, so that a gateway or the kernel may turn them into a private one:
# NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380), IPv4-compatible (RFC 4291 2.5.5.1).
_CARRIERS = tuple(
    ipaddress.IPv6Network(network)
    for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)


def is_public(address: str) -> bool:
    """Return whether an address belongs to the public internet.

    Loopback, private, link-local (with the metadata services of the clouds), shared, multicast, reserved and
    documentation addresses do not, nor does any IPv6 address with an IPv4 address inside.

    Args:
        address: numeric, IPv4 or IPv6.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.scope_id is not None or parsed.ipv4_mapped is not None or parsed.is_site_local:
            return False
        if any(parsed in network for network in _CARRIERS):
            return False
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified)
