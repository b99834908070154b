"""What every store promises about batches, posts, scopes and epochs."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import strategies as st

from hookway_sdk.clock import Clock
from hookway_sdk.state import (
    Acquire,
    Adjust,
    CompareAndSet,
    CountResult,
    Delete,
    Get,
    Hit,
    Increment,
    LeaseResult,
    Op,
    Peek,
    PostOp,
    Release,
    Renew,
    Result,
    Set,
    Shape,
    State,
    ValueResult,
    WindowResult,
)
from hookway_sdk.testing.state_trial import StateTrial, count, lease, promise, promise_for, value, window

_KEYS = ("a", "b")
_HOLDERS = ("x", "y", "z")
_WORDS = (
    *("hit", "aligned", "peek", "adjust", "acquire", "renew", "release"),
    *("get", "set", "delete", "increment", "compare"),
)
_SEEDS = st.lists(
    st.tuples(st.sampled_from(_WORDS), st.sampled_from(_KEYS), st.sampled_from(_HOLDERS), st.integers(0, 4)),
    min_size=1,
    max_size=5,
)


class BatchPromises(StateTrial):
    """All or nothing, in order."""

    @promise
    async def test_an_empty_batch_does_nothing(self, state: State, clock: Clock) -> None:
        assert await state.apply(()) == ()

    @promise
    async def test_one_refusal_undoes_every_kind_of_operation(self, state: State, clock: Clock) -> None:
        await self._fill(state)
        before = await self._observe(state)
        hit = Hit("a", 100, self.window, 3)
        reserved = await window(state, hit)
        await count(state, hit.settle(reserved, 0))

        results = await state.apply(
            (
                Hit("a", 100, self.window),
                Hit("b", 100, self.window, shape=Shape.ALIGNED),
                hit.settle(reserved, 50),
                Acquire("a", "z", 9, self.window),
                Renew("a", "x", 9 * self.window),
                Release("a", "y"),
                Set("a", b"new", self.window),
                Delete("b"),
                Increment("n", 4, self.window),
                CompareAndSet("fresh", None, b"1", self.window),
                Hit("full", 1, self.window, 2),
            )
        )

        assert [result.allowed for result in results] == [True] * 10 + [False]
        assert await self._observe(state) == before
        assert await value(state, Get("fresh")) is None
        assert await value(state, Get("n")) is None

    @promise
    async def test_a_refused_batch_prolongs_nothing(self, state: State, clock: Clock) -> None:
        for key in _KEYS:
            await lease(state, Acquire(key, "x", 1, 0.5 * self.window))
        await value(state, Set("v", b"1", 0.5 * self.window))

        await state.apply(
            (
                Renew("a", "x", 9 * self.window),
                Acquire("b", "x", 1, 9 * self.window),
                Set("v", b"1", 9 * self.window),
                Hit("never", 0, self.window),
            )
        )
        await self.pass_time(clock, 0.5 * self.window + self.slack)

        for key in _KEYS:
            assert (await lease(state, Acquire(key, "y", 1, self.window))).allowed
        assert await value(state, Get("v")) is None

    @promise
    async def test_every_refusal_of_a_batch_is_told_with_its_figures(
        self, state: State, clock: Clock
    ) -> None:
        await window(state, Hit("minute", 1, self.window))
        await window(state, Hit("day", 5, 10 * self.window, 5))
        await lease(state, Acquire("slot", "x", 1, self.window))
        await value(state, Set("v", b"1", self.window))

        results = await state.apply(
            (
                Hit("free", 9, self.window),
                Hit("minute", 1, self.window),
                Hit("day", 5, 10 * self.window),
                Acquire("slot", "y", 1, self.window),
                CompareAndSet("v", b"2", b"3", self.window),
            )
        )

        free, minute, day, slot, compared = results
        assert isinstance(free, WindowResult)
        assert isinstance(minute, WindowResult)
        assert isinstance(day, WindowResult)
        assert (free.allowed, free.used, free.remaining) == (True, 0, 9)
        assert (minute.allowed, minute.used) == (False, 1)
        assert (day.allowed, day.used) == (False, 5)
        assert day.reset_seconds > minute.reset_seconds
        assert slot == LeaseResult(False, 1, 1)
        assert compared == ValueResult(False, b"1")

    @promise
    async def test_operations_on_one_key_see_those_before_them(self, state: State, clock: Clock) -> None:
        results = await state.apply(
            (
                Set("k", b"1", self.window),
                Increment("k", 1, self.window),
                CompareAndSet("k", b"2", b"7", self.window),
                Get("k"),
                Delete("k"),
                Get("k"),
                Hit("k", 5, self.window, 2),
                Hit("k", 5, self.window, 3),
                Peek("k", 5, self.window),
                Acquire("k", "x", 1, self.window),
                Release("k", "x"),
                Acquire("k", "y", 1, self.window),
            )
        )

        assert all(result.allowed for result in results)
        assert results[3:6] == (ValueResult(True, b"7"), ValueResult(True, b"7"), ValueResult(True, None))
        assert results[1] == CountResult(True, 2)
        looked = results[8]
        assert isinstance(looked, WindowResult)
        assert looked.used == 5

    @promise
    async def test_two_hits_on_one_key_that_fit_only_one_by_one_are_refused_together(
        self, state: State, clock: Clock
    ) -> None:
        hit = Hit("k", 1, self.window)

        results = await state.apply((hit, hit))

        assert not all(result.allowed for result in results)
        assert (await window(state, Peek("k", 1, self.window))).used == 0

    @promise
    async def test_batches_made_at_the_same_time_do_not_mix(self, state: State, clock: Clock) -> None:
        async def both(first: str, second: str) -> bool:
            batch = (Hit(first, 10, self.window), Hit(second, 10, self.window))
            return all(result.allowed for result in await state.apply(batch))

        pairs = [("a", "b"), ("b", "a")] * 15
        admitted = sum(await asyncio.gather(*(both(*pair) for pair in pairs)))

        assert admitted == 10
        for key in _KEYS:
            assert (await window(state, Peek(key, 10, self.window))).used == 10

    @promise_for(st.tuples(st.lists(_SEEDS, max_size=6), _SEEDS))
    async def test_a_refused_batch_changes_nothing_and_an_admitted_one_has_no_refusal(
        self,
        state: State,
        clock: Clock,
        example: tuple[list[list[tuple[str, str, str, int]]], list[tuple[str, str, str, int]]],
    ) -> None:
        batches, last = example
        await window(state, Hit("a", 9, self.window, 0))
        for seeds in [*batches, last]:
            before = await self._observe(state)
            results = await state.apply([self._op(seed, clock) for seed in seeds])
            after = await self._observe(state)
            if not all(result.allowed for result in results):
                assert after == before

    # ── posts ───────────────────────────────────────────────────────────────────────────────

    @promise
    async def test_posts_are_applied_before_a_later_batch_and_in_order(
        self, state: State, clock: Clock
    ) -> None:
        state.post((Set("k", b"1", self.window), Increment("k", 1, self.window)))
        state.post((Increment("k", 10, self.window),))
        assert await value(state, Get("k")) == b"12"

        state.post((Delete("k"),))
        state.post((Set("k", b"last", self.window),))
        await state.flush()

        assert await value(state, Get("k")) == b"last"

    @promise
    async def test_a_posted_settlement_and_release_take_effect(self, state: State, clock: Clock) -> None:
        hit = Hit("k", 100, self.window, 40, overshoot=True)
        slot = Acquire("k", "x", 1, self.window)
        reserved, _ = await state.apply((hit, slot))

        state.post((hit.settle(reserved, 15), slot.release()))
        await state.flush()

        assert (await window(state, Peek("k", 100, self.window))).used == 15
        assert (await lease(state, Acquire("k", "y", 1, self.window))).allowed

    @pytest.mark.parametrize("shape", list(Shape))
    @promise
    async def test_a_posted_hit_counts_whatever_its_limit(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        state.post([Hit("k", 1, 100 * self.window, 7, shape), Hit("k", 0, 100 * self.window, 2, shape)])
        await state.flush()

        assert (await window(state, Peek("k", 10, 100 * self.window, shape))).used == 9

    @promise
    async def test_a_posted_renewal_prolongs_a_lease_and_brings_none_back(
        self, state: State, clock: Clock
    ) -> None:
        await lease(state, Acquire("k", "x", 1, 0.5 * self.window))
        state.post((Renew("k", "x", self.window), Renew("other", "x", self.window)))
        await self.pass_time(clock, 0.6 * self.window)

        assert not (await lease(state, Acquire("k", "y", 1, self.window))).allowed
        assert (await lease(state, Acquire("other", "y", 1, self.window))).allowed

    @pytest.mark.parametrize(
        "op", [Acquire("k", "x", 1, 1), CompareAndSet("k", None, b"", 1), Get("k"), Peek("k", 1, 1)], ids=repr
    )
    @promise
    async def test_what_has_an_answer_to_read_cannot_be_posted(
        self, state: State, clock: Clock, op: PostOp
    ) -> None:
        with pytest.raises(TypeError, match=type(op).__name__):
            state.post((Set("v", b"1", self.window), op))

        await state.flush()
        assert await value(state, Get("v")) is None

    # ── spaces, scopes, epochs ──────────────────────────────────────────────────────────────

    @promise
    async def test_windows_leases_and_values_of_one_key_are_apart(self, state: State, clock: Clock) -> None:
        await window(state, Hit("k", 1, self.window))
        assert (await lease(state, Acquire("k", "x", 1, self.window))).used == 1
        assert await value(state, Get("k")) is None
        await value(state, Set("k", b"v", self.window))
        await value(state, Delete("k"))

        assert not (await window(state, Hit("k", 1, self.window))).allowed
        assert not (await lease(state, Acquire("k", "y", 1, self.window))).allowed

    @promise
    async def test_scopes_are_apart_and_equal_names_share_one(self, state: State, clock: Clock) -> None:
        first, second = state.scope("one"), state.scope("two")
        hit = Hit("k", 1, self.window)
        await window(first, hit)
        first.post((Set("v", b"1", self.window),))

        assert (await window(second, hit)).allowed
        assert (await window(state, hit)).allowed
        assert not (await window(state.scope("one"), hit)).allowed
        assert await value(state.scope("one"), Get("v")) == b"1"
        assert await value(second, Get("v")) is None
        assert (await window(first.scope("two"), hit)).allowed

    @promise
    async def test_the_epoch_stays_while_the_data_do(self, state: State, clock: Clock) -> None:
        epoch = state.epoch
        await window(state, Hit("k", 1, self.window))
        await self.pass_time(clock, 3 * self.window)
        await window(state, Hit("k", 1, self.window))
        await state.ping()

        assert state.epoch == epoch
        assert state.scope("one").epoch == epoch

    @promise
    async def test_the_epoch_changes_when_the_data_are_lost(self, state: State, clock: Clock) -> None:
        scoped = state.scope("one")
        epoch = state.epoch
        await value(scoped, Set("v", b"1", self.window))
        if not await self.lose_data(state):
            pytest.skip("this store cannot be made to lose its data here")

        assert await value(scoped, Get("v")) is None
        assert state.epoch != epoch
        assert scoped.epoch == state.epoch

    # ── what the tests above look at ────────────────────────────────────────────────────────

    async def _fill(self, state: State) -> None:
        await state.apply(
            (
                Hit("a", 100, self.window, 5),
                Hit("b", 100, self.window, 2, Shape.ALIGNED),
                Acquire("a", "x", 9, self.window),
                Acquire("a", "y", 9, self.window),
                Set("a", b"old", self.window),
                Set("b", b"old", self.window),
            )
        )

    async def _observe(self, state: State) -> tuple[object, ...]:
        """Look at everything the tests use, through a batch that is refused and so changes nothing."""
        looks: list[Op] = [Hit("never", 0, self.window)]
        for key in _KEYS:
            looks += [Peek(key, 9, self.window), Peek(key, 9, self.window, Shape.ALIGNED), Get(key)]
            looks.append(Acquire(key, "observer", 1000, self.window))
        results = await state.apply(looks)
        assert not results[0].allowed
        return tuple(_figures(result) for result in results)

    def _op(self, seed: tuple[str, str, str, int], clock: Clock) -> Op:
        word, key, holder, number = seed
        ops: dict[str, Op] = {
            "hit": Hit(key, 4, self.window, number),
            "aligned": Hit(key, 4, self.window, number, Shape.ALIGNED, overshoot=True),
            "peek": Peek(key, 4, self.window),
            "adjust": Adjust(key, self.window, number - 2, clock.monotonic()),
            "acquire": Acquire(key, holder, number, self.window),
            "renew": Renew(key, holder, self.window),
            "release": Release(key, holder),
            "get": Get(key),
            "set": Set(key, b"%d" % number, self.window),
            "delete": Delete(key),
            "increment": Increment(key, number, self.window),
            "compare": CompareAndSet(key, b"%d" % number if number else None, b"1", self.window),
        }
        return ops[word]


def _figures(result: Result) -> object:
    """Return what a look says, without the moment it was made."""
    return (result.used, result.remaining) if isinstance(result, WindowResult) else result
