"""Whose turn it is: exact shares over a cycle, and bounds on how far they are off within it."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway_plugins.strategy_round_robin.smooth_schedule import LONGEST_CYCLE, SmoothSchedule, small_weights

WEIGHTS = st.lists(st.integers(1, 60), min_size=1, max_size=12)


def turns(*weights: int) -> list[int]:
    schedule = SmoothSchedule(weights)
    return [schedule.winner(position) for position in range(schedule.cycle)]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((5, 1, 1), "aabacaa"),
        ((4, 2, 1), "abacaba"),
        ((1, 1, 1), "abc"),
        ((1, 3), "babb"),
        ((10, 20), "bab"),
        ((7,), "a"),
    ],
)
def test_the_heaviest_goes_first_and_its_turns_are_spread(weights: tuple[int, ...], expected: str) -> None:
    assert "".join("abc"[one] for one in turns(*weights)) == expected


@given(WEIGHTS)
def test_each_target_has_exactly_its_share_of_a_cycle(weights: list[int]) -> None:
    cycle = turns(*weights)
    counts = Counter(cycle)
    for index, weight in enumerate(weights):
        assert Fraction(counts[index], len(cycle)) == Fraction(weight, sum(weights))


@given(WEIGHTS)
def test_no_target_is_further_ahead_or_behind_than_proven(weights: list[int]) -> None:
    """What a target is owed, n * w / W - turns, stays within these bounds at every n.

    Ahead: what all are owed sums to one turn before each is given, so the winner was owed at least 1 / k.
    Behind: by induction the j that are owed most are owed at most 1/(j+1) + ... + 1/k on average, since
    either the winner is among them and gives back what all of them gained, or it was owed more than any.
    """
    number, total = len(weights), sum(weights)
    ahead = 1 - Fraction(1, number)
    behind = sum((Fraction(1, one) for one in range(2, number + 1)), Fraction(0))
    counts = [0] * number
    for position, winner in enumerate(turns(*weights), start=1):
        counts[winner] += 1
        for weight, count in zip(weights, counts, strict=True):
            assert -ahead <= Fraction(position * weight, total) - count <= behind


def test_five_targets_can_be_behind_by_more_than_one_turn() -> None:
    """So the bound above is not simply one turn."""
    weights = (55, 1, 55, 1, 3)
    total = sum(weights)
    counts = [0] * len(weights)
    most = Fraction(0)
    for position, winner in enumerate(turns(*weights), start=1):
        counts[winner] += 1
        owed = (
            Fraction(position * weight, total) - count for weight, count in zip(weights, counts, strict=True)
        )
        most = max(most, *owed)
    assert most > 1


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=12))
def test_a_cycle_is_never_much_longer_than_the_longest(weights: list[int]) -> None:
    small = small_weights(weights)
    assert len(small) == len(weights)
    assert min(small) >= 1
    assert sum(small) <= LONGEST_CYCLE + len(weights)


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=12))
def test_a_share_that_was_scaled_down_is_off_by_thousandths(weights: list[int]) -> None:
    small = small_weights(weights)
    for weight, scaled in zip(weights, small, strict=True):
        assert abs(Fraction(weight, sum(weights)) - Fraction(scaled, sum(small))) < Fraction(3, 1000)


def test_weights_that_reduce_are_never_scaled() -> None:
    assert small_weights([3_000_000, 1_000_000]) == [3, 1]
    assert small_weights([1] * 10_000) == [1] * 10_000


def test_a_light_target_has_a_turn_beside_a_very_heavy_one() -> None:
    counts = Counter(turns(10**9, 1))
    assert counts == {0: LONGEST_CYCLE, 1: 1}


def test_a_long_cycle_is_worked_out_only_as_far_as_it_is_asked_for() -> None:
    schedule = SmoothSchedule([1009 + 2 * one for one in range(50)])
    schedule.winner(2)
    assert len(schedule._winners) == 3
