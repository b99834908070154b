"""Takes requests from connections, runs their lifecycle, and writes their answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hookway.live_exchange import LiveExchange
from hookway.server.answer_headers import late_lines, own_lines
from hookway.server.answers import HeadWriter
from hookway.server.client_context import RealAddress, request_id, user_agent
from hookway.server.fallback_errors import fallback_body
from hookway.server.http_client_side import HttpClientSide
from hookway.server.incoming_request import IncomingRequest
from hookway_sdk import (
    BodyTooLarge,
    Client,
    GatewayError,
    Headers,
    NotFound,
    Unauthenticated,
)

if TYPE_CHECKING:
    from hookway.runtime import Runtime, ServedEndpoint
    from hookway.serve import ServeRole

JSON = "application/json"
PROBE_TYPE = "text/plain; charset=utf-8"
NOSNIFF = (("x-content-type-options", "nosniff"),)


class Reception:
    """The handler of the callers' listener; one per worker, for every Runtime."""

    def __init__(self, role: ServeRole, heads: HeadWriter, real_address: RealAddress) -> None:
        self._role = role
        self._heads = heads
        self._real_address = real_address

    async def handle(self, request: IncomingRequest) -> bool:
        """Serve one request of a connection; say whether the connection may stay."""
        runtime = self._role.runtime
        path, _, query = request.target.partition("?")
        served = runtime.routes.find(request.method, path)
        if served is None:
            return self._no_endpoint(request, runtime, path, query)
        role, protocol = self._role, request.protocol
        client = HttpClientSide(
            request,
            protocol,
            self._heads,
            role.wheel,
            runtime.body_limit,
            runtime.body_timeout,
            request.keep_alive and not role.draining,
        )
        exchange = self._exchange(request, runtime, served, path, query)
        role.in_flight += 1
        served.in_flight += 1
        runtime.entered()
        try:
            error = self._refuse_early(request, runtime.body_limit)
            if error is None:
                await runtime.lifecycle.run(exchange, served.stages, client)
            else:
                exchange.error = error
                runtime.lifecycle.settlement.settle(exchange)
            self._deliver(request, exchange, runtime, client)
            if protocol.writing_paused:
                await protocol.drained()
            return client.keep_alive
        except asyncio.CancelledError:
            self._record_departure(exchange, runtime)
            raise
        finally:
            role.in_flight -= 1
            served.in_flight -= 1
            runtime.left()

    def _exchange(
        self, request: IncomingRequest, runtime: Runtime, served: ServedEndpoint, path: str, query: str
    ) -> LiveExchange:
        clock = self._role.clock
        headers = request.headers
        # By position: a class that is called with keywords takes twice as long.
        return LiveExchange(
            request_id(headers, runtime.id_headers),
            served.endpoint,
            runtime.snapshot,
            runtime.brand,
            request.method,
            path,
            query,
            Headers(headers),
            self._client(request),
            clock.monotonic(),
            clock.now(),
        )

    def _client(self, request: IncomingRequest) -> Client:
        """Return who is calling; the same object while a connection's requests do not differ in it."""
        protocol, headers = request.protocol, request.headers
        address = protocol.peer
        if self._real_address.believes_anyone:
            address = self._real_address.find(address, headers)
        agent = headers.get("user-agent", "")
        if agent != protocol.agent or protocol.client.address != address:
            protocol.agent = agent
            protocol.client = Client(address, user_agent(agent), protocol.ssl_context is not None)
        return protocol.client

    def _refuse_early(self, request: IncomingRequest, limit: int) -> GatewayError | None:
        """Judge what can be judged before authentication: the declared size."""
        # Two lengths never come here: the parser refuses them, and `GatewayProtocol` says why.
        length = request.headers.get("content-length")
        return BodyTooLarge(limit) if length is not None and int(length) > limit else None

    def _deliver(
        self, request: IncomingRequest, exchange: LiveExchange, runtime: Runtime, client: HttpClientSide
    ) -> None:
        """Write the answer; the settlement is journalled before its last byte."""
        settlement = runtime.lifecycle.settlement
        error = exchange.error
        if isinstance(error, Unauthenticated) and exchange.principal is None:
            settlement.denied(exchange, error)
            self._answer_error(request, exchange, client, error)
            return
        if client.begun:
            event = settlement.close(exchange, 200)
            client.end_stream()
        elif error is not None:
            event = settlement.close(exchange, error.status)
            self._answer_error(request, exchange, client, error)
        else:
            reply = exchange.reply
            assert reply is not None
            event = settlement.close(exchange, reply.status)
            head = self._heads.render(
                reply.status,
                reply.content_type,
                exchange.id,
                length=len(reply.body),
                keep_alive=client.keep_alive,
                old=request.old,
                headers=exchange.reply_headers + list(reply.headers)
                if reply.headers
                else exchange.reply_headers,
                own=own_lines(exchange, self._heads.failed),
            )
            client.answer(head, b"" if request.method == "HEAD" else reply.body)
        settlement.record(event)
        if exchange.chains is not None and exchange.chains.store:
            runtime.after(exchange, exchange.chains.store)

    def _answer_error(
        self, request: IncomingRequest, exchange: LiveExchange, client: HttpClientSide, error: GatewayError
    ) -> None:
        body = exchange.endpoint.error_body(error, exchange.id)
        headers = list(exchange.reply_headers)
        if error.retry_after is not None:
            headers.append(("retry-after", str(max(1, error.retry_after))))
        head = self._heads.render(
            error.status,
            JSON,
            exchange.id,
            length=len(body),
            keep_alive=client.keep_alive,
            old=request.old,
            headers=headers,
            own=late_lines(exchange, self._heads.failed) if exchange.head_writers else "",
        )
        client.answer(head, b"" if request.method == "HEAD" else body)

    def _record_departure(self, exchange: LiveExchange, runtime: Runtime) -> None:
        """Record what a client has used that left before its answer was written."""
        if not exchange.status:
            settlement = runtime.lifecycle.settlement
            settlement.record(settlement.close(exchange, 499))

    def _no_endpoint(self, request: IncomingRequest, runtime: Runtime, path: str, query: str) -> bool:
        """Answer probes, a wrong method (405) and an unknown path (404)."""
        if request.method in ("GET", "HEAD") and path in ("/livez", "/readyz"):
            status, text = self._role.health.probe(path, verbose="verbose" in query)
            return self._plain(request, status, PROBE_TYPE, text.encode(), NOSNIFF)
        allowed = runtime.routes.allowed(path)
        if allowed:
            return self._plain(request, 405, "", b"", (("allow", ", ".join(allowed)),))
        near = runtime.routes.nearest(path)
        hint = f"; did you mean {near}?" if near else ""
        error = NotFound(f"nothing is served at {path[:200]}{hint}")
        return self._plain(request, 404, JSON, fallback_body(error, ""), ())

    def _plain(
        self,
        request: IncomingRequest,
        status: int,
        content_type: str,
        body: bytes,
        headers: tuple[tuple[str, str], ...],
    ) -> bool:
        keep_alive = request.keep_alive and not self._role.draining
        names = self._role.runtime.id_headers
        head = self._heads.render(
            status,
            content_type,
            request_id(request.headers, names),
            length=len(body),
            keep_alive=keep_alive,
            old=request.old,
            headers=headers,
        )
        transport = request.protocol.transport
        if transport is not None:
            request.protocol.outbox.write(transport, head if request.method == "HEAD" else head + body)
        return keep_alive
