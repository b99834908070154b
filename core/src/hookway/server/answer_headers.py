"""The gateway's own headers on good answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hookway.live_exchange import LiveExchange
from hookway_sdk.incoming import safe_header

MOST_DROPPED = 50
LONGEST_DROPPED = 2048
"""How much is said of what a translation dropped: clients and proxies bound their headers."""


Failed = Callable[[str, str, Exception, str], None]
"""Told of a failure: plugin, phase, error, request id."""


def own_lines(exchange: LiveExchange, failed: Failed) -> str:
    """Return the gateway's own header lines, each after a line end; nothing in them breaks a head."""
    prefix = exchange.brand.header_prefix
    compiled, attempt = exchange.compiled, exchange.attempt
    lines = ""
    if compiled is not None:
        lines = f"\r\n{prefix}call-id: {exchange.id}"
        if attempt is not None and compiled.view.shape != "direct":
            name = attempt.candidate.name
            if name.isascii() and safe_header(name):
                lines += f"\r\n{prefix}served-by: {name}"
    if exchange.dropped:
        dropped = listed(exchange.dropped)
        if safe_header(dropped):
            lines += f"\r\n{prefix}dropped: {dropped}"
    if exchange.head_writers:
        lines += late_lines(exchange, failed)
    if exchange.cache_status and safe_header(exchange.cache_status):
        lines += f"\r\n{prefix}cache: {exchange.cache_status}"
    return lines


def late_lines(exchange: LiveExchange, failed: Failed) -> str:
    """Return the lines that steps left to be written now; one that fails costs its lines, not the answer."""
    lines = ""
    for write in exchange.head_writers:
        try:
            lines += write()
        except Exception as error:
            failed("headers", "head", error, exchange.id)
    return lines


def listed(pointers: Sequence[str]) -> str:
    """Return pointers as a list of bounded length; what a client wrote decides how many there are."""
    if len(pointers) <= MOST_DROPPED:
        return ", ".join(pointers)[:LONGEST_DROPPED]
    return f"{', '.join(pointers[:MOST_DROPPED])[:LONGEST_DROPPED]}, and {len(pointers) - MOST_DROPPED} more"
