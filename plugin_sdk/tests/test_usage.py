"""Usage is merged as providers repeat it, added as calls follow each other, and never negative."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway_sdk import Usage
from hookway_sdk.usage import count

COUNTS = [one.name for one in msgspec.structs.fields(Usage) if one.name not in ("other", "estimated")]
NUMBERS = st.integers(0, 10**9)
USAGES = st.builds(
    Usage,
    **dict.fromkeys(COUNTS, NUMBERS),
    other=st.none() | st.dictionaries(st.sampled_from(["a", "b"]), NUMBERS),
    estimated=st.booleans(),
)


@given(USAGES, USAGES)
def test_observing_keeps_the_larger_of_each_count(first: Usage, second: Usage) -> None:
    seen = first.copy()
    seen.observe(second)
    for name in COUNTS:
        assert getattr(seen, name) == max(getattr(first, name), getattr(second, name))
    for name in {*(first.other or {}), *(second.other or {})}:
        assert (seen.other or {})[name] == max(
            (first.other or {}).get(name, 0), (second.other or {}).get(name, 0)
        )
    assert seen.estimated is (first.estimated or second.estimated)


@given(USAGES, USAGES)
def test_observing_again_changes_nothing(first: Usage, second: Usage) -> None:
    seen = first.copy()
    seen.observe(second)
    again = seen.copy()
    again.observe(second)
    again.observe(first)
    assert again == seen


@given(USAGES, USAGES)
def test_adding_sums_every_count(first: Usage, second: Usage) -> None:
    total = first.copy()
    total.add(second)
    for name in COUNTS:
        assert getattr(total, name) == getattr(first, name) + getattr(second, name)
    names = {*(first.other or {}), *(second.other or {})}
    sums = {name: (first.other or {}).get(name, 0) + (second.other or {}).get(name, 0) for name in names}
    assert (total.other or {}) == sums


@given(USAGES, USAGES)
def test_the_other_usage_stays_as_it_was(first: Usage, second: Usage) -> None:
    before = second.copy()
    first.copy().observe(second)
    first.copy().add(second)
    assert second == before


@given(USAGES)
def test_a_copy_is_independent(usage: Usage) -> None:
    copied = usage.copy()
    copied.add(Usage(1, other={"a": 1}))
    copied.observe(Usage(output_tokens=10**10, other={"b": 10**10}))
    assert usage.input_tokens == copied.input_tokens - 1
    assert "b" not in (usage.other or {}) or usage.other["b"] <= 10**9


def test_the_other_counts_of_a_copy_are_its_own() -> None:
    usage = Usage(other={"searches": 1})
    copied = usage.copy()
    assert copied.other is not None
    copied.other["searches"] = 9
    assert usage.other == {"searches": 1}


def test_the_total_is_what_was_read_and_written() -> None:
    assert Usage(7, 5, cached_input_tokens=3, reasoning_tokens=2).total_tokens == 12


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (0, 0),
        (-5, 0),
        (2.9, 2),
        (-0.5, 0),
        (float("nan"), 0),
        (float("inf"), 0),
        (float("-inf"), 0),
        (True, 0),
        (None, 0),
        ("5", 0),
        ([], 0),
        ({}, 0),
        (10**30, 2**53 - 1),
        (1e300, 2**53 - 1),
    ],
)
def test_a_count_is_a_natural_number_or_nothing(value: object, expected: int) -> None:
    assert count(value) == expected
    assert type(count(value)) is int


@pytest.mark.parametrize(
    ("usage", "known"),
    [(Usage(), False), (Usage(1), True), (Usage(0, 1), True), (Usage(other={"searches": 1}), True)],
)
def test_usage_without_any_count_was_not_reported(usage: Usage, known: bool) -> None:
    assert usage.known is known
