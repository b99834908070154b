"""Supervised background work of plugins: restarted with back-off, ended with the instance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hookway.ticks import TICK, Ticks
from hookway_sdk import Log

FIRST_DELAY = 0.5
LONGEST_DELAY = 60.0

FailureCount = Callable[[str, Exception], None]


class PluginTasks:
    """See :class:`hookway_sdk.Tasks`; one per plugin instance.

    Args:
        ticks: the worker's tick.
        log: the plugin's log.
        failed: told of every failure, for metrics.
    """

    def __init__(self, ticks: Ticks, log: Log, failed: FailureCount) -> None:
        self._ticks = ticks
        self._log = log
        self._failed = failed
        self._running: set[asyncio.Task[None]] = set()
        self._tick_work: list[Callable[[], None]] = []

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a coroutine function until it returns; restart one that raises."""
        self._spawn(name, self._supervise(name, work))

    def every(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Run a coroutine function at an interval, never twice at once."""
        if seconds <= 0:
            raise ValueError(f"task {name} needs an interval above 0 seconds")
        self._spawn(name, self._repeat(name, seconds, work))

    def on_tick(self, work: Callable[[], None]) -> None:
        """Call a plain function on the worker's tick, and once at the end."""

        def supervised() -> None:
            try:
                work()
            except Exception as error:
                self._note("tick", error, TICK)

        self._tick_work.append(supervised)
        self._ticks.add(supervised)

    async def stop(self) -> None:
        """End everything and wait for it; tick work is called a last time."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for work in self._tick_work:
            self._ticks.remove(work)
            try:
                work()
            except Exception as error:
                self._failed("tick", error)
                self._log.error("task_failed", task="tick", error=f"{type(error).__name__}: {error}")
        self._tick_work.clear()

    def _spawn(self, name: str, coroutine: Awaitable[None]) -> None:
        task = asyncio.ensure_future(coroutine)
        task.set_name(name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _supervise(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        delay = FIRST_DELAY
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await work()
                return
            except Exception as error:
                if loop.time() - began > LONGEST_DELAY:
                    delay = FIRST_DELAY
                self._note(name, error, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _repeat(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception as error:
                self._note(name, error, seconds)

    def _note(self, name: str, error: Exception, again: float) -> None:
        self._failed(name, error)
        self._log.error("task_failed", task=name, error=f"{type(error).__name__}: {error}", again_in=again)
