"""When models are asked, how many at once, and by which worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from checking_workers import Worker, Workers, checked, unchecked

from hookway_sdk import StateUnavailable, UpstreamRefused
from hookway_sdk.memory_state import MemoryState
from hookway_sdk.state import Acquire, Op, Result

BUSY = UpstreamRefused(503, "busy")


async def test_each_model_is_asked_at_its_own_interval(worker: Workers) -> None:
    one = await worker(checked("often"), checked("seldom", interval_seconds=50), unchecked("never"))
    await one.passes(100)
    asked = worker.models.asked
    assert asked.count("often") == pytest.approx(10, abs=1)
    assert asked.count("seldom") == pytest.approx(2, abs=1)
    assert "never" not in asked


async def test_models_are_not_all_asked_at_once_after_a_start(worker: Workers) -> None:
    one = await worker(*(checked(f"m{n}", interval_seconds=600) for n in range(50)))
    moments = []
    for _ in range(12):
        await one.passes()
        moments.append(len(worker.models.asked_since()))
        one.services.clock.advance(1)
    assert sum(moments) == 50
    assert moments[0] < 5
    assert max(moments) < 15


async def test_at_most_so_many_are_asked_at_once(worker: Workers) -> None:
    rows = [checked(f"m{n}", timeout_seconds=60) for n in range(12)]
    one = await worker(*rows, settings={"concurrency": 3})
    assert len([name for name in one.services.tasks.started if name.startswith("check_")]) == 3
    works = [
        asyncio.create_task(one.services.tasks.run(name))
        for name in one.services.tasks.started
        if name.startswith("check_")
    ]
    await one.services.tasks.run_every()
    one.services.clock.advance(20)
    await one.services.tasks.run_every()
    for _ in range(100):
        await asyncio.sleep(0)
    assert worker.models.busiest == 3
    assert sorted(worker.models.asked) == sorted(row.name for row in rows)
    for work in works:
        work.cancel()
    await asyncio.gather(*works, return_exceptions=True)


async def test_a_slow_model_keeps_the_others_from_nothing(worker: Workers) -> None:
    worker.models.hanging.add("slow")
    one = await worker(checked("slow", timeout_seconds=600), checked("quick"))
    works = [asyncio.create_task(one.services.tasks.run(f"check_{n}")) for n in (1, 2)]
    for _ in range(40):
        await one.services.tasks.run_every()
        one.services.clock.advance(1)
        for _ in range(5):
            await asyncio.sleep(0)
    assert worker.models.asked.count("slow") == 1
    assert worker.models.asked.count("quick") == pytest.approx(4, abs=1)
    for work in works:
        work.cancel()
    await asyncio.gather(*works, return_exceptions=True)


async def test_the_schedule_follows_the_newest_snapshot(worker: Workers) -> None:
    one = await worker(checked("old"), checked("slow", interval_seconds=3_600))
    await one.passes(15)
    worker.models.asked_since()
    one.compile(checked("new"), checked("slow", interval_seconds=5))
    await one.passes(21)
    asked = worker.models.asked_since()
    assert "old" not in asked
    assert asked.count("new") >= 1
    assert asked.count("slow") >= 3


async def test_a_row_that_goes_while_its_check_waits_is_not_asked(worker: Workers) -> None:
    one = await worker(checked("a"))
    await one.services.tasks.run_every("schedule")
    one.services.clock.advance(10)
    await one.services.tasks.run_every("schedule")
    one.compile(unchecked("a"))
    await one.plugin._schedule.work_off()
    assert worker.models.asked == []


async def test_a_check_that_waits_when_its_worker_stops_is_left_to_others(worker: Workers) -> None:
    one = await worker(checked("a"))
    await one.services.tasks.run_every("schedule")
    one.services.clock.advance(10)
    await one.services.tasks.run_every("schedule")
    await one.plugin.stop()
    await one.plugin._schedule.work_off()
    assert worker.models.asked == []
    two = await worker(checked("a"))
    await two.passes(11)
    assert "a" in worker.models.asked


async def test_a_check_that_breaks_is_made_again(worker: Workers) -> None:
    worker.models.says["a"] = RuntimeError("a defect")  # type: ignore[assignment]
    one = await worker(checked("a"))
    await one.services.tasks.run_every()
    one.services.clock.advance(10)
    await one.services.tasks.run_every()
    with pytest.raises(RuntimeError):
        await one.plugin._schedule.work_off()
    del worker.models.says["a"]
    await one.passes(11)
    assert one.counted("a")["ok"] >= 1


async def together(seconds: int, *workers: Worker) -> None:
    for _ in range(seconds):
        for one in workers:
            await one.passes()
        workers[0].services.clock.advance(1)


async def test_one_of_several_workers_asks_and_all_know(worker: Workers) -> None:
    worker.models.says["a"] = BUSY
    rows = checked("a"), unchecked("b")
    several = [await worker(*rows) for _ in range(3)]
    await together(100, *several)
    assert len(worker.models.asked) == pytest.approx(10, abs=1)
    for one in several:
        assert await one.left("a", "b") == ["b"]
    assert sorted(len(one.told) for one in several) == [0, 0, 1]
    del worker.models.says["a"]
    await together(12, *several)
    for one in several:
        assert await one.left("a", "b") == ["a", "b"]


async def test_another_worker_takes_over_from_one_that_died(worker: Workers) -> None:
    one, two = await worker(checked("a")), await worker(checked("a"))
    await together(20, one, two)
    worker.models.asked_since()
    await together(40, two)
    assert len(worker.models.asked_since()) == pytest.approx(3, abs=1)


async def test_the_next_instance_goes_on_at_once_with_what_the_last_one_found(worker: Workers) -> None:
    worker.models.says["a"] = BUSY
    rows = checked("a", interval_seconds=3_600, stale_after_seconds=9_000), unchecked("b")
    one = await worker(*rows)
    await one.passes(11)
    await one.plugin.stop()
    two = await worker(*rows)
    assert await two.left("a", "b") == ["b"]
    worker.models.asked_since()
    await two.passes(11)
    assert worker.models.asked_since() == ["a"]
    await one.passes(3_700)
    assert worker.models.asked_since() == []


class Away:
    """A state that is away for leases only, or for everything."""

    def __init__(self, state: Any) -> None:
        self._state = state
        self.away = False

    async def apply(self, ops: Sequence[Op]) -> tuple[Result, ...]:
        if self.away:
            raise StateUnavailable("the store is away")
        result: tuple[Result, ...] = await self._state.apply(ops)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)


async def test_without_the_store_every_worker_asks_for_itself(worker: Workers) -> None:
    state = Away(MemoryState(worker.clock).scope("resilience_checks"))
    worker.state = state
    worker.models.says["a"] = BUSY
    one, two = [await worker(checked("a"), unchecked("b")) for _ in range(2)]
    state.away = True
    await together(12, one, two)
    for each in (one, two):
        assert await each.left("a", "b") == ["b"]
        assert each.told.count(("health_not_shared", "")) == 1


async def test_a_lease_lasts_as_long_as_an_interval(worker: Workers) -> None:
    one = await worker(checked("a", interval_seconds=77))
    await one.passes(11)
    one.services.clock.advance(60)
    other = Acquire("probe:id-of-a", "another worker", 1, 5.0)
    assert worker.state is not None
    assert [answer.allowed for answer in await worker.state.apply((other,))] == [False]
    one.services.clock.advance(18)
    assert [answer.allowed for answer in await worker.state.apply((other,))] == [True]
