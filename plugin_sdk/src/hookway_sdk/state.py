"""Shared counters, leases and values: what plugins ask of a store, and what ``store_*`` plugins promise.

::

    reserve = Hit("rpm:key-7", limit=600, window_seconds=60)
    slot = Acquire("busy:key-7", holder=exchange.uid, limit=8, ttl=300)
    results = await state.apply((reserve, slot))
    if not all(result.allowed for result in results):   # then neither took effect
        ...
    state.post((reserve.settle(results[0], actual=0), slot.release()))    # plain, never waits

Three spaces: windows, leases and values are apart, one key in two of them names two things. Windows of
another length or shape under one key are other windows. Every operation touches exactly the one key it names,
so a Redis store can run all batches of a tick in one Lua script (on a Redis Cluster, give the keys of a batch
a common ``{tag}``). Every integer in an operation is within ±(2**53 - 1), which a Lua number holds exactly.

Time is the store's own, and never runs backwards: a store counts with a clock that only goes forward, or,
where it has a wall clock alone (Redis ``TIME``), with the greatest value it has seen for the key, at most one
window ahead. So a wall clock that is set never empties a window, and holds none shut for longer than it is.

:class:`~hookway_sdk.memory_state.MemoryState` is the reference, ``testing.state_contract`` the test.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import msgspec

MAX_KEY_LENGTH = 512
MAX_VALUE_BYTES = 1024 * 1024
MAX_COUNT = 2**53 - 1
MAX_SECONDS = 10 * 366 * 86400.0
SUB_WINDOWS = 60
"""In how many steps a sliding window moves: a hit counts for its window, and for one step longer at most."""


class Shape(enum.Enum):
    """How a window moves."""

    SLIDING = "sliding"
    """The last ``window_seconds`` at every moment: never more than the limit in any span of that length."""
    ALIGNED = "aligned"
    """Fixed windows of the wall clock (epoch seconds // length; a day is a UTC day): up to twice the limit
    may pass around a boundary. The wall clock says, when a window opens, how long it has to last."""


# ── what an operation answers ───────────────────────────────────────────────────────────────


class Result(msgspec.Struct, frozen=True, gc=False):
    """What one operation of a batch came to.

    A batch took effect if, and only if, every result of it is allowed. Where one is refused, the refused
    results hold the figures they met, and the others those of the state as it stands.

    Args:
        allowed: the operation did not refuse. Operations without a condition never refuse.
    """

    allowed: bool


class WindowResult(Result, frozen=True, gc=False):
    """Answer of :class:`Hit` and :class:`Peek`.

    Args:
        limit: the limit that was asked about.
        used: what the window counts now; without the amount, where that was refused.
        remaining: how much more would fit, never negative.
        reset_seconds: after a refusal, the wait until the amount would fit if nothing else came (a
            ``Retry-After``; if it can never fit, until the window is empty or, if it is, for its length).
            Otherwise the wait until the window is empty. Always finite.
        at: receipt for :class:`Adjust`: the store's time of the hit. It means something to that store alone.
    """

    limit: int
    used: int
    remaining: int
    reset_seconds: float
    at: float


class LeaseResult(Result, frozen=True, gc=False):
    """Answer of :class:`Acquire`, :class:`Renew` and :class:`Release`.

    Args:
        used: leases held now, this one included where it was granted.
        limit: the limit of an :class:`Acquire`, ``None`` otherwise.
    """

    used: int
    limit: int | None = None


class CountResult(Result, frozen=True, gc=False):
    """Answer of :class:`Adjust` (what its window counts now) and :class:`Increment` (the new number)."""

    value: int


class ValueResult(Result, frozen=True, gc=False):
    """Answer of the operations on values.

    Args:
        value: what the key holds now, ``None`` for nothing; for :class:`Delete`, what it held.
    """

    value: bytes | None


# ── operations on windows ───────────────────────────────────────────────────────────────────


class Hit(msgspec.Struct, frozen=True, gc=False):
    """Count an amount in a window, if it fits. Touches the windows of ``key``.

    Args:
        key: 1 to 512 characters.
        limit: what the window may hold; 0 refuses everything.
        window_seconds: length of the window.
        amount: what to count; 0 asks whether there is room without taking it.
        shape: how the window moves.
        overshoot: refuse only if the window already holds more than the limit, however large the amount; for
            amounts that are known afterwards (tokens). One amount may then pass the limit.

    Raises:
        ValueError: an argument is out of range.
    """

    key: str
    limit: int
    window_seconds: float
    amount: int = 1
    shape: Shape = Shape.SLIDING
    overshoot: bool = False

    def __post_init__(self) -> None:
        # One comparison on the way of every request; the sentence is worked out only for a mistake.
        if not (
            0 < len(self.key) <= MAX_KEY_LENGTH
            and 0 <= self.limit <= MAX_COUNT
            and 0 < self.window_seconds <= MAX_SECONDS
            and 0 <= self.amount <= MAX_COUNT
        ):
            _refuse_key(self.key)
            _refuse_count("limit", self.limit)
            _refuse_seconds("window_seconds", self.window_seconds)
            _refuse_count("amount", self.amount)

    def settle(self, result: Result, actual: int) -> Adjust:
        """Return what turns the amount that was counted into the actual one; 0 gives it back.

        Args:
            result: what this very hit answered.
            actual: the amount that was really used.

        Raises:
            ValueError: the result is not that of an admitted hit.
        """
        if not isinstance(result, WindowResult) or not result.allowed:
            raise ValueError(f"hit on '{self.key}' was not admitted; there is nothing to settle")
        return Adjust(self.key, self.window_seconds, actual - self.amount, result.at, self.shape)


class Peek(msgspec.Struct, frozen=True, gc=False):
    """Look at a window without counting; never refuses. Touches the windows of ``key``.

    Args:
        key: 1 to 512 characters.
        limit: what ``remaining`` is measured against.
        window_seconds: length of the window.
        shape: how the window moves.

    Raises:
        ValueError: an argument is out of range.
    """

    key: str
    limit: int
    window_seconds: float
    shape: Shape = Shape.SLIDING

    def __post_init__(self) -> None:
        _refuse_key(self.key)
        _refuse_count("limit", self.limit)
        _refuse_seconds("window_seconds", self.window_seconds)


class Adjust(msgspec.Struct, frozen=True, gc=False):
    """Correct the sub-window in which a hit was counted; never refuses. Touches the windows of ``key``.

    The sub-window never falls below zero. Where the hit is no longer counted, nothing happens: a window that
    has passed is not resurrected, and a later one is not charged for it.

    Args:
        key: the hit's.
        window_seconds: the hit's.
        delta: what to add; negative gives back.
        at: the receipt in the hit's result.
        shape: the hit's.

    Raises:
        ValueError: an argument is out of range.
    """

    key: str
    window_seconds: float
    delta: int
    at: float
    shape: Shape = Shape.SLIDING

    def __post_init__(self) -> None:
        if not (
            0 < len(self.key) <= MAX_KEY_LENGTH
            and 0 < self.window_seconds <= MAX_SECONDS
            and -MAX_COUNT <= self.delta <= MAX_COUNT
        ):
            _refuse_key(self.key)
            _refuse_seconds("window_seconds", self.window_seconds)
            _refuse_delta(self.delta)


# ── operations on leases ────────────────────────────────────────────────────────────────────


class Acquire(msgspec.Struct, frozen=True, gc=False):
    """Take one of ``limit`` leases, if one is free. Touches the leases of ``key``.

    A holder has at most one lease of a key: taking it again renews it, and does not count twice.

    Args:
        key: 1 to 512 characters.
        holder: who takes it, unlike any other (``exchange.uid``, never its ``id``); 1 to 512 characters.
        limit: how many may be held at once; 0 refuses everything.
        ttl: seconds after which the lease ends by itself, should its holder vanish.

    Raises:
        ValueError: an argument is out of range.
    """

    key: str
    holder: str
    limit: int
    ttl: float

    def __post_init__(self) -> None:
        if not (
            0 < len(self.key) <= MAX_KEY_LENGTH
            and 0 < len(self.holder) <= MAX_KEY_LENGTH
            and 0 <= self.limit <= MAX_COUNT
            and 0 < self.ttl <= MAX_SECONDS
        ):
            _refuse_key(self.key)
            _refuse_key(self.holder, "holder")
            _refuse_count("limit", self.limit)
            _refuse_seconds("ttl", self.ttl)

    def release(self) -> Release:
        """Return what gives this lease back."""
        return Release(self.key, self.holder)


class Renew(msgspec.Struct, frozen=True, gc=False):
    """Prolong a lease; refused when the holder no longer has it. Touches the leases of ``key``.

    Args:
        key: the lease's.
        holder: who holds it.
        ttl: seconds from now after which it ends.

    Raises:
        ValueError: an argument is out of range.
    """

    key: str
    holder: str
    ttl: float

    def __post_init__(self) -> None:
        _refuse_key(self.key)
        _refuse_key(self.holder, "holder")
        _refuse_seconds("ttl", self.ttl)


class Release(msgspec.Struct, frozen=True, gc=False):
    """Give a lease back; never refuses, also when it is gone. Touches the leases of ``key``."""

    key: str
    holder: str

    def __post_init__(self) -> None:
        if not (0 < len(self.key) <= MAX_KEY_LENGTH and 0 < len(self.holder) <= MAX_KEY_LENGTH):
            _refuse_key(self.key)
            _refuse_key(self.holder, "holder")


# ── operations on values ────────────────────────────────────────────────────────────────────


class Get(msgspec.Struct, frozen=True, gc=False):
    """Read a value; never refuses. Touches the value of ``key``."""

    key: str

    def __post_init__(self) -> None:
        _refuse_key(self.key)


class Set(msgspec.Struct, frozen=True, gc=False):
    """Keep a value; never refuses. Touches the value of ``key``.

    Args:
        key: 1 to 512 characters.
        value: at most 1 MiB.
        ttl: seconds after which it is gone.

    Raises:
        ValueError: an argument is out of range.
    """

    key: str
    value: bytes
    ttl: float

    def __post_init__(self) -> None:
        _refuse_key(self.key)
        _refuse_value(self.value)
        _refuse_seconds("ttl", self.ttl)


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Forget a value; never refuses. Touches the value of ``key``."""

    key: str

    def __post_init__(self) -> None:
        _refuse_key(self.key)


class Increment(msgspec.Struct, frozen=True, gc=False):
    """Add to a number, which begins at 0; never refuses. Touches the value of ``key``.

    The number is a value like others: its decimal digits. A value that is no number, or a sum outside
    ±(2**53 - 1), makes ``apply`` raise ValueError, and nothing of the batch takes effect.

    Args:
        key: 1 to 512 characters.
        delta: what to add, may be negative.
        ttl: seconds after which a number that begins here is gone; one that exists keeps its end.

    Raises:
        ValueError: an argument is out of range.
    """

    key: str
    delta: int
    ttl: float

    def __post_init__(self) -> None:
        _refuse_key(self.key)
        _refuse_delta(self.delta)
        _refuse_seconds("ttl", self.ttl)


class CompareAndSet(msgspec.Struct, frozen=True, gc=False):
    """Replace a value, if it is still the expected one; refused otherwise. Touches the value of ``key``.

    Args:
        key: 1 to 512 characters.
        expected: what the key has to hold; ``None`` for nothing.
        value: at most 1 MiB.
        ttl: seconds after which it is gone.

    Raises:
        ValueError: an argument is out of range.
    """

    key: str
    expected: bytes | None
    value: bytes
    ttl: float

    def __post_init__(self) -> None:
        _refuse_key(self.key)
        _refuse_value(self.value)
        _refuse_seconds("ttl", self.ttl)


Op: TypeAlias = (
    Hit | Peek | Adjust | Acquire | Renew | Release | Get | Set | Delete | Increment | CompareAndSet
)
"""What :meth:`State.apply` takes."""

PostOp: TypeAlias = Hit | Adjust | Renew | Release | Set | Delete | Increment
"""What :meth:`State.post` takes: the operations that mean something when nobody reads the answer."""


class State(Protocol):
    """Counters, leases and values that all workers of a gateway share."""

    @property
    def epoch(self) -> int:
        """A number that changes when the store lost its data; rebuild counts before admitting anything."""

    async def apply(self, ops: Sequence[Op]) -> tuple[Result, ...]:
        """Apply a batch, all of it or nothing, and return one result for each operation.

        The operations run in order, each sees what those before it did, and no other batch comes between.
        All of them are looked at, so that every refusal is reported.

        Raises:
            StateUnavailable: the store does not answer, or has no room; nothing took effect.
            ValueError: an :class:`Increment` met no number, or would leave its range; nothing took effect.
        """

    def post(self, ops: Sequence[PostOp]) -> None:
        """Hand over what is to be applied soon; never waits, never refuses.

        Posts are applied in the order they were made, before any later ``apply`` of this process, and again
        when the store was away. A posted :class:`Hit` counts whatever its limit; a posted :class:`Renew` of
        a lost lease does nothing.

        Raises:
            TypeError: an operation has an answer that somebody has to read; nothing was posted.
        """

    async def flush(self) -> None:
        """Wait until everything posted is applied; for tests and shutdown."""

    async def ping(self) -> None:
        """Ask the store for a sign of life.

        Raises:
            StateUnavailable: there is none.
        """

    def scope(self, name: str) -> State:
        """Return this store with all keys in a space of their own, named ``name`` (a plugin's).

        Equal names share a space. Epoch, bounds and the order of posts are those of the whole store.
        """


def _refuse_key(key: str, name: str = "key") -> None:
    if not 0 < len(key) <= MAX_KEY_LENGTH:
        raise ValueError(f"{name} has {len(key)} characters; use 1 to {MAX_KEY_LENGTH} (hash what is longer)")


def _refuse_count(name: str, count: int) -> None:
    if not 0 <= count <= MAX_COUNT:
        raise ValueError(f"{name} is {count}; use 0 to {MAX_COUNT}")


def _refuse_delta(delta: int) -> None:
    if not -MAX_COUNT <= delta <= MAX_COUNT:
        raise ValueError(f"delta is {delta}; use {-MAX_COUNT} to {MAX_COUNT}")


def _refuse_seconds(name: str, seconds: float) -> None:
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"{name} is {seconds}; use more than 0 and at most {MAX_SECONDS:.0f} seconds")


def _refuse_value(value: bytes) -> None:
    if len(value) > MAX_VALUE_BYTES:
        raise ValueError(f"value has {len(value)} bytes; use at most {MAX_VALUE_BYTES}")
