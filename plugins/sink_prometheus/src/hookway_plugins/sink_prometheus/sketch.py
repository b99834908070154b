"""A sketch of durations: counts in fixed logarithmic buckets, from which quantiles are told within 5 %."""

from __future__ import annotations

import math
from collections.abc import Mapping

GROWTH = 1.1
"""How much larger a bucket's upper bound is than the one before it."""

LOWEST = 0.05
"""Milliseconds of the lowest bound; what is shorter counts as this long."""

HIGHEST = 10_000_000.0
"""Milliseconds (about three hours) up to which durations are told apart."""

BOUNDS: tuple[float, ...] = tuple(
    LOWEST * GROWTH**step for step in range(math.ceil(math.log(HIGHEST / LOWEST, GROWTH)) + 1)
)
"""Upper bounds in milliseconds; the bucket of a duration is ``bisect_left(BOUNDS, duration)``."""

Sketch = dict[int, int]
"""Counts by bucket. Most rows see durations within two orders of magnitude, so it holds what it has seen."""

QUANTILES: tuple[tuple[float, str], ...] = (
    (0.0, "0"),
    (0.5, "0.5"),
    (0.9, "0.9"),
    (0.95, "0.95"),
    (0.99, "0.99"),
    (0.999, "0.999"),
    (1.0, "1"),
)
"""Quantiles that summaries show, and how they are written."""


def value_of(bucket: int) -> float:
    """Return the milliseconds that stand for a bucket: the relative error is the same at both of its ends."""
    if bucket <= 0:
        return LOWEST
    upper = BOUNDS[min(bucket, len(BOUNDS) - 1)]
    return upper * 2 / (1 + GROWTH)


def quantiles(sketch: Mapping[int, int]) -> list[float]:
    """Return the milliseconds of each of :data:`QUANTILES` of a sketch that is not empty."""
    ordered = sorted(sketch.items())
    total = sum(sketch.values())
    found: list[float] = []
    place, below = 0, 0
    for quantile, _ in QUANTILES:
        rank = max(1, math.ceil(quantile * total))
        while below + ordered[place][1] < rank:
            below += ordered[place][1]
            place += 1
        found.append(value_of(ordered[place][0]))
    return found


def merge(into: Sketch, sketch: Mapping[int, int]) -> None:
    """Add the counts of another sketch."""
    for bucket, count in sketch.items():
        into[bucket] = into.get(bucket, 0) + count
