"""Deadlines fire once, never early, soon after they are due, and cost nothing when there are none."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from typing import Any

import pytest

from hookway.deadlines import DeadlineWheel

TICK = 0.01
# Time for a busy machine. What the wheel itself promises is 1.5 ticks, which one test measures.
LATE = 0.1


async def test_a_deadline_never_fires_early_and_fires_soon_after() -> None:
    wheel = DeadlineWheel(TICK)
    errors: list[float] = []
    dice = random.Random(7)

    def fired(due: float) -> None:
        errors.append(time.monotonic() - due)

    for _ in range(300):
        seconds = dice.uniform(0, 0.25)
        wheel.schedule(seconds, fired, time.monotonic() + seconds)
        if dice.random() < 0.1:
            await asyncio.sleep(0.003)
    await asyncio.sleep(0.3 + LATE)
    assert len(wheel) == 0
    assert len(errors) == 300
    # The due moment above is taken just after the wheel's own, hence the microseconds.
    assert min(errors) > -0.0002
    assert sorted(errors)[150] < 1.5 * TICK + 0.005


async def test_deadlines_further_away_than_one_rotation_are_not_met_early() -> None:
    now = [100.0]
    wheel = DeadlineWheel(TICK, now=lambda: now[0])
    seen: list[str] = []
    for name, seconds in [("far", 51.2), ("near", 0.05), ("same slot as near", 5.17)]:
        wheel.schedule(seconds, seen.append, name)
    moments = [(100.06, ["near"]), (105.16, []), (105.2, ["same slot as near"]), (151.3, ["far"])]
    for moment, expected in moments:
        now[0] = moment
        await asyncio.sleep(0.025)
        assert seen == expected
        seen.clear()
    assert len(wheel) == 0


async def test_what_is_due_after_a_long_stall_fires_in_the_order_it_was_due() -> None:
    wheel = DeadlineWheel(TICK)
    seen: list[int] = []
    for index in (3, 1, 2, 0):
        wheel.schedule(0.01 + index * 0.013, seen.append, index)
    time.sleep(0.1)  # noqa: ASYNC251 - the stalled loop is what is tested
    await asyncio.sleep(0.03)
    assert seen == [0, 1, 2, 3]


async def test_a_cancelled_deadline_does_not_fire_and_can_be_cancelled_again() -> None:
    wheel = DeadlineWheel(TICK)
    seen: list[str] = []
    kept = wheel.schedule(0.02, seen.append, "kept")
    gone = wheel.schedule(0.02, seen.append, "gone")
    gone.cancel()
    gone.cancel()
    assert (kept.active, gone.active, len(wheel)) == (True, False, 1)
    await asyncio.sleep(0.02 + LATE)
    assert seen == ["kept"]
    assert not kept.active


@pytest.mark.parametrize(("change", "earliest"), [("later", 0.08), ("sooner", 0.02), ("extended", 0.08)])
async def test_a_deadline_can_be_moved(change: str, earliest: float) -> None:
    wheel = DeadlineWheel(TICK)
    fired: list[float] = []
    began = time.monotonic()
    first = 5.0 if change == "sooner" else 0.03
    deadline = wheel.schedule(first, lambda: fired.append(time.monotonic() - began))
    if change == "extended":
        deadline.extend(0.05)
    else:
        deadline.restart(earliest)
    await asyncio.sleep(earliest + LATE)
    assert len(fired) == 1
    assert earliest <= fired[0] < earliest + 3


async def test_a_deadline_that_ran_can_be_restarted_also_by_its_own_callback() -> None:
    wheel = DeadlineWheel(TICK)
    fired: list[float] = []

    def again() -> None:
        fired.append(time.monotonic())
        if len(fired) < 3:
            deadline.restart(0.02)

    deadline = wheel.idle(again)
    assert not deadline.active
    deadline.restart(0)
    await asyncio.sleep(0.08 + LATE)
    assert len(fired) == 3
    assert all(later - sooner >= 0.02 for sooner, later in itertools.pairwise(fired))


async def test_extending_what_is_over_does_not_revive_it() -> None:
    wheel = DeadlineWheel(TICK)
    deadline = wheel.schedule(10, print)
    deadline.cancel()
    deadline.extend(1)
    assert not deadline.active
    with pytest.raises(ValueError, match="use restart"):
        deadline.extend(-1)


async def test_a_callback_may_cancel_and_move_others_that_are_due_with_it() -> None:
    wheel = DeadlineWheel(TICK)
    seen: list[str] = []

    def first() -> None:
        cancelled.cancel()
        moved.restart(0.05)
        seen.append("first")

    wheel.schedule(0.010, first)
    cancelled = wheel.schedule(0.011, seen.append, "cancelled")
    moved = wheel.schedule(0.012, seen.append, "moved")
    time.sleep(0.03)  # noqa: ASYNC251 - so that one turn meets all three
    await asyncio.sleep(0.02)
    assert seen == ["first"]
    await asyncio.sleep(0.05 + LATE)
    assert seen == ["first", "moved"]


async def test_a_callback_that_raises_is_reported_and_the_others_still_fire() -> None:
    wheel = DeadlineWheel(TICK)
    reported: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    seen: list[str] = []

    def broken() -> None:
        raise RuntimeError("broken")

    wheel.schedule(0.01, broken)
    wheel.schedule(0.012, seen.append, "same turn")
    wheel.schedule(0.05, seen.append, "later turn")
    await asyncio.sleep(0.05 + LATE)
    assert seen == ["same turn", "later turn"]
    assert [str(context["exception"]) for context in reported] == ["broken"]


async def test_the_timer_runs_only_while_there_are_deadlines() -> None:
    wheel = DeadlineWheel(TICK)
    assert not wheel.running
    deadline = wheel.schedule(10, print)
    assert wheel.running
    await asyncio.sleep(3 * TICK)
    assert wheel.running
    deadline.cancel()
    await asyncio.sleep(3 * TICK)
    assert not wheel.running
    wheel.schedule(10, print)
    assert wheel.running
    wheel.close()
    assert (wheel.running, len(wheel)) == (False, 0)


def test_a_wheel_without_a_tick_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        DeadlineWheel(0)
