"""Texts know where they stand, and masks replace what they say and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway_sdk import Span, Text, TextSlot
from hookway_sdk.texts import apply_mask

TEXTS = st.text(max_size=30)


@st.composite
def masked(draw: st.DrawFn, *, disjoint: bool) -> tuple[str, list[Span]]:
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=8)))
    pairs = ((a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False) if a < b)
    if not disjoint:
        pairs = ((min(a, b), max(a, b)) for a, b in draw(_pairs(len(text))))
    return text, [Span(start, end, draw(st.text("*#", max_size=3))) for start, end in pairs]


def _pairs(length: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    return st.lists(st.tuples(st.integers(0, length), st.integers(0, length)), max_size=6)


@given(masked(disjoint=True))
def test_disjoint_spans_are_replaced_where_they_stand(example: tuple[str, list[Span]]) -> None:
    text, spans = example
    expected, last = [], 0
    for span in spans:
        expected += [text[last : span.start], span.replacement]
        last = span.end
    assert apply_mask(text, spans) == "".join([*expected, text[last:]])


@given(masked(disjoint=False))
def test_no_masked_character_survives_and_every_other_does(example: tuple[str, list[Span]]) -> None:
    text, spans = example
    hidden = {place for span in spans for place in range(span.start, span.end)}
    marked = [Span(span.start, span.end, "") for span in spans]
    assert apply_mask(text, marked) == "".join(one for place, one in enumerate(text) if place not in hidden)


@given(masked(disjoint=False))
def test_the_order_of_spans_with_different_places_does_not_matter(example: tuple[str, list[Span]]) -> None:
    text, spans = example
    by_place = {(span.start, span.end): span for span in spans}
    assert apply_mask(text, [*by_place.values()]) == apply_mask(text, [*by_place.values()][::-1])


def test_of_overlapping_spans_the_earliest_replacement_stands() -> None:
    assert apply_mask("0123456789", [Span(4, 8, "late"), Span(2, 6, "early")]) == "01early89"


def test_a_span_within_another_disappears() -> None:
    assert apply_mask("0123456789", [Span(2, 8, "whole"), Span(3, 4, "part")]) == "01whole89"


def test_spans_that_touch_are_both_replaced() -> None:
    assert apply_mask("0123", [Span(0, 2, "a"), Span(2, 4, "b")]) == "ab"


def test_an_insertion_before_a_replacement_stands() -> None:
    assert apply_mask("ab", [Span(0, 1, "X"), Span(0, 0, "-")]) == "-Xb"


def test_an_empty_span_inserts() -> None:
    assert apply_mask("ab", [Span(1, 1, "-")]) == "a-b"
    assert apply_mask("", [Span(0, 0, "-")]) == "-"


def test_no_spans_change_nothing() -> None:
    assert apply_mask("text", []) == "text"


def test_offsets_count_characters() -> None:
    assert apply_mask("\U0001f600\u00e9 1234", [Span(3, 7, "****")]) == "\U0001f600\u00e9 ****"


@pytest.mark.parametrize("span", [Span(-1, 2, ""), Span(2, 1, ""), Span(0, 5, ""), Span(5, 5, "")])
def test_a_span_outside_the_text_is_refused(span: Span) -> None:
    with pytest.raises(ValueError, match="outside a text of 4 characters"):
        apply_mask("text", [span])


def test_a_text_is_a_string_that_knows_where_it_stands() -> None:
    text = Text.of(TextSlot("/messages/0/content", "hello", "content", "user"), "input")
    assert text == "hello"
    assert text.upper() == "HELLO"
    assert (text.pointer, text.channel, text.role, text.direction) == (
        "/messages/0/content",
        "content",
        "user",
        "input",
    )


def test_a_slot_takes_another_text() -> None:
    slot = TextSlot("/a", "before", "other")
    slot.replace("after")
    assert (slot.text, slot.role) == ("after", "")
