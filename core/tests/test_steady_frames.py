"""Frames that differ from one already seen in nothing but text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hookway.produced_text import ProducedText
from hookway.steady_frames import FIRST_TRIES, LATER_TRIES, SteadyFrames, steady_frames
from hookway_sdk import Frame, GatewayError, StreamEvent, StreamReader, StreamWriter, Usage


class Reader(StreamReader):
    """Finds the insides of ``"t":"…"``, and of ``"p":"…"`` behind it."""

    asked = 0

    def observe(self, frame: Frame) -> None:
        """Note nothing."""

    def decode(self, frame: Frame) -> Sequence[StreamEvent]:
        return ()

    def free_text(self, frame: Frame) -> Sequence[tuple[int, int]]:
        self.asked += 1
        spans = []
        for name in (b'"t":"', b'"p":"'):
            begin = frame.data.find(name)
            if begin >= 0:
                spans.append((begin + len(name), frame.data.index(b'"', begin + len(name))))
        return spans


class Silent(Reader):
    """Says nothing of free text."""

    free_text = StreamReader.free_text


class Writer(StreamWriter):
    """Puts another model into a frame."""

    copies_text = True

    def relay(self, frame: Frame) -> bytes:
        name = b"event: %b\n" % frame.event.encode() if frame.event else b""
        return name + b"data: %b\n\n" % frame.data.replace(b'"m":1', b'"m":2')

    def write(self, event: StreamEvent) -> bytes:
        return b""

    def end(self, usage: Usage) -> bytes:
        return b""

    def fail(self, error: GatewayError) -> bytes:
        return b""


class Twice(Writer):
    """Writes the text two times."""

    def relay(self, frame: Frame) -> bytes:
        return super().relay(frame) * 2


class Changing(Writer):
    """Does not promise to copy."""

    copies_text = False


def known(chunk: bytes, data: bytes, event: str = "", writer: StreamWriter | None = None) -> SteadyFrames:
    """Return what has learned a read."""
    steady = SteadyFrames(Reader(), writer or Writer(), ProducedText(Reader))
    steady.learn(chunk, Frame(data, event))
    return steady


ONE = b'{"m":1,"t":"word","u":null}'
TWO = b'{"m":1,"t":"word","u":null,"p":"x"}'


def sse(data: bytes) -> bytes:
    return b"data: %b\n\n" % data


def test_nothing_is_known_at_the_beginning() -> None:
    assert SteadyFrames(Reader(), Writer(), ProducedText(Reader)).rewrite(sse(ONE)) is None


@pytest.mark.parametrize(
    "text", [b"word", b"", b"other", b"\\n\\u00e9", "größe".encode(), b"\xff", b"[DONE]"]
)
def test_another_text_is_written_like_the_first(text: bytes) -> None:
    steady = known(sse(ONE), ONE)
    assert steady.rewrite(sse(b'{"m":1,"t":"%b","u":null}' % text)) == sse(
        b'{"m":2,"t":"%b","u":null}' % text
    )


def test_two_texts_are_both_copied() -> None:
    steady = known(sse(TWO), TWO)
    sent = steady.rewrite(sse(b'{"m":1,"t":"a","u":null,"p":"bcd"}'))
    assert sent == sse(b'{"m":2,"t":"a","u":null,"p":"bcd"}')


def test_an_event_keeps_its_name() -> None:
    steady = known(b"event: delta\n" + sse(ONE), ONE, "delta")
    assert steady.rewrite(b"event: delta\n" + sse(b'{"m":1,"t":"a","u":null}')) == b"event: delta\n" + sse(
        b'{"m":2,"t":"a","u":null}'
    )
    assert steady.rewrite(sse(ONE)) is None
    assert steady.rewrite(b"event: error\n" + sse(ONE)) is None


@pytest.mark.parametrize(
    "data",
    [
        b'{"m":1,"t":"a","u":3}',
        b'{"m":9,"t":"a","u":null}',
        b'{"m":1,"t":"a","u":null,"v":1}',
        b'{"m":1,"t":"a\\","u":null}',
        b'{"m":1,"t":"say \\"hi\\"","u":null}',
        b'{"m":1,"t":"a","u":null',
        b'{"m":1,"t":"a\ndata: b","u":null}',
        b'{"m":1,"t":"a\rb","u":null}',
        b'{"m":1,"t":null,"u":null}',
        b'{"m":1,"t":"a","u":null}\n\ndata: {"m":1,"t":"b","u":null}',
        b"[DONE]",
        b"",
    ],
)
def test_whatever_differs_in_more_is_not_recognised(data: bytes) -> None:
    assert known(sse(ONE), ONE).rewrite(sse(data)) is None


def test_a_piece_of_an_event_is_not_recognised() -> None:
    steady = known(sse(ONE), ONE)
    whole = sse(ONE)
    assert all(steady.rewrite(whole[:end]) is None for end in range(len(whole)))
    assert all(steady.rewrite(whole[begin:]) is None for begin in range(1, len(whole)))


@pytest.mark.parametrize("chunk", [sse(ONE)[:-1], sse(ONE) + b": x\n\n", b"data:%b\r\n\r\n" % ONE, b""])
def test_a_read_that_is_not_one_event_teaches_nothing(chunk: bytes) -> None:
    steady = known(chunk, ONE)
    assert steady.rewrite(chunk) is None


def test_a_writer_that_does_more_than_to_copy_teaches_nothing() -> None:
    assert known(sse(ONE), ONE, writer=Twice()).rewrite(sse(ONE)) is None


def test_it_is_used_where_both_ends_allow_it() -> None:
    assert steady_frames(Reader(), Writer(), ProducedText(Reader)) is not None
    assert steady_frames(Reader(), Changing(), ProducedText(Reader)) is None
    assert steady_frames(Silent(), Writer(), ProducedText(Silent)) is None


def test_streams_in_which_nothing_repeats_are_looked_at_rarely() -> None:
    reader = Reader()
    steady = SteadyFrames(reader, Writer(), ProducedText(Reader))
    for _ in range(LATER_TRIES * 10):
        steady.learn(sse(b'{"z":1}'), Frame(b'{"z":1}'))
    assert reader.asked == FIRST_TRIES + 10


def test_a_later_wrapping_replaces_an_earlier_one() -> None:
    steady = known(sse(ONE), ONE)
    steady.learn(sse(TWO), Frame(TWO))
    assert steady.rewrite(sse(TWO)) is not None
    assert steady.rewrite(sse(ONE)) is None
