"""Send one attempt and take its answer: relayed where both sides speak one wire, else translated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

import msgspec

from hookway.client_side import ClientSide
from hookway.deadlines import DeadlineWheel
from hookway.framing import SseFramer
from hookway.large_bodies import close_large
from hookway.live_exchange import LiveExchange
from hookway.local_answers import open_local
from hookway.models import Road, Route, UpstreamDefaults
from hookway.overrides import header_variables
from hookway.produced_text import ProducedText, WholeText
from hookway.streaming import StreamPipe, write_as_stream
from hookway.upstream.request import Pieces, UpstreamRequest
from hookway.upstream.response import UpstreamResponse
from hookway.upstream.timeouts import Timeouts
from hookway.upstream.transport import Transport
from hookway_sdk import (
    Attempt,
    ChatAnswer,
    ChatRequest,
    Clock,
    Framer,
    GatewayError,
    LocalAnswer,
    Provider,
    Random,
    Reply,
    UpstreamError,
    UpstreamRefused,
    UpstreamUndecodable,
    close_envelope,
    open_envelope,
)

ERROR_LIMIT = 64 * 1024
"""Bytes of an upstream's error answer that are read."""


class Sender:
    """Sends attempts; one per Runtime.

    Args:
        transport: connections to upstreams.
        wheel: deadlines of the worker.
        clock: time.
        random: chance, for back-off.
        defaults: deployment-wide answers to what models do not say.
        request_id_header: header in which upstreams get the request id.
        keep_alive: seconds of silence after which a stream gets a comment, 0 for none.
    """

    def __init__(
        self,
        transport: Transport,
        wheel: DeadlineWheel,
        clock: Clock,
        random: Random,
        defaults: UpstreamDefaults,
        request_id_header: str,
        keep_alive: float,
    ) -> None:
        self._transport = transport
        self._wheel = wheel
        self.clock = clock
        self.random = random
        self.defaults = defaults
        self._request_id_header = request_id_header
        self._keep_alive = keep_alive

    async def call(self, exchange: LiveExchange, attempt: Attempt, route: Route) -> None:
        """Send an attempt whose answer is taken whole, and set the exchange's reply.

        Raises:
            GatewayError: it failed.
        """
        wire = exchange.endpoint.wire
        held = exchange.request.stream
        road = route.road(wire, False)
        provider = provider_of(route)
        response = await self._send(exchange, attempt, route, road, provider, False)
        attempt.status = status = response.status
        if not 200 <= status < 300:
            raise await read_error(provider, response)
        body = response.arrived(self.defaults.answer_limit)
        if body is None:
            body = await response.read(self.defaults.answer_limit)
        if not attempt.first_byte:
            attempt.first_byte = self.clock.monotonic()
        if not road.relay or held:
            answer = provider.decode(body, attempt.candidate.deployment)
            note_answer(exchange, attempt, answer)
            encoded = b"" if held or not wire else exchange.endpoint.encode_answer(answer, exchange)
            exchange.reply = Reply(body=encoded, usage=attempt.usage, canonical=answer)
            return
        try:
            envelope = open_envelope(body)
        except msgspec.DecodeError as error:
            raise UpstreamUndecodable("not a JSON object") from error
        facts = provider.facts(envelope, road.wire)
        attempt.usage = facts.usage
        attempt.upstream_id = facts.upstream_id
        attempt.upstream_model = facts.upstream_model
        exchange.stop_reason = facts.stop_reason
        relayed = close_envelope(exchange.endpoint.relay_answer(envelope, exchange))
        exchange.reply = Reply(body=relayed, usage=facts.usage)

    async def stream(
        self, exchange: LiveExchange, attempt: Attempt, route: Route, client: ClientSide
    ) -> None:
        """Send an attempt and push its answer to the client while it comes.

        Raises:
            GatewayError: it failed before anything was committed. After that, errors end the stream
                in the dialect's own form and stand in ``exchange.error``.
        """
        endpoint = exchange.endpoint
        road = route.road(endpoint.wire, True)
        provider = provider_of(route)
        response = await self._send(exchange, attempt, route, road, provider, True)
        attempt.status = status = response.status
        if not 200 <= status < 300:
            raise await read_error(provider, response)
        own_framer = provider.framer()
        if own_framer is None and is_document(response):
            await self._replay(exchange, attempt, provider, response, client)
            return
        framer: Framer = own_framer or SseFramer()
        deployment = attempt.candidate.deployment
        exchange.produced = produced = ProducedText(partial(provider.reader, deployment, road.wire))
        pipe = StreamPipe(
            exchange,
            attempt,
            client,
            provider.reader(deployment, road.wire),
            endpoint.writer(exchange),
            framer,
            relay=road.relay,
            now=self.clock.monotonic,
            produced=produced,
        )
        try:
            pipe.attach(response, self._wheel, self._keep_alive, road.first_token)
            await pipe.finished
        except asyncio.CancelledError:
            pipe.note_partial()
            raise
        finally:
            pipe.detach()

    def explicit_timeout(self, exchange: LiveExchange, route: Route) -> bool:
        """Say whether the deadline of an attempt was set on its model or group."""
        try:
            return route.road(exchange.endpoint.wire, exchange.request.stream).explicit_timeout
        except GatewayError:
            return False

    async def _replay(
        self,
        exchange: LiveExchange,
        attempt: Attempt,
        provider: Provider[Any],
        response: UpstreamResponse,
        client: ClientSide,
    ) -> None:
        """Take a document that came in place of a stream: write an answer as one, or say what is wrong.

        Raises:
            UpstreamError: it is an error, or no answer at all.
        """
        body = await response.read(self.defaults.answer_limit)
        attempt.first_byte = self.clock.monotonic()
        answer = provider.decode(body, attempt.candidate.deployment)
        note_answer(exchange, attempt, answer)
        exchange.produced = WholeText(answer)
        exchange.first_byte = attempt.first_byte
        write_as_stream(exchange, client, answer, attempt.usage)

    # ── inside ──────────────────────────────────────────────────────────────────────────────

    def _send(
        self,
        exchange: LiveExchange,
        attempt: Attempt,
        route: Route,
        road: Road,
        provider: Provider[Any],
        stream: bool,
    ) -> Awaitable[UpstreamResponse]:
        """Send the request; the answer's head, of whatever status, is to be awaited.

        Raises:
            UpstreamError: when it is awaited: there is no answer.
        """
        body, headers = self._encode(exchange, attempt, route, road, provider, stream)
        attempt.dispatched = True
        if road.head is None:
            return self._answered_here(provider, attempt, body, stream)
        request = UpstreamRequest(road.head, headers, body)
        timeouts = self._timeouts(exchange, road) if exchange.deadline else road.timeouts
        if type(provider).sign is not Provider.sign:
            return self._send_signed(provider, attempt, road, request, timeouts, stream)
        return self._transport.open(request, timeouts)

    def _timeouts(self, exchange: LiveExchange, road: Road) -> Timeouts:
        """Return an attempt's deadlines, none of them beyond the end of the whole exchange's time."""
        left = max(exchange.deadline - self.clock.monotonic(), 0.001)
        total = road.timeouts.total
        return msgspec.structs.replace(road.timeouts, total=left if total is None else min(total, left))

    async def _answered_here(
        self, provider: Provider[Any], attempt: Attempt, body: bytes | Pieces, stream: bool
    ) -> UpstreamResponse:
        answer: LocalAnswer = await provider.answer(attempt.candidate.deployment, joined(body), stream)
        return open_local(answer)

    async def _send_signed(
        self,
        provider: Provider[Any],
        attempt: Attempt,
        road: Road,
        request: UpstreamRequest,
        timeouts: Timeouts,
        stream: bool,
    ) -> UpstreamResponse:
        deployment, body = attempt.candidate.deployment, request.body
        assert isinstance(body, (bytes, tuple))
        target = provider.target(deployment, road.wire, stream)
        request.headers = (*request.headers, *await provider.sign(deployment, target, joined(body)))
        return await self._transport.open(request, timeouts)

    def _encode(
        self,
        exchange: LiveExchange,
        attempt: Attempt,
        route: Route,
        road: Road,
        provider: Provider[Any],
        stream: bool,
    ) -> tuple[bytes | Pieces, tuple[tuple[str, str], ...]]:
        """Return the body for the upstream and the headers that are this request's own."""
        deployment = attempt.candidate.deployment
        body: bytes | Pieces
        headers: tuple[tuple[str, str], ...] = ((self._request_id_header, exchange.id), *attempt.headers)
        if road.relay:
            asked = exchange.request
            envelope = dict(asked.sealed())
            if asked.stream and not stream:
                envelope.pop("stream", None)
                envelope.pop("stream_options", None)
            envelope = provider.relay_request(envelope, deployment, road.wire, stream)
            if route.body_change is not None:
                route.body_change(envelope)
            body = close_large(envelope)
        else:
            request = canonical_request(exchange)
            if request.stream is not stream:
                request = msgspec.structs.replace(request, stream=stream)
            encoded = provider.encode(request, deployment)
            exchange.dropped = encoded.dropped
            headers += encoded.headers
            body = encoded.body
            if route.body_change is not None:
                envelope = open_envelope(encoded.body)
                route.body_change(envelope)
                body = close_large(envelope)
        if route.header_change is not None:
            taken = {name.lower() for name, _ in headers}
            lines = route.header_change.lines(exchange, lambda: header_variables(exchange))
            headers += tuple(line for line in lines if line[0] not in taken and not fixed(road, line[0]))
        return body, headers


