"""What takes from the budget, what it allows, and what happens while the state is away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway_plugins.resilience_retry_budget import RetryBudget
from hookway_plugins.resilience_retry_budget.retry_windows import RetryWindows
from hookway_plugins.resilience_retry_budget.settings import RetryBudgetSettings
from hookway_sdk import (
    Attempt,
    ClientDisconnected,
    Decision,
    Exchange,
    GatewayError,
    LimitExceeded,
    Next,
    Retry,
    StateUnavailable,
    Stop,
    UpstreamRefused,
    UpstreamTimeout,
    walker,
)
from hookway_sdk.attempts import AttemptKind
from hookway_sdk.state import MAX_COUNT, Op, PostOp, Result, State
from hookway_sdk.testing import (
    FakeClock,
    RecordingServices,
    ResilienceContract,
    make_candidate,
    make_exchange,
    make_model,
    make_services,
)

AGAIN = Retry(0.25)


class TestContract(ResilienceContract):
    plugin = RetryBudget


class ClosableState:
    """A state that can be away; as a store over a network does, it then keeps posts for when it is back."""

    def __init__(self, inner: State) -> None:
        self.inner = inner
        self.away = False
        self.refuses_posts = False
        self.kept: list[PostOp] = []

    async def apply(self, ops: Sequence[Op]) -> tuple[Result, ...]:
        if self.away:
            raise StateUnavailable("gone")
        self.inner.post(self.kept)
        self.kept = []
        return await self.inner.apply(ops)

    def post(self, ops: Sequence[PostOp]) -> None:
        if self.refuses_posts:
            raise StateUnavailable("no store")
        if self.away:
            self.kept += ops
        else:
            self.inner.post(ops)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Worker:
    """A plugin and what the core does around it.

    Args:
        settings: of the plugin.
        beside: another worker, whose state and clock this one shares.
    """

    def __init__(self, beside: Worker | None = None, **settings: Any) -> None:
        clock = FakeClock() if beside is None else beside.services.clock
        inner: State = make_services(clock=clock).state if beside is None else beside.state.inner
        self.state: ClosableState = ClosableState(inner)
        self.services: RecordingServices = make_services(
            "resilience_retry_budget", state=self.state, clock=clock
        )
        read = walker.convert(settings, RetryBudgetSettings)
        self.plugin = RetryBudget("resilience_retry_budget", read, self.services)

    async def begin(self) -> Worker:
        await self.plugin.start()
        return self

    def ended(
        self,
        *,
        dispatched: bool = True,
        proposed: Decision | None = AGAIN,
        remaining: int = 0,
        exchange: Exchange | None = None,
        further: AttemptKind = "retry",
        error: GatewayError | None = None,
    ) -> Exchange:
        """Let the next attempt of a request end."""
        exchange = exchange or make_exchange(model=make_model("fast"))
        index = len(exchange.attempts)
        kind: AttemptKind = further if index else "initial"
        attempt = Attempt(index, kind, make_candidate(), self.services.clock.monotonic())
        attempt.dispatched = dispatched
        failed = UpstreamRefused(503, "busy") if dispatched else LimitExceeded("rpm")
        attempt.error = failed if error is None else error
        attempt.remaining = remaining
        exchange.attempt = attempt
        exchange.attempts.append(attempt)
        self.plugin.ended(exchange, attempt)
        attempt.proposed = proposed
        return exchange

    async def judged(self, exchange: Exchange) -> Decision | None:
        assert exchange.attempt is not None
        return await self.plugin.judge(exchange, exchange.attempt)

    async def allowed(self, count: int, **options: Any) -> int:
        """Let the first attempt of so many requests fail; return how many may go on."""
        decisions = [await self.judged(self.ended(**options)) for _ in range(count)]
        assert all(one is None or isinstance(one, Stop) for one in decisions)
        return decisions.count(None)

    def succeed(self, count: int) -> None:
        for _ in range(count):
            self.ended()

    def tick(self) -> None:
        self.services.tasks.run_ticks()


async def worker(beside: Worker | None = None, **settings: Any) -> Worker:
    return await Worker(beside, **settings).begin()


# ── how much ────────────────────────────────────────────────────────────────────────────────


async def test_retries_are_a_share_of_the_first_attempts() -> None:
    busy = await worker(ratio=0.2, min_per_second=0)
    busy.succeed(100)
    assert await busy.allowed(50) == 30


async def test_first_attempts_count_before_and_after_they_are_posted_and_never_twice() -> None:
    busy = await worker(ratio=0.5, min_per_second=0)
    busy.succeed(10)
    busy.tick()
    busy.succeed(10)
    assert await busy.allowed(40) == 30
    busy.tick()
    busy.tick()
    assert await busy.allowed(1) == 0
    assert await busy.allowed(1) == 1


async def test_a_little_is_always_allowed() -> None:
    quiet = await worker(ratio=0, min_per_second=0.5, window="20s")
    assert await quiet.allowed(30) == 10


async def test_a_budget_of_nothing_forbids_every_retry() -> None:
    strict = await worker(ratio=0, min_per_second=0)
    strict.succeed(1000)
    assert await strict.allowed(10) == 0


async def test_what_was_taken_comes_back_when_the_window_has_passed() -> None:
    quiet = await worker(ratio=0, min_per_second=1, window=10)
    assert await quiet.allowed(20) == 10
    quiet.services.clock.advance(9.9)
    assert await quiet.allowed(5) == 0
    quiet.services.clock.advance(0.5)
    assert await quiet.allowed(20) == 10


async def test_first_attempts_allow_retries_for_one_window() -> None:
    busy = await worker(ratio=1, min_per_second=0, window=10)
    busy.succeed(50)
    busy.tick()
    busy.services.clock.advance(10.5)
    assert await busy.allowed(5) == 5
    # Each of those five allowed one; the fifty are no longer there.
    late = busy.ended()
    assert [await busy.judged(late) for _ in range(2)] == [None, Stop()]


@given(
    ratio=st.floats(0, 10),
    per_second=st.floats(0, 1_000_000),
    window=st.floats(1, 3600),
    firsts=st.integers(0, MAX_COUNT),
)
def test_any_settings_make_a_limit_that_a_store_takes(
    ratio: float, per_second: float, window: float, firsts: int
) -> None:
    settings = RetryBudgetSettings(ratio=ratio, min_per_second=per_second, window=window)
    limit = RetryWindows(make_services().state, settings).limit(firsts)
    exact = ratio * firsts + per_second * window
    assert 0 <= limit <= MAX_COUNT
    assert limit <= exact + 1e-6 or limit == MAX_COUNT
    assert limit > exact - 1 or limit == MAX_COUNT


@pytest.mark.parametrize(
    ("ratio", "firsts", "limit"), [(0.29, 100, 29), (0.1, 30, 3), (0.2, 4, 0), (0.2, 5, 1)]
)
def test_a_limit_is_rounded_down(ratio: float, firsts: int, limit: int) -> None:
    settings = RetryBudgetSettings(ratio=ratio, min_per_second=0)
    assert RetryWindows(make_services().state, settings).limit(firsts) == limit


# ── what takes from it ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("proposed", "remaining"), [(AGAIN, 0), (AGAIN, 2), (Next(), 1)], ids=str)
async def test_a_retry_and_a_fallback_take_one(proposed: Decision, remaining: int) -> None:
    strict = await worker(ratio=0, min_per_second=0)
    assert await strict.judged(strict.ended(proposed=proposed, remaining=remaining)) == Stop()


@pytest.mark.parametrize(
    ("proposed", "remaining", "dispatched"),
    [(Stop(), 2, True), (Next(), 0, True), (None, 2, True), (Next(), 2, False), (AGAIN, 2, False)],
    ids=str,
)
async def test_what_costs_no_upstream_load_takes_nothing(
    proposed: Decision | None, remaining: int, dispatched: bool
) -> None:
    small = await worker(ratio=0, min_per_second=0.1, window=10)
    for _ in range(20):
        asked = small.ended(proposed=proposed, remaining=remaining, dispatched=dispatched)
        assert await small.judged(asked) is None
    assert await small.allowed(2) == 1


async def test_a_request_counts_once_however_often_it_is_tried() -> None:
    busy = await worker(ratio=1, min_per_second=0)
    asked = busy.ended()
    assert await busy.judged(asked) is None
    assert await busy.judged(busy.ended(exchange=asked)) == Stop()


async def test_a_request_whose_first_target_was_over_its_limit_counts_with_the_second() -> None:
    busy = await worker(ratio=1, min_per_second=0)
    asked = busy.ended(dispatched=False, proposed=Next())
    assert await busy.judged(asked) is None
    assert await busy.judged(busy.ended(exchange=asked)) is None
    assert await busy.judged(busy.ended(exchange=asked)) == Stop()


async def fall_back(busy: Worker, error: GatewayError | None = None) -> Decision | None:
    """Let a request fail at its first target and its second; return what is said about a third."""
    asked = busy.ended(proposed=Next(), remaining=2)
    assert await busy.judged(asked) is None
    return await busy.judged(
        busy.ended(exchange=asked, further="fallback", proposed=Next(), remaining=1, error=error)
    )


async def test_fallbacks_of_a_request_take_from_the_budget_when_it_was_not_answered() -> None:
    busy = await worker(ratio=0, min_per_second=2, window=1)
    for _ in range(10):  # those that their third target answers
        assert await fall_back(busy) is None
    asked = busy.ended(proposed=Next(), remaining=1)
    assert await busy.judged(asked) is None
    last = busy.ended(exchange=asked, further="fallback", proposed=Next())
    assert await busy.judged(last) is None, "it was the last target; there is nothing to forbid"
    assert await fall_back(busy) == Stop(), "one of two is taken, and this would be the third"


@pytest.mark.parametrize(
    "error",
    [ClientDisconnected(), UpstreamTimeout(9000, stage="request")],
    ids=["client left", "out of time"],
)
async def test_fallbacks_before_the_one_that_nobody_waited_for_were_in_vain(error: GatewayError) -> None:
    busy = await worker(ratio=0, min_per_second=2, window=1)
    asked = busy.ended(proposed=Next(), remaining=3)
    for last in (None, error):
        busy.ended(exchange=asked, further="fallback", proposed=Next(), remaining=2, error=last)
    assert await fall_back(busy) == Stop()


# ── who shares it ───────────────────────────────────────────────────────────────────────────


async def test_workers_share_one_budget() -> None:
    one = await worker(ratio=0, min_per_second=1)
    other = await worker(one, ratio=0, min_per_second=1)
    assert await one.allowed(6) == 6
    assert await other.allowed(6) == 4


async def test_the_traffic_of_one_worker_allows_retries_of_another() -> None:
    one = await worker(ratio=0.1, min_per_second=0)
    other = await worker(one, ratio=0.1, min_per_second=0)
    one.succeed(100)
    assert await other.allowed(1) == 0
    one.tick()
    assert await other.allowed(20) == 12


async def test_a_reload_gives_no_new_budget() -> None:
    before = await worker(ratio=0.1, min_per_second=0.5)
    before.succeed(100)
    assert await before.allowed(100) == 25
    before.tick()  # as it is called a last time at the end
    after = await worker(before, ratio=0.1, min_per_second=0.5)
    assert await after.allowed(5) == 0


# ── what operators see ──────────────────────────────────────────────────────────────────────


async def test_what_is_refused_is_counted_by_model_and_told_once_a_minute() -> None:
    strict = await worker(ratio=0, min_per_second=0)
    await strict.allowed(3)
    strict.services.clock.advance(60)
    await strict.allowed(1)
    assert strict.services.metrics.value("retry_budget_exhausted_total", "fast") == 4
    told = [(line.level, line.event, line.fields) for line in strict.services.log.lines]
    assert told == [
        ("warning", "retry_budget_exhausted", {"times": 1, "model": "fast"}),
        ("warning", "retry_budget_exhausted", {"times": 3, "model": "fast"}),
    ]


@pytest.mark.parametrize(
    "settings",
    [{"ratio": -0.1}, {"ratio": 11}, {"min_per_second": -1}, {"window": 0}, {"window": "2h"}],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    assert walker.check(settings, RetryBudgetSettings)


# ── without a state ─────────────────────────────────────────────────────────────────────────


async def test_without_a_state_a_worker_keeps_to_the_budget_of_its_own_traffic() -> None:
    busy = await worker(ratio=0.2, min_per_second=1)
    busy.succeed(50)
    busy.tick()
    busy.state.away = True
    busy.succeed(20)
    assert await busy.allowed(80) == 40
    busy.tick()
    assert await busy.allowed(1) == 0
    assert busy.services.log.events() == ["retry_budget_not_shared", "retry_budget_exhausted"]
    assert busy.services.log.lines[0].fields == {"times": 1, "error": "gone"}


async def test_retries_before_the_state_went_away_count_after_it() -> None:
    busy = await worker(ratio=0, min_per_second=1)
    assert await busy.allowed(8) == 8
    busy.state.away = True
    assert await busy.allowed(8) == 2


async def test_a_long_outage_allows_no_flood_of_retries_when_the_state_is_back() -> None:
    """Though the store keeps posts: first attempts of an hour must not count in one window."""
    busy = await worker(ratio=0.2, min_per_second=1, window=10)
    busy.state.away = True
    for _ in range(60):
        await busy.allowed(100)
        busy.tick()
        busy.services.clock.advance(1)
    busy.state.away = False
    assert await busy.allowed(100) <= 30


async def test_the_shared_budget_counts_again_once_the_state_is_back() -> None:
    one = await worker(ratio=0.5, min_per_second=0)
    other = await worker(one, ratio=0.5, min_per_second=0)
    one.state.away = True
    assert await one.allowed(10) == 5
    one.tick()
    one.state.away = False
    assert await one.allowed(10) == 5
    one.succeed(10)
    one.tick()
    assert await other.allowed(10) == 10


async def test_no_store_at_all_is_no_failure() -> None:
    busy = await worker(ratio=0.5, min_per_second=0)
    busy.state.away = busy.state.refuses_posts = True
    busy.succeed(10)
    busy.tick()
    assert await busy.allowed(10) == 10
    busy.tick()
    assert await busy.allowed(2) == 1
