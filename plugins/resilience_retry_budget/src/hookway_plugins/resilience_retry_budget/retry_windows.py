"""The two windows of a budget in one store: first attempts, and those beyond them."""

from __future__ import annotations

from hookway_plugins.resilience_retry_budget.settings import RetryBudgetSettings
from hookway_sdk.state import MAX_COUNT, Hit, Peek, State, WindowResult

FIRST = "first"
"""Key of the window that counts the first attempt of every request."""
FURTHER = "further"
"""Key of the window that counts retries and fallbacks."""
ROUNDING = 1e-6
"""Added before a limit is rounded down, so that 0.29 of 100 is 29."""


class RetryWindows:
    """A budget as one store counts it.

    Args:
        state: the store.
        settings: how much is allowed.
    """

    __slots__ = ("_allowance", "_look", "_ratio", "_seconds", "_state")

    def __init__(self, state: State, settings: RetryBudgetSettings) -> None:
        self._state = state
        self._ratio = settings.ratio
        self._seconds = settings.window
        self._allowance = settings.min_per_second * settings.window
        self._look = (Peek(FIRST, 0, settings.window),)

    def count_first(self, amount: int) -> None:
        """Count first attempts.

        Raises:
            StateUnavailable: there is no store.
        """
        self._state.post((Hit(FIRST, MAX_COUNT, self._seconds, amount),))

    def count_further(self) -> None:
        """Count one retry or fallback that was allowed elsewhere."""
        self._state.post((Hit(FURTHER, MAX_COUNT, self._seconds),))

    async def take(self, fresh: int) -> bool:
        """Take one retry or fallback out of the budget; say whether there was one.

        Args:
            fresh: first attempts that this worker has not yet counted in the store.

        Raises:
            StateUnavailable: the store does not answer.
        """
        (seen,) = await self._state.apply(self._look)
        assert isinstance(seen, WindowResult)
        (taken,) = await self._state.apply((Hit(FURTHER, self.limit(seen.used + fresh), self._seconds),))
        return taken.allowed

    def limit(self, firsts: int) -> int:
        """Return how many retries and fallbacks may go with so many first attempts in one window."""
        return min(int(self._ratio * firsts + self._allowance + ROUNDING), MAX_COUNT)
