"""A meter counts as a batch of operations would, whether it makes them or not."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookway_sdk import StateUnavailable, Usage
from hookway_sdk.memory_state import MemoryState
from hookway_sdk.meters import Bound, Grant, Meter, StateMeter, meter_of
from hookway_sdk.state import MAX_COUNT, Acquire, Hit, LeaseResult, Peek, Release, Shape, State, WindowResult
from hookway_sdk.testing import FakeClock

TTL = 30.0
SLOTS = Bound("slots", 3)
REQUESTS = Bound("rpm", 5, 60.0)
TOKENS = Bound("tpm", 1000, 60.0, counts="tokens")
ALL = (SLOTS, TOKENS, REQUESTS)


async def take(meter: Meter, tokens: int = 10, holder: str = "a") -> Grant:
    granted = meter.take(tokens, holder)
    return await granted if inspect.isawaitable(granted) else granted


class Both:
    """The same requests at two stores: one is metered by itself, the other by operations."""

    def __init__(self, bounds: Sequence[Bound] = ALL, **room: int) -> None:
        self.clock = FakeClock()
        self.bounds = bounds
        self.states = [MemoryState(self.clock, **room), MemoryState(self.clock, **room)]
        own = meter_of(self.states[0], bounds, TTL)
        assert not isinstance(own, StateMeter)
        self.meters: list[Meter] = [own, StateMeter(self.states[1], bounds, TTL)]
        self.grants: list[list[Grant]] = []

    async def take(self, tokens: int, holder: str) -> Grant:
        """Take of both; the answers have to agree."""
        pair = [await take(meter, tokens, holder) for meter in self.meters]
        assert pair[0].refused == pair[1].refused
        assert pair[0].wait == pytest.approx(pair[1].wait)
        if not pair[0].refused:
            self.grants.append(pair)
            for place in range(len(self.bounds)):
                (left, reset), (same, when) = [grant.figures()[place] for grant in pair]
                assert left == same
                if not self.bounds[place].overshoot:  # which counts nothing that would have to leave
                    assert reset == pytest.approx(when, abs=1e-5)
        await self.agree()
        return pair[0]

    async def over(self, number: int, used: int | None) -> None:
        """Settle or release a grant at both."""
        if self.grants:
            for grant in self.grants[number % len(self.grants)]:
                if used is None:
                    grant.release()
                else:
                    grant.settle(Usage(used, 0))
            await self.agree()

    async def agree(self) -> None:
        """Compare what both stores count."""
        seen = []
        for state in self.states:
            figures = []
            for bound in self.bounds:
                if bound.is_slots:
                    probe = Acquire(bound.key, "probe", MAX_COUNT, 1.0)
                    taken, _ = await state.apply((probe, Release(bound.key, "probe")))
                    assert isinstance(taken, LeaseResult)
                    figures.append(taken.used)
                else:
                    (window,) = await state.apply((Peek(bound.key, bound.limit, bound.seconds, bound.shape),))
                    assert isinstance(window, WindowResult)
                    figures.append(window.used)
            seen.append(figures)
        assert seen[0] == seen[1]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 1500)),
        st.tuples(st.just("settle"), st.integers(0, 8), st.integers(0, 2500)),
        st.tuples(st.just("release"), st.integers(0, 8)),
        st.tuples(st.just("wait"), st.floats(0, 70)),
        st.tuples(st.just("renew")),
        st.tuples(st.just("set_clock"), st.floats(-1000, 1000)),
    ),
    max_size=40,
)


@pytest.mark.parametrize("shape", list(Shape), ids=lambda one: one.value)
@pytest.mark.parametrize("overshoot", [False, True])
@given(steps=STEPS)
@settings(max_examples=120, deadline=None)
async def test_both_ways_count_alike(shape: Shape, overshoot: bool, steps: list[tuple[Any, ...]]) -> None:
    tokens = Bound("tpm", 1000, 60.0, counts="tokens", shape=shape, overshoot=overshoot)
    both = Both((SLOTS, tokens, Bound("rps", 3, 1.0, shape=shape), Bound("rpm", 5, 60.0, shape=shape)))
    for number, step in enumerate(steps):
        match step:
            case ("take", amount):
                await both.take(amount, f"holder-{number}")
            case ("settle", which, used):
                await both.over(which, used)
            case ("release", which):
                await both.over(which, None)
            case ("wait", seconds):
                both.clock.advance(seconds)
            case ("renew",):
                for meter in both.meters:
                    meter.renew()
            case ("set_clock", seconds):
                both.clock.jump(seconds)
    await both.agree()


async def test_a_refusal_takes_nothing_and_names_all_that_refused() -> None:
    both = Both((SLOTS, Bound("tpm", 15, 60.0, counts="tokens"), Bound("rpm", 1, 60.0)))
    await both.take(10, "a")
    refused = await both.take(10, "b")
    assert refused.refused == (1, 2)
    assert 59 < refused.wait < 62
    assert refused.figures()[2][1] == refused.wait
    refused.settle(Usage(500, 0))
    refused.release()
    await both.agree()
    assert [grant.figures()[0][0] for grant in both.grants[0]] == [2, 2]


async def test_only_slots_that_refuse_say_no_time() -> None:
    both = Both((Bound("slots", 1),))
    await both.take(1, "a")
    refused = await both.take(1, "b")
    assert (refused.refused, refused.wait) == ((0,), 0.0)


async def test_a_grant_is_over_once() -> None:
    both = Both()
    await both.take(10, "a")
    await both.over(0, 700)
    for again in (None, 100, 900):
        await both.over(0, again)
    assert both.grants[0][0].figures()[1][0] == 300


async def test_slots_are_prolonged_while_their_holders_live() -> None:
    both = Both()
    await both.take(1, "stays")
    await both.take(1, "ends")
    await both.over(1, 0)
    for _ in range(5):
        both.clock.advance(TTL - 1)
        for meter in both.meters:
            meter.renew()
    assert both.grants[0][0].figures()[0][0] == 2
    both.clock.advance(TTL + 1)
    assert both.grants[0][0].figures()[0][0] == 3


async def test_what_is_left_is_asked_for_when_somebody_wants_to_know() -> None:
    state = MemoryState(FakeClock())
    meter = meter_of(state, ALL, TTL)
    first, second = await take(meter, 100, "a"), await take(meter, 100, "b")
    assert [first.figures()[place][0] for place in range(3)] == [1, 800, 3]
    second.settle(Usage(40, 60))
    assert [first.figures()[place][0] for place in range(3)] == [2, 800, 3]
    second.release()
    first.release()
    assert [second.figures()[place][0] for place in range(3)] == [3, 900, 4]


async def test_a_forgotten_window_is_opened_again() -> None:
    clock = FakeClock()
    state = MemoryState(clock)
    meter = meter_of(state, ALL, TTL)
    grant = await take(meter, 100, "a")
    clock.advance(1000)
    for number in range(200):  # enough new keys that every entry is looked at
        await state.apply((Hit(f"other-{number}", 1, 1.0),))
        clock.advance(0.1)
    grant.settle(Usage(500, 0))
    again = await take(meter, 100, "b")
    assert again.figures()[1][0] == 1000 - 400 - 100


async def test_a_full_store_admits_nobody_and_keeps_nothing() -> None:
    clock = FakeClock()
    state = MemoryState(clock, max_keys=2)
    meter = meter_of(state, ALL, TTL)
    with pytest.raises(StateUnavailable, match="full"):
        await take(meter, 100, "a")
    clock.advance(200)
    roomy = MemoryState(clock, max_keys=3)
    assert not (await take(meter_of(roomy, ALL, TTL), 100, "a")).refused


async def test_room_is_made_before_a_request_is_turned_away() -> None:
    clock = FakeClock()
    state = MemoryState(clock, max_keys=3)
    for number in range(3):
        await state.apply((Hit(f"old-{number}", 5, 1.0),))
    clock.advance(10)
    assert not (await take(meter_of(state, ALL, TTL), 100, "a")).refused


async def test_a_state_without_a_meter_of_its_own_is_asked_with_operations() -> None:
    inner = MemoryState(FakeClock())

    class Plain:
        epoch = 1

        def __init__(self) -> None:
            self.asked: list[Any] = []

        async def apply(self, ops: Any) -> Any:
            self.asked += ops
            return await inner.apply(ops)

        def post(self, ops: Any) -> None:
            self.asked += ops
            inner.post(ops)

        async def flush(self) -> None: ...

        async def ping(self) -> None: ...

        def scope(self, name: str) -> State:
            return self

    state = Plain()
    meter = meter_of(state, ALL, TTL)
    grant = await take(meter, 100, "a")
    meter.renew()
    grant.settle(Usage(30, 0))
    kinds = [type(one).__name__ for one in state.asked]
    assert kinds == ["Acquire", "Hit", "Hit", "Renew", "Release", "Adjust"]
