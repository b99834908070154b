"""Background work of plugins: restarted with growing delays, never twice at once, ended with its instance."""

from __future__ import annotations

import asyncio

import pytest

from hookway.services import tasks as module
from hookway.services.tasks import PluginTasks
from hookway.ticks import Ticks
from hookway_sdk.testing import RecordingLog


class Bench:
    """Tasks, and what they told."""

    def __init__(self) -> None:
        self.log = RecordingLog()
        self.failures: list[tuple[str, str]] = []
        self.ticks = Ticks(0.005)
        self.tasks = PluginTasks(
            self.ticks, self.log, lambda name, error: self.failures.append((name, type(error).__name__))
        )


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(module, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(module, "LONGEST_DELAY", 0.04)
    return Bench()


async def test_work_that_returns_is_done(bench: Bench) -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1

    bench.tasks.start("once", work)
    await asyncio.sleep(0.05)
    assert (runs, bench.failures) == (1, [])
    await bench.tasks.stop()


async def test_work_that_raises_is_told_and_restarted_with_growing_delays(bench: Bench) -> None:
    runs = 0
    done = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 6:
            raise OSError(f"try {runs}")
        done.set()

    bench.tasks.start("flaky", work)
    await asyncio.wait_for(done.wait(), 5)
    assert bench.failures == [("flaky", "OSError")] * 5
    assert [line.fields["again_in"] for line in bench.log.lines] == [0.01, 0.02, 0.04, 0.04, 0.04]
    assert bench.log.lines[0].fields == {"task": "flaky", "error": "OSError: try 1", "again_in": 0.01}
    await bench.tasks.stop()


async def test_a_failure_after_a_good_while_is_a_first_one_again(bench: Bench) -> None:
    runs = 0
    done = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 4:
            await asyncio.sleep(0.1)
        if runs < 6:
            raise OSError
        done.set()

    bench.tasks.start("flaky", work)
    await asyncio.wait_for(done.wait(), 5)
    assert [line.fields["again_in"] for line in bench.log.lines] == [0.01, 0.02, 0.04, 0.01, 0.02]
    await bench.tasks.stop()


async def test_work_at_an_interval_goes_on_after_failures_and_never_runs_twice_at_once(bench: Bench) -> None:
    running = most = runs = 0

    async def work() -> None:
        nonlocal running, most, runs
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.015)
        running -= 1
        runs += 1
        if runs % 2:
            raise ValueError

    bench.tasks.every("often", 0.005, work)
    await asyncio.sleep(0.15)
    await bench.tasks.stop()
    assert runs >= 3
    assert most == 1
    assert len(bench.failures) >= 2


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_an_interval_is_above_zero(bench: Bench, seconds: float) -> None:
    async def work() -> None: ...

    with pytest.raises(ValueError, match="task often needs an interval above 0 seconds"):
        bench.tasks.every("often", seconds, work)


async def test_stop_ends_everything_and_waits_for_it(bench: Bench) -> None:
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            cleaned.append("up")

    async def often() -> None:
        raise AssertionError("it was stopped before its time")

    bench.tasks.start("long", work)
    bench.tasks.every("rare", 60, often)
    await asyncio.sleep(0.01)
    await asyncio.wait_for(bench.tasks.stop(), 5)
    assert cleaned == ["up"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_work_on_the_tick_runs_while_there_is_traffic_and_a_last_time_at_the_end(bench: Bench) -> None:
    runs = 0

    def work() -> None:
        nonlocal runs
        runs += 1

    bench.tasks.on_tick(work)
    assert runs == 0
    bench.ticks.touch()
    await asyncio.sleep(0.03)
    assert runs == 1
    await bench.tasks.stop()
    assert runs == 2
    bench.ticks.touch()
    await asyncio.sleep(0.03)
    assert runs == 2
    bench.ticks.close()


async def test_a_last_tick_that_fails_is_told_and_keeps_nobody_else_from_his(bench: Bench) -> None:
    ran: list[str] = []

    def broken() -> None:
        raise OSError("disk")

    bench.tasks.on_tick(broken)
    bench.tasks.on_tick(lambda: ran.append("good"))
    await bench.tasks.stop()
    assert ran == ["good"]
    assert [name for _, name in bench.failures] == ["OSError"]
