"""A clock that a test turns, and dice that a test loads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class FakeClock:
    """A :class:`~hookway_sdk.clock.Clock` that stands still until it is told to move.

    Args:
        now: what the wall clock shows at first, in seconds since the epoch.
        monotonic: what the other clock shows at first, in seconds.
    """

    def __init__(self, now: float = 1_700_000_000.0, monotonic: float = 1_000.0) -> None:
        self._now = now
        self._monotonic = monotonic

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that only go forward."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks.

        Raises:
            ValueError: time would go backwards; use :meth:`jump` to set the wall clock back.
        """
        if not seconds >= 0:
            raise ValueError(f"time cannot advance by {seconds} seconds; use jump to set the wall clock back")
        self._now += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forth, or back by a negative number; the monotonic clock does not notice."""
        self._now += seconds


class ScriptedRandom:
    """A :class:`~hookway_sdk.clock.Random` that gives the numbers it was told, in order.

    Args:
        values: numbers in [0, 1); each call takes one, whichever method it is.
    """

    def __init__(self, values: Iterable[float]) -> None:
        self._values = deque(values)
        for value in self._values:
            if not 0 <= value < 1:
                raise ValueError(f"{value} is not in [0, 1)")

    def random(self) -> float:
        """Return the next number.

        Raises:
            LookupError: there is none left.
        """
        if not self._values:
            raise LookupError("the script of random numbers is used up; give it as many as the code draws")
        return self._values.popleft()

    def uniform(self, a: float, b: float) -> float:
        """Return the next number, stretched over ``a`` to ``b``."""
        return a + (b - a) * self.random()

    def getrandbits(self, k: int, /) -> int:
        """Return the next number, stretched over the integers of ``k`` bits."""
        return int(self.random() * (1 << k))
