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
    UpstreamTimeout,
    priorities,
)
from hookway_sdk.memory_state import MemoryState

NEXT, STOP = Next(), Stop()


class RetryBudget(Resilience[RetryBudgetSettings]):
    """Bound retries to a share of the traffic, so that a storm cannot double the load.

    A retry at the same target is taken from the budget before it is made. Fallbacks to other targets have a
    budget of the same size, which requests pay into that nobody answered: while a healthy target takes over
    from sick ones, nobody should see an error; where all of them are sick, fallbacks end as retries do.

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
        if isinstance(proposed, Stop):
            return None
        if isinstance(proposed, Next) and not attempt.remaining:
            self._count_in_vain(fallbacks(exchange))
            return None
        if not attempt.dispatched:
            return None
        if isinstance(proposed, Retry) and await self._ask_retry():
            return None
        made = fallbacks(exchange)
        if attempt.remaining and await self._ask_fallback(made):
            # A retry that there is no budget for: the next target may be well.
            return NEXT if isinstance(proposed, Retry) else None
        self._count_in_vain(made)
        model = exchange.model.name
        self._exhausted.add(1.0, model)
        self._warn_exhausted.note(model=model)
        return STOP

    def ended(self, exchange: Exchange, attempt: Attempt) -> None:
        """Count the first attempt of a request that reached an upstream."""
        if attempt.dispatched and (attempt.index == 0 or is_first(exchange, attempt)):
            self._fresh += 1
        elif isinstance(attempt.error, ClientDisconnected) or is_out_of_time(attempt):
            # Nobody judges what nobody waits for any more; the targets before this one were asked in vain.
            self._count_in_vain(fallbacks(exchange, attempt.index))

    async def _ask_retry(self) -> bool:
        # Read before anything waits: what a tick posts meanwhile is not in the figure that comes back.
        fresh = self._fresh
        try:
            allowed = await self._shared.retry(fresh)
        except StateUnavailable as error:
            self._note_away(error)
            return await self._own.retry(fresh)
        self._away_until = 0.0
        if allowed:
            self._own.count(RETRIES)
        return allowed

    async def _ask_fallback(self, made: int) -> bool:
        fresh = self._fresh
        try:
            allowed = await self._shared.may_fall_back(fresh, made)
        except StateUnavailable as error:
            self._note_away(error)
            return await self._own.may_fall_back(fresh, made)
        self._away_until = 0.0
        return allowed

    def _count_in_vain(self, made: int) -> None:
        if not made:
            return
        self._own.count(IN_VAIN, made)
        if self.services.clock.monotonic() >= self._away_until:
            try:
                self._shared.count(IN_VAIN, made)
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


def fallbacks(exchange: Exchange, before: int | None = None) -> int:
    """Return how many fallbacks a request was sent on, those from an attempt on left out."""
    return sum(one.kind == "fallback" and one.dispatched for one in exchange.attempts[:before])


def is_out_of_time(attempt: Attempt) -> bool:
    """Say whether an attempt ended because its request's time was over."""
    return isinstance(attempt.error, UpstreamTimeout) and attempt.error.stage == "request"
