"""Heads and bodies of answers, written straight to the connection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus

from hookway_sdk.incoming import safe_header

REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}

_OWN = frozenset({"content-length", "content-type", "transfer-encoding", "connection", "server", "date"})


KEPT_STARTS = 1024
"""Beginnings of heads that are kept; content types may come from upstreams, so their number is bounded."""


class DateLine:
    """The ``date`` header, rendered once a second (RFC 9110 6.6.1)."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._line = b""

    def get(self) -> bytes:
        """Return the header line for now."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = b"date: " + formatdate(second, usegmt=True).encode() + b"\r\n"
        return self._line


class HeadWriter:
    """Renders response heads; the fixed part of each (status, content type) is made once.

    Args:
        server: value of the ``Server`` header.
        request_id_header: name of the header that carries the request id.
    """

    def __init__(self, server: str, request_id_header: str) -> None:
        self._server = server.encode("latin-1")
        self._id_name = f"\r\n{request_id_header}: "
        self._starts: dict[tuple[int, str], bytes] = {}
        self._date = DateLine()

    def render(
        self,
        status: int,
        content_type: str,
        request_id: str,
        *,
        length: int | None,
        keep_alive: bool,
        old: bool = False,
        headers: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """Return a head, blank line included.

        Args:
            length: bytes of the body; ``None`` for chunked (or, for ``old`` clients, until the close).
            old: the client speaks HTTP/1.0.
            headers: further lines; names the gateway owns, and lines that would break the head, are left out.
        """
        start = self._starts.get((status, content_type))
        if start is None:
            start = self._start(status, content_type)
        if length is not None:
            framing = b"content-length: %d" % length
        else:
            framing = b"cache-control: no-store" if old else b"transfer-encoding: chunked"
        lines = ""
        count = 0
        for name, value in headers:
            if name not in _OWN and name.lower() not in _OWN:
                lines += f"\r\n{name}: {value}"
                count += 1
        if lines.count("\n") != count or lines.count("\r") != count or "\0" in lines:
            return self.render(
                status,
                content_type,
                request_id,
                length=length,
                keep_alive=keep_alive,
                old=old,
                headers=[line for line in headers if safe_header("".join(line))],
            )
        if not keep_alive:
            lines += "\r\nconnection: close"
        elif old:
            lines += "\r\nconnection: keep-alive"
        named = f"{self._id_name}{request_id}{lines}\r\n\r\n".encode("latin-1", "replace")
        return b"%b%b%b%b" % (start, self._date.get(), framing, named)

    def _start(self, status: int, content_type: str) -> bytes:
        known = content_type and safe_header(content_type)
        kind = f"content-type: {content_type}\r\n" if known else ""
        line = f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}\r\n"
        start = line.encode() + b"server: " + self._server + b"\r\n" + kind.encode("latin-1", "replace")
        if len(self._starts) < KEPT_STARTS:
            self._starts[status, content_type] = start
        return start
