"""A budget of one token: whoever has used it up gets no more; and a limit of single targets."""

from __future__ import annotations

from typing import Any

from hookway_sdk import (
    Attempt,
    Budget,
    BudgetExceeded,
    Exchange,
    LimitExceeded,
    NoSettings,
    Reservation,
    Usage,
)
from hookway_sdk.state import Hit, Result, State
from matrix_plugins.controls import Controls


class Estimate(Reservation):
    """One token that was counted in advance."""

    def __init__(self, state: State, hit: Hit, result: Result) -> None:
        self._state = state
        self._hit = hit
        self._result = result

    def settle(self, usage: Usage) -> None:
        """Count what was really used."""
        self._state.post([self._hit.settle(self._result, usage.total_tokens)])

    def release(self) -> None:
        """Count nothing."""
        self._state.post([self._hit.settle(self._result, 0)])


def token_budget(controls: Controls) -> type[Budget[Any]]:
    """Return the budget."""

    class TokenBudget(Budget[NoSettings]):
        """Count tokens by key."""

        async def admit_request(self, exchange: Exchange) -> None:
            """Admit who has not used more than one token."""
            assert exchange.principal is not None
            hit = Hit(exchange.principal.key_id, 1, 60.0, overshoot=True)
            (result,) = await self.services.state.apply([hit])
            if not result.allowed:
                raise BudgetExceeded("the budget is used up", members={"limit": 1})
            exchange.reserve(Estimate(self.services.state, hit, result))

        async def admit_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
            """Refuse targets whose own limit is used up."""
            if attempt.candidate.name in controls.refused:
                raise LimitExceeded("requests", policy="target")

    return TokenBudget
