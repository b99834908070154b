"""What answers say of limits: ``x-ratelimit-*``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import ceil

import msgspec

from hookway_sdk import Exchange
from hookway_sdk.meters import Grant

_SUFFIXES = {"requests": "requests", "tokens": "tokens", "concurrency": "concurrent"}


class Shown(msgspec.Struct, frozen=True, eq=False):
    """The headers of one dimension.

    Args:
        places: where its limits stand in the plan.
        limits: their figures, by place.
        lines: by place, the line of the limit and the beginning of the next, which says what is left.
        seconds: lengths of their windows, by place.
        reset: the beginning of the line that says when the window is empty, ``""`` where there is no window.
    """

    places: tuple[int, ...]
    limits: dict[int, int]
    lines: dict[int, str]
    seconds: dict[int, float]
    reset: str


def shown_of(bounds: Sequence[tuple[str, int, float]]) -> tuple[Shown, ...]:
    """Return the headers for limits, which are given as dimension, figure and length of the window."""
    found: list[Shown] = []
    for dimension, suffix in _SUFFIXES.items():
        limits = {place: limit for place, (one, limit, _) in enumerate(bounds) if one == dimension}
        if limits:
            lines = {
                place: f"\r\nx-ratelimit-limit-{suffix}: {limit}\r\nx-ratelimit-remaining-{suffix}: "
                for place, limit in limits.items()
            }
            reset = "" if dimension == "concurrency" else f"\r\nx-ratelimit-reset-{suffix}: "
            seconds = {place: bounds[place][2] for place in limits}
            found.append(Shown(tuple(limits), limits, lines, seconds, reset))
    return tuple(found)


def header_lines(shown: Sequence[Shown], grant: Grant) -> str:
    """Return the lines for an answer, with the figures of this moment.

    Of several limits of a dimension, the one of which the least share is left is told.
    """
    lines = ""
    figures = grant.figures()
    for one in shown:
        places = one.places
        place = places[0] if len(places) == 1 else least(one, figures)
        left, reset = figures[place]
        if one.reset:
            # A window moves in steps, and counts for one longer than it is; nobody wants to read 61 s.
            longest = one.seconds[place]
            seconds = ceil(reset if reset < longest else longest)
            lines += f"{one.lines[place]}{left}{one.reset}{seconds}s"
        else:
            lines += f"{one.lines[place]}{left}"
    return lines


def tell(exchange: Exchange, shown: Sequence[Shown], grant: Grant) -> None:
    """Let an answer say what is left, in place of anything that says so already (another instance)."""
    if exchange.head_writers or exchange.reply_headers:
        prefix = "x-ratelimit-"
        others = [one for one in exchange.reply_headers if not one[0].lower().startswith(prefix)]
        exchange.reply_headers = others
        writers = exchange.head_writers
        exchange.head_writers = tuple(
            one for one in writers if not (isinstance(one, partial) and one.func is header_lines)
        )
    exchange.at_head(partial(header_lines, shown, grant))


def least(one: Shown, figures: Sequence[tuple[int, float]]) -> int:
    """Return the place of the limit of which the least share is left."""
    limits = one.limits
    return min(one.places, key=lambda place: figures[place][0] / limits[place] if limits[place] else -1.0)
