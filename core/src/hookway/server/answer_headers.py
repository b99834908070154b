"""The gateway's own headers on good answers."""

from __future__ import annotations

from collections.abc import Sequence

from hookway.live_exchange import LiveExchange
from hookway_sdk.incoming import safe_header

MOST_DROPPED = 50
LONGEST_DROPPED = 2048
"""How much is said of what a translation dropped: clients and proxies bound their headers."""


def answer_headers(exchange: LiveExchange) -> list[tuple[str, str]]:
    """Return what steps added to the answer, and the gateway's own headers."""
    headers = exchange.reply_headers
    prefix = exchange.brand.header_prefix
    compiled, attempt = exchange.compiled, exchange.attempt
    if compiled is not None:
        headers.append((prefix + "call-id", exchange.id))
        if attempt is not None and compiled.view.shape != "direct":
            name = attempt.candidate.name
            if name.isascii() and safe_header(name):
                headers.append((prefix + "served-by", name))
    if exchange.dropped:
        headers.append((prefix + "dropped", listed(exchange.dropped)))
    if exchange.cache_status:
        headers.append((prefix + "cache", exchange.cache_status))
    return headers


def listed(pointers: Sequence[str]) -> str:
    """Return pointers as a list of bounded length; what a client wrote decides how many there are."""
    if len(pointers) <= MOST_DROPPED:
        return ", ".join(pointers)[:LONGEST_DROPPED]
    return f"{', '.join(pointers[:MOST_DROPPED])[:LONGEST_DROPPED]}, and {len(pointers) - MOST_DROPPED} more"
