"""A listener for operators: routes that plugins contribute, each with its own guard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec
from aiohttp import StreamReader, web

from hookway.routing_table import RoutingTable
from hookway_sdk import Guard, OperatorReply, OperatorRequest, OperatorRoute

if TYPE_CHECKING:
    from hookway.health import Health
    from hookway.runtime import Runtime

BODY_LIMIT = 16 * 1024 * 1024


class OperatorListener:
    """One listener (``admin`` or ``metrics``) and its routes.

    A route guarded by admin keys refuses everyone until a plugin that knows admin keys is on.
    """

    def __init__(self, name: str, current: Callable[[], Runtime], health: Health) -> None:
        self._name = name
        self._current = current
        self._health = health
        self._server: web.Server | None = None

    def server(self) -> Any:
        """Return the protocol factory of the listener."""
        self._server = web.Server(cast("Any", self.handle), access_log=None, handler_cancellation=True)
        return self._server

    async def close(self) -> None:
        """Close the listener's connections."""
        if self._server is not None:
            await self._server.shutdown(1.0)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        path = request.rel_url.raw_path
        if request.method in ("GET", "HEAD") and path in ("/livez", "/readyz"):
            status, text = self._health.probe(path, verbose="verbose" in request.query_string)
            return web.Response(status=status, text=text)
        runtime = self._current()
        table = runtime.operator_routes.get(self._name)
        route = None if table is None else table.find(request.method, path)
        if route is None:
            return self._nothing_here(table, path)
        if route.guard is Guard.ADMIN:
            return error_response(401, "missing or malformed admin authorization")
        body = await whole_body(request.content)
        if body is None:
            return error_response(413, f"request body exceeds {BODY_LIMIT}-byte limit")
        try:
            reply: OperatorReply = await route.handler(
                OperatorRequest(
                    request.method,
                    path,
                    request.query_string,
                    {name.lower(): value for name, value in request.headers.items()},
                    body,
                    request.remote or "",
                )
            )
        except Exception as error:
            runtime.process.note_failure("admin", path, error, "")
            return error_response(500, "the request could not be served; the log says why")
        headers = {"content-type": reply.content_type, **dict(reply.headers)}
        if isinstance(reply.body, bytes):
            return web.Response(status=reply.status, body=reply.body, headers=headers)
        return await self._in_pieces(request, reply.status, headers, reply.body)

    async def _in_pieces(
        self, request: web.BaseRequest, status: int, headers: dict[str, str], pieces: Sequence[bytes]
    ) -> web.StreamResponse:
        """Write a large body piece by piece: joining tens of megabytes would keep every caller waiting."""
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = sum(map(len, pieces))
        await response.prepare(request)
        if request.method != "HEAD":
            for piece in pieces:
                await response.write(piece)
        await response.write_eof()
        return response

    def _nothing_here(self, table: RoutingTable[OperatorRoute] | None, path: str) -> web.Response:
        allowed = [] if table is None else table.allowed(path)
        if allowed:
            return web.Response(status=405, headers={"allow": ", ".join(allowed)})
        return error_response(404, "resource not found")


async def whole_body(content: StreamReader) -> bytes | None:
    """Return a request's body however it is cut into pieces, ``None`` if it is over the limit."""
    pieces: list[bytes] = []
    size = 0
    while not content.at_eof():
        piece = await content.readany()
        size += len(piece)
        if size > BODY_LIMIT:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def error_response(status: int, message: str) -> web.Response:
    """Return an operator's error envelope."""
    return web.Response(
        status=status, body=msgspec.json.encode({"error_msg": message}), content_type="application/json"
    )
