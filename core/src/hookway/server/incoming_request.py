"""One request of a connection, as the parser gives it: no more than the reception needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.streams import StreamReader
    from multidict import CIMultiDictProxy

    from hookway.server.protocol import GatewayProtocol

HTTP_1_1 = (1, 1)


class IncomingRequest:
    """A request.

    Attributes:
        method: HTTP method.
        target: request target as it was sent: path and query, percent-encoded.
        headers: its headers.
        content: its body.
        protocol: the connection it came on.
        keep_alive: the client wants the connection to stay.
        old: the client speaks HTTP/1.0.
    """

    __slots__ = ("content", "headers", "keep_alive", "method", "old", "protocol", "target")

    def __init__(self, message: RawRequestMessage, content: StreamReader, protocol: GatewayProtocol) -> None:
        self.method = message.method
        target = message.path
        # A client that takes us for a proxy sends a whole URL (RFC 9112 3.2.2); its path is meant.
        self.target = target if target[:1] == "/" else "/" + target.partition("://")[2].partition("/")[2]
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = content
        self.protocol = protocol
        self.keep_alive = not message.should_close
        self.old = message.version < HTTP_1_1
