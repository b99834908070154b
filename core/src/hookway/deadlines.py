"""One coarse wheel of deadlines per worker, instead of a loop timer per request.

A loop timer that is made and cancelled costs about 3 µs; an entry here costs about a tenth of that,
because nearly every deadline is cancelled long before it is due and only a set in memory changes.
The price is coarseness: a deadline is never early, and late by at most one tick and the loop's own delay.

The wheel is hashed: an entry stands in the slot of its due tick modulo the number of slots, and is
looked at once a rotation until it is due. So memory does not grow with how far away a deadline is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

_SLOTS = 512
# A timer may wake a little before its time (uvloop rounds to milliseconds, both loops measure from the
# start of the iteration). Asking for this much more keeps the second wake-up for one tick rare.
_TIMER_SLACK = 0.001


class Deadline:
    """A callback that is due at a moment; made by :meth:`DeadlineWheel.schedule`."""

    __slots__ = ("_args", "_callback", "_due", "_slot", "_wheel")

    def __init__(
        self, wheel: DeadlineWheel, due: float, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self._wheel = wheel
        self._due = due
        self._callback = callback
        self._args = args
        self._slot: set[Deadline] | None = None

    @property
    def active(self) -> bool:
        """Whether the callback is still to come."""
        return self._slot is not None

    def cancel(self) -> None:
        """Forget the callback; harmless when it has run or was cancelled."""
        slot = self._slot
        if slot is not None:
            self._slot = None
            slot.discard(self)
            self._wheel._count -= 1

    def restart(self, seconds: float) -> None:
        """Make it due ``seconds`` from now, sooner or later than before; also after it ran or was cancelled.

        Later costs one assignment: the entry moves when the wheel next meets it.
        """
        wheel = self._wheel
        due = wheel.now() + (seconds if seconds > 0 else 0)
        if self._slot is not None:
            if due >= self._due:
                self._due = due
                return
            self.cancel()
        self._due = due
        wheel._insert(self)

    def extend(self, seconds: float) -> None:
        """Move it ``seconds`` further away from where it is; nothing happens when it is not active."""
        if seconds < 0:
            raise ValueError(f"a deadline cannot be extended by {seconds} seconds; use restart")
        if self._slot is not None:
            self._due += seconds


class DeadlineWheel:
    """All deadlines of one event loop, behind a single timer that runs only while there are any.

    Args:
        tick: seconds between two looks; a deadline is at most about 1.5 ticks late.
        now: monotonic seconds; must run at the pace of the loop's own clock.
    """

    def __init__(self, tick: float = 0.05, now: Callable[[], float] = time.monotonic) -> None:
        if tick <= 0:
            raise ValueError(f"the tick of a deadline wheel must be positive, not {tick}")
        self.tick = tick
        self._per_second = 1.0 / tick
        self.now = now
        self._slots: list[set[Deadline]] = [set() for _ in range(_SLOTS)]
        self._count = 0
        self._seen = 0  # the last tick whose slot was looked at
        self._timer: asyncio.TimerHandle | None = None
        self._turning = False

    def __len__(self) -> int:
        """Return how many deadlines are active."""
        return self._count

    @property
    def running(self) -> bool:
        """Whether the loop timer is set; it ends by itself within a tick after the wheel is empty."""
        return self._timer is not None

    def schedule(self, seconds: float, callback: Callable[..., object], *args: Any) -> Deadline:
        """Call ``callback(*args)`` from the loop, not before ``seconds`` have passed.

        Args:
            seconds: from now; zero or less means at the next tick.
            callback: a plain function; what it raises goes to the loop's exception handler.
            args: its arguments.

        Returns:
            A handle to cancel or to move the deadline, both in constant time.
        """
        # Not into the past: that slot would be behind the hand and met only a rotation later.
        due = self.now() + (seconds if seconds > 0 else 0)
        deadline = Deadline(self, due, callback, args)
        # The body of _insert, written out: this is the request path.
        slot = self._slots[(int(due * self._per_second) + 1) % _SLOTS]
        slot.add(deadline)
        deadline._slot = slot
        self._count += 1
        if self._timer is None:
            self._start()
        return deadline

    def idle(self, callback: Callable[..., object], *args: Any) -> Deadline:
        """Make a deadline that is not active, for an owner that times one thing after the other."""
        return Deadline(self, 0.0, callback, args)

    def close(self) -> None:
        """Cancel every deadline and the timer."""
        for slot in self._slots:
            for deadline in slot:
                deadline._slot = None
            slot.clear()
        self._count = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _insert(self, deadline: Deadline) -> None:
        slot = self._slots[(int(deadline._due * self._per_second) + 1) % _SLOTS]
        slot.add(deadline)
        deadline._slot = slot
        self._count += 1
        if self._timer is None:
            self._start()

    def _start(self) -> None:
        if self._turning:
            return  # the turn sets the timer when it is done
        loop = asyncio.get_running_loop()
        self._seen = int(self.now() * self._per_second) - 1
        self._arm(loop)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        now = self.now()
        until = (int(now * self._per_second) + 1) * self.tick - now
        self._timer = loop.call_later(max(until, 0.0) + _TIMER_SLACK, self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at every slot the hand has passed since the last turn and call what is due."""
        self._timer = None
        self._turning = True
        try:
            now = self.now()
            current = int(now * self._per_second)
            met: list[Deadline] = []
            # After a long stall one rotation meets every entry there is.
            for tick in range(max(self._seen, current - _SLOTS) + 1, current + 1):
                met.extend(self._slots[tick % _SLOTS])
            self._seen = current
            met.sort(key=_due)
            for deadline in met:
                # A callback before this one may have cancelled or moved it.
                if deadline._slot is None:
                    continue
                deadline.cancel()
                if deadline._due > now:
                    self._insert(deadline)
                    continue
                self._call(loop, deadline)
        finally:
            self._turning = False
            if self._count:
                self._arm(loop)

    def _call(self, loop: asyncio.AbstractEventLoop, deadline: Deadline) -> None:
        try:
            deadline._callback(*deadline._args)
        except Exception as error:
            loop.call_exception_handler(
                {"message": f"the callback of a deadline failed: {deadline._callback!r}", "exception": error}
            )


def _due(deadline: Deadline) -> float:
    return deadline._due
