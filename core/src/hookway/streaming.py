"""The push pipeline of a stream: upstream bytes → framer → reader → gate → writer → client.

Plain functions between two reads of a socket. Until the first good frame nothing is committed, so a
failed start moves to the next candidate; after it, an error ends the stream in the dialect's own form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from hookway.client_side import ClientSide
from hookway.deadlines import Deadline, DeadlineWheel
from hookway.live_exchange import LiveExchange
from hookway.produced_text import ProducedText
from hookway.redaction import without_secret
from hookway.steady_frames import steady_frames
from hookway.upstream.response import UpstreamResponse
from hookway_sdk import (
    Attempt,
    AudioPart,
    ChatAnswer,
    FilePart,
    Frame,
    Framer,
    GatewayError,
    ImagePart,
    PluginFailed,
    ReasoningDelta,
    ReasoningPart,
    RefusalDelta,
    RefusalPart,
    StreamAborted,
    StreamEvent,
    StreamReader,
    StreamStart,
    StreamStop,
    StreamUsage,
    StreamWriter,
    TextDelta,
    TextPart,
    ToolCallDelta,
    ToolCallPart,
    UpstreamError,
    UpstreamTimeout,
    Usage,
    WholePart,
)
from hookway_sdk.messages import CitationDelta, LogprobsDelta, OpaqueDelta, OpaquePart, Part

KEEP_ALIVE = b":\n\n"
"""A comment that keeps an idle stream's connection open."""


class StreamPipe:
    """Receives one upstream body and writes it to the client.

    Attributes:
        begun: the client has its head; no other candidate can be tried.
        finished: resolves when the stream is over; fails when nothing was committed.
    """

    def __init__(
        self,
        exchange: LiveExchange,
        attempt: Attempt,
        client: ClientSide,
        reader: StreamReader,
        writer: StreamWriter,
        framer: Framer,
        *,
        relay: bool,
        now: Callable[[], float],
        produced: ProducedText,
    ) -> None:
        self._produced = produced
        self._exchange = exchange
        self._attempt = attempt
        self._client = client
        self._reader = reader
        self._writer = writer
        self._framer = framer
        self._relay = relay
        self._now = now
        self._over = False
        self._response: UpstreamResponse | None = None
        self._keep_alive: Deadline | None = None
        self._first_token: Deadline | None = None
        self._interval = 0.0
        self._last_write = 0.0
        self._steady = steady_frames(reader, writer, produced) if relay else None
        self._write = client.write
        self.begun = False
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # ── the receiver of the transport ───────────────────────────────────────────────────────

    def data(self, chunk: bytes) -> None:
        """Take bytes of the upstream's body."""
        if self._over:
            if self._response is not None and chunk.strip():
                self._response.abort()  # it goes on behind its own end
            return
        steady = self._steady
        if steady is not None and not self._framer.pending:
            piece = steady.rewrite(chunk)
            if piece is not None:
                self._write(piece)
                self._last_write = self._now()
                return
        if not self._attempt.first_byte:
            self._attempt.first_byte = self._now()
        try:
            frames = self._framer.feed(chunk)
            self._forward(frames)
            if steady is not None and self.begun and len(frames) == 1 and not self._reader.done:
                steady.learn(chunk, frames[0])
        except Exception as error:
            self._stop(error)
            return
        if self._reader.done:
            self._complete()

    def end(self) -> None:
        """The upstream ended its body."""
        if self._over:
            return
        try:
            self._forward(self._framer.close())
            owed = self._reader.close()
            if not self._relay:
                self._send([self._writer.write(event) for event in owed])
        except Exception as error:
            self._stop(error)
            return
        if not self.begun:
            self._stop(StreamAborted("upstream ended its stream before its first event"))
            return
        self._complete()

    def failed(self, error: UpstreamError) -> None:
        """The upstream's body will not be completed."""
        if not self._over:
            self._stop(error)

    # ── the attempt loop's side ─────────────────────────────────────────────────────────────

    def attach(
        self,
        response: UpstreamResponse,
        wheel: DeadlineWheel,
        interval: float,
        first_token: float | None = None,
    ) -> None:
        """Begin to receive.

        Args:
            interval: seconds of silence after which a comment is sent, 0 for none.
            first_token: seconds from the attempt's begin in which the first event has to come, ``None`` for
                no such deadline. Comments of the upstream do not count as one.
        """
        self._response = response
        self._client.flow(response.pause, response.resume)
        if first_token is not None:
            late = UpstreamTimeout(round(first_token * 1000), stage="first_token")
            left = self._attempt.started + first_token - self._now()
            self._first_token = wheel.schedule(left, self._stop, late)
        if interval > 0:
            self._interval = interval
            self._keep_alive = wheel.schedule(interval, self._still_there)
        response.start(self)

    def detach(self) -> None:
        """Stop for good: the client has left, or the attempt is over."""
        self._over = True
        self._client.flow(None, None)
        if self._keep_alive is not None:
            self._keep_alive.cancel()
        if self._first_token is not None:
            self._first_token.cancel()
        if self._response is not None:
            if self._reader.done:
                self._response.resume()  # what is left of the body frees the connection
            else:
                self._response.abort()

    # ── inside ──────────────────────────────────────────────────────────────────────────────

    def _forward(self, frames: list[Frame]) -> None:
        """Read frames and send what the client is to see of them."""
        reader, writer = self._reader, self._writer
        pieces: list[bytes] = []
        try:
            for frame in frames:
                if self._relay:
                    reader.observe(frame)
                    pieces.append(writer.relay(frame))
                    self._produced.frame(frame)
                else:
                    events = reader.decode(frame)
                    pieces.extend([writer.write(event) for event in events])
                    self._produced.events(events)
                if reader.done:
                    break
        except Exception:
            # What came before the fault is the client's, unless another candidate can still answer.
            if self.begun:
                self._send(pieces)
            raise
        if pieces:
            self._send(pieces)

    def _send(self, pieces: list[bytes]) -> None:
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if not data:
            return
        if not self.begun:
            self._begin()
        self._client.write(data)
        self._last_write = self._now()

    def _begin(self) -> None:
        """Commit: send the head."""
        self.begun = True
        if self._first_token is not None:
            self._first_token.cancel()
        self._exchange.first_byte = self._now()
        self._client.begin_stream(self._exchange)

    def _complete(self) -> None:
        """The wire's end was seen: end the client's stream properly."""
        self._note()
        if self._relay:
            self._send([self._writer.end_relay()])
        else:
            self._send([self._writer.end(self._reader.usage)])
        if not self.begun:
            self._begin()
        self._over = True
        self._settle_future(None)

    def _stop(self, error: Exception) -> None:
        """End with an error: before the head as the attempt's failure, after it inside the stream."""
        self._over = True
        self._note()
        if not isinstance(error, GatewayError):
            wrapped = PluginFailed(self._attempt.candidate.deployment.provider, "stream", detail=repr(error))
            wrapped.__cause__ = error
            error = wrapped
        error = without_secret(error, self._attempt.candidate.deployment.key.secret)
        if self._response is not None:
            self._response.abort()
        if not self.begun:
            self._settle_future(error)
            return
        self._attempt.error = error
        self._exchange.error = error
        try:
            self._client.write(self._writer.fail(error))
        finally:
            self._settle_future(None)

    def _note(self) -> None:
        """Keep what the reader learned on the attempt."""
        attempt, reader = self._attempt, self._reader
        attempt.usage.observe(reader.usage)
        attempt.upstream_id = reader.upstream_id or attempt.upstream_id
        attempt.upstream_model = reader.upstream_model or attempt.upstream_model
        self._exchange.stop_reason = reader.stop_reason

    def note_partial(self) -> None:
        """Keep what was produced so far; the client left in the middle."""
        self._note()

    def _settle_future(self, error: Exception | None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)

    def _still_there(self) -> None:
        """Write a comment into the silence; commits the head, since the client has waited long enough."""
        if self._over or self._keep_alive is None:
            return
        if self._first_token is not None and self._first_token.active:
            # Nothing is committed while another candidate may still be faster.
            self._keep_alive.restart(self._interval)
            return
        left = self._last_write + self._interval - self._now()
        if left > 0:
            self._keep_alive.restart(left)
            return
        if not self.begun:
            self._begin()
        self._client.write(KEEP_ALIVE)
        self._keep_alive.restart(self._interval)


