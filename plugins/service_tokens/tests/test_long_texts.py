"""Cutting and counting long texts, with a counter of characters."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hookway_plugins.service_tokens.long_texts import (
    PIECE,
    by_bytes,
    count_by_head,
    count_whole,
    cut,
    head_of,
    pieces,
)

ANY = st.text(alphabet=st.characters(codec=None), max_size=60)  # lone surrogates as well


@given(text=st.text(alphabet="ab \n", max_size=300), size=st.integers(1, 40))
def test_pieces_are_the_text_and_none_is_too_long(text: str, size: int) -> None:
    cuts = list(pieces(text, size))
    assert "".join(cuts) == text
    assert max(map(len, cuts)) <= size
    assert all(cuts) or text == ""


def test_a_cut_is_before_the_last_blank_that_follows_something() -> None:
    assert cut("aa bb cc", 0, 7) == 5
    assert cut("aa bb cc", 0, 5) == 5
    assert cut("aa bb   c", 0, 8) == 5
    assert cut("aa bb cc", 3, 5) == 5
    assert cut("aabbcc", 0, 4) == 4
    assert cut("      ", 0, 4) == 4
    assert cut("aa\n bb", 0, 5) == 5


def test_a_whole_text_is_counted_piece_by_piece() -> None:
    lengths: list[int] = []

    def count(text: str) -> int:
        lengths.append(len(text))
        return len(text)

    assert count_whole(count, "x" * (2 * PIECE + 1)) == 2 * PIECE + 1
    assert lengths == [PIECE, PIECE, 1]
    assert count_whole(count, "x" * PIECE) == PIECE
    assert lengths[3:] == [PIECE]


@given(text=ANY, limit=st.integers(4, 80))
@example(text="0000\x80", limit=4)
def test_a_head_is_the_longest_beginning_that_fits(text: str, limit: int) -> None:
    head = head_of(text, limit)
    assert text.startswith(head)

    def size(characters: int) -> int:
        return len(text[:characters].encode("utf-8", "surrogatepass"))

    assert size(len(head)) <= limit
    if head is text:
        assert size(len(text)) <= limit
    else:
        assert len(head) < len(text)
        assert size(len(head) + 1) > limit
        assert head


def test_the_rest_is_taken_to_be_like_the_head() -> None:
    assert count_by_head(len, "x" * 1000, "x" * 100) == 1000
    assert count_by_head(lambda text: len(text) // 4, "x" * 1000, "x" * 100) == 250


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("漢字", 2)])
def test_the_size_alone_is_four_bytes_a_token(text: str, tokens: int) -> None:
    assert by_bytes(text) == tokens


def test_a_lone_surrogate_has_a_size() -> None:
    assert by_bytes("\ud800" * 8) == 2
