"""Windows in memory: counts of the recent past, sliding or aligned to the wall clock.

All times are seconds of a clock that only goes forward. Entries refer to nothing that refers back, so they
are kept from the garbage collector, which would otherwise walk a million of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

import msgspec

from hookway_sdk.state import MAX_COUNT, SUB_WINDOWS, WindowResult

# One sub-window more than the window has: the current one is only partly over, and the oldest is counted
# whole, so that what is counted always covers the window.
_RING = SUB_WINDOWS + 1
# A wait is longer by this, so that rounding never makes an honest one too short.
_ROUNDING = 1e-6
# A window that would end this soon is taken to have ended: the two clocks are not read at the same moment,
# and two windows would otherwise open on either side of one boundary.
_SKEW = 1e-3


class SlidingWindow(msgspec.Struct, gc=False):
    """Counts by sub-window, numbered from the clock's zero.

    Args:
        key: the window's.
        scale: sub-windows per second.
        head: number of the newest sub-window.
        used: what all of them count, as of the last call.
        newest: what the newest counts.
        ring: what the ones before it count, by number modulo the ring's length; ``None`` while there is none.
    """

    key: str
    scale: float
    head: int = 0
    used: int = 0
    newest: int = 0
    ring: array[int] | None = None

    def hit(self, now: float, limit: int, amount: int, overshoot: bool) -> WindowResult:
        """Count the amount if it fits."""
        head = int(now * self.scale)
        if head != self.head:
            self._move(head)
        used = self.used
        if limit and (used <= limit if overshoot else used + amount <= limit):
            used += amount
            self.used = used
            self.newest += amount
            reset = (head + _RING) / self.scale - now + _ROUNDING
            return WindowResult(True, limit, used, limit - used if used < limit else 0, reset, now)
        excess = used - limit if overshoot else used + amount - limit
        return WindowResult(False, limit, used, max(0, limit - used), self._wait(now, excess), now)

    def take(self, now: float, limit: int, amount: int, overshoot: bool) -> bool:
        """Count the amount if it fits, and say no more than whether it did (see :meth:`hit`)."""
        head = int(now * self.scale)
        if head != self.head:
            self._move(head)
        used = self.used
        if limit and (used <= limit if overshoot else used + amount <= limit):
            self.used = used + amount
            self.newest += amount
            return True
        return False

    def count(self, now: float, amount: int) -> None:
        """Count the amount, whatever there is."""
        self._move(int(now * self.scale))
        amount = max(0, min(amount, MAX_COUNT - self.newest))
        self.newest += amount
        self.used += amount

    def take_back(self, amount: int) -> None:
        """Undo a count of this very moment."""
        self.used -= amount
        self.newest -= amount

    def figures(self, now: float, limit: int) -> tuple[int, float]:
        """Return what is left of a limit, and the seconds until nothing is counted."""
        head = int(now * self.scale)
        if head != self.head:
            self._move(head)
        used = self.used
        if not used:
            return limit, 0.0
        last = self.head if self.newest else self._last()
        return (limit - used if used < limit else 0), (last + _RING) / self.scale - now + _ROUNDING

    def look(self, now: float, limit: int) -> WindowResult:
        """Say what is counted."""
        self._move(int(now * self.scale))
        used = self.used
        reset = (self._last() + _RING) / self.scale - now + _ROUNDING if used else 0.0
        return WindowResult(True, limit, used, max(0, limit - used), reset, now)

    def adjust(self, now: float, at: float, delta: int) -> int:
        """Correct the sub-window of ``at`` if it still counts; return by how much its count changed."""
        head = int(now * self.scale)
        if head != self.head:
            self._move(head)
        number = int(at * self.scale)
        if number >= self.head:
            # The usual case: the request was a short one.
            before = self.newest
            after = before + delta
            after = 0 if after < 0 else min(after, MAX_COUNT)
            self.newest = after
            self.used += after - before
            return after - before
        if number <= self.head - _RING:
            return 0
        before = self._at(number)
        after = min(max(0, before + delta), MAX_COUNT)
        self._put(number, after)
        return after - before

    def is_over(self, now: float) -> bool:
        """Whether nothing is counted any more."""
        return not self.used or int(now * self.scale) - self.head >= _RING

    def size(self) -> int:
        """Bytes whose number the owner chose: none."""
        return 0

    def _move(self, head: int) -> None:
        """Make ``head`` the newest sub-window, and let those go that have left the window."""
        steps = head - self.head
        if steps <= 0:
            return
        old = self.head
        self.head = head
        if not self.used or steps >= _RING:
            self.used = 0
            self.newest = 0
            self.ring = None
            return
        if self.ring is None:
            self.ring = array("q", bytes(8 * _RING))
        ring = self.ring
        ring[old % _RING] = self.newest
        self.newest = 0
        gone = 0
        # Each new sub-window takes the place of the one that leaves for it.
        for number in range(old + 1, head + 1):
            place = number % _RING
            gone += ring[place]
            ring[place] = 0
        self.used -= gone
        if not self.used:
            self.ring = None

    def _at(self, number: int) -> int:
        if number == self.head:
            return self.newest
        return self.ring[number % _RING] if self.ring is not None else 0

    def _put(self, number: int, count: int) -> None:
        self.used += count - self._at(number)
        if number == self.head:
            self.newest = count
            return
        if self.ring is None:
            self.ring = array("q", bytes(8 * _RING))
        self.ring[number % _RING] = count

    def _last(self) -> int:
        """Return the number of the newest sub-window that counts anything; something does."""
        number = self.head
        while not self._at(number):
            number -= 1
        return number

    def _wait(self, now: float, excess: int) -> float:
        """Return the seconds until ``excess`` of the count has left."""
        if not self.used:
            return SUB_WINDOWS / self.scale
        # What is asked for beyond the whole count can never fit; the window is empty when the last has left.
        excess = min(excess, self.used)
        leaving = self.head
        if self.ring is not None:
            ring = self.ring
            freed = 0
            for number in range(self.head - SUB_WINDOWS, self.head):
                freed += ring[number % _RING]
                if freed >= excess:
                    leaving = number
                    break
        return (leaving + _RING) / self.scale - now + _ROUNDING


class AlignedWindow(msgspec.Struct, gc=False):
    """The count of one fixed window of the wall clock.

    Args:
        key: the window's.
        length: seconds.
        wall: the wall clock; read when a window opens, so that setting it in between changes nothing.
        opened: when the window opened.
        end: when it ends.
        used: what it counts.
    """

    key: str
    length: float
    wall: Callable[[], float]
    opened: float = 0.0
    end: float = float("-inf")
    used: int = 0

    def hit(self, now: float, limit: int, amount: int, overshoot: bool) -> WindowResult:
        """Count the amount if it fits."""
        if now >= self.end:
            self._open(now)
        used = self.used
        if limit and (used <= limit if overshoot else used + amount <= limit):
            self.used = used = used + amount
            reset = self.end - now + _ROUNDING
            return WindowResult(True, limit, used, limit - used if used < limit else 0, reset, now)
        wait = self.end - now + _ROUNDING
        return WindowResult(False, limit, used, max(0, limit - used), wait, now)

    def take(self, now: float, limit: int, amount: int, overshoot: bool) -> bool:
        """Count the amount if it fits, and say no more than whether it did."""
        return self.hit(now, limit, amount, overshoot).allowed

    def count(self, now: float, amount: int) -> None:
        """Count the amount, whatever there is."""
        if now >= self.end:
            self._open(now)
        self.used = min(self.used + amount, MAX_COUNT)

    def take_back(self, amount: int) -> None:
        """Undo a count of this very moment."""
        self.used -= amount

    def figures(self, now: float, limit: int) -> tuple[int, float]:
        """Return what is left of a limit, and the seconds until nothing is counted."""
        seen = self.look(now, limit)
        return seen.remaining, seen.reset_seconds

    def look(self, now: float, limit: int) -> WindowResult:
        """Say what is counted."""
        if now >= self.end:
            self._open(now)
        used = self.used
        reset = self.end - now + _ROUNDING if used else 0.0
        return WindowResult(True, limit, used, max(0, limit - used), reset, now)

    def adjust(self, now: float, at: float, delta: int) -> int:
        """Correct the window if ``at`` lies in it; return by how much its count changed."""
        if now >= self.end:
            self._open(now)
        if at < self.opened:
            return 0
        before = self.used
        self.used = min(max(0, before + delta), MAX_COUNT)
        return self.used - before

    def is_over(self, now: float) -> bool:
        """Whether the window has ended."""
        return now >= self.end

    def size(self) -> int:
        """Bytes whose number the owner chose: none."""
        return 0

    def _open(self, now: float) -> None:
        left = self.length - self.wall() % self.length
        if left < min(_SKEW, self.length / 100):
            left += self.length
        self.opened = now
        self.end = now + left
        self.used = 0