def joined(body: bytes | Pieces) -> bytes:
    """Return a body as one buffer."""
    return body if isinstance(body, bytes) else b"".join(body)


def provider_of(route: Route) -> Provider[Any]:
    """Return a route's provider; its road would not exist without one."""
    assert route.provider is not None
    return route.provider


def fixed(road: Road, name: str) -> bool:
    """Say whether the provider itself set a header."""
    return road.head is not None and any(known.lower() == name for known, _ in road.head.headers)


def canonical_request(exchange: LiveExchange) -> ChatRequest:
    """Return the request in canonical form, made once per exchange."""
    if exchange.canonical is None:
        exchange.canonical = exchange.request.canonical()
    return exchange.canonical


def note_answer(exchange: LiveExchange, attempt: Attempt, answer: ChatAnswer) -> None:
    """Keep what a translated answer says of itself."""
    attempt.usage = answer.usage.copy()
    attempt.upstream_id = answer.id
    attempt.upstream_model = answer.model
    if answer.choices:
        first = answer.choices[0]
        exchange.stop_reason = first.stop_detail or first.stop_reason


async def read_error(provider: Provider[Any], response: UpstreamResponse) -> UpstreamError:
    """Read an error answer and let the provider say what it means."""
    status = response.status
    body = await read_up_to(response, ERROR_LIMIT)
    headers: Mapping[str, str] = dict(response.headers.items())
    try:
        return provider.error(status, headers, body)
    except Exception as error:
        return UpstreamRefused(status, detail=f"its error could not be read: {error!r}")


def is_document(response: UpstreamResponse) -> bool:
    """Say whether a document came where server-sent events were asked for; servers misname the latter."""
    return (response.headers.get("content-type") or "").startswith(("text/html", "application/json"))


async def read_up_to(response: UpstreamResponse, limit: int) -> bytes:
    """Read the first bytes of a body; an answer that cannot be read further counts as far as it came."""
    taken = FirstBytes(response, limit)
    response.start(taken)
    try:
        await taken.finished
    except asyncio.CancelledError:
        response.abort()
        raise
    return bytes(taken.body)


class FirstBytes:
    """Receives the first bytes of a body and then drops the connection."""

    def __init__(self, response: UpstreamResponse, limit: int) -> None:
        self._response = response
        self._limit = limit
        self.body = bytearray()
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data(self, chunk: bytes) -> None:
        """Keep what fits."""
        self.body += chunk[: self._limit - len(self.body)]
        if len(self.body) >= self._limit and not self.finished.done():
            self._response.abort()
            self.finished.set_result(None)

    def end(self) -> None:
        """The body is complete."""
        if not self.finished.done():
            self.finished.set_result(None)

    def failed(self, error: UpstreamError) -> None:
        """The rest will not come; the status says enough."""
        self.end()
