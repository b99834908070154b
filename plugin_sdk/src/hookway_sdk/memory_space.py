"""The operations on one space of keys in memory; ``memory_state.py`` puts spaces together to a state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from hookway_sdk.clock import Clock
from hookway_sdk.memory_leases import Leases
from hookway_sdk.memory_values import Value
from hookway_sdk.memory_windows import AlignedWindow, SlidingWindow
from hookway_sdk.state import (
    MAX_COUNT,
    SUB_WINDOWS,
    Acquire,
    Adjust,
    CompareAndSet,
    CountResult,
    Delete,
    Get,
    Hit,
    Increment,
    LeaseResult,
    Op,
    Peek,
    PostOp,
    Release,
    Renew,
    Result,
    Set,
    Shape,
    ValueResult,
    WindowResult,
)
from hookway_sdk.swept_table import Pool, SweptTable

_SLIDING = Shape.SLIDING

# What takes one change back: functions and their arguments, called in reverse.
Undo: TypeAlias = list[tuple[Callable[..., object], tuple[Any, ...]]]
_Run: TypeAlias = Callable[[Any, float, Undo], Result]
_Look: TypeAlias = Callable[[Any, float], Result]


class MemorySpace:
    """Windows, leases and values by key.

    Args:
        pool: bounds that all spaces of the store share.
        clock: time. Everything is counted on its monotonic side; the wall clock only says where an aligned
            window ends, at the moment it opens.
    """

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._wall = clock.now
        self._sliding: dict[float, SweptTable[SlidingWindow]] = {}
        self._aligned: dict[float, SweptTable[AlignedWindow]] = {}
        self._leases: SweptTable[Leases] = pool.table()
        self._values: SweptTable[Value] = pool.table()
        self._runs: dict[type, _Run] = {
            Hit: self._hit,
            Peek: self._peek,
            Adjust: self._adjust,
            Acquire: self._acquire,
            Renew: self._renew,
            Release: self._release,
            Get: self._get,
            Set: self._set,
            Delete: self._delete,
            Increment: self._increment,
            CompareAndSet: self._compare_and_set,
        }
        self._posts: dict[type, _Run] = {
            Hit: self._count,
            Adjust: self._adjust,
            Renew: self._renew,
            Release: self._release,
            Set: self._set,
            Delete: self._delete,
            Increment: self._increment,
        }
        self._looks: dict[type, _Look] = {
            Hit: self._look_at_window,
            Peek: self._look_at_window,
            Adjust: lambda op, now: CountResult(True, self._counted(op, now)),
            Acquire: lambda op, now: LeaseResult(True, self._held(op.key, now), op.limit),
            Renew: lambda op, now: LeaseResult(True, self._held(op.key, now)),
            Release: lambda op, now: LeaseResult(True, self._held(op.key, now)),
            Get: self._look_at_value,
            Set: self._look_at_value,
            Delete: self._look_at_value,
            Increment: self._look_at_number,
            CompareAndSet: self._look_at_value,
        }

    # ── batches ─────────────────────────────────────────────────────────────────────────────

    def apply(self, ops: Sequence[Op], now: float) -> tuple[Result, ...]:
        """Apply a batch at a moment, all of it or nothing.

        Raises:
            StateUnavailable: there is no room; nothing took effect.
            ValueError: an :class:`Increment` met no number, or would leave its range; nothing took effect.
        """
        runs = self._runs
        undo: Undo = []
        results: list[Result] = []
        refused = False
        try:
            for op in ops:
                result = runs[op.__class__](op, now, undo)
                results.append(result)
                if not result.allowed:
                    refused = True
        except BaseException:
            self._undo_hits(ops, results)
            _take_back(undo)
            _refuse_unknown(ops, runs)
            raise
        if refused and len(ops) > 1:
            self._undo_hits(ops, results)
            _take_back(undo)
            looks = self._looks
            pairs = zip(ops, results, strict=True)
            return tuple([looks[op.__class__](op, now) if result.allowed else result for op, result in pairs])
        return tuple(results)

    def post(self, op: PostOp, now: float) -> None:
        """Apply an operation at a moment, whatever it answers.

        Raises:
            StateUnavailable: there is no room.
            ValueError: an :class:`Increment` met no number, or would leave its range.
        """
        self._posts[op.__class__](op, now, [])

    def refuse_to_post(self, ops: Sequence[PostOp]) -> None:
        """Raise TypeError if an operation means nothing when its answer is not read."""
        posts = self._posts
        for op in ops:
            if op.__class__ not in posts:
                raise TypeError(
                    f"{op.__class__.__name__} cannot be posted, since nobody would read its answer; use apply"
                )

    # ── for meters, which count without operations ──────────────────────────────────────────

    def window_entries(
        self, seconds: float, shape: Shape
    ) -> Mapping[str, SlidingWindow] | Mapping[str, AlignedWindow]:
        """Return the windows of a length and shape by key, now and from now on."""
        tables = self._sliding if shape is _SLIDING else self._aligned
        if seconds not in tables:
            tables[seconds] = self._pool.table()
        return tables[seconds].entries

    def open_window(self, op: Hit, now: float) -> SlidingWindow | AlignedWindow:
        """Open a window that is not there.

        Raises:
            StateUnavailable: there is no room.
        """
        return self._open_window(op, now)

    def lease_entries(self) -> Mapping[str, Leases]:
        """Return the leases by key, now and from now on."""
        return self._leases.entries

    def open_leases(self, key: str) -> Leases:
        """Make room for a key's leases.

        Raises:
            StateUnavailable: there is no room.
        """
        leases = Leases(key, {})
        self._leases.add(leases)
        return leases

    # ── windows ─────────────────────────────────────────────────────────────────────────────

    def _hit(self, op: Hit, now: float, undo: Undo) -> WindowResult:
        # The body of _window, written out: this is the request path. Nothing is noted for undoing either;
        # what a batch hits is found again by its key in the rare case that the batch is refused.
        if op.shape is _SLIDING:
            sliding = self._sliding.get(op.window_seconds)
            if sliding is not None:
                window = sliding.entries.get(op.key)
                if window is not None:
                    return window.hit(now, op.limit, op.amount, op.overshoot)
            return self._open_window(op, now).hit(now, op.limit, op.amount, op.overshoot)
        return (self._window(op) or self._open_window(op, now)).hit(now, op.limit, op.amount, op.overshoot)

    def _undo_hits(self, ops: Sequence[Op], results: Sequence[Result]) -> None:
        """Take back the hits of a batch that has come as far as its results."""
        for op, result in zip(ops, results, strict=False):
            if op.__class__ is Hit and result.allowed:
                window = self._window(op)
                assert window is not None
                window.take_back(op.amount)

    def _count(self, op: Hit, now: float, undo: Undo) -> CountResult:
        window = self._window(op)
        if window is None:
            window = self._open_window(op, now)
        window.count(now, op.amount)
        return CountResult(True, window.used)

    def _peek(self, op: Peek, now: float, undo: Undo) -> WindowResult:
        return self._look_at_window(op, now)

    def _adjust(self, op: Adjust, now: float, undo: Undo) -> CountResult:
        window = self._window(op)
        if window is None:
            # A sliding window that counts nothing may have been forgotten, although its hit (of 0) is recent.
            if op.delta <= 0 or op.shape is not _SLIDING:
                return CountResult(True, 0)
            window = self._open_window(op, now)
        change = window.adjust(now, op.at, op.delta)
        if change:
            undo.append((window.adjust, (now, op.at, -change)))
        return CountResult(True, window.used)

    def _window(self, op: Hit | Peek | Adjust) -> SlidingWindow | AlignedWindow | None:
        if op.shape is _SLIDING:
            sliding = self._sliding.get(op.window_seconds)
            return sliding.entries.get(op.key) if sliding is not None else None
        aligned = self._aligned.get(op.window_seconds)
        return aligned.entries.get(op.key) if aligned is not None else None

    def _open_window(self, op: Hit | Adjust, now: float) -> SlidingWindow | AlignedWindow:
        length = op.window_seconds
        if op.shape is _SLIDING:
            sliding = self._sliding.get(length)
            if sliding is None:
                sliding = self._sliding[length] = self._pool.table()
            scale = SUB_WINDOWS / length
            window = SlidingWindow(op.key, scale, int(now * scale))
            sliding.add(window)
            return window
        aligned = self._aligned.get(length)
        if aligned is None:
            aligned = self._aligned[length] = self._pool.table()
        fixed = AlignedWindow(op.key, length, self._wall)
        aligned.add(fixed)
        return fixed

    def _look_at_window(self, op: Hit | Peek, now: float) -> WindowResult:
        window = self._window(op)
        if window is None:
            return WindowResult(True, op.limit, 0, op.limit, 0.0, now)
        return window.look(now, op.limit)

    def _counted(self, op: Adjust, now: float) -> int:
        window = self._window(op)
        return window.look(now, 0).used if window is not None else 0

    # ── leases ──────────────────────────────────────────────────────────────────────────────

    def _acquire(self, op: Acquire, now: float, undo: Undo) -> LeaseResult:
        leases = self._leases.entries.get(op.key)
        if leases is None:
            leases = self.open_leases(op.key)
        holder = op.holder
        before = leases.end(now, holder)
        allowed = leases.acquire(now, holder, op.limit, op.ttl)
        if allowed:
            undo.append((leases.put_back, (holder, before)))
        return LeaseResult(allowed, len(leases.ends), op.limit)

    def _renew(self, op: Renew, now: float, undo: Undo) -> LeaseResult:
        leases = self._leases.entries.get(op.key)
        if leases is None:
            return LeaseResult(False, 0)
        before = leases.end(now, op.holder)
        allowed = leases.renew(now, op.holder, op.ttl)
        if allowed:
            undo.append((leases.put_back, (op.holder, before)))
        return LeaseResult(allowed, len(leases.ends))

    def _release(self, op: Release, now: float, undo: Undo) -> LeaseResult:
        leases = self._leases.entries.get(op.key)
        if leases is None:
            return LeaseResult(True, 0)
        before = leases.end(now, op.holder)
        if before is not None:
            leases.release(op.holder)
            undo.append((leases.put_back, (op.holder, before)))
        return LeaseResult(True, len(leases.ends))

    def _held(self, key: str, now: float) -> int:
        leases = self._leases.entries.get(key)
        return leases.held(now) if leases is not None else 0

    # ── values ──────────────────────────────────────────────────────────────────────────────

    def _get(self, op: Get, now: float, undo: Undo) -> ValueResult:
        return self._look_at_value(op, now)

    def _set(self, op: Set, now: float, undo: Undo) -> ValueResult:
        self._keep(op.key, op.value, now + op.ttl, undo)
        return ValueResult(True, op.value)

    def _delete(self, op: Delete, now: float, undo: Undo) -> ValueResult:
        before = self._value(op.key, now)
        if before is not None:
            self._keep(op.key, None, now, undo)
        return ValueResult(True, before)

    def _increment(self, op: Increment, now: float, undo: Undo) -> CountResult:
        before = self._value(op.key, now)
        number = (0 if before is None else _number(before, op.key)) + op.delta
        if not -MAX_COUNT <= number <= MAX_COUNT:
            raise ValueError(f"value of '{op.key}' would become {number}; a number stays within ±{MAX_COUNT}")
        end = now + op.ttl if before is None else self._values.entries[op.key].end
        self._keep(op.key, b"%d" % number, end, undo)
        return CountResult(True, number)

    def _compare_and_set(self, op: CompareAndSet, now: float, undo: Undo) -> ValueResult:
        before = self._value(op.key, now)
        if before != op.expected:
            return ValueResult(False, before)
        self._keep(op.key, op.value, now + op.ttl, undo)
        return ValueResult(True, op.value)

    def _value(self, key: str, now: float) -> bytes | None:
        entry = self._values.entries.get(key)
        return entry.at(now) if entry is not None else None

    def _keep(self, key: str, value: bytes | None, end: float, undo: Undo) -> None:
        entry = self._values.entries.get(key)
        if entry is None:
            entry = Value(key, value, end)
            self._values.add(entry)
            undo.append((self._put, (entry, None, end)))
            return
        before = (entry, entry.value, entry.end)
        self._put(entry, value, end)
        undo.append((self._put, before))

    def _put(self, entry: Value, value: bytes | None, end: float) -> None:
        self._pool.take_room(0, len(value or b"") - entry.size())
        entry.value = value
        entry.end = end

    def _look_at_value(self, op: Get | Set | Delete | CompareAndSet, now: float) -> ValueResult:
        return ValueResult(True, self._value(op.key, now))

    def _look_at_number(self, op: Increment, now: float) -> CountResult:
        before = self._value(op.key, now)
        return CountResult(True, 0 if before is None else _number(before, op.key))


def _refuse_unknown(ops: Sequence[Op], known: dict[type, _Run]) -> None:
    for op in ops:
        if op.__class__ not in known:
            raise TypeError(f"{op.__class__.__name__} is no operation of a state")


def _take_back(undo: Undo) -> None:
    for function, arguments in reversed(undo):
        function(*arguments)


def _number(value: bytes, key: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"value of '{key}' is no number; it cannot be incremented") from None
