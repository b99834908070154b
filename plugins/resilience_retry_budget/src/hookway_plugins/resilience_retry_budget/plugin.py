"""Bound retries to a share of the traffic, so that a storm cannot double the load."""

from __future__ import annotations

from hookway_plugins.resilience_retry_budget.repeated_warning import RepeatedWarning
from hookway_plugins.resilience_retry_budget.retry_windows import IN_VAIN, RETRIES, RetryWindows
from hookway_plugins.resilience_retry_budget.settings import RetryBudgetSettings
from hookway_sdk import (
    Attempt,
    ClientDisconnected,
    Decision,
    Exchange,
    Next,
    Resilience,
    Retry,
    Services,
    StateUnavailable,
    Stop,
    priorities,
)
from hookway_sdk.memory_state import MemoryState

NEXT, STOP = Next(), Stop()


class RetryBudget(Resilience[RetryBudgetSettings]):
    """Bound retries to a share of the traffic, so that a storm cannot double the load.

    A retry at the same target is taken from the budget before it is made. Fallbacks to other targets have a
    budget of the same size, which is charged when one was in vain: while a healthy target takes over from a
    sick one, nobody should see an error; where all of them are sick, fallbacks end as retries do.

    All workers share one budget in ``services.state``. Each also counts its own traffic in its memory, and
    judges by that while the state does not answer.
    """

    # In `judge` the first answer counts. Behind a plugin that answers Retry, the budget would never be asked.
    priority = priorities.EARLY

    def __init__(self, name: str, settings: RetryBudgetSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._shared = RetryWindows(services.state, settings)
        self._own = RetryWindows(MemoryState(services.clock), settings)
        self._fresh = 0
        self._away_until = 0.0
        self._exhausted = services.metrics.counter(
            "retry_budget_exhausted_total",
            "Failed attempts after which nothing further was tried, since the retry budget was used up.",
            ("model",),
        )
        self._warn_exhausted = RepeatedWarning("retry_budget_exhausted", services.log, services.clock)
        self._warn_away = RepeatedWarning("retry_budget_not_shared", services.log, services.clock)

    async def start(self) -> None:
        """Begin to count the traffic."""
        self.services.tasks.on_tick(self._count)

    async def judge(self, exchange: Exchange, attempt: Attempt) -> Decision | None:
        """Stop where the budget is used up; otherwise leave the decision to others."""
        proposed = attempt.proposed
        if not attempt.dispatched:
            return None
        if isinstance(proposed, Stop) or (isinstance(proposed, Next) and not attempt.remaining):
            return None
        if isinstance(proposed, Retry) and await self._ask(retry=True):
            return None
        if attempt.remaining and await self._ask(retry=False):
            # A retry that there is no budget for: the next target may be well.
            return NEXT if isinstance(proposed, Retry) else None
        model = exchange.model.name
        self._exhausted.add(1.0, model)
        self._warn_exhausted.note(model=model)
        return STOP

    def ended(self, exchange: Exchange, attempt: Attempt) -> None:
        """Count the first attempt of a request that reached an upstream, and fallbacks that were in vain."""
        if not attempt.dispatched:
            return
        if attempt.index == 0 or is_first(exchange, attempt):
            self._fresh += 1
        elif attempt.kind == "fallback" and attempt.error is not None:
            if not isinstance(attempt.error, ClientDisconnected):
                self._count_in_vain()

    async def _ask(self, *, retry: bool) -> bool:
        # Read before anything waits: what a tick posts meanwhile is not in the figure that comes back.
        fresh = self._fresh
        windows = self._shared
        try:
            allowed = await (windows.retry(fresh) if retry else windows.may_fall_back(fresh))
        except StateUnavailable as error:
            self._note_away(error)
            return await (self._own.retry(fresh) if retry else self._own.may_fall_back(fresh))
        self._away_until = 0.0
        if allowed and retry:
            self._own.count(RETRIES)
        return allowed

    def _count_in_vain(self) -> None:
        self._own.count(IN_VAIN)
        if self.services.clock.monotonic() >= self._away_until:
            try:
                self._shared.count(IN_VAIN)
            except StateUnavailable as error:
                self._note_away(error)

    def _count(self) -> None:
        """Count the first attempts since the last tick, here and for all."""
        fresh = self._fresh
        if not fresh:
            return
        self._fresh = 0
        self._own.count_first(fresh)
        if self.services.clock.monotonic() < self._away_until:
            return
        try:
            self._shared.count_first(fresh)
        except StateUnavailable as error:
            self._note_away(error)

    def _note_away(self, error: StateUnavailable) -> None:
        # A store keeps posts for when it is back. All the first attempts of an outage would then count in one
        # window, and allow retries for all of them at once.
        self._away_until = self.services.clock.monotonic() + self.settings.window
        self._warn_away.note(error=error.detail or error.message)


def is_first(exchange: Exchange, attempt: Attempt) -> bool:
    """Say whether nothing was sent before an attempt (earlier targets were over limits of their own)."""
    return not any(one.dispatched for one in exchange.attempts[: attempt.index])