def write_as_stream(exchange: LiveExchange, client: ClientSide, answer: ChatAnswer, usage: Usage) -> None:
    """Write a finished answer to a client that asked for a stream."""
    writer = exchange.endpoint.writer(exchange)
    pieces = [writer.write(event) for event in events_of(answer)]
    pieces.append(writer.end(usage))
    client.begin_stream(exchange)
    client.write(b"".join(pieces))


def events_of(answer: ChatAnswer) -> Iterator[StreamEvent]:
    """Return a finished answer as the events of a stream, for one that was held back or conducted."""
    yield StreamStart(
        id=answer.id, model=answer.model, created=answer.created, service_tier=answer.service_tier
    )
    for choice in answer.choices:
        calls = 0
        for index, part in enumerate(choice.message.parts):
            yield from part_events(part, choice.index, index, calls)
            calls += isinstance(part, ToolCallPart)
        if choice.logprobs is not None:
            yield LogprobsDelta(logprobs=choice.logprobs, choice=choice.index)
        yield StreamStop(
            choice=choice.index,
            stop_reason=choice.stop_reason,
            stop_detail=choice.stop_detail,
            stop_sequence=choice.stop_sequence,
        )
    yield StreamUsage(usage=answer.usage)


def part_events(part: Part, choice: int, index: int, calls: int) -> Iterator[StreamEvent]:
    """Return one part as stream events."""
    if isinstance(part, TextPart):
        yield TextDelta(text=part.text, choice=choice, part=index)
        for citation in part.citations:
            yield CitationDelta(citation=citation, choice=choice, part=index)
    elif isinstance(part, ReasoningPart):
        yield ReasoningDelta(
            text=part.text,
            signature=part.signature,
            redacted=part.redacted,
            issuer=part.issuer,
            choice=choice,
            part=index,
        )
    elif isinstance(part, RefusalPart):
        yield RefusalDelta(text=part.text, choice=choice, part=index)
    elif isinstance(part, ToolCallPart):
        yield ToolCallDelta(
            call=calls,
            id=part.id,
            name=part.name,
            arguments=part.arguments,
            kind=part.kind,
            choice=choice,
            part=index,
        )
    elif isinstance(part, (AudioPart, ImagePart, FilePart)):
        yield WholePart(part=part, choice=choice, index=index)
    elif isinstance(part, OpaquePart):
        yield OpaqueDelta(wire=part.wire, value=part.value, choice=choice)
