"""The journal: every settlement on disk within one tick, without the serving loop ever touching a disk.

``append`` encodes and queues. One thread wakes up while there is something to write, gathers for a tick, and
writes. So ``kill -9`` loses what was appended in the last tick, and nothing older; a loss of power may take
what the operating system had not yet written out. ``journal_lines.py`` describes the format.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Protocol

import msgspec

from hookway.journal_lines import DROPPED_KIND, Dropped, encode_data, encode_line
from hookway.journal_reader import JournalReader
from hookway.journal_segments import SegmentWriter
from hookway.ticks import TICK
from hookway_sdk.clock import Clock, SystemClock

SEGMENT_BYTES = 64 * 1024 * 1024
# Small enough that the thread holds the interpreter for half a millisecond between two writes; each time it
# takes it from the serving loop costs both.
_CHUNK = 512
# Records that are encoded together: those after the first cost half as much.
_AT_ONCE = 16
_LONGEST_RETRY = 1.0

_Item = tuple[str, float, bytes]
_Fresh = tuple[str, float, msgspec.Struct]


class Report(Protocol):
    """How trouble is told: an event and its facts, as :class:`hookway_sdk.Log` takes them.

    It is called on the journal's thread (by ``start`` and ``close`` also on their caller's), once when a
    trouble begins and once when it is over, not for every record.
    """

    def __call__(self, event: str, /, **fields: object) -> None:
        """Tell one event."""


class _Mark:
    """Stands in the queue behind what has to be written before it is set."""

    def __init__(self) -> None:
        self.passed = threading.Event()


class Journal:
    """Keeps records in a directory, in order, for readers that come later.

    A disk that is full, or a directory that is gone, is counted and told, and tried again until it works; the
    newest records wait in memory meanwhile, the oldest are dropped beyond a bound. Serving goes on. Where
    records were dropped, the journal says so in a record of its own.

    Args:
        directory: made if it is not there; one process writes to it at a time.
        segment_bytes: size of a file before the next one begins.
        keep_without_reader: newest files that stay although no registered reader needs them; at least 1.
        clock: time of the records.
        report: told of trouble.
        max_queued: records that wait in memory at most.
        tick: seconds for which the writer gathers.

    Attributes:
        written: records on disk.
        dropped: records lost because the disk did not take them in time.
        rejected: records that cannot be said in JSON.
        errors: attempts to write that failed.
        cut_bytes: bytes of a torn end that starting cut off.
        unheard: reports that raised.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        keep_without_reader: int = 2,
        clock: Clock | None = None,
        report: Report | None = None,
        max_queued: int = 65_536,
        tick: float = TICK,
    ) -> None:
        if segment_bytes < 1 or keep_without_reader < 1 or max_queued < 1 or not tick > 0:
            raise ValueError("the bounds and the tick of a journal must be positive")
        self.directory = Path(directory)
        self.written = 0
        self.dropped = 0
        self.rejected = 0
        self.errors = 0
        self.cut_bytes = 0
        self.unheard = 0
        self._segment_bytes = segment_bytes
        self._keep = keep_without_reader
        self._now = (clock or SystemClock()).now
        self._tell = report
        self._max_queued = max_queued
        self._tick = tick
        # What was appended last, and is not encoded yet; whoever encodes holds the lock, to keep the order.
        self._fresh: deque[_Fresh] = deque()
        self._encoding = threading.Lock()
        self._queue: deque[_Item | _Mark] = deque()
        self._awake = False
        self._work = threading.Event()
        self._hurry = threading.Event()
        self._closing = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._writer: SegmentWriter | None = None
        self._next_seq = 1
        self._chunk: list[_Item] = []
        self._marks: list[_Mark] = []
        self._noted_dropped = 0
        self._dropping = False
        self._told_rejected = False
        self._failing = False

    @property
    def queued(self) -> int:
        """How many records wait in memory."""
        return len(self._fresh) + len(self._queue) + len(self._chunk)

    @property
    def failing(self) -> bool:
        """Whether the last attempt to write failed."""
        return self._failing

    def start(self) -> None:
        """Open the directory and start the thread; call it in the process that appends, after any fork.

        A directory that cannot be written to does not stop the start; it is told, and tried again.

        Raises:
            JournalInUse: another process writes to the directory.
            RuntimeError: it was started before.
        """
        if self._thread is not None:
            raise RuntimeError("a journal is started once")
        try:
            self._open()
        except OSError as error:
            self._failed(error)
        self._thread = threading.Thread(target=self._run, name="hookway-journal", daemon=True)
        self._thread.start()

    def append(self, kind: str, record: msgspec.Struct) -> None:
        """Queue a record; never waits, never fails.

        It is encoded here, a few together: later, in another thread, what it consists of has left the
        processor's caches, and that costs more than the encoding.

        Args:
            kind: what it is, for readers.
            record: its data, which nobody changes from now on.
        """
        fresh = self._fresh
        if len(fresh) + len(self._queue) >= self._max_queued:
            self._encode_fresh()
            if not self._drop_oldest():
                return
        fresh.append((kind, self._now(), record))
        if len(fresh) >= _AT_ONCE and self._encoding.acquire(blocking=False):
            self._encode_locked()
        if not self._awake:
            self._awake = True
            self._work.set()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything appended so far is written; for tests and for threads, not for the loop.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether it was written in time.
        """
        if self._thread is None or self._closed:
            return not self.queued
        mark = _Mark()
        self._encode_fresh()
        self._queue.append(mark)
        self._hurry.set()
        self._work.set()
        return mark.passed.wait(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Write everything and let go of the directory; what the disk does not take now is dropped.

        Args:
            timeout: seconds to wait at most for the disk.
        """
        if self._closed:
            return
        self._closing = True
        self._hurry.set()
        self._work.set()
        if self._thread is not None:
            self._thread.join(timeout)
        self._closed = True
        self._max_queued = 0
        lost = sum(isinstance(item, tuple) for item in self._queue) + len(self._chunk) + len(self._fresh)
        if lost:
            self.dropped += lost
            self._fresh.clear()
            self._queue.clear()
            self._report("journal_records_lost", count=lost)

    def reader(self, name: str) -> JournalReader:
        """Return a reader that goes on where the last one of this name left off, and register it.

        Raises:
            ValueError: the name would make no file name.
            OSError: the directory cannot be read or written to.
        """
        return JournalReader(self.directory, name)

    def _encode_fresh(self) -> None:
        """Encode what was appended last; on whichever side it is needed."""
        self._encoding.acquire()
        self._encode_locked()

    def _encode_locked(self) -> None:
        fresh, queue = self._fresh, self._queue
        try:
            while fresh:
                kind, at, record = fresh.popleft()
                try:
                    data = encode_data(record)
                except Exception as error:  # a record that cannot be said must not hold up the others
                    self._refuse(kind, error)
                else:
                    queue.append((kind, at, data))
        finally:
            self._encoding.release()

    # ── on the loop's side ──────────────────────────────────────────────────────────────────

    def _drop_oldest(self) -> bool:
        """Make room for a record; say whether it will be written."""
        if self._closed:
            self.dropped += 1
            return False
        try:
            oldest = self._queue.popleft()
        except IndexError:
            return True  # the thread was faster
        if isinstance(oldest, _Mark):
            self._queue.append(oldest)
        else:
            self.dropped += 1
        return True

    # ── on the thread's side ────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        wait = self._tick
        while True:
            if not self._failing:
                self._work.wait()
                wait = self._tick
            self._hurry.wait(wait)
            # From here on an append wakes the thread again, so that none is overlooked. Who asks for hurry
            # queues a mark, or says that it closes, before setting the events: it is seen below, or set anew.
            self._hurry.clear()
            self._work.clear()
            self._awake = False
            closing = self._closing
            try:
                self._write_all()
            except Exception as error:
                # Whatever it is, records wait and are tried again; without the thread all would be lost.
                self._failed(error)
                wait = min(wait * 2, _LONGEST_RETRY)
            if closing:
                break
        if self._writer is not None:
            self._let_go(self._writer)

    def _write_all(self) -> None:
        """Write until nothing waits.

        Raises:
            OSError, JournalInUse: the disk takes no more; what was not written waits.
        """
        if self._failing:
            self._open()
        self._encode_fresh()
        before = self.dropped
        while self._chunk or self._take_chunk():
            writer = self._open()
            lines = self._encoded(writer.next_seq)
            while lines:
                count = writer.write(lines)
                self.written += count
                self._next_seq = writer.next_seq
                del lines[:count]
                del self._chunk[:count]
            self._pass_marks()
        self._pass_marks()
        self._dropping = self.dropped > before
        if self._failing:
            self._failing = False
            self._report("journal_write_recovered", directory=str(self.directory), errors=self.errors)

    def _pass_marks(self) -> None:
        for mark in self._marks:
            mark.passed.set()
        self._marks.clear()

    def _take_chunk(self) -> bool:
        """Move some records from the queue into the chunk; say whether there are any."""
        dropped = self.dropped - self._noted_dropped
        if dropped:
            self._chunk.append((DROPPED_KIND, self._now(), encode_data(Dropped(dropped))))
            self._noted_dropped += dropped
            if not self._dropping:
                self._dropping = True
                self._report("journal_records_dropped", count=dropped)
        queue = self._queue
        while len(self._chunk) < _CHUNK:
            try:
                item = queue.popleft()
            except IndexError:
                break
            if isinstance(item, _Mark):
                self._marks.append(item)
                continue
            self._chunk.append(item)
        return bool(self._chunk)

    def _encoded(self, seq: int) -> list[bytes]:
        """Return the chunk's lines."""
        numbered = enumerate(self._chunk, start=seq)
        return [encode_line(number, kind, at, data) for number, (kind, at, data) in numbered]

    def _refuse(self, kind: str, error: Exception) -> None:
        self.rejected += 1
        if not self._told_rejected:
            self._told_rejected = True
            self._report("journal_record_rejected", kind=kind, error=str(error))

    def _open(self) -> SegmentWriter:
        """Return the writer, a new one if the directory was taken from under it."""
        writer = self._writer
        if writer is not None:
            if writer.is_there():
                return writer
            self._writer = None
            self._let_go(writer)
            self._report("journal_directory_replaced", directory=str(self.directory))
        writer = SegmentWriter(self.directory, self._segment_bytes, self._keep, self._next_seq)
        self._writer = writer
        self._next_seq = writer.next_seq
        if writer.cut_bytes:
            self.cut_bytes += writer.cut_bytes
            self._report("journal_end_repaired", directory=str(self.directory), bytes=writer.cut_bytes)
        writer.prune()
        return writer

    def _let_go(self, writer: SegmentWriter) -> None:
        try:
            try:
                writer.sync()
            finally:
                writer.close()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.errors += 1
        if not self._failing:
            self._failing = True
            self._report("journal_write_failed", directory=str(self.directory), error=str(error))

    def _report(self, event: str, **fields: object) -> None:
        if self._tell is None:
            return
        try:
            self._tell(event, **fields)
        except Exception:
            # Telling is a courtesy; what is told about stands in the attributes.
            self.unheard += 1
