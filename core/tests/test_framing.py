"""Server-sent events: the same frames however the bytes are cut, and nothing unbounded."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway.framing import LARGEST_FRAME, SseFramer
from hookway_sdk import UpstreamUndecodable

Seen = list[tuple[bytes, str, str]]


def frames(chunks: Iterable[bytes]) -> Seen:
    """Return what a framer makes of a stream in pieces: data, event and id of each frame."""
    framer = SseFramer()
    found = [frame for chunk in chunks for frame in framer.feed(chunk)]
    found += framer.close()
    return [(frame.data, frame.event, frame.id) for frame in found]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Return bytes in pieces that end at the given places."""
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


# ── one event ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("stream", "seen"),
    [
        (b"data: one\n\n", [(b"one", "", "")]),
        (b"data:one\n\n", [(b"one", "", "")]),
        (b"data:  one \n\n", [(b" one ", "", "")]),
        (b"data\n\n", [(b"", "", "")]),
        (b"data: a\ndata:\ndata: b\n\n", [(b"a\n\nb", "", "")]),
        (b"event: delta\ndata: x\nid: 7\n\n", [(b"x", "delta", "7")]),
        (b"id: 7\nevent:delta\ndata: x\n\n", [(b"x", "delta", "7")]),
        (b"event: ping\n\n", []),
        (b": a comment\n\n", []),
        (b":\n:\n\ndata: x\n\n", [(b"x", "", "")]),
        (b": note\ndata: x\n\n", [(b"x", "", "")]),
        (b"retry: 100\ndata: x\n\n", [(b"x", "", "")]),
        (b"colour: red\ndata: x\n\n", [(b"x", "", "")]),
        (b"database: x\n\n", []),
        (b"\n\n\n\n\n", []),
        (b"data: a: b\n\n", [(b"a: b", "", "")]),
        (b"data: one\n\ndata: two\n\n", [(b"one", "", ""), (b"two", "", "")]),
        (b"data: one\n\n\ndata: two\n\n\n\n", [(b"one", "", ""), (b"two", "", "")]),
        (b"data: unfinished", [(b"unfinished", "", "")]),
        (b"data: unfinished\n", [(b"unfinished", "", "")]),
        (b"data: \xff\xfe\n\n", [(b"\xff\xfe", "", "")]),
        (b"event: \xff\ndata: x\n\n", [(b"x", "�", "")]),
        (b"data: nul \0 inside\n\n", [(b"nul \0 inside", "", "")]),
    ],
    ids=repr,
)
def test_an_event_is_read_as_the_standard_says(stream: bytes, seen: Seen) -> None:
    assert frames([stream]) == seen
    assert frames([stream[at : at + 1] for at in range(len(stream))]) == seen


def test_nothing_carries_over_from_one_event_to_the_next() -> None:
    assert frames([b"event: a\ndata: 1\n\ndata: 2\n\n"]) == [(b"1", "a", ""), (b"2", "", "")]


# ── line ends, and where the bytes are cut ──────────────────────────────────────────────────

ENDS = (b"\n", b"\r\n", b"\r")


# CR and then LF are one line end.
PAIRS = [(first, second) for first in ENDS for second in ENDS if (first, second) != (b"\r", b"\n")]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_an_event_ends_at_any_two_line_ends(first: bytes, second: bytes) -> None:
    stream = b"data: a" + first + second + b"data: b" + first + second
    seen = [(b"a", "", ""), (b"b", "", "")]
    for place in range(len(stream) + 1):
        assert frames(cut(stream, [place])) == seen


def test_a_line_end_that_is_torn_in_two_stays_one() -> None:
    assert frames([b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n"]) == [(b"a\nb", "", "")]


def test_an_event_is_given_out_as_soon_as_it_is_certain() -> None:
    framer = SseFramer()
    assert framer.feed(b"data: a\n") == []
    assert [frame.data for frame in framer.feed(b"\n")] == [b"a"]
    assert [frame.data for frame in framer.feed(b"data: b\r\n\r\n")] == [b"b"]


LINE = st.one_of(
    st.sampled_from([b"", b":", b": comment", b"data", b"event: e", b"id: 1", b"retry: 5", b"other: x"]),
    st.binary(max_size=12).map(lambda text: b"data: " + text.replace(b"\n", b"").replace(b"\r", b"")),
    st.text(max_size=8).map(lambda text: b"data:" + text.replace("\n", "").replace("\r", "").encode()),
)
STREAM = st.lists(st.tuples(LINE, st.sampled_from(ENDS)), max_size=30).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(STREAM, st.lists(st.integers(0, 400), max_size=20))
def test_where_the_bytes_are_cut_never_matters(stream: bytes, places: list[int]) -> None:
    assert frames(cut(stream, places)) == frames([stream])


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=10))
def test_no_bytes_break_it_and_where_they_are_cut_never_matters(stream: bytes, places: list[int]) -> None:
    assert frames(cut(stream, places)) == frames([stream])


@given(st.lists(st.tuples(LINE, st.sampled_from(ENDS)), max_size=20))
def test_every_line_end_means_the_same(lines: list[tuple[bytes, bytes]]) -> None:
    # An empty line begun by LF behind a CR would be read as the rest of CRLF, so the mix avoids it.
    mixed = b"".join(line + (b"\r\n" if end == b"\r" else end) for line, end in lines)
    plain = b"".join(line + b"\n" for line, _ in lines)
    old = b"".join(line + b"\r" for line, _ in lines)
    assert frames([mixed]) == frames([plain]) == frames([old])


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=10), max_size=6
    ),
    st.data(),
)
def test_texts_arrive_whole_even_when_a_character_is_torn(texts: list[str], data: st.DataObject) -> None:
    stream = "".join(f"data: {text}\n\n" for text in texts).encode()
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    assert [seen.decode() for seen, _, _ in frames(cut(stream, places))] == texts


# ── bounds ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("line", [b"data: " + b"x" * 65536, b": " + b"x" * 65536 + b"\n", b"x" * 65536])
def test_an_event_without_end_is_refused(line: bytes) -> None:
    framer = SseFramer()
    pieces = LARGEST_FRAME // len(line)
    for _ in range(pieces):
        assert framer.feed(line) == []
    with pytest.raises(UpstreamUndecodable, match=f"larger than {LARGEST_FRAME} bytes"):
        framer.feed(line * 2)


def test_a_large_event_below_the_bound_arrives_whole() -> None:
    text = b"y" * (LARGEST_FRAME - 100)
    framer = SseFramer()
    assert framer.feed(b"data: " + text) == []
    assert [frame.data for frame in framer.feed(b"\n\n")] == [text]


def test_many_small_events_are_no_large_one() -> None:
    framer = SseFramer()
    chunk = b"data: " + b"z" * 1000 + b"\n\n"
    total = sum(len(framer.feed(chunk * 100)) for _ in range(LARGEST_FRAME // len(chunk) // 100 + 2))
    assert total * len(chunk) > LARGEST_FRAME
