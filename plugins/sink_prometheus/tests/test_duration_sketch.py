"""Quantiles told from a sketch are within 5 % of the true ones."""

from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway_plugins.sink_prometheus.sketch import (
    BOUNDS,
    HIGHEST,
    LOWEST,
    QUANTILES,
    Sketch,
    merge,
    quantiles,
    value_of,
)

durations = st.lists(st.floats(LOWEST, HIGHEST), min_size=1, max_size=400)


def sketch_of(seen: list[float]) -> Sketch:
    found: Sketch = {}
    for one in seen:
        bucket = bisect_left(BOUNDS, one)
        found[bucket] = found.get(bucket, 0) + 1
    return found


def nearest_rank(seen: list[float], quantile: float) -> float:
    return sorted(seen)[max(1, math.ceil(quantile * len(seen))) - 1]


@given(durations)
def test_every_quantile_is_within_five_percent(seen: list[float]) -> None:
    for (quantile, _), told in zip(QUANTILES, quantiles(sketch_of(seen)), strict=True):
        assert told == pytest.approx(nearest_rank(seen, quantile), rel=0.05)


@given(durations)
def test_quantiles_ascend(seen: list[float]) -> None:
    told = quantiles(sketch_of(seen))
    assert told == sorted(told)


@given(durations, durations)
def test_a_merged_sketch_is_the_sketch_of_all(left: list[float], right: list[float]) -> None:
    merged = sketch_of(left)
    merge(merged, sketch_of(right))
    assert merged == sketch_of(left + right)


@given(st.floats(LOWEST, HIGHEST))
def test_the_value_of_a_bucket_is_near_everything_in_it(one: float) -> None:
    assert value_of(bisect_left(BOUNDS, one)) == pytest.approx(one, rel=0.05)


@pytest.mark.parametrize(("one", "told"), [(0.0, LOWEST), (-1.0, LOWEST), (LOWEST / 2, LOWEST)])
def test_what_is_shorter_than_the_lowest_counts_as_the_lowest(one: float, told: float) -> None:
    assert quantiles(sketch_of([one])) == [told] * len(QUANTILES)


def test_what_is_longer_than_the_highest_counts_as_about_the_highest() -> None:
    assert quantiles(sketch_of([HIGHEST * 1000]))[0] == pytest.approx(HIGHEST, rel=0.2)
