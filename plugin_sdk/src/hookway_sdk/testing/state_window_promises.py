"""What every store promises about windows."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import strategies as st

from hookway_sdk.clock import Clock
from hookway_sdk.state import MAX_COUNT, SUB_WINDOWS, Adjust, Hit, Peek, Shape, State, WindowResult
from hookway_sdk.testing.fake_clock import FakeClock
from hookway_sdk.testing.state_trial import StateTrial, count, promise, promise_for, window

# Mostly short waits, so that many hits are counted at once; now and then one that empties the window.
_HALF_STEPS = st.integers(0, 20) | st.integers(0, 150)

both_shapes = pytest.mark.parametrize("shape", list(Shape))


class WindowPromises(StateTrial):
    """Hit, Peek and Adjust."""

    @both_shapes
    @promise
    async def test_hits_are_admitted_up_to_the_limit_with_honest_figures(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        await self._start_of_window(clock)
        hit = Hit("k", 3, self.window, shape=shape)

        results = [await window(state, hit) for _ in range(4)]

        assert [result.allowed for result in results] == [True, True, True, False]
        assert [result.used for result in results] == [1, 2, 3, 3]
        assert [result.remaining for result in results] == [2, 1, 0, 0]
        assert {result.limit for result in results} == {3}
        assert all(
            0 < result.reset_seconds <= self.window * (1 + 1 / SUB_WINDOWS) + 0.01 for result in results
        )

    @both_shapes
    @promise
    async def test_an_amount_that_does_not_fit_is_refused_and_a_smaller_one_admitted(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        await self._start_of_window(clock)
        assert (await window(state, Hit("k", 10, self.window, 7, shape))).allowed

        refused = await window(state, Hit("k", 10, self.window, 4, shape))
        admitted = await window(state, Hit("k", 10, self.window, 3, shape))

        assert (refused.allowed, refused.used, refused.remaining) == (False, 7, 3)
        assert (admitted.allowed, admitted.used, admitted.remaining) == (True, 10, 0)

    @both_shapes
    @promise
    async def test_a_limit_of_zero_refuses_everything(self, state: State, clock: Clock, shape: Shape) -> None:
        for amount in (0, 1):
            for overshoot in (False, True):
                refused = await window(state, Hit("k", 0, self.window, amount, shape, overshoot))
                assert not refused.allowed
                assert 0 < refused.reset_seconds < float("inf")

    @both_shapes
    @promise
    async def test_an_amount_above_the_limit_never_fits_and_says_a_finite_wait(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        refused = await window(state, Hit("k", 5, self.window, 6, shape))

        assert not refused.allowed
        assert 0 < refused.reset_seconds <= self.window * (1 + 1 / SUB_WINDOWS) + 0.01

    @promise
    async def test_an_amount_that_can_never_fit_waits_until_the_window_is_empty(
        self, state: State, clock: Clock
    ) -> None:
        step = self.window / SUB_WINDOWS
        for _ in range(2):
            await window(state, Hit("k", 5, self.window))
            await self.pass_time(clock, 20 * step)

        refused = await window(state, Hit("k", 5, self.window, 6))

        assert 40 * step - self.slack <= refused.reset_seconds <= 41 * step + self.slack + 0.001

    @both_shapes
    @promise
    async def test_an_amount_of_zero_asks_without_taking(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        await self._start_of_window(clock)
        assert (await window(state, Hit("k", 1, self.window, 0, shape))).used == 0
        assert (await window(state, Hit("k", 1, self.window, 1, shape))).allowed
        assert (await window(state, Hit("k", 1, self.window, 0, shape))).allowed

    @both_shapes
    @promise
    async def test_overshoot_admits_one_amount_past_the_limit_and_then_refuses(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        await self._start_of_window(clock)
        hit = Hit("k", 100, self.window, 60, shape, overshoot=True)

        results = [await window(state, hit) for _ in range(3)]

        assert [result.allowed for result in results] == [True, True, False]
        assert [result.used for result in results] == [60, 120, 120]
        assert [result.remaining for result in results] == [40, 0, 0]

    @both_shapes
    @promise
    async def test_overshoot_still_admits_when_the_limit_is_reached_exactly(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        await self._start_of_window(clock)
        hit = Hit("k", 100, self.window, 100, shape, overshoot=True)

        assert [(await window(state, hit)).allowed for _ in range(3)] == [True, True, False]

    @both_shapes
    @promise
    async def test_waiting_as_long_as_a_refusal_says_is_enough_and_much_less_is_not(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        await self._start_of_window(clock)
        step = self.window / SUB_WINDOWS
        await window(state, Hit("k", 4, self.window, 3, shape))
        await self.pass_time(clock, 10 * step)
        await window(state, Hit("k", 4, self.window, 1, shape))
        refused = await window(state, Hit("k", 4, self.window, 2, shape))

        await self.pass_time(clock, refused.reset_seconds - 3 * step)
        early = await window(state, Hit("k", 4, self.window, 2, shape))
        await self.pass_time(clock, early.reset_seconds)
        late = await window(state, Hit("k", 4, self.window, 2, shape))

        assert not refused.allowed
        assert not early.allowed
        assert late.allowed

    @promise
    async def test_a_refusal_names_the_moment_when_just_enough_has_left(
        self, state: State, clock: Clock
    ) -> None:
        step = self.window / SUB_WINDOWS
        for _ in range(3):
            await window(state, Hit("k", 3, self.window))
            await self.pass_time(clock, 10 * step)

        waits = [
            (await window(state, Hit("k", 3, self.window, amount))).reset_seconds for amount in (1, 2, 3)
        ]

        # Made 30, 20 and 10 steps ago; each counts for 60 steps, or for up to 61.
        for wait, steps in zip(waits, (30, 40, 50), strict=True):
            assert steps * step - self.slack <= wait <= (steps + 1) * step + self.slack + 0.001

    @promise
    async def test_a_window_that_emptied_counts_afresh(self, state: State, clock: Clock) -> None:
        step = self.window / SUB_WINDOWS
        used = []
        for steps in (0, 10, 70, 20, 22):
            await self.pass_time(clock, steps * step)
            used.append((await window(state, Hit("k", 9, self.window))).used)

        assert used == [1, 2, 1, 2, 3]

    @promise
    async def test_a_sliding_window_has_no_boundary_to_burst_around(self, state: State, clock: Clock) -> None:
        await self._start_of_window(clock)
        await self.pass_time(clock, 0.9 * self.window)
        assert (await window(state, Hit("k", 5, self.window, 5))).allowed

        await self.pass_time(clock, 0.2 * self.window)

        assert not (await window(state, Hit("k", 5, self.window, 1))).allowed

    @promise
    async def test_an_aligned_window_ends_at_a_multiple_of_its_length(
        self, state: State, clock: Clock
    ) -> None:
        await self._start_of_window(clock)
        await self.pass_time(clock, 0.75 * self.window)
        hit = Hit("k", 5, self.window, 5, Shape.ALIGNED)

        first = await window(state, hit)
        again = await window(state, hit)
        await self.pass_time(clock, 0.25 * self.window)
        after = await window(state, hit)

        assert first.allowed
        assert first.reset_seconds == pytest.approx(0.25 * self.window, abs=3 * self.slack + 0.001)
        assert not again.allowed
        assert after.allowed
        assert after.reset_seconds == pytest.approx(self.window, abs=3 * self.slack + 0.001)

    @both_shapes
    @promise
    async def test_a_look_counts_nothing_and_never_refuses(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        await self._start_of_window(clock)
        empty = await window(state, Peek("k", 2, self.window, shape))
        await window(state, Hit("k", 2, self.window, 2, shape))
        full = await window(state, Peek("k", 2, self.window, shape))
        above = await window(state, Peek("k", 1, self.window, shape))

        assert (empty.allowed, empty.used, empty.remaining, empty.reset_seconds) == (True, 0, 2, 0.0)
        assert (full.allowed, full.used, full.remaining) == (True, 2, 0)
        assert (above.allowed, above.used, above.remaining) == (True, 2, 0)
        await self.pass_time(clock, full.reset_seconds)
        assert (await window(state, Peek("k", 2, self.window, shape))).used == 0

    @promise
    async def test_windows_of_another_length_or_shape_are_other_windows(
        self, state: State, clock: Clock
    ) -> None:
        await self._start_of_window(clock)
        hits = [
            Hit("k", 1, self.window),
            Hit("k", 1, 2 * self.window),
            Hit("k", 1, self.window, shape=Shape.ALIGNED),
            Hit("other", 1, self.window),
        ]

        assert [(await window(state, hit)).allowed for hit in hits] == [True] * 4
        assert [(await window(state, hit)).allowed for hit in hits] == [False] * 4

    # ── settling ────────────────────────────────────────────────────────────────────────────

    @both_shapes
    @promise
    async def test_a_settled_hit_counts_what_was_used(self, state: State, clock: Clock, shape: Shape) -> None:
        await self._start_of_window(clock)
        hit = Hit("k", 100, self.window, 40, shape, overshoot=True)
        result = await window(state, hit)
        await self.pass_time(clock, 0.3 * self.window)

        for actual in (0, 25, 70):
            adjust = hit.settle(result, actual)
            assert await count(state, adjust) == actual
            await count(state, Adjust(adjust.key, self.window, -adjust.delta, adjust.at, shape))

        assert (await window(state, Peek("k", 100, self.window, shape))).used == 40

    @promise
    async def test_a_correction_reaches_the_hits_own_sub_window(self, state: State, clock: Clock) -> None:
        step = self.window / SUB_WINDOWS
        hit = Hit("k", 10, self.window, 5)
        first = await window(state, hit)
        await self.pass_time(clock, 30 * step)
        await window(state, hit)

        # The first was twice as large: what it used leaves with it, not with the second.
        assert await count(state, hit.settle(first, 10)) == 15
        await self.pass_time(clock, 32 * step)

        assert (await window(state, Peek("k", 10, self.window))).used == 5

    @both_shapes
    @promise
    async def test_a_correction_never_falls_below_zero(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        await self._start_of_window(clock)
        first = await window(state, Hit("k", 10, self.window, 2, shape))

        assert await count(state, Adjust("k", self.window, -50, first.at, shape)) == 0
        assert (await window(state, Hit("k", 10, self.window, 10, shape))).allowed
        assert not (await window(state, Hit("k", 10, self.window, 1, shape))).allowed

    @promise
    async def test_a_large_refund_takes_nothing_from_other_sub_windows(
        self, state: State, clock: Clock
    ) -> None:
        first = await window(state, Hit("k", 10, self.window, 2))
        await self.pass_time(clock, self.window / 4)
        await window(state, Hit("k", 10, self.window, 3))

        assert await count(state, Adjust("k", self.window, -50, first.at)) == 3

    @both_shapes
    @promise
    async def test_a_window_that_has_passed_is_neither_resurrected_nor_charged(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        await self._start_of_window(clock)
        hit = Hit("k", 10, self.window, 4, shape)
        old = await window(state, hit)
        await self.pass_time(clock, self.window * (1 + 2 / SUB_WINDOWS) + self.slack)

        assert await count(state, hit.settle(old, 9)) == 0
        await window(state, hit)
        assert await count(state, hit.settle(old, 9)) == 4
        assert await count(state, hit.settle(old, 0)) == 4

    @both_shapes
    @promise
    async def test_what_a_hit_of_zero_asked_for_can_be_charged_afterwards(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        await self._start_of_window(clock)
        hit = Hit("k", 100, self.window, 0, shape, overshoot=True)
        asked = await window(state, hit)
        await self.pass_time(clock, 0.5 * self.window)

        assert await count(state, hit.settle(asked, 101)) == 101
        assert not (await window(state, hit)).allowed

    # ── many at once, and clocks that are set ───────────────────────────────────────────────

    @both_shapes
    @promise
    async def test_hits_made_at_the_same_time_never_pass_the_limit_together(
        self, state: State, clock: Clock, shape: Shape
    ) -> None:
        await self._start_of_window(clock)
        results = await asyncio.gather(
            *(window(state, Hit("k", 20, self.window, shape=shape)) for _ in range(50))
        )

        assert sum(result.allowed for result in results) == 20

    @pytest.mark.parametrize("distance", [0.5, 1.0, 60.0, 100_000.0])
    @pytest.mark.parametrize("direction", [1, -1])
    @both_shapes
    @promise
    async def test_setting_the_wall_clock_empties_no_window_and_holds_none_shut(
        self, state: State, clock: Clock, shape: Shape, direction: int, distance: float
    ) -> None:
        if not self.turns_wall_clock:
            pytest.skip("the wall clock of this store cannot be set")
        assert isinstance(clock, FakeClock)
        await self._start_of_window(clock)
        await self.pass_time(clock, self.window / 6)
        hit = Hit("k", 2, self.window, 2, shape)
        await window(state, hit)

        clock.jump(direction * distance * self.window)
        at_once = await window(state, hit)
        await self.pass_time(clock, self.window / 2)
        later = await window(state, hit)
        await self.pass_time(clock, self.window / 2 + 2 * self.window / SUB_WINDOWS)
        after_a_window = await window(state, hit)

        assert not at_once.allowed
        assert at_once.reset_seconds <= self.window * (1 + 1 / SUB_WINDOWS) + 0.001
        assert not later.allowed
        assert after_a_window.allowed

    # ── properties ──────────────────────────────────────────────────────────────────────────

    @promise_for(
        st.tuples(
            st.integers(1, 8),
            st.lists(
                st.tuples(st.integers(0, 100), st.integers(0, 5), st.booleans()), min_size=1, max_size=40
            ),
        )
    )
    async def test_no_span_of_a_windows_length_ever_holds_more_than_the_limit(
        self, state: State, clock: Clock, example: tuple[int, list[tuple[int, int, bool]]]
    ) -> None:
        limit, hits = example
        admitted: list[tuple[float, int]] = []
        for half_steps, amount, overshoot in hits:
            await self.pass_time(clock, half_steps * self.window / SUB_WINDOWS / 2)
            now = clock.monotonic()
            result = await window(state, Hit("k", limit, self.window, amount, overshoot=overshoot))
            surely = sum(n for at, n in admitted if now - at < self.window - self.slack)
            perhaps = sum(
                n for at, n in admitted if now - at < self.window * (1 + 1 / SUB_WINDOWS) + self.slack
            )
            assert surely <= result.used - (amount if result.allowed else 0) <= perhaps
            if result.allowed:
                assert surely <= limit if overshoot else surely + amount <= limit
                admitted.append((now, amount))
            else:
                assert perhaps > limit if overshoot else perhaps + amount > limit

    @promise_for(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 4)), min_size=1, max_size=40))
    async def test_an_aligned_window_holds_the_limit_and_a_new_one_starts_empty(
        self, state: State, clock: Clock, example: list[tuple[int, int]]
    ) -> None:
        await self._start_of_window(clock)
        start = clock.monotonic()
        used: dict[int, int] = {}
        for steps, amount in example:
            await self.pass_time(clock, steps * self.window / SUB_WINDOWS)
            elapsed = clock.monotonic() - start
            if min(elapsed % self.window, self.window - elapsed % self.window) <= self.slack:
                await self.pass_time(clock, 2 * self.slack)
            number = int((clock.monotonic() - start) // self.window)
            result = await window(state, Hit("k", 6, self.window, amount, Shape.ALIGNED))
            fits = used.get(number, 0) + amount <= 6
            used[number] = used.get(number, 0) + (amount if fits else 0)
            assert (result.allowed, result.used) == (fits, used[number])

    @promise_for(
        st.lists(
            st.tuples(
                st.integers(0, 40), st.integers(0, 50), st.none() | st.integers(0, 90), st.integers(0, 20)
            ),
            min_size=1,
            max_size=30,
        )
    )
    async def test_hits_settlements_and_refunds_add_up(
        self, state: State, clock: Clock, example: list[tuple[int, int, int | None, int]]
    ) -> None:
        counted: list[tuple[float, int]] = []
        open_hits: list[tuple[Hit, WindowResult, int]] = []
        longest = self.window * (1 + 1 / SUB_WINDOWS)
        for steps, amount, actual, pick in example:
            await self.pass_time(clock, steps * self.window / SUB_WINDOWS)
            hit = Hit("k", MAX_COUNT, self.window, amount)
            result = await window(state, hit)
            open_hits.append((hit, result, len(counted)))
            counted.append((clock.monotonic(), amount))
            if actual is not None:
                settled, receipt, place = open_hits.pop(pick % len(open_hits))
                age = clock.monotonic() - counted[place][0]
                if self.window - self.slack <= age < longest + self.slack:
                    continue  # on the edge: whether it still counts is the store's to say
                await count(state, settled.settle(receipt, actual))
                if age < self.window:
                    counted[place] = (counted[place][0], actual)
            now = clock.monotonic()
            used = (await window(state, Peek("k", 0, self.window))).used
            surely = sum(n for at, n in counted if now - at < self.window - self.slack)
            perhaps = sum(n for at, n in counted if now - at < longest + self.slack)
            assert surely <= used <= perhaps

        for hit, result, place in open_hits:
            await count(state, hit.settle(result, 0))
            if clock.monotonic() - counted[place][0] < self.window:
                counted[place] = (counted[place][0], 0)
        left = (await window(state, Peek("k", 0, self.window))).used
        assert left <= sum(n for at, n in counted if clock.monotonic() - at < longest + self.slack)

    async def _start_of_window(self, clock: Clock) -> None:
        """Wait until an aligned window begins, so that a test sees one window only."""
        await self.pass_time(clock, self.window - clock.now() % self.window + self.slack)
