"""Short words for what goes wrong below HTTP: no addresses, no secrets, the same on every event loop."""

from __future__ import annotations

import errno
import os
import socket
import ssl

_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.ECONNABORTED: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ETIMEDOUT: "connection timed out",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.EMFILE: "too many open files in the gateway",
    errno.ENFILE: "too many open files on the machine",
}


def cause_of(error: BaseException) -> str:
    """Return the cause of a failed or broken connection.

    Args:
        error: what the event loop raised or reported.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}".rstrip(".")
    if isinstance(error, ssl.SSLError):
        return f"tls failed: {(error.reason or 'connection closed').lower().replace('_', ' ')}"
    if isinstance(error, socket.gaierror):
        return "name resolution failed"
    if isinstance(error, OSError) and error.errno is not None:
        return _WORDS.get(error.errno) or os.strerror(error.errno).lower()
    if isinstance(error, ConnectionError):
        return "connection reset"
    if isinstance(error, TimeoutError):
        return "connection timed out"
    return "connection failed"
