"""What every store promises about leases."""

from __future__ import annotations

import asyncio

from hypothesis import strategies as st

from hookway_sdk.clock import Clock
from hookway_sdk.state import Acquire, Release, Renew, State
from hookway_sdk.testing.state_trial import StateTrial, lease, promise, promise_for

_LIMIT = 3
_STEPS = st.tuples(
    st.sampled_from(["acquire", "renew", "release"]),
    st.sampled_from(["a", "b", "c", "d", "e"]),
    st.integers(1, 8),
    st.integers(0, 5),
)


class LeasePromises(StateTrial):
    """Acquire, Renew and Release."""

    @promise
    async def test_leases_are_given_up_to_the_limit(self, state: State, clock: Clock) -> None:
        results = [await lease(state, Acquire("k", holder, 2, self.window)) for holder in ("a", "b", "c")]

        assert [(result.allowed, result.used, result.limit) for result in results] == [
            (True, 1, 2),
            (True, 2, 2),
            (False, 2, 2),
        ]

    @promise
    async def test_a_released_lease_is_free_again(self, state: State, clock: Clock) -> None:
        first = Acquire("k", "a", 1, self.window)
        await lease(state, first)
        assert not (await lease(state, Acquire("k", "b", 1, self.window))).allowed

        assert (await lease(state, first.release())).used == 0

        assert (await lease(state, Acquire("k", "b", 1, self.window))).allowed

    @promise
    async def test_a_holder_that_asks_again_keeps_one_lease_and_prolongs_it(
        self, state: State, clock: Clock
    ) -> None:
        await lease(state, Acquire("k", "a", 1, self.window))
        await self.pass_time(clock, 0.6 * self.window)
        again = await lease(state, Acquire("k", "a", 1, self.window))
        await self.pass_time(clock, 0.6 * self.window)

        assert (again.allowed, again.used) == (True, 1)
        assert not (await lease(state, Acquire("k", "b", 1, self.window))).allowed

    @promise
    async def test_a_lease_ends_by_itself(self, state: State, clock: Clock) -> None:
        await lease(state, Acquire("k", "a", 1, 0.5 * self.window))
        await self.pass_time(clock, 0.4 * self.window)
        assert not (await lease(state, Acquire("k", "b", 1, self.window))).allowed

        await self.pass_time(clock, 0.1 * self.window + self.slack)

        assert (await lease(state, Acquire("k", "b", 1, self.window))).allowed

    @promise
    async def test_a_renewed_lease_lasts_from_the_renewal(self, state: State, clock: Clock) -> None:
        await lease(state, Acquire("k", "a", 1, 0.5 * self.window))
        await self.pass_time(clock, 0.4 * self.window)
        assert (await lease(state, Renew("k", "a", 0.5 * self.window))).allowed
        await self.pass_time(clock, 0.4 * self.window)

        assert not (await lease(state, Acquire("k", "b", 1, self.window))).allowed

    @promise
    async def test_a_lease_that_is_gone_cannot_be_renewed(self, state: State, clock: Clock) -> None:
        await lease(state, Acquire("k", "a", 1, 0.5 * self.window))
        assert not (await lease(state, Renew("k", "b", self.window))).allowed
        assert not (await lease(state, Renew("never", "a", self.window))).allowed
        await self.pass_time(clock, 0.5 * self.window + self.slack)

        assert not (await lease(state, Renew("k", "a", self.window))).allowed
        assert (await lease(state, Acquire("k", "b", 1, self.window))).allowed

    @promise
    async def test_releasing_what_one_does_not_hold_frees_nothing(self, state: State, clock: Clock) -> None:
        await lease(state, Acquire("k", "a", 1, self.window))

        released = await lease(state, Release("k", "b"))
        unknown = await lease(state, Release("never", "a"))

        assert (released.allowed, released.used) == (True, 1)
        assert (unknown.allowed, unknown.used) == (True, 0)
        assert not (await lease(state, Acquire("k", "c", 1, self.window))).allowed

    @promise
    async def test_a_limit_of_zero_gives_no_lease_not_even_to_a_holder(
        self, state: State, clock: Clock
    ) -> None:
        assert not (await lease(state, Acquire("k", "a", 0, self.window))).allowed
        await lease(state, Acquire("k", "a", 1, self.window))

        assert not (await lease(state, Acquire("k", "a", 0, self.window))).allowed

    @promise
    async def test_a_lowered_limit_gives_no_new_lease_until_enough_are_released(
        self, state: State, clock: Clock
    ) -> None:
        for holder in ("a", "b", "c"):
            await lease(state, Acquire("k", holder, 3, self.window))
        await lease(state, Release("k", "a"))
        assert not (await lease(state, Acquire("k", "d", 2, self.window))).allowed

        await lease(state, Release("k", "b"))

        assert (await lease(state, Acquire("k", "d", 2, self.window))).allowed

    @promise
    async def test_leases_taken_at_the_same_time_never_pass_the_limit_together(
        self, state: State, clock: Clock
    ) -> None:
        asked = [lease(state, Acquire("k", f"holder-{number}", 7, self.window)) for number in range(30)]

        results = await asyncio.gather(*asked)

        assert sum(result.allowed for result in results) == 7

    @promise_for(st.lists(_STEPS, min_size=1, max_size=40))
    async def test_leases_are_those_of_a_plain_list_of_holders(
        self, state: State, clock: Clock, example: list[tuple[str, str, int, int]]
    ) -> None:
        unit = self.window / 10
        ends: dict[str, float] = {}
        for what, holder, length, wait in example:
            await self.pass_time(clock, wait * unit)
            now = clock.monotonic()
            # Half a unit off, so that no lease ends at the very moment of a step.
            ttl = (length + 0.5) * unit
            ends = {name: end for name, end in ends.items() if now < end}
            if what == "acquire":
                allowed = holder in ends or len(ends) < _LIMIT
                result = await lease(state, Acquire("k", holder, _LIMIT, ttl))
            elif what == "renew":
                allowed = holder in ends
                result = await lease(state, Renew("k", holder, ttl))
            else:
                allowed = True
                result = await lease(state, Release("k", holder))
                ends.pop(holder, None)
            if allowed and what != "release":
                ends[holder] = now + ttl
            assert (result.allowed, result.used) == (allowed, len(ends))
            assert result.used <= _LIMIT
