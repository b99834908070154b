"""What workers tell each other of cooldowns, also when the store is away, lost its data, or holds rubbish."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from cooling_workers import Workers, target
from hypothesis import given
from hypothesis import strategies as st

from hookway_plugins.resilience_cooldown.plugin import later_end
from hookway_sdk import StateUnavailable, UpstreamRefused
from hookway_sdk.memory_state import MemoryState
from hookway_sdk.shared_notes import (
    KEY,
    MAX_NOTES,
    Note,
    SharedNotes,
    read_notes,
    write_notes,
)
from hookway_sdk.state import MAX_VALUE_BYTES, Get, Op, Result, Set, State
from hookway_sdk.testing import FakeClock, make_services

A, B = target("a"), target("b", position=1)
BUSY = UpstreamRefused(503)


class Wavering:
    """A state that can be away, and lets others in between what one worker reads and writes."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.away = False
        self.batches = 0
        self.between: list[Any] = []

    async def apply(self, ops: Sequence[Op]) -> tuple[Result, ...]:
        self.batches += 1
        if self.away:
            raise StateUnavailable("the store is away")
        if self.between and not isinstance(ops[0], Get):
            await self.between.pop()()
        return await self._state.apply(ops)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)


def wavering(worker: Workers) -> Wavering:
    state = Wavering(MemoryState(worker.clock).scope("resilience_cooldown"))
    worker.state = state
    return state


async def test_a_cooldown_reaches_another_worker_and_so_does_its_end(worker: Workers) -> None:
    one, two = await worker(), await worker()
    one.ends(A, BUSY)
    assert not await two.cools(A)
    await one.polls()
    await two.polls()
    assert await two.cools(A)
    assert await two.health("a") == await one.health("a")
    two.ends(A)
    await two.polls()
    await one.polls()
    assert not await one.cools(A)
    assert (one.count("a"), two.count("a")) == (1, 0)


async def test_a_reload_begins_with_what_was_known(worker: Workers) -> None:
    one = await worker()
    one.ends(A, BUSY)
    await one.plugin.stop()
    one.clock.advance(20)
    two = await worker()
    assert await two.cools(A)
    two.clock.advance(10.1)
    assert not await two.cools(A)


async def test_news_is_told_without_waiting_for_the_next_second(worker: Workers) -> None:
    one, two = await worker(), await worker()
    news = asyncio.create_task(one.services.tasks.run("share_news"))
    await asyncio.sleep(0)
    one.ends(A, BUSY)
    await asyncio.sleep(0.01)
    await two.polls()
    assert await two.cools(A)
    news.cancel()
    await asyncio.gather(news, return_exceptions=True)


async def test_a_storm_of_failures_is_told_in_few_words(worker: Workers) -> None:
    state = wavering(worker)
    one = await worker()
    before = state.batches
    news = asyncio.create_task(one.services.tasks.run("share_news"))
    for n in range(200):
        one.ends(target(f"t{n}"), BUSY)
        await asyncio.sleep(0)
    assert state.batches - before <= 4
    await one.polls()
    news.cancel()
    await asyncio.gather(news, return_exceptions=True)
    two = await worker()
    assert len(two.plugin._ends) == 200


async def test_two_workers_that_write_at_once_lose_nothing(worker: Workers) -> None:
    state = wavering(worker)
    one, two = await worker(), await worker()
    one.ends(A, BUSY)
    two.ends(B, BUSY)
    state.between.append(two.polls)
    await one.polls()
    three = await worker()
    assert await three.cools(A)
    assert await three.cools(B)


async def test_what_happens_while_the_store_is_asked_is_not_lost(worker: Workers) -> None:
    state = wavering(worker)
    one = await worker()
    one.ends(A, BUSY)

    async def meanwhile() -> None:
        one.ends(B, BUSY)
        one.ends(A)

    state.between.append(meanwhile)
    await one.polls()
    assert await one.cools(B)
    assert not await one.cools(A)
    await one.polls()
    two = await worker()
    assert await two.cools(B)
    assert not await two.cools(A)


async def test_a_success_elsewhere_does_not_end_a_later_failure(worker: Workers) -> None:
    one, two = await worker(), await worker()
    one.ends(A, BUSY)
    await one.polls()
    await two.polls()
    one.clock.advance(1)
    two.ends(A)
    one.clock.advance(1)
    one.ends(A, UpstreamRefused(429, retry_after=50))
    await one.polls()
    await two.polls()
    await one.polls()
    assert await one.cools(A)
    await two.polls()
    assert await two.cools(A)


async def test_a_failure_after_a_success_begins_a_cooldown_of_its_own(worker: Workers) -> None:
    one, two = await worker(), await worker()
    one.ends(A, UpstreamRefused(429, retry_after=500))
    await one.polls()
    one.clock.advance(1)
    one.ends(A)
    one.ends(A, BUSY)
    for each in (one, two):
        await each.polls()
    one.clock.advance(30.1)
    assert not await one.cools(A)
    assert not await two.cools(A)


