"""Leases in memory: who holds one of a key's slots, and until when."""

from __future__ import annotations

import msgspec


class Leases(msgspec.Struct, gc=False):
    """The holders of one key.

    Args:
        key: the leases'.
        ends: when the lease of each holder ends.
        earliest: no lease ends before this, so nobody has to look before.
    """

    key: str
    ends: dict[str, float]
    earliest: float = float("inf")

    def acquire(self, now: float, holder: str, limit: int, ttl: float) -> bool:
        """Give the holder a lease, or prolong the one it has; say whether it has one now."""
        if now >= self.earliest:
            self._drop_ended(now)
        if not limit or (len(self.ends) >= limit and holder not in self.ends):
            return False
        self._put(holder, now + ttl)
        return True

    def renew(self, now: float, holder: str, ttl: float) -> bool:
        """Prolong the holder's lease; say whether it has one."""
        if self.end(now, holder) is None:
            return False
        self._put(holder, now + ttl)
        return True

    def release(self, holder: str) -> None:
        """End the holder's lease."""
        self.ends.pop(holder, None)

    def end(self, now: float, holder: str) -> float | None:
        """Return when the holder's lease ends, ``None`` if it has none."""
        if now >= self.earliest:
            self._drop_ended(now)
        return self.ends.get(holder)

    def put_back(self, holder: str, end: float | None) -> None:
        """Undo a change of the holder's lease."""
        if end is None:
            self.ends.pop(holder, None)
        else:
            self._put(holder, end)

    def held(self, now: float) -> int:
        """Return how many leases are held."""
        if now >= self.earliest:
            self._drop_ended(now)
        return len(self.ends)

    def is_over(self, now: float) -> bool:
        """Whether nobody holds a lease."""
        return not self.held(now)

    def size(self) -> int:
        """Bytes whose number the owner chose: none, it is bounded by the holders there are."""
        return 0

    def _put(self, holder: str, end: float) -> None:
        self.ends[holder] = end
        if end < self.earliest:
            self.earliest = end

    def _drop_ended(self, now: float) -> None:
        for holder in [holder for holder, end in self.ends.items() if now >= end]:
            del self.ends[holder]
        self.earliest = min(self.ends.values(), default=float("inf"))
