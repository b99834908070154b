"""Several limits that are taken together: prepared once, then asked by every request that meets them.

::

    meter = meter_of(services.state, (
        Bound("slots:key-7", 8),
        Bound("tpm:key-7", 90_000, 60.0, counts="tokens"),
        Bound("rpm:key-7", 600, 60.0),
    ), ttl=300.0)
    grant = meter.take(tokens=250, holder=exchange.uid)      # or something to await, where a store is far
    if grant.refused: ...
    exchange.reserve(grant)                                  # settles to the exact usage, or gives all back

It says nothing that :class:`~hookway_sdk.state.State` could not say with a batch of operations, and every
state can be metered so (:class:`StateMeter`). A state that brings a ``meter`` method of its own is asked for
it: the memory's (:mod:`hookway_sdk.memory_meter`) makes no object for each operation and waits for nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Sequence
from typing import Any, Literal, Protocol, cast

import msgspec

from hookway_sdk.reservations import Reservation
from hookway_sdk.state import (
    MAX_COUNT,
    Acquire,
    Hit,
    LeaseResult,
    Op,
    PostOp,
    Renew,
    Result,
    Shape,
    State,
    WindowResult,
)
from hookway_sdk.usage import Usage


class Bound(msgspec.Struct, frozen=True):
    """One limit of a meter.

    Args:
        key: what counts it in the state.
        limit: how much is allowed; 0 allows nothing.
        seconds: length of its window; 0.0 for slots, which are held until the request ends.
        counts: what a window counts.
        shape: how the window moves.
        overshoot: tokens are not reserved: a request is admitted while the window counts no more than the
            limit, and charged afterwards.
    """

    key: str
    limit: int
    seconds: float = 0.0
    counts: Literal["requests", "tokens"] = "requests"
    shape: Shape = Shape.SLIDING
    overshoot: bool = False

    @property
    def is_slots(self) -> bool:
        """Whether it bounds how many are held at once."""
        return not self.seconds

    def amount(self, tokens: int) -> int:
        """Return what a request counts at first.

        What is larger than the limit is admitted into an empty window, or it never would be.
        """
        if self.counts == "requests":
            return 1
        if self.overshoot:
            return 0
        return tokens if tokens < self.limit or not self.limit else self.limit

    def hit(self, tokens: int) -> Hit:
        """Return the operation that counts a request."""
        amount = self.amount(tokens)
        return Hit(self.key, self.limit, self.seconds, amount, self.shape, overshoot=self.overshoot)


class Grant(Reservation):
    """What one request took from a meter: all of it, or nothing.

    As a reservation it is settled or released, once: settling charges the exact tokens and frees the slots,
    and the request stays counted; releasing gives everything back.

    Attributes:
        refused: places of the bounds that refused, empty for an admitted request.
        wait: seconds after which the windows that refused would admit it, 0.0 where only slots did.
    """

    __slots__ = ("refused", "wait")

    refused: tuple[int, ...]
    wait: float

    @abstractmethod
    def figures(self) -> Sequence[tuple[int, float]]:
        """Return what is left of each bound, and a time.

        Returns:
            For each, how much more would fit; and the seconds until its window is empty, or until what it
            refused would fit, 0.0 for slots.
        """


class Meter(Protocol):
    """A set of bounds in a state.

    Attributes:
        immediate: :meth:`take` answers at once, and there is never anything to await.
    """

    immediate: bool

    def take(self, tokens: int, holder: str) -> Grant | Awaitable[Grant]:
        """Count a request in every bound, or in none.

        Args:
            tokens: what it will probably use.
            holder: who takes the slots, unlike any other.

        Raises:
            StateUnavailable: at once or when it is awaited: the state does not answer, or has no room.
        """

    def renew(self) -> None:
        """Prolong the slots of all that were granted and are not over."""

    def left(self, place: int) -> int:
        """Return what is left of a bound, as far as this worker knows without asking the state."""


def meter_of(state: State, bounds: Sequence[Bound], ttl: float) -> Meter:
    """Return a meter.

    Args:
        state: where it counts.
        bounds: the limits, in the order in which refusals are looked at.
        ttl: seconds after which a slot ends by itself, unless it is renewed.
    """
    own = getattr(state, "meter", None)
    return cast("Meter", own(bounds, ttl)) if own is not None else StateMeter(state, bounds, ttl)


class StateMeter:
    """A meter made of operations; for any state.

    Attributes:
        live: grants that hold slots and are not over.
    """

    immediate = False

    def __init__(self, state: State, bounds: Sequence[Bound], ttl: float) -> None:
        self._state = state
        self._bounds = tuple(bounds)
        self._ttl = ttl
        self.live: dict[StateGrant, None] = {}
        self._last: StateGrant | None = None

    async def take(self, tokens: int, holder: str) -> Grant:
        """Count a request in every bound, or in none."""
        operations = operations_of(self._bounds, tokens, holder, self._ttl)
        results = await self._state.apply(operations)
        grant = StateGrant(self, self._state, self._bounds, operations, results)
        self._last = grant
        if not grant.refused and any(bound.is_slots for bound in self._bounds):
            self.live[grant] = None
        return grant

    def left(self, place: int) -> int:
        """Return what was left of a bound when it was last taken from."""
        return self._bounds[place].limit if self._last is None else self._last.figures()[place][0]

    def renew(self) -> None:
        """Prolong the slots of all that were granted and are not over."""
        posts = [post for grant in self.live for post in grant.renewals(self._ttl)]
        if posts:
            self._state.post(posts)


class StateGrant(Grant):
    """See :class:`Grant`; what is left is what the state said, corrected by what was settled."""

    __slots__ = ("_bounds", "_meter", "_operations", "_over", "_released", "_results", "_state", "_used")

    def __init__(
        self,
        meter: StateMeter,
        state: State,
        bounds: Sequence[Bound],
        operations: Sequence[Op],
        results: Sequence[Result],
    ) -> None:
        self._meter = meter
        self._state = state
        self._bounds = bounds
        self._operations = operations
        self._results = results
        self._over = False
        self._used: int | None = None
        self._released = False
        self.refused = tuple(place for place, one in enumerate(results) if not one.allowed)
        waits = [one.reset_seconds for one in results if isinstance(one, WindowResult) and not one.allowed]
        self.wait = max(waits, default=0.0)

    def figures(self) -> list[tuple[int, float]]:
        """Return what was left of each bound, and until when it counted."""
        return [self._figure(place) for place in range(len(self._bounds))]

    def _figure(self, place: int) -> tuple[int, float]:
        operation, result, used = self._operations[place], self._results[place], self._used
        if isinstance(result, LeaseResult):
            freed = 1 if self._over and result.allowed else 0
            return max(0, (result.limit or 0) - result.used + freed), 0.0
        assert isinstance(result, WindowResult)
        assert isinstance(operation, Hit)
        counted = operation.amount
        if self._released:
            counted = 0
        elif used is not None and self._bounds[place].counts == "tokens":
            counted = used
        left = max(0, result.limit - result.used + operation.amount - counted)
        return left, result.reset_seconds if result.used else 0.0

    def settle(self, usage: Usage) -> None:
        """Charge the exact tokens and free the slots; the request stays counted.

        What was reserved too much goes back to when it was reserved. What was used beyond it counts from now
        on: its reservation may have left the window long ago, as after a long stream, and nobody knew of it.
        """
        if self._ended():
            return
        used = min(usage.input_tokens + usage.output_tokens, MAX_COUNT)
        posts: list[PostOp] = []
        for bound, operation, result in zip(self._bounds, self._operations, self._results, strict=True):
            if isinstance(operation, Acquire):
                posts.append(operation.release())
            elif isinstance(operation, Hit) and bound.counts == "tokens":
                beyond = used - operation.amount
                if beyond > 0:
                    key, seconds = operation.key, operation.window_seconds
                    posts.append(Hit(key, operation.limit, seconds, beyond, operation.shape))
                elif beyond < 0:
                    posts.append(operation.settle(result, used))
        self._used = used
        if posts:
            self._state.post(posts)

    def release(self) -> None:
        """Give everything back."""
        if self._ended():
            return
        posts: list[PostOp] = []
        for operation, result in zip(self._operations, self._results, strict=True):
            if isinstance(operation, Acquire):
                posts.append(operation.release())
            elif isinstance(operation, Hit) and operation.amount:
                posts.append(operation.settle(result, 0))
        self._released = True
        self._state.post(posts)

    def renewals(self, ttl: float) -> list[PostOp]:
        """Return what prolongs its slots."""
        slots = [one for one in self._operations if isinstance(one, Acquire)]
        return [Renew(slot.key, slot.holder, ttl) for slot in slots]

    def _ended(self) -> bool:
        """Note that it is over, and say whether it was before; what was refused never began."""
        over = self._over or bool(self.refused)
        self._over = True
        self._meter.live.pop(self, None)
        return over


def operations_of(bounds: Sequence[Bound], tokens: int, holder: str, ttl: float) -> list[Any]:
    """Return what to apply for one request, one operation for each bound."""
    return [
        Acquire(bound.key, holder, bound.limit, ttl) if bound.is_slots else bound.hit(tokens)
        for bound in bounds
    ]
