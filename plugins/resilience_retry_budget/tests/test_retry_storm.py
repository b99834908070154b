"""A storm, simulated: thousands of requests to upstreams of which none answers."""

from __future__ import annotations

import pytest

from hookway_plugins.resilience_retry_budget import RetryBudget
from hookway_plugins.resilience_retry_budget.settings import RetryBudgetSettings
from hookway_sdk import Attempt, Candidate, Decision, Exchange, Next, Retry, Stop, UpstreamRefused
from hookway_sdk.attempts import AttemptKind
from hookway_sdk.state import SUB_WINDOWS
from hookway_sdk.testing import FakeClock, make_candidate, make_exchange, make_model, make_services

RETRIES = 2
WINDOW = 10.0
RING = WINDOW * (SUB_WINDOWS + 1) / SUB_WINDOWS
"""How long an attempt counts at most: for its window and one step of it."""
STEP = 0.05
"""Seconds between two ticks; the requests of a step come at once."""
MODEL = make_model("fast")
TARGETS = [make_candidate(f"target-{number}", position=number) for number in range(3)]


class Traffic:
    """A gateway of some workers in front of three targets, each tried up to three times.

    Attributes:
        firsts: requests so far.
        further: retries and fallbacks so far.
        answered: requests that a target answered.
        healthy: targets that answer even in a storm.
    """

    def __init__(self, workers: int = 1, **settings: float) -> None:
        self.clock = FakeClock()
        state = make_services(clock=self.clock).state
        self._services = [
            make_services("resilience_retry_budget", state=state, clock=self.clock) for _ in range(workers)
        ]
        read = RetryBudgetSettings(window=WINDOW, **settings)
        self._plugins = [RetryBudget("resilience_retry_budget", read, one) for one in self._services]
        self.firsts = self.further = self.answered = 0
        self.healthy: tuple[Candidate, ...] = ()

    async def run(self, seconds: float, rate: int, *, fails: bool) -> None:
        """Let requests come for a while, in even steps with a tick after each."""
        if not self._services[0].tasks.ticking:
            for plugin in self._plugins:
                await plugin.start()
        asked = 0
        for step in range(round(seconds / STEP)):
            due = round((step + 1) * rate * STEP)
            while asked < due:
                await self._request(self._plugins[asked % len(self._plugins)], fails)
                asked += 1
            for services in self._services:
                services.tasks.run_ticks()
            self.clock.advance(STEP)

    async def _request(self, plugin: RetryBudget, fails: bool) -> None:
        exchange = make_exchange(model=MODEL, candidates=TARGETS, request=REQUEST)
        position = tries = 0
        while True:
            decision = await self._attempt(plugin, exchange, position, tries, fails)
            if isinstance(decision, Stop):
                return
            if isinstance(decision, Retry):
                tries += 1
            else:
                position, tries = position + 1, 0
            if position == len(TARGETS):
                return

    async def _attempt(
        self, plugin: RetryBudget, exchange: Exchange, position: int, tries: int, fails: bool
    ) -> Decision:
        index = len(exchange.attempts)
        kind: AttemptKind = "retry" if tries else "fallback" if index else "initial"
        attempt = Attempt(index, kind, TARGETS[position], self.clock.monotonic())
        attempt.dispatched = True
        attempt.remaining = len(TARGETS) - position - 1
        exchange.attempts.append(attempt)
        exchange.attempt = attempt
        if index:
            self.further += 1
        else:
            self.firsts += 1
        sick = fails and TARGETS[position] not in self.healthy
        attempt.error = UpstreamRefused(503, "busy") if sick else None
        plugin.ended(exchange, attempt)
        if not sick:
            self.answered += 1
            return Stop()
        attempt.proposed = Retry() if tries < RETRIES else Next()
        return await plugin.judge(exchange, attempt) or attempt.proposed


REQUEST = make_exchange().request


async def test_a_storm_grows_the_load_by_the_ratio_and_the_allowance() -> None:
    traffic = Traffic(ratio=0.2, min_per_second=10)
    seconds = 3 * RING
    await traffic.run(seconds, 1_000, fails=True)
    assert traffic.firsts >= 30_000
    # Retries, and fallbacks in vain.
    assert traffic.further <= 2 * (0.2 * traffic.firsts + 10 * seconds)
    # It is spent, too: a budget that allowed next to nothing would pass the line above.
    assert traffic.further > 0.9 * (0.2 * traffic.firsts + 10 * seconds)


async def test_without_a_budget_the_load_would_be_nine_times_what_was_asked_for() -> None:
    traffic = Traffic(ratio=10, min_per_second=0)
    await traffic.run(1, 100, fails=True)
    assert traffic.firsts + traffic.further == 9 * traffic.firsts


async def test_no_window_of_a_storm_holds_more_than_the_limit() -> None:
    traffic = Traffic(ratio=0.2, min_per_second=1)
    await traffic.run(10, 200, fails=False)
    taken = []
    for _ in range(60):
        before = traffic.further
        await traffic.run(0.5, 200, fails=True)
        taken.append(traffic.further - before)
    windows = [sum(taken[start : start + 20]) for start in range(len(taken) - 20)]
    limit = 2 * (0.2 * 200 * (RING + STEP) + 1 * WINDOW)
    assert max(windows) <= limit
    assert min(windows) > 0.5 * limit


async def test_workers_together_keep_to_one_budget() -> None:
    traffic = Traffic(workers=4, ratio=0.2, min_per_second=10)
    seconds = RING
    await traffic.run(seconds, 400, fails=True)
    assert traffic.further <= 2 * (0.2 * traffic.firsts + 10 * seconds)
    assert traffic.further > 0.9 * (0.2 * traffic.firsts + 10 * seconds)


async def test_retries_are_free_again_after_the_storm() -> None:
    traffic = Traffic(ratio=0.2, min_per_second=1)
    await traffic.run(15, 200, fails=True)
    # A request that fails now has next to nothing left.
    await traffic.run(RING, 200, fails=False)
    before = traffic.further
    await traffic.run(0.5, 100, fails=True)
    assert traffic.further - before == 50 * 8


async def test_a_gateway_with_little_traffic_retries_as_often_as_it_likes() -> None:
    traffic = Traffic()
    await traffic.run(60, 1, fails=True)
    assert (traffic.firsts, traffic.further) == (60, 60 * 8)


@pytest.mark.parametrize("healthy", [1, 2])
async def test_nobody_sees_an_error_while_another_target_takes_over(healthy: int) -> None:
    traffic = Traffic(ratio=0.2, min_per_second=1)
    traffic.healthy = (TARGETS[healthy],)
    # Retries at the sick target are bounded, and the way to the healthy one stays open.
    await traffic.run(20, 500, fails=True)
    assert traffic.answered == traffic.firsts == 10_000
