"""What answers say of limits: ``x-ratelimit-*``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from hookway_sdk import Exchange

_SUFFIXES = {"requests": "requests", "tokens": "tokens", "concurrency": "concurrent"}
_SECONDS = tuple(f"{number}s" for number in range(121))
"""The usual values of a reset, written once."""


class Shown(msgspec.Struct, frozen=True, eq=False):
    """The headers of one dimension.

    Args:
        dimension: ``requests``, ``tokens`` or ``concurrency``.
        places: where its limits stand in the plan.
        only: the place, where there is one alone, -1 otherwise.
        limits: the header line of each limit, by place.
        remaining: name of the header that says what is left.
        line: where that one stands among the headers, if there are no others.
        reset: name of the header that says when the window is empty, ``""`` where there is no window.
    """

    dimension: str
    places: tuple[int, ...]
    only: int
    limits: dict[int, tuple[str, str]]
    remaining: str
    line: int
    reset: str


def shown_of(bounds: Sequence[tuple[str, int]]) -> tuple[Shown, ...]:
    """Return the headers for limits, which are given as dimension and figure."""
    found: list[Shown] = []
    for dimension, suffix in _SUFFIXES.items():
        places = tuple(place for place, (one, _) in enumerate(bounds) if one == dimension)
        if places:
            found.append(
                Shown(
                    dimension,
                    places,
                    places[0] if len(places) == 1 else -1,
                    {place: (f"x-ratelimit-limit-{suffix}", str(bounds[place][1])) for place in places},
                    f"x-ratelimit-remaining-{suffix}",
                    # The ones before it have three lines each, and concurrency comes last.
                    3 * len(found) + 1,
                    "" if dimension == "concurrency" else f"x-ratelimit-reset-{suffix}",
                )
            )
    return tuple(found)


def write(shown: Sequence[Shown], results: Sequence[Any], exchange: Exchange) -> None:
    """Write the headers of a gate's results."""
    lines: list[tuple[str, str]] = []
    for one in shown:
        place = one.only
        if place < 0:
            place = least(one.places, results)
        result = results[place]
        if one.reset:
            seconds = math.ceil(result.reset_seconds)
            reset = _SECONDS[seconds] if seconds <= 120 else f"{seconds}s"
            lines += (one.limits[place], (one.remaining, str(result.remaining)), (one.reset, reset))
        else:
            lines += (one.limits[place], (one.remaining, str(max(0, result.limit - result.used))))
    if exchange.reply_headers:
        for name, value in lines:
            exchange.set_header(name, value)
    else:
        # Nothing stands there that could have one of these names, and figures break no head.
        exchange.reply_headers = lines


def correct(
    one: Shown, results: Sequence[Any], operations: Sequence[Any], used: int, exchange: Exchange
) -> None:
    """Say what is left after all: after a settlement, or after everything was given back.

    Args:
        one: the headers of the dimension.
        results: those that were written.
        operations: what they answer.
        used: what the request came to; they count its estimate.
    """
    place = one.only
    if place < 0:
        place = least(one.places, results)
    result = results[place]
    left = result.limit - result.used + getattr(operations[place], "amount", 1) - used
    line = (one.remaining, str(left if left > 0 else 0))
    lines, at = exchange.reply_headers, one.line
    if at < len(lines) and lines[at][0] == one.remaining:
        lines[at] = line
    else:
        exchange.set_header(*line)


def least(places: Sequence[int], results: Sequence[Any]) -> int:
    """Return the place of the limit of which the least share is left."""
    return min(places, key=lambda place: _share(results[place]))


def _share(result: Any) -> float:
    return (result.limit - result.used) / result.limit if result.limit else -math.inf
