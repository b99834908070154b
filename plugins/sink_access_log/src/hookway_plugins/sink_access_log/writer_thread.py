"""The thread that writes, so that a slow disk or a reader that sleeps never stops a request."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable

from hookway_plugins.sink_access_log.output import Output

BACKLOG_BYTES = 8 * 1024 * 1024
"""How much may wait for the writer; what comes on top is dropped."""


class WriterThread:
    """Appends what it is given to an output, in order.

    ``services.tasks`` runs work on the event loop, and a write may block; hence a thread of its own. It
    is a daemon, so that a reader that never reads cannot keep the process from ending.

    Args:
        output: closed when this is.

    Attributes:
        dropped: lines that found no room.
    """

    def __init__(self, output: Output, name: str) -> None:
        self.output = output
        self.dropped = 0
        self._queue: queue.SimpleQueue[bytes | Callable[[], object]] = queue.SimpleQueue()
        # Each is counted by one thread only, so that neither needs a lock.
        self._handed_over = 0
        self._done = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, lines: bytes) -> None:
        """Hand over lines; never waits."""
        if self._handed_over - self._done > BACKLOG_BYTES:
            self.dropped += lines.count(b"\n")
            return
        self._handed_over += len(lines)
        self._queue.put(lines)

    async def close(self, seconds: float) -> bool:
        """Wait until everything is written, and say whether that was done in time."""
        loop, finished = asyncio.get_running_loop(), asyncio.Event()
        self._queue.put(lambda: loop.call_soon_threadsafe(finished.set))
        try:
            async with asyncio.timeout(seconds):
                await finished.wait()
        except TimeoutError:
            return False
        return True

    def _run(self) -> None:
        while isinstance(item := self._queue.get(), bytes):
            self.output.write(item)
            self._done += len(item)
        self.output.close()
        with contextlib.suppress(RuntimeError):  # nobody waits any more, and the loop is closed
            item()
