"""What answers say of limits: ``x-ratelimit-*``."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import msgspec

from hookway_sdk import Exchange
from hookway_sdk.meters import Grant

_SUFFIXES = {"requests": "requests", "tokens": "tokens", "concurrency": "concurrent"}


class Shown(msgspec.Struct, frozen=True, eq=False):
    """The headers of one dimension.

    Args:
        places: where its limits stand in the plan.
        only: the place, where there is one alone, -1 otherwise.
        limits: their figures, by place.
        lines: by place, the line of the limit and the beginning of the next, which says what is left, and the
            length of its window in seconds.
        reset: the beginning of the line that says when the window is empty, ``""`` where there is no window.
    """

    places: tuple[int, ...]
    only: int
    limits: dict[int, int]
    lines: dict[int, tuple[str, float]]
    reset: str


def shown_of(bounds: Sequence[tuple[str, int, float]]) -> tuple[Shown, ...]:
    """Return the headers for limits, which are given as dimension, figure and length of the window."""
    found: list[Shown] = []
    for dimension, suffix in _SUFFIXES.items():
        limits = {place: limit for place, (one, limit, _) in enumerate(bounds) if one == dimension}
        if limits:
            lines = {
                place: (
                    f"\r\nx-ratelimit-limit-{suffix}: {limit}\r\nx-ratelimit-remaining-{suffix}: ",
                    bounds[place][2],
                )
                for place, limit in limits.items()
            }
            reset = "" if dimension == "concurrency" else f"\r\nx-ratelimit-reset-{suffix}: "
            places = tuple(limits)
            only = places[0] if len(places) == 1 else -1
            found.append(Shown(places, only, limits, lines, reset))
    return tuple(found)


class HeaderLines:
    """The lines of one answer, with the figures of the moment at which they are written.

    Args:
        shown: the headers of the plan.
        grant: what the request took.
    """

    __slots__ = ("_grant", "_shown")

    def __init__(self, shown: Sequence[Shown], grant: Grant) -> None:
        self._shown = shown
        self._grant = grant

    def __call__(self) -> str:
        """Return them; of several limits of a dimension, the one of which the least share is left is told."""
        lines = ""
        figures = self._grant.figures()
        for one in self._shown:
            place = one.only
            if place < 0:
                place = least(one, figures)
            left, reset = figures[place]
            begun, longest = one.lines[place]
            if one.reset:
                # A window moves in steps, and counts for one longer than it is; nobody wants to read 61 s.
                lines += f"{begun}{left}{one.reset}{ceil(reset if reset < longest else longest)}s"
            else:
                lines += f"{begun}{left}"
        return lines


def drop_older(exchange: Exchange) -> None:
    """Drop what says already what is left: another instance's lines, or somebody's headers."""
    headers = exchange.reply_headers
    exchange.reply_headers = [one for one in headers if not one[0].lower().startswith("x-ratelimit-")]
    writers = exchange.head_writers
    exchange.head_writers = tuple(one for one in writers if not isinstance(one, HeaderLines))


def least(one: Shown, figures: Sequence[tuple[int, float]]) -> int:
    """Return the place of the limit of which the least share is left."""
    limits = one.limits
    return min(one.places, key=lambda place: figures[place][0] / limits[place] if limits[place] else -1.0)
