"""Turns are counted in the shared state: across workers, reloads and changing sets of targets."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hookway_plugins.strategy_round_robin import RoundRobinStrategy
from hookway_plugins.strategy_round_robin import plugin as module
from hookway_plugins.strategy_round_robin.turns import LIFETIME, PROLONG_AGAIN, PROLONG_EVERY, counter_key
from hookway_sdk import Candidate, NoSettings, StateUnavailable
from hookway_sdk.state import CompareAndSet, Increment, Op, Result, State
from hookway_sdk.testing import (
    FakeClock,
    RecordingServices,
    ScriptedRandom,
    StrategyContract,
    make_candidate,
    make_exchange,
    make_services,
)

GROUP = "id-of-a-group"


class TestContract(StrategyContract):
    plugin = RoundRobinStrategy


class WatchedState:
    """A state that notes every operation, can be away, and lets other workers in between two batches."""

    def __init__(self, inner: State) -> None:
        self.inner = inner
        self.ops: list[Op] = []
        self.away = False
        self.between: Op | None = None

    async def apply(self, ops: Sequence[Op]) -> tuple[Result, ...]:
        if self.away:
            raise StateUnavailable("gone")
        if self.ops and self.between is not None:
            await self.inner.apply((self.between,))
        self.ops += ops
        return await self.inner.apply(ops)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def watched(**options: Any) -> tuple[RecordingServices, WatchedState]:
    clock = FakeClock()
    state = WatchedState(make_services(clock=clock).state)
    return make_services("strategy_round_robin", state=state, clock=clock, **options), state


def make(services: RecordingServices | None = None) -> RoundRobinStrategy:
    return RoundRobinStrategy("strategy_round_robin", NoSettings(), services or make_services())


def targets(**weights: int) -> list[Candidate]:
    return [
        make_candidate(name, weight=weight, position=position)
        for position, (name, weight) in enumerate(weights.items())
    ]


async def names(strategy: RoundRobinStrategy, tier: Sequence[Candidate], group: str = GROUP) -> str:
    order = await strategy.order(make_exchange(candidates=tier), group, tier)
    return "".join(one.name for one in order)


async def firsts(
    strategy: RoundRobinStrategy, tier: Sequence[Candidate], count: int, group: str = GROUP
) -> str:
    return "".join([(await names(strategy, tier, group))[0] for _ in range(count)])


async def test_turns_are_smooth_and_exact_over_every_cycle() -> None:
    strategy, tier = make(), targets(a=5, b=1, c=1)
    assert await firsts(strategy, tier, 21) == "aabacaa" * 3


async def test_the_order_walks_forward_from_the_winner_and_around() -> None:
    strategy, tier = make(), targets(a=1, b=1, c=1, d=1)
    assert [await names(strategy, tier) for _ in range(5)] == ["abcd", "bcda", "cdab", "dabc", "abcd"]


async def test_a_tuple_is_a_tier_too() -> None:
    assert await names(make(), tuple(targets(a=1, b=2))) == "ba"


# ── what is counted together, and what apart ────────────────────────────────────────────────


async def test_two_workers_take_turns_together() -> None:
    services = make_services("strategy_round_robin")
    one, other = make(services), make(make_services("strategy_round_robin", state=services.state))
    seen = ""
    for _ in range(7):
        # Each worker has candidates of its own, made from its own snapshot.
        seen += await firsts(one, targets(a=5, b=1, c=1), 1)
        seen += await firsts(other, targets(a=5, b=1, c=1), 1)
    assert seen == "aabacaa" * 2


async def test_a_reload_goes_on_where_the_last_instance_was() -> None:
    services = make_services("strategy_round_robin")
    tier = targets(a=3, b=2, c=1)
    undisturbed = await firsts(make(), tier, 12)
    seen = ""
    for _ in range(12):
        seen += await firsts(make(make_services("strategy_round_robin", state=services.state)), tier, 1)
    assert seen == undisturbed


async def test_a_set_that_comes_back_goes_on_where_it_was() -> None:
    strategy, whole = make(), targets(a=1, b=1, c=1)
    without_b = [whole[0], whole[2]]
    assert await firsts(strategy, whole, 2) == "ab"
    assert await firsts(strategy, without_b, 3) == "aca"
    assert await firsts(strategy, whole, 2) == "ca"
    assert await firsts(strategy, without_b, 1) == "c"


async def test_sets_that_alternate_starve_nobody() -> None:
    """One counter for all sets, or one that starts anew with each, would always choose the same target."""
    strategy, whole = make(), targets(a=1, b=1, c=1)
    pair = whole[:2]
    in_whole, in_pair = "", ""
    for _ in range(30):
        in_whole += await firsts(strategy, whole, 1)
        in_pair += await firsts(strategy, pair, 1)
    assert Counter(in_whole) == {"a": 10, "b": 10, "c": 10}
    assert Counter(in_pair) == {"a": 15, "b": 15}


async def test_groups_tiers_and_weights_are_counted_apart() -> None:
    strategy = make()
    assert await firsts(strategy, targets(a=1, b=1), 1) == "a"
    assert await firsts(strategy, targets(a=1, b=1), 1, "another group") == "a"
    higher = [make_candidate(name, priority=1, position=place) for place, name in enumerate("ab")]
    assert await firsts(strategy, higher, 1) == "a"
    assert await firsts(strategy, targets(a=2, b=1), 1) == "a"
    assert await firsts(strategy, targets(a=1, b=1), 1) == "b"


def test_the_key_of_a_counter_is_the_same_in_every_process() -> None:
    assert counter_key("g", 0, (("a", 1), ("b", 2))) == "g:0:fec4aba37d2c22f2b354"
    assert len(counter_key("g" * 1000, 0, ())) < 200


async def test_requests_at_the_same_time_have_different_turns() -> None:
    strategy, tier = make(), targets(a=1, b=1, c=1, d=1)
    orders = await asyncio.gather(*(names(strategy, tier) for _ in range(8)))
    assert Counter(order[0] for order in orders) == {"a": 2, "b": 2, "c": 2, "d": 2}


# ── what it asks of the state ───────────────────────────────────────────────────────────────


async def test_a_turn_costs_one_operation() -> None:
    services, state = watched()
    strategy, tier = make(services), targets(a=1, b=1)
    await firsts(strategy, tier, 1)
    state.ops.clear()
    await firsts(strategy, tier, 20)
    assert [type(op) for op in state.ops] == [Increment] * 20


async def test_a_counter_in_use_is_never_forgotten() -> None:
    services = make_services("strategy_round_robin")
    strategy, tier = make(services), targets(a=3, b=2, c=1)
    undisturbed = await firsts(make(), tier, 40)
    seen = ""
    for _ in range(40):
        seen += await firsts(strategy, tier, 1)
        services.clock.advance(LIFETIME / 10)
    assert seen == undisturbed


async def test_a_counter_that_nobody_uses_is_forgotten_in_a_day() -> None:
    services = make_services("strategy_round_robin")
    strategy, tier = make(services), targets(a=1, b=1, c=1)
    assert await firsts(strategy, tier, 2) == "ab"
    services.clock.advance(LIFETIME + 1)
    assert await firsts(strategy, tier, 1) == "a"


async def test_prolonging_loses_no_turn_of_another_worker() -> None:
    services, state = watched()
    strategy, tier = make(services), targets(a=1, b=1, c=1)
    await firsts(strategy, tier, 1)
    (key,) = {op.key for op in state.ops}
    services.clock.advance(PROLONG_EVERY)
    state.ops.clear()
    state.between = Increment(key, 1, LIFETIME)
    assert await firsts(strategy, tier, 1) == "b"
    assert [type(op) for op in state.ops] == [Increment, CompareAndSet]
    state.between = None
    # The other worker took the third turn; what failed is tried again soon, but not with every request.
    state.ops.clear()
    assert await firsts(strategy, tier, 2) == "ab"
    assert [type(op) for op in state.ops] == [Increment, Increment]
    services.clock.advance(PROLONG_AGAIN)
    assert await firsts(strategy, tier, 2) == "ca"
    assert [type(op) for op in state.ops[2:]] == [Increment, CompareAndSet, Increment]
    # That went well, so there is an hour until the next.
    state.ops.clear()
    services.clock.advance(PROLONG_EVERY - 1)
    await firsts(strategy, tier, 1)
    assert [type(op) for op in state.ops] == [Increment]


async def test_a_worker_keeps_a_bounded_number_of_sets() -> None:
    strategy, tier = make(), targets(a=1, b=1)
    for number in range(module.MOST_SETS + 50):
        await firsts(strategy, tier, 1, f"group-{number}")
    assert len(strategy._sets) == module.MOST_SETS
    assert await firsts(strategy, tier, 1, "group-0") == "b"


# ── without a state ─────────────────────────────────────────────────────────────────────────


async def test_without_a_state_the_start_is_drawn_by_weight() -> None:
    services, state = watched(random=ScriptedRandom([n / 7 for n in range(7)]))
    state.away = True
    assert Counter(await firsts(make(services), targets(a=5, b=1, c=1), 7)) == {"a": 5, "b": 1, "c": 1}


async def test_a_state_that_is_away_is_told_once_a_minute_and_counted() -> None:
    services, state = watched()
    strategy, tier = make(services), targets(a=1, b=1)
    state.away = True
    await firsts(strategy, tier, 3)
    services.clock.advance(61)
    await firsts(strategy, tier, 2)
    lines = [(line.event, line.fields["requests"]) for line in services.log.lines]
    assert lines == [("round_robin_at_random", 1), ("round_robin_at_random", 3)]
    assert services.log.lines[0].fields["error"] == "gone"
    assert services.metrics.value("round_robin_random_starts_total") == 5


async def test_turns_go_on_when_the_state_is_back() -> None:
    services, state = watched()
    strategy, tier = make(services), targets(a=1, b=1, c=1)
    assert await firsts(strategy, tier, 1) == "a"
    state.away = True
    await firsts(strategy, tier, 5)
    state.away = False
    assert await firsts(strategy, tier, 2) == "bc"


async def test_a_state_that_vanishes_while_a_counter_is_prolonged_costs_nothing() -> None:
    services, state = watched()
    tier = targets(a=1, b=1)

    class GoneAfterOne(WatchedState):
        async def apply(self, ops: Sequence[Op]) -> tuple[Result, ...]:
            results = await super().apply(ops)
            self.away = True
            return results

    services.state = GoneAfterOne(state)
    assert await firsts(make(services), tier, 1) == "a"
    assert services.log.lines == []
