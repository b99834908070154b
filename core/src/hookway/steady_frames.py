"""Relay what differs from the frame before in nothing but text, without opening it.

Most frames of most streams are one word in the same wrapping. Once a frame has been read and rewritten,
the bytes around its text are known on both sides; a read that has the same bytes around another text
needs neither parsing nor encoding (``docs/decisions/0007``).
"""

from __future__ import annotations

from collections.abc import Sequence

from hookway.produced_text import MOST, ProducedText
from hookway_sdk import Frame, StreamReader, StreamWriter

FIRST_TRIES = 8
"""How often the beginning of a stream is looked at for something to learn."""

LATER_TRIES = 64
"""After that, every which one of the frames that were not recognised."""

_BACKSLASH = ord("\\")


class SteadyFrames:
    """What is known of one stream's wrapping.

    Args:
        reader: says where free text stands.
        writer: shows how it rewrites the rest.
        produced: keeps the words.
    """

    __slots__ = ("_head", "_new_head", "_produced", "_reader", "_rest", "_seen", "_words", "_writer")

    def __init__(self, reader: StreamReader, writer: StreamWriter, produced: ProducedText) -> None:
        self._produced = produced
        self._words = produced.words
        self._reader = reader
        self._writer = writer
        self._seen = 0
        self._head = b""
        self._new_head = b""
        # What follows each text up to the next one, as it comes and as it is sent.
        self._rest: tuple[tuple[bytes, bytes], ...] = ()

    def rewrite(self, chunk: bytes) -> bytes | None:
        """Return the client's bytes for one whole event, ``None`` if it is not like the last one learned."""
        head = self._head
        if not head or not chunk.startswith(head):
            return None
        place = begin = len(head)
        first = 0
        sent = self._new_head
        for after, new_after in self._rest:
            end = chunk.find(b'"', place)
            # An escaped quote does not end a string, and a line end would end the event's line.
            if end < 0 or chunk[end - 1] == _BACKSLASH or not chunk.startswith(after, end):
                return None
            text = chunk[place:end]
            if b"\n" in text or b"\r" in text:
                return None
            sent += text + new_after
            place = end + len(after)
            first = first or end
        if place != len(chunk):
            return None
        # The first is the model's word, what follows is padding.
        if len(self._words) < MOST:
            self._words += chunk[begin:first]
        else:
            self._produced.beyond += first - begin
        return sent

    def learn(self, chunk: bytes, frame: Frame) -> None:
        """Look at a read that was one whole event, which the reader has observed, for its wrapping."""
        self._seen += 1
        if self._seen > FIRST_TRIES and self._seen % LATER_TRIES:
            return
        spans = self._reader.free_text(frame) if frame.data else ()
        start = chunk.find(frame.data)
        if not spans or start < 0 or chunk[start + len(frame.data) :] != b"\n\n":
            return
        outside = cut(chunk, [(start + begin, start + end) for begin, end in spans])
        marks = [b"hookway-%d-text" % number for number in range(len(spans))]
        probe = b"".join(
            part + mark for part, mark in zip(cut(frame.data, spans), [*marks, b""], strict=True)
        )
        sent = self._writer.relay(Frame(probe, frame.event, frame.id))
        new_outside = []
        for mark in marks:
            if sent.count(mark) != 1:
                return
            before, _, sent = sent.partition(mark)
            new_outside.append(before)
        new_outside.append(sent)
        self._head, self._new_head = outside[0], new_outside[0]
        self._rest = tuple(zip(outside[1:], new_outside[1:], strict=True))


def steady_frames(reader: StreamReader, writer: StreamWriter, produced: ProducedText) -> SteadyFrames | None:
    """Return what recognises frames, where both ends of the stream allow it."""
    if writer.copies_text and type(reader).free_text is not StreamReader.free_text:
        return SteadyFrames(reader, writer, produced)
    return None


def cut(data: bytes, spans: Sequence[tuple[int, int]]) -> list[bytes]:
    """Return what stands before, between and after spans."""
    parts = []
    place = 0
    for begin, end in spans:
        parts.append(data[place:begin])
        place = end
    parts.append(data[place:])
    return parts
