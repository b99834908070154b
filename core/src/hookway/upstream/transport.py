"""What every upstream transport is."""

from __future__ import annotations

from typing import Protocol

from hookway.upstream.request import UpstreamRequest
from hookway.upstream.response import UpstreamResponse
from hookway.upstream.timeouts import Timeouts


class Transport(Protocol):
    """Send requests to providers over HTTP/1.1; one per worker."""

    async def open(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamResponse:
        """Send a request and return as soon as the head of the answer is there, whatever its status.

        Redirects are answers like any other. A request whose pooled connection turns out to be closed, before
        any byte of an answer, is sent once more over a fresh one if its body can be. When cancelled, the
        connection is closed.

        Args:
            request: what to send.
            timeouts: of this exchange.

        Raises:
            UpstreamTimeout: the ``connect``, ``head`` or ``total`` deadline passed.
            TransportFailed: no connection, a broken one, or an answer that is not HTTP.
            InvalidUpstreamConfig: a header or TLS setting cannot be used.
        """

    async def close(self) -> None:
        """Close every connection, used or not; afterwards nothing can be opened."""
