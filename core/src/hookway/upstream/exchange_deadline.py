"""The deadlines of one exchange behind one entry in the wheel."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from hookway.deadlines import DeadlineWheel
from hookway.upstream.timeouts import NO_TIMEOUTS, Timeouts
from hookway_sdk.errors import UpstreamTimeout


class ExchangeDeadline:
    """Watch head, chunk and total; made once a connection and used for each exchange in turn.

    The entry in the wheel is set for the nearest of them, or stays where it is if it fires before that. What
    happens in the meantime only stores the time; when the entry fires, it is looked at what is due, and the
    entry is set again if nothing is.

    Args:
        wheel: the worker's.
        expired: told, once, which deadline has passed.

    Attributes:
        last: monotonic seconds of the latest sign of life; the owner stores it, that is all a chunk costs.
        now: the wheel's clock.
        resting: the clock stands still until the next exchange; the owner stores it.
    """

    __slots__ = (
        "_armed",
        "_began",
        "_deadline",
        "_expired",
        "_granted",
        "_in_body",
        "_paused",
        "_tick",
        "_timeouts",
        "last",
        "now",
        "resting",
    )

    def __init__(self, wheel: DeadlineWheel, expired: Callable[[UpstreamTimeout], None]) -> None:
        self._deadline = wheel.idle(self._check)
        self.now = wheel.now
        self._expired = expired
        self._timeouts = NO_TIMEOUTS
        self._began = 0.0
        self._tick = wheel.tick
        self._in_body = False
        self._paused = False
        self._granted = False
        # Monotonic seconds at which the entry fires.
        self._armed = inf
        self.resting = False
        self.last = 0.0

    def begin(self, timeouts: Timeouts, spent: float = 0.0) -> None:
        """Start the clock as the request is sent.

        Args:
            timeouts: of this exchange.
            spent: seconds of ``total`` that connecting has used.
        """
        self._timeouts = timeouts
        self._in_body = self._paused = self._granted = self.resting = False
        now = self.last = self.now()
        began = self._began = now - spent
        head, total = timeouts.head, timeouts.total
        if head is not None and now + head < self._armed:
            self._arm(now, now + head)
        if total is not None and began + total < self._armed:
            self._arm(now, began + total)

    def touch(self) -> None:
        """Note a sign of life."""
        self.last = self.now()

    def head_arrived(self) -> None:
        """Go on to the body."""
        self._in_body = True
        self.last = self.now()
        self._set(self.last)

    def pause(self) -> None:
        """The receiver has paused: silence is no longer the provider's."""
        self._paused = True

    def resume(self) -> None:
        """The receiver goes on; a chunk's time begins anew."""
        self._paused = False
        if self._in_body:
            self.last = self.now()
            self._set(self.last)

    def end(self) -> None:
        """Stop the clock."""
        self._armed = inf
        self._deadline.cancel()

    def _check(self) -> None:
        self._armed = inf
        if self.resting:
            return
        now = self.now()
        timeouts = self._timeouts
        if timeouts.total is not None and now >= self._began + timeouts.total:
            self._expired(UpstreamTimeout(_milliseconds(timeouts.total), stage="total"))
            return
        silence = timeouts.chunk if self._in_body else timeouts.head
        if silence is None or self._paused or now < self.last + silence:
            self._granted = False
            self._set(now)
        elif now > self.last + silence + 2 * self._tick and not self._granted:
            # The loop stood still: what breaks the silence may have arrived, unread. One tick to read it.
            self._granted = True
            self._arm(now, now)
        else:
            stage = "chunk" if self._in_body else "head"
            self._expired(UpstreamTimeout(_milliseconds(silence), stage=stage))

    def _set(self, now: float) -> None:
        timeouts = self._timeouts
        silence = timeouts.chunk if self._in_body else timeouts.head
        due = inf if timeouts.total is None else self._began + timeouts.total
        if silence is not None and not self._paused and self.last + silence < due:
            due = self.last + silence
        if due == inf:
            self.end()
        elif due < self._armed:
            self._arm(now, due)

    def _arm(self, now: float, due: float) -> None:
        self._armed = due
        self._deadline.restart(due - now)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
