"""The client's end of an exchange, as the lifecycle sees it: an HTTP connection or a nested call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hookway.live_exchange import LiveExchange
from hookway_sdk import Credential


class ClientSide(Protocol):
    """Where a request comes from and its answer goes."""

    def credential(self) -> Credential | None:
        """Return what the caller proves itself with."""

    def arrived_body(self) -> bytes | None:
        """Return the request's body if all of it is here, else ``None``; :meth:`read_body` waits for it.

        Raises:
            BodyTooLarge: it is over the limit.
            InvalidRequest: it cannot be read.
        """

    async def read_body(self) -> bytes:
        """Return the request's body.

        Raises:
            BodyTooLarge: it is over the limit.
            RequestTimeout: it did not come in time.
            InvalidRequest: it cannot be read.
        """

    def begin_stream(self, exchange: LiveExchange) -> None:
        """Send the head of a streamed answer; from here on the status stands."""

    def write(self, data: bytes) -> None:
        """Send a piece of a streamed answer."""

    def end_stream(self) -> None:
        """Send the end of a streamed answer."""

    def flow(self, pause: Callable[[], None] | None, resume: Callable[[], None] | None) -> None:
        """Say what to call when the client is slow, and when it has caught up."""
