"""Dictionaries whose dead entries are found a few at a time, without a timer and without a long pause."""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, Protocol, TypeVar

from hookway_sdk.errors import StateUnavailable

# How often and how thoroughly: every entry is looked at within about a minute of use, and a look at a million
# takes some 0.1 ms at a time.
_SWEEP_SECONDS = 0.05
_SWEEP_SHARE = 1024
_SWEEP_LEAST = 8
# New entries that call for a sweep before its time; it looks at two for each, so dead ones go faster than new
# ones come, whoever makes the keys.
_FRESH_MOST = 32


class Mortal(Protocol):
    """An entry that ends."""

    key: str

    def is_over(self, now: float) -> bool:
        """Whether forgetting the entry would change no answer."""

    def size(self) -> int:
        """Bytes of content that its owner chose the length of."""


EntryT = TypeVar("EntryT", bound=Mortal)


class Pool:
    """All tables of one store: their bounds, and when they are swept.

    Entries are only forgotten by :meth:`sweep` and :meth:`clear`, which the store calls between batches: what
    a batch holds in its hands stays in its table until the batch is over, or taken back.

    Args:
        most_entries: entries in all tables together.
        most_bytes: bytes of content in all tables together.

    Attributes:
        entries: how many there are.
        bytes: how many there are.
        next_sweep: when :meth:`sweep` wants to be called again.
    """

    __slots__ = ("_fresh", "_most_bytes", "_most_entries", "_tables", "bytes", "entries", "next_sweep")

    def __init__(self, most_entries: int, most_bytes: int) -> None:
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._tables: list[SweptTable[Any]] = []
        self._fresh = 0
        self.entries = 0
        self.bytes = 0
        self.next_sweep = 0.0

    def table(self) -> SweptTable[Any]:
        """Return a new table of this pool."""
        table: SweptTable[Any] = SweptTable(self)
        self._tables.append(table)
        return table

    def take_room(self, entries: int, size: int) -> None:
        """Count so many more entries, and bytes of content (either may be negative).

        Raises:
            StateUnavailable: they do not fit. An entry that counts is never pushed out for a new one: that
                would let a caller who makes up keys empty everybody's limits.
        """
        if self.entries + entries > self._most_entries or self.bytes + size > self._most_bytes:
            raise StateUnavailable(
                f"the memory store is full ({self.entries} keys, {self.bytes} bytes of values); "
                "raise its bounds, or find out who makes so many keys"
            )
        self.entries += entries
        self.bytes += size
        self._fresh += entries
        if self._fresh >= _FRESH_MOST:
            self.next_sweep = 0.0

    def sweep(self, now: float, least: int = 0) -> None:
        """Look at a share of every table, forget what is over.

        Args:
            now: the moment.
            least: entries of each table to look at, at least.
        """
        least = max(least, _SWEEP_LEAST, 2 * self._fresh)
        self._fresh = 0
        self.next_sweep = now + _SWEEP_SECONDS
        for table in self._tables:
            table.sweep(now, max(least, table.waiting // _SWEEP_SHARE))

    def clear(self) -> None:
        """Forget everything."""
        self.entries = 0
        self.bytes = 0
        for table in self._tables:
            table.clear()


class SweptTable(Generic[EntryT]):
    """Entries by key, and a queue in which each waits to be looked at."""

    __slots__ = ("_pool", "_queue", "entries")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queue: deque[EntryT] = deque()
        self.entries: dict[str, EntryT] = {}

    @property
    def waiting(self) -> int:
        """How many entries wait to be looked at."""
        return len(self._queue)

    def add(self, entry: EntryT) -> None:
        """Add an entry under a key that has none.

        Raises:
            StateUnavailable: the pool is full.
        """
        self._pool.take_room(1, entry.size())
        self.entries[entry.key] = entry
        self._queue.append(entry)

    def sweep(self, now: float, count: int) -> None:
        """Look at up to ``count`` entries: forget those that are over, put the others at the end again."""
        queue = self._queue
        pool = self._pool
        for _ in range(min(count, len(queue))):
            entry = queue.popleft()
            if entry.is_over(now):
                del self.entries[entry.key]
                pool.entries -= 1
                pool.bytes -= entry.size()
            else:
                queue.append(entry)

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self._queue.clear()
