"""The worker's tick: one 50 ms timer on which buffers are flushed, quiet while there is no traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TICK = 0.05
"""Seconds between ticks; what ``kill -9`` can lose at most."""


class Ticks:
    """Calls plain functions on every tick while something happens.

    ``touch`` is called for every request; it starts the timer, which stops itself after a tick in
    which nothing was touched, so that an idle gateway does not wake up.
    """

    def __init__(self, interval: float = TICK) -> None:
        self._interval = interval
        self._work: list[Callable[[], None]] = []
        self._touched = False
        self._timer: asyncio.TimerHandle | None = None

    def add(self, work: Callable[[], None]) -> None:
        """Call a function on every tick from now on."""
        self._work.append(work)

    def remove(self, work: Callable[[], None]) -> None:
        """Stop calling a function; one that is not there is no error."""
        if work in self._work:
            self._work.remove(work)

    def touch(self) -> None:
        """Say that there is something to flush at the next tick."""
        self._touched = True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._tick)

    def close(self) -> None:
        """Run everything once more and stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._run()

    def _tick(self) -> None:
        self._timer = None
        if self._touched:
            self._touched = False
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._tick)
            self._run()

    def _run(self) -> None:
        for work in tuple(self._work):
            try:
                work()
            except Exception as error:
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "work on the tick failed", "exception": error}
                )
