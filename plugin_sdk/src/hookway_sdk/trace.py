"""Why a request went the way it went; kept only where someone asked for it."""

from __future__ import annotations

import msgspec


class TraceEntry(msgspec.Struct, frozen=True):
    """One thing that happened.

    Args:
        at: microseconds since the exchange began.
        phase: phase name, or ``core``.
        step: plugin, row or core part that acted.
        effect: what came of it (``allowed``, ``blocked``, ``excluded echo-2: cooling down``).
        micros: how long it took, -1 if it was not timed.
    """

    at: int
    phase: str
    step: str
    effect: str
    micros: int = -1


class Trace:
    """The entries of one exchange, in order; at most ``limit`` of them."""

    __slots__ = ("entries", "limit")

    def __init__(self, limit: int = 500) -> None:
        self.entries: list[TraceEntry] = []
        self.limit = limit

    def add(self, entry: TraceEntry) -> None:
        """Keep an entry unless the trace is full."""
        if len(self.entries) < self.limit:
            self.entries.append(entry)