async def test_news_from_a_clock_that_is_ahead_lasts_no_longer_than_was_meant(worker: Workers) -> None:
    one = await worker()
    one.ends(A, BUSY)
    await one.polls()
    one.clock.jump(-3_600)
    two = await worker()
    two.clock.advance(30.1)
    assert not await two.cools(A)


async def test_news_of_others_prolongs_no_cooldown_when_the_clock_was_set_back(worker: Workers) -> None:
    one, two = await worker(), await worker()
    one.ends(A, BUSY)
    await one.polls()
    one.clock.advance(20)
    one.clock.jump(-3_600)
    two.ends(B, BUSY)
    await two.polls()
    await one.polls()
    assert await one.cools(B)
    one.clock.advance(10.1)
    assert not await one.cools(A)


async def test_without_the_store_every_worker_acts_on_what_it_knows(worker: Workers) -> None:
    state = wavering(worker)
    one = await worker()
    state.away = True
    one.ends(A, BUSY)
    for _ in range(3):
        await one.polls()
        assert await one.cools(A)
    two = await worker()
    assert not await two.cools(A)
    state.away = False
    await one.polls()
    await two.polls()
    assert await two.cools(A)
    assert one.services.log.events() == ["target_cools_down", "health_not_shared", "health_shared_again"]


async def test_a_store_that_is_away_for_long_leaves_nothing_behind(worker: Workers) -> None:
    state = wavering(worker)
    one = await worker()
    state.away = True
    for n in range(50):
        one.ends(target(f"t{n}"), BUSY)
    one.clock.advance(31)
    await one.polls()
    assert one.plugin._ends == {}
    assert one.plugin._notes._pending == {}


async def test_a_store_that_lost_its_data_is_told_again(worker: Workers) -> None:
    memory = MemoryState(worker.clock)
    worker.state = memory.scope("resilience_cooldown")
    one = await worker()
    one.ends(A, BUSY)
    await one.polls()
    memory.clear()
    await one.polls()
    assert await one.cools(A)
    assert await (await worker()).cools(A)


async def test_a_value_that_cannot_be_read_counts_as_none(worker: Workers) -> None:
    one = await worker()
    assert worker.state is not None
    for rubbish in (b"", b"\xc1", b"\x81\xa1a\x01"):
        await worker.state.apply((Set(KEY, rubbish, 60.0),))
        await one.polls()
        assert not await one.cools(A)
    one.ends(A, BUSY)
    await one.polls()
    assert await (await worker()).cools(A)


async def test_a_second_without_news_asks_once_and_writes_nothing(worker: Workers) -> None:
    state = wavering(worker)
    one = await worker()
    one.ends(A, BUSY)
    await one.polls()
    before = state.batches
    await one.polls()
    assert state.batches == before + 1


def test_what_is_shared_fits_into_a_value() -> None:
    notes = {f"{n}" + "x" * 5_000: Note(1e9 + n, 1e9, "r") for n in range(400)}
    raw = write_notes(notes)
    assert len(raw) <= MAX_VALUE_BYTES
    kept = read_notes(raw)
    assert 0 < len(kept) < 400
    assert min(note.end for note in kept.values()) > 1e9 + 100
    assert MAX_NOTES * 300 < MAX_VALUE_BYTES


Step = st.tuples(
    st.sampled_from(["fail", "succeed", "poll", "wait"]),
    st.integers(0, 1),
    st.sampled_from("ab"),
    st.integers(1, 40),
)


@given(st.lists(Step, max_size=40))
def test_workers_agree_once_both_have_told_and_heard(steps: list[tuple[str, int, str, int]]) -> None:
    """Whatever happens in whatever order, two workers know the same after an exchange of news."""
    asyncio.run(agree(steps))


async def agree(steps: list[tuple[str, int, str, int]]) -> None:
    clock = FakeClock()
    first = make_services("p", clock=clock)
    workers = [
        SharedNotes(first, later_end),
        SharedNotes(make_services("p", clock=clock, state=first.state), later_end),
    ]
    longest = dict.fromkeys("ab", 0.0)
    for action, who, key, amount in steps:
        now = clock.now()
        if action == "fail":
            workers[who].put(key, Note(now + amount, now, "r"))
            longest[key] = max(longest[key], now + amount)
        elif action == "succeed":
            workers[who].clear(key, now)
        elif action == "poll":
            await workers[who].sync()
        else:
            clock.advance(amount / 4)
    for one in (workers[0], workers[1], workers[0]):
        await one.sync()
    known = [dict(one.running()) for one in workers]
    assert known[0] == known[1]
    for one in workers:
        assert all(one.ends[key] > clock.monotonic() for key in known[0])
        assert all(note.end <= longest[key] for key, note in known[0].items())
