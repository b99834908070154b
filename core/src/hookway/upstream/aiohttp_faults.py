"""aiohttp's exceptions in our words, the same that the protocol transport uses."""

from __future__ import annotations

import aiohttp
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError, TransferEncodingError

from hookway.upstream.causes import cause_of
from hookway_sdk.errors import TransportFailed


def fault_of(error: Exception, connected: bool) -> TransportFailed:
    """Return the failure before an answer's head.

    Args:
        error: what aiohttp raised.
        connected: whether a connection was there, so that the request may have been sent.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TransportFailed(cause_of(error.certificate_error), sent=False)
    if isinstance(error, aiohttp.ClientConnectorError):
        return TransportFailed(cause_of(error.os_error), sent=False)
    if isinstance(error, aiohttp.ClientResponseError | ValueError):
        return malformed(error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return TransportFailed("connection closed before the answer", sent=connected)
    if isinstance(error, aiohttp.ClientOSError) and isinstance(error.__cause__, Exception):
        return TransportFailed(cause_of(error.__cause__), sent=connected)
    return TransportFailed(cause_of(error), sent=connected)


def malformed(error: BaseException) -> TransportFailed:
    """Return the failure of an answer that is not HTTP."""
    message = getattr(error, "message", None) or str(error)
    return TransportFailed(f"malformed response: {message.splitlines()[0][:100].lower()}")


def is_malformed(error: BaseException) -> bool:
    """Return whether a broken body is the provider's syntax, and not a cut."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, TransferEncodingError | BadHttpMessage | HttpProcessingError):
            return "Not enough data" not in str(seen)
        seen = seen.__cause__
    return False
