"""The windows of a budget in one store: first attempts, retries, and fallbacks that were in vain."""

from __future__ import annotations

from hookway_plugins.resilience_retry_budget.settings import RetryBudgetSettings
from hookway_sdk.state import MAX_COUNT, Hit, Peek, State, WindowResult

FIRST = "first"
"""Key of the window that counts the first attempt of every request."""
RETRIES = "retries"
"""Key of the window that counts retries."""
IN_VAIN = "in_vain"
"""Key of the window that counts fallbacks of requests that nobody answered."""
ROUNDING = 1e-6
"""Added before a limit is rounded down, so that 0.29 of 100 is 29."""


class RetryWindows:
    """A budget as one store counts it.

    Args:
        state: the store.
        settings: how much is allowed.
    """

    __slots__ = ("_allowance", "_first", "_in_vain", "_ratio", "_seconds", "_state")

    def __init__(self, state: State, settings: RetryBudgetSettings) -> None:
        self._state = state
        self._ratio = settings.ratio
        self._seconds = settings.window
        self._allowance = settings.min_per_second * settings.window
        self._first = Peek(FIRST, 0, settings.window)
        self._in_vain = Peek(IN_VAIN, 0, settings.window)

    def count_first(self, amount: int) -> None:
        """Count first attempts.

        Raises:
            StateUnavailable: there is no store.
        """
        self._state.post((Hit(FIRST, MAX_COUNT, self._seconds, amount),))

    def count(self, which: str, amount: int = 1) -> None:
        """Count a retry that was allowed elsewhere, or fallbacks that were in vain."""
        self._state.post((Hit(which, MAX_COUNT, self._seconds, amount),))

    async def retry(self, fresh: int) -> bool:
        """Take one retry out of the budget; say whether there was one.

        Args:
            fresh: first attempts that this worker has not yet counted in the store.

        Raises:
            StateUnavailable: the store does not answer.
        """
        (first,) = await self._state.apply((self._first,))
        assert isinstance(first, WindowResult)
        (taken,) = await self._state.apply((Hit(RETRIES, self.limit(first.used + fresh), self._seconds),))
        return taken.allowed

    async def may_fall_back(self, fresh: int, made: int) -> bool:
        """Say whether fewer fallbacks than the budget allows were in vain (see :meth:`retry`).

        Args:
            made: those that the request made already, which may turn out to have been in vain.
        """
        first, in_vain = await self._state.apply((self._first, self._in_vain))
        assert isinstance(first, WindowResult)
        assert isinstance(in_vain, WindowResult)
        return in_vain.used + made < self.limit(first.used + fresh)

    def limit(self, firsts: int) -> int:
        """Return how many retries, or fallbacks in vain, may go with so many first attempts in one window."""
        return min(int(self._ratio * firsts + self._allowance + ROUNDING), MAX_COUNT)
