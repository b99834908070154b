"""Reads a stream of the echo wire, event by event."""

from __future__ import annotations

from collections.abc import Sequence

from hookway_plugins.provider_echo.translate import STOPS, usage_read
from hookway_plugins.provider_echo.wire import MALFORMED, EchoChunk, EchoPart, read_chunk
from hookway_sdk import (
    Frame,
    ReasoningDelta,
    RefusalDelta,
    StreamAborted,
    StreamEvent,
    StreamReader,
    StreamStart,
    StreamStop,
    StreamUsage,
    TextDelta,
    ToolCallDelta,
    UpstreamInBand,
    UpstreamUndecodable,
)


class EchoReader(StreamReader):
    """The reader of one stream."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[int, dict[int, int]] = {}

    def observe(self, frame: Frame) -> None:
        """Note usage, ids and the end."""
        self._note(frame)

    def decode(self, frame: Frame) -> Sequence[StreamEvent]:
        """Translate one event; one of an unknown name says nothing."""
        chunk = self._note(frame)
        match frame.event:
            case "start":
                return (StreamStart(id=chunk.id, model=chunk.model),)
            case "piece" if chunk.piece is not None:
                return (self._delta(chunk, chunk.piece),)
            case "stop":
                return (StreamStop(choice=chunk.choice, stop_reason=STOPS.get(chunk.stop, "other")),)
            case "end":
                return (StreamUsage(usage=self.usage.copy()),)
        return ()

    def close(self) -> Sequence[StreamEvent]:
        """Miss the ``end`` of a stream that was cut."""
        if not self.done:
            raise StreamAborted
        return ()

    def _note(self, frame: Frame) -> EchoChunk:
        try:
            chunk = read_chunk(frame.data)
        except MALFORMED as error:
            raise UpstreamUndecodable("a stream event that is none of the echo wire") from error
        if chunk.error is not None:
            raise UpstreamInBand(chunk.error.message, upstream_status=chunk.error.status)
        if frame.event == "start":
            self.upstream_id, self.upstream_model = chunk.id, chunk.model
        elif frame.event == "stop":
            self.stop_reason = chunk.stop
        elif frame.event == "end":
            self.usage.observe(usage_read(chunk.usage))
            self.done = True
        return chunk

    def _delta(self, chunk: EchoChunk, piece: EchoPart) -> StreamEvent:
        choice, part = chunk.choice, chunk.part
        match piece.kind:
            case "thought":
                return ReasoningDelta(text=piece.text, choice=choice, part=part)
            case "refusal":
                return RefusalDelta(text=piece.text, choice=choice, part=part)
            case "call":
                calls = self._calls.setdefault(choice, {})
                call = calls.setdefault(part, len(calls))
                return ToolCallDelta(
                    call=call, id=piece.id, name=piece.name, arguments=piece.text, choice=choice, part=part
                )
        return TextDelta(text=piece.text, choice=choice, part=part)
