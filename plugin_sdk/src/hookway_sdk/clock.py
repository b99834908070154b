"""Time and chance as services, so that tests can turn the clock and load the dice."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> float:
        """Return seconds since the Unix epoch; may jump when the machine's clock is set."""

    def monotonic(self) -> float:
        """Return seconds that only go forward; for durations and deadlines."""


class SystemClock:
    """The machine's clocks."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class Random(Protocol):
    """Where chance comes from (the surface of :class:`random.Random` that plugins use)."""

    def random(self) -> float:
        """Return a float in [0, 1)."""

    def uniform(self, a: float, b: float) -> float:
        """Return a float between ``a`` and ``b``."""

    def getrandbits(self, k: int, /) -> int:
        """Return ``k`` random bits."""
