"""Writes that leave together: what the requests of one turn of the loop have to send, sent at its end.

A write to a peer that sleeps wakes it, which costs more than the write. Between two requests of a turn peers
fall asleep again; of writes that follow each other closely the first wakes them, and the others find them
awake (``docs/decisions/0012``).
"""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

MOST = 16
"""Writes that wait at most: the first should not wait for a hundred others."""


class Outbox:
    """The writes of one event loop.

    Who is woken by the arrival of bytes is expected to write soon. The last one of those sends what all of
    them wrote, so that nothing waits where there is one request at a time. Should the last one write nothing,
    it is sent in the loop's next turn.

    Args:
        loop: its loop.

    Attributes:
        expected: tasks that were woken and have not run yet; a wrong count costs time and nothing else.
    """

    __slots__ = ("_due", "_loop", "_waiting", "expected")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[asyncio.WriteTransport, bytes]] = []
        self._due = False
        self.expected = 0

    def write(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Send bytes, now or with those of others; bytes of one transport keep their order.

        Who writes to the transport itself, or closes it, flushes before.
        """
        waiting = self._waiting
        if self.expected <= 0:
            self.expected = 0
            if not waiting:
                transport.write(data)
                return
        waiting.append((transport, data))
        if not self.expected or len(waiting) >= MOST:
            self.flush()
        elif not self._due:
            self._due = True
            self._loop.call_soon(self._end_turn)

    def flush(self) -> None:
        """Send what waits."""
        waiting = self._waiting
        if waiting:
            self._waiting = []
            for transport, data in waiting:
                if not transport.is_closing():
                    transport.write(data)

    def _end_turn(self) -> None:
        self._due = False
        if self._waiting:
            # Of those that were expected, one wrote nothing, or was cancelled before it ran.
            self.expected -= 1
            self.flush()


_OUTBOXES: WeakKeyDictionary[asyncio.AbstractEventLoop, Outbox] = WeakKeyDictionary()


def outbox_of(loop: asyncio.AbstractEventLoop) -> Outbox:
    """Return the outbox of a loop, made at first use."""
    found = _OUTBOXES.get(loop)
    if found is None:
        found = _OUTBOXES[loop] = Outbox(loop)
    return found
