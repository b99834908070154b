"""What every store promises about values."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import strategies as st

from hookway_sdk.clock import Clock
from hookway_sdk.state import (
    MAX_COUNT,
    MAX_VALUE_BYTES,
    CompareAndSet,
    Delete,
    Get,
    Increment,
    Set,
    State,
    ValueResult,
)
from hookway_sdk.testing.state_trial import StateTrial, count, one, promise, promise_for, value

_STEPS = st.tuples(
    st.sampled_from(["get", "set", "delete", "increment", "compare"]),
    st.sampled_from(["a", "b"]),
    st.integers(-3, 3),
    st.integers(1, 8),
    st.integers(0, 4),
)


class ValuePromises(StateTrial):
    """Get, Set, Delete, Increment and CompareAndSet."""

    @pytest.mark.parametrize(
        "stored", [b"", b"\x00\xff\r\n", b"x" * MAX_VALUE_BYTES], ids=["empty", "binary", "1MiB"]
    )
    @promise
    async def test_a_value_comes_back_as_it_was_set(self, state: State, clock: Clock, stored: bytes) -> None:
        assert await value(state, Get("k")) is None
        assert await value(state, Set("k", stored, self.window)) == stored
        assert await value(state, Get("k")) == stored

    @promise
    async def test_a_value_is_gone_after_its_time_counted_from_the_last_set(
        self, state: State, clock: Clock
    ) -> None:
        await value(state, Set("k", b"1", 0.5 * self.window))
        await self.pass_time(clock, 0.4 * self.window)
        await value(state, Set("k", b"2", 0.5 * self.window))
        await self.pass_time(clock, 0.4 * self.window)
        assert await value(state, Get("k")) == b"2"

        await self.pass_time(clock, 0.1 * self.window + self.slack)

        assert await value(state, Get("k")) is None

    @promise
    async def test_a_deleted_value_is_gone_and_told_once(self, state: State, clock: Clock) -> None:
        await value(state, Set("k", b"1", self.window))

        assert await value(state, Delete("k")) == b"1"
        assert await value(state, Delete("k")) is None
        assert await value(state, Get("k")) is None

    @promise
    async def test_a_number_begins_at_zero_and_is_readable_as_digits(
        self, state: State, clock: Clock
    ) -> None:
        assert await count(state, Increment("k", 5, self.window)) == 5
        assert await count(state, Increment("k", -7, self.window)) == -2
        assert await value(state, Get("k")) == b"-2"
        await value(state, Set("k", b"40", self.window))
        assert await count(state, Increment("k", 2, self.window)) == 42

    @promise
    async def test_a_number_keeps_the_end_it_began_with(self, state: State, clock: Clock) -> None:
        await count(state, Increment("k", 1, 0.5 * self.window))
        await self.pass_time(clock, 0.4 * self.window)
        assert await count(state, Increment("k", 1, 0.5 * self.window)) == 2
        await self.pass_time(clock, 0.1 * self.window + self.slack)

        assert await count(state, Increment("k", 1, 0.5 * self.window)) == 1

    @promise
    async def test_what_is_no_number_cannot_be_incremented_and_stays(
        self, state: State, clock: Clock
    ) -> None:
        await value(state, Set("k", b"abc", self.window))

        with pytest.raises(ValueError, match="number"):
            await state.apply((Set("other", b"1", self.window), Increment("k", 1, self.window)))

        assert await value(state, Get("k")) == b"abc"
        assert await value(state, Get("other")) is None

    @promise
    async def test_a_number_does_not_leave_its_range(self, state: State, clock: Clock) -> None:
        assert await count(state, Increment("k", MAX_COUNT, self.window)) == MAX_COUNT

        with pytest.raises(ValueError, match="number"):
            await one(state, Increment("k", 1, self.window))

        assert await count(state, Increment("k", -MAX_COUNT, self.window)) == 0

    @promise
    async def test_compare_and_set_replaces_only_what_it_expected(self, state: State, clock: Clock) -> None:
        first = await one(state, CompareAndSet("k", None, b"1", self.window))
        wrong = await one(state, CompareAndSet("k", None, b"2", self.window))
        right = await one(state, CompareAndSet("k", b"1", b"3", self.window))

        assert first == ValueResult(True, b"1")
        assert wrong == ValueResult(False, b"1")
        assert right == ValueResult(True, b"3")
        assert await value(state, Get("k")) == b"3"

    @promise
    async def test_only_one_of_many_takes_an_empty_key(self, state: State, clock: Clock) -> None:
        tries = [one(state, CompareAndSet("k", None, b"%d" % number, self.window)) for number in range(20)]

        results = await asyncio.gather(*tries)

        assert sum(result.allowed for result in results) == 1

    @promise_for(st.lists(_STEPS, min_size=1, max_size=40))
    async def test_values_are_those_of_a_plain_dictionary(
        self, state: State, clock: Clock, example: list[tuple[str, str, int, int, int]]
    ) -> None:
        unit = self.window / 10
        model: dict[str, tuple[int, float]] = {}
        for what, key, number, length, wait in example:
            await self.pass_time(clock, wait * unit)
            now = clock.monotonic()
            ttl = (length + 0.5) * unit
            model = {name: held for name, held in model.items() if now < held[1]}
            held = model.get(key)
            before = b"%d" % held[0] if held is not None else None
            if what == "get":
                assert await value(state, Get(key)) == before
            elif what == "set":
                await value(state, Set(key, b"%d" % number, ttl))
                model[key] = (number, now + ttl)
            elif what == "delete":
                assert await value(state, Delete(key)) == before
                model.pop(key, None)
            elif what == "increment":
                total, end = held if held is not None else (0, now + ttl)
                assert await count(state, Increment(key, number, ttl)) == total + number
                model[key] = (total + number, end)
            else:
                expected = b"%d" % number if number else None
                result = await one(state, CompareAndSet(key, expected, b"9", ttl))
                assert result.allowed == (before == expected)
                if result.allowed:
                    model[key] = (9, now + ttl)
