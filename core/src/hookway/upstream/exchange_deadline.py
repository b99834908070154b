"""The deadlines of one exchange behind one entry in the wheel."""

from __future__ import annotations

from collections.abc import Callable

from hookway.deadlines import DeadlineWheel
from hookway.upstream.timeouts import NO_TIMEOUTS, Timeouts
from hookway_sdk.errors import UpstreamTimeout


class ExchangeDeadline:
    """Watch head, chunk and total; made once a connection and used for each exchange in turn.

    The entry in the wheel is set for the nearest of them. What happens in the meantime only stores the time;
    when the entry fires, it is looked at what is due, and the entry is set again if nothing is.

    Args:
        wheel: the worker's.
        expired: told, once, which deadline has passed.

    Attributes:
        last: monotonic seconds of the latest sign of life; the owner stores it, that is all a chunk costs.
        now: the wheel's clock.
    """

    __slots__ = (
        "_began",
        "_deadline",
        "_expired",
        "_granted",
        "_in_body",
        "_paused",
        "_resting",
        "_tick",
        "_timeouts",
        "last",
        "now",
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
        self._resting = False
        self.last = 0.0

    def begin(self, timeouts: Timeouts, spent: float = 0.0) -> None:
        """Start the clock as the request is sent.

        Args:
            timeouts: of this exchange.
            spent: seconds of ``total`` that connecting has used.
        """
        self._timeouts = timeouts
        self._in_body = self._paused = self._granted = self._resting = False
        head, total = timeouts.head, timeouts.total
        now = self.last = self.now()
        self._began = now - spent
        if total is not None:
            total -= spent
            self._deadline.restart(total if head is None or total < head else head)
        elif head is not None:
            self._deadline.restart(head)

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

    def rest(self) -> None:
        """Stop the clock until the next exchange, for which the entry in the wheel is only moved."""
        self._resting = True

    def end(self) -> None:
        """Stop the clock."""
        self._deadline.cancel()

    def _check(self) -> None:
        if self._resting:
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
            self._deadline.restart(0)
        else:
            stage = "chunk" if self._in_body else "head"
            self._expired(UpstreamTimeout(_milliseconds(silence), stage=stage))

    def _set(self, now: float) -> None:
        timeouts = self._timeouts
        silence = timeouts.chunk if self._in_body else timeouts.head
        left = [] if timeouts.total is None else [self._began + timeouts.total - now]
        if silence is not None and not self._paused:
            left.append(self.last + silence - now)
        if left:
            self._deadline.restart(min(left))
        else:
            self._deadline.cancel()


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
