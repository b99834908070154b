"""What a stream has said so far, kept for the case that its upstream reports no usage.

Most upstreams do, so keeping costs next to nothing and opening is left for the end: words of steady frames
are kept as they stand in the JSON, other relayed frames unopened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from hookway_sdk import (
    ChatAnswer,
    Frame,
    GatewayError,
    ReasoningDelta,
    ReasoningPart,
    RefusalDelta,
    RefusalPart,
    StreamEvent,
    StreamReader,
    TextDelta,
    TextPart,
    ToolCallDelta,
    ToolCallPart,
)

MOST = 256 * 1024
"""Bytes that are kept of one stream; what comes after counts by its length alone."""


class ProducedText:
    """The text of one streamed answer.

    Args:
        reader: makes a reader of the stream's wire, for frames that were relayed unopened.

    Attributes:
        words: insides of JSON strings, in the order they came.
        beyond: bytes that came after as much as is kept.
    """

    __slots__ = ("_frames", "_reader", "_size", "_texts", "beyond", "words")

    def __init__(self, reader: Callable[[], StreamReader]) -> None:
        self._reader = reader
        self._frames: list[tuple[bytes, str]] = []
        self._texts: list[str] = []
        self._size = 0
        self.words = bytearray()
        self.beyond = 0

    @property
    def scale(self) -> float:
        """By how much there was more than is kept: what is counted is multiplied by it."""
        kept = self._size + len(self.words)
        return 1.0 + self.beyond / kept if self.beyond else 1.0

    def frame(self, frame: Frame) -> None:
        """Keep a frame that was relayed."""
        if self._room_for(len(frame.data)):
            # Without the fields it was opened into, which are larger than itself.
            self._frames.append((frame.data, frame.event))

    def events(self, events: Iterable[StreamEvent]) -> None:
        """Keep the text of events."""
        for event in events:
            text = text_of_event(event)
            if text and self._room_for(len(text)):
                self._texts.append(text)

    def text(self) -> str:
        """Return all of it that was kept, opened."""
        reader = self._reader()
        for data, event in self._frames:
            try:
                self._texts += [text_of_event(one) for one in reader.decode(Frame(data, event))]
            except GatewayError:
                break  # an error among the frames: what came before it was produced
        self._frames.clear()
        return "".join(self._texts) + unescaped(self.words)

    def _room_for(self, size: int) -> bool:
        if self._size + len(self.words) + size > MOST:
            self.beyond += size
            return False
        self._size += size
        return True


class WholeText:
    """The text of a finished answer that was written as a stream.

    Attributes:
        scale: 1, all of it is here.
    """

    scale = 1.0

    def __init__(self, answer: ChatAnswer) -> None:
        self._answer = answer

    def text(self) -> str:
        """Return it."""
        return text_of_answer(self._answer)


def unescaped(words: bytearray) -> str:
    """Return the insides of JSON strings as text."""
    try:
        return msgspec.json.decode(b'"%b"' % bytes(words), type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return words.decode(errors="replace")


def text_of_event(event: StreamEvent) -> str:
    """Return what the model wrote in an event."""
    if isinstance(event, TextDelta | ReasoningDelta | RefusalDelta):
        return event.text
    if isinstance(event, ToolCallDelta):
        return event.name + event.arguments
    return ""


def text_of_answer(answer: ChatAnswer) -> str:
    """Return what the model wrote in a finished answer."""
    texts: list[str] = []
    for choice in answer.choices:
        for part in choice.message.parts:
            if isinstance(part, TextPart | ReasoningPart | RefusalPart):
                texts.append(part.text)
            elif isinstance(part, ToolCallPart):
                texts.append(part.name + part.arguments)
    return "".join(texts)
