"""The gateway's own headers on good answers."""

from __future__ import annotations

from hookway.live_exchange import LiveExchange
from hookway_sdk.incoming import safe_header


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
        headers.append((prefix + "dropped", ", ".join(exchange.dropped)))
    if exchange.cache_status:
        headers.append((prefix + "cache", exchange.cache_status))
    return headers
