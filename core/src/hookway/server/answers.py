"""Heads and bodies of answers, written straight to the connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from http import HTTPStatus

from hookway_sdk.incoming import safe_header

REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}

_OWN = frozenset({"content-length", "content-type", "transfer-encoding", "connection", "server", "date"})


KEPT_STARTS = 1024
"""Beginnings of heads that are kept; content types may come from upstreams, so their number is bounded."""


class HeadWriter:
    """Renders response heads; what is the same for a (status, content type) is made once a second.

    Args:
        server: value of the ``Server`` header.
        request_id_header: name of the header that carries the request id.
        failed: told of steps whose lines could not be written.
    """

    def __init__(
        self,
        server: str,
        request_id_header: str,
        failed: Callable[[str, str, Exception, str], None] = lambda *_: None,
    ) -> None:
        self.failed = failed
        self._server = server
        self._id_name = f"\r\n{request_id_header}: "
        self._starts: dict[tuple[int, str], str] = {}
        self._second = -1

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
        own: str = "",
    ) -> bytes:
        """Return a head, blank line included.

        Args:
            length: bytes of the body; ``None`` for chunked (or, for ``old`` clients, until the close).
            old: the client speaks HTTP/1.0.
            headers: further lines; names the gateway owns, and lines that would break the head, are left out.
            own: the gateway's own lines (:func:`~hookway.server.answer_headers.own_lines`).
        """
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._starts.clear()
        start = self._starts.get((status, content_type))
        if start is None:
            start = self._start(status, content_type)
        if length is not None:
            framing = f"content-length: {length}"
        else:
            framing = "cache-control: no-store" if old else "transfer-encoding: chunked"
        lines = foreign_lines(headers) if headers else ""
        connection = ""
        if not keep_alive:
            connection = "\r\nconnection: close"
        elif old:
            connection = "\r\nconnection: keep-alive"
        head = f"{start}{framing}{self._id_name}{request_id}{lines}{own}{connection}\r\n\r\n"
        return head.encode("latin-1", "replace")

    def _start(self, status: int, content_type: str) -> str:
        known = content_type and safe_header(content_type)
        kind = f"content-type: {content_type}\r\n" if known else ""
        line = f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}\r\n"
        date = formatdate(self._second, usegmt=True)  # RFC 9110 6.6.1
        start = f"{line}server: {self._server}\r\ndate: {date}\r\n{kind}"
        if len(self._starts) < KEPT_STARTS:
            self._starts[status, content_type] = start
        return start


def foreign_lines(headers: Sequence[tuple[str, str]]) -> str:
    """Return lines that plugins add, each after a line end; without those that they must not add."""
    lines = "".join([f"\r\n{name}: {value}" for name, value in headers])
    ends = len(headers)
    # One look at all of them: there are as many line ends as were just written, and no name is ours.
    if lines.count("\n") == ends and lines.count("\r") == ends and "\0" not in lines:
        for name, _ in headers:
            if name not in _FOREIGN and not is_foreign(name):
                break
        else:
            return lines
    return "".join(
        [
            f"\r\n{name}: {value}"
            for name, value in headers
            if name.lower() not in _OWN and safe_header(name) and safe_header(value)
        ]
    )


_FOREIGN: set[str] = set()
"""Names that were found to be nobody's; plugins use few, but providers' answers may bring any."""


def is_foreign(name: str) -> bool:
    """Say whether a header is none of the gateway's own."""
    if name.lower() in _OWN:
        return False
    if len(_FOREIGN) < KEPT_STARTS:
        _FOREIGN.add(name)
    return True
