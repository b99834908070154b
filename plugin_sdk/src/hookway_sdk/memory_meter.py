"""A meter in memory: the same counts as by operations, without an object for each, and without waiting.

Nothing is kept of a window but its key, since the store may forget one that counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from hookway_sdk.errors import StateUnavailable
from hookway_sdk.memory_space import MemorySpace
from hookway_sdk.memory_windows import AlignedWindow, SlidingWindow
from hookway_sdk.meters import Bound, Grant, operations_of
from hookway_sdk.state import MAX_COUNT, Op, Result, WindowResult
from hookway_sdk.swept_table import Pool
from hookway_sdk.usage import Usage


class Gauge(Protocol):
    """One bound of a meter."""

    settles: bool

    def undo(self, now: float, tokens: int, holder: str) -> None:
        """Take back what was counted at this very moment."""

    def settle(self, now: float, at: float, tokens: int, used: int, holder: str) -> None:
        """Correct what was counted at a moment."""

    def release(self, now: float, at: float, tokens: int, holder: str) -> None:
        """Give back what was counted at a moment."""

    def figures(self, now: float) -> tuple[int, float]:
        """Return what is left, and the seconds until nothing counts."""


class WindowGauge:
    """A bound on requests, or on tokens, in a window.

    Attributes:
        settles: it counts what is known when the request is over.
    """

    __slots__ = ("_entries", "_fixed", "_hit", "_key", "_limit", "_overshoot", "_space", "settles")

    def __init__(self, space: MemorySpace, bound: Bound) -> None:
        self._space = space
        self._key = bound.key
        self._limit = bound.limit
        self._overshoot = bound.overshoot
        self.settles = bound.counts == "tokens"
        self._fixed = -1 if self.settles and not bound.overshoot else bound.amount(0)
        self._hit = bound.hit(1)
        self._entries = space.window_entries(bound.seconds, bound.shape)

    def opened(self, now: float) -> SlidingWindow | AlignedWindow:
        """Return the window, which nobody has counted in.

        Raises:
            StateUnavailable: there is no room for it.
        """
        return self._space.open_window(self._hit, now)

    def terms(self) -> WindowTerms:
        """Return what counting a request needs, to be unpacked at once."""
        return self, self._entries, self._key, self._limit, self._fixed, self._overshoot

    def undo(self, now: float, tokens: int, holder: str) -> None:
        """Take back what was counted at this very moment."""
        window = self._entries.get(self._key)
        if window is not None:
            window.take_back(self._amount(tokens))

    def settle(self, now: float, at: float, tokens: int, used: int, holder: str) -> None:
        """Charge the exact tokens."""
        amount = self._fixed
        if amount < 0:
            amount = tokens if tokens < self._limit or not self._limit else self._limit
        beyond = used - amount
        window = self._entries.get(self._key)
        if beyond > 0:
            (window or self._space.open_window(self._hit, now)).count(now, beyond)
        elif beyond < 0 and window is not None:
            window.adjust(now, at, beyond)

    def release(self, now: float, at: float, tokens: int, holder: str) -> None:
        """Give back what was counted at a moment."""
        self._adjust(now, at, -self._amount(tokens))

    def figures(self, now: float) -> tuple[int, float]:
        """Return what is left, and the seconds until nothing counts."""
        window = self._entries.get(self._key)
        return (self._limit, 0.0) if window is None else window.figures(now, self._limit)

    def _amount(self, tokens: int) -> int:
        amount = self._fixed
        if amount < 0:
            amount = tokens if tokens < self._limit or not self._limit else self._limit
        return amount

    def _adjust(self, now: float, at: float, delta: int) -> None:
        window = self._entries.get(self._key)
        if window is not None and delta:
            window.adjust(now, at, delta)


WindowTerms = tuple[WindowGauge, Mapping[str, SlidingWindow | AlignedWindow], str, int, int, bool]
"""A gauge, its store's windows, and of its own one: key, limit, fixed amount or -1, whether it overshoots."""


class SlotGauge:
    """A bound on how many are held at once.

    Attributes:
        settles: it frees something when the request is over.
    """

    __slots__ = ("_entries", "_key", "_limit", "_space", "_ttl", "settles")

    def __init__(self, space: MemorySpace, bound: Bound, ttl: float) -> None:
        self._space = space
        self._key = bound.key
        self._limit = bound.limit
        self._ttl = ttl
        self.settles = True
        self._entries = space.lease_entries()

    def take(self, now: float, holder: str) -> bool:
        """Take a slot, if one is free."""
        leases = self._entries.get(self._key) or self._space.open_leases(self._key)
        return leases.acquire(now, holder, self._limit, self._ttl)

    def undo(self, now: float, tokens: int, holder: str) -> None:
        """Free the slot."""
        leases = self._entries.get(self._key)
        if leases is not None:
            leases.release(holder)

    def settle(self, now: float, at: float, tokens: int, used: int, holder: str) -> None:
        """Free the slot."""
        leases = self._entries.get(self._key)
        if leases is not None:
            leases.release(holder)

    def release(self, now: float, at: float, tokens: int, holder: str) -> None:
        """Free the slot."""
        leases = self._entries.get(self._key)
        if leases is not None:
            leases.release(holder)

    def renew(self, now: float, holder: str) -> None:
        """Prolong a slot that is still held."""
        leases = self._entries.get(self._key)
        if leases is not None:
            leases.renew(now, holder, self._ttl)

    def figures(self, now: float) -> tuple[int, float]:
        """Return how many are free; nobody knows when another one will be."""
        leases = self._entries.get(self._key)
        return (self._limit if leases is None else max(0, self._limit - leases.held(now))), 0.0


class MemoryMeter:
    """See :class:`~hookway_sdk.meters.Meter`.

    Args:
        space: where it counts.
        pool: bounds of the store.
        monotonic: the store's clock.
        apply: applies operations at once, for requests that are refused.
        bounds: the limits.
        ttl: seconds after which a slot ends by itself.

    Attributes:
        gauges: one for each bound.
        settling: those that have something to do when a request is over.
        live: who holds slots.
        monotonic: the store's clock.
    """

    immediate = True

    __slots__ = (
        "__weakref__",
        "_apply",
        "_bounds",
        "_pool",
        "_slots",
        "_taking",
        "_ttl",
        "_windows",
        "gauges",
        "live",
        "monotonic",
        "settling",
    )

    def __init__(
        self,
        space: MemorySpace,
        pool: Pool,
        monotonic: Callable[[], float],
        apply: Callable[[Sequence[Op]], tuple[Result, ...]],
        bounds: Sequence[Bound],
        ttl: float,
    ) -> None:
        self.monotonic = monotonic
        self._pool = pool
        self._apply = apply
        self._bounds = tuple(bounds)
        self._ttl = ttl
        self._slots = tuple(SlotGauge(space, bound, ttl) for bound in bounds if bound.is_slots)
        slots = iter(self._slots)
        self.gauges: tuple[Gauge, ...] = tuple(
            next(slots) if bound.is_slots else WindowGauge(space, bound) for bound in bounds
        )
        windows = tuple(gauge for gauge in self.gauges if isinstance(gauge, WindowGauge))
        self._windows = tuple(gauge.terms() for gauge in windows)
        self._taking: tuple[Gauge, ...] = (*windows, *self._slots)
        self.settling = tuple(gauge for gauge in self.gauges if gauge.settles)
        self.live: set[str] = set()

    def take(self, tokens: int, holder: str) -> Grant:
        """Count a request in every bound, or in none."""
        now = self.monotonic()
        if now >= self._pool.next_sweep:
            self._pool.sweep(now)
        taken = 0
        try:
            # Written out, and not a method of gauges: each call is a fiftieth of what limits cost a request.
            for gauge, entries, key, limit, fixed, overshoot in self._windows:
                window = entries.get(key) or gauge.opened(now)
                amount = fixed if fixed >= 0 else tokens if tokens < limit or not limit else limit
                if not window.take(now, limit, amount, overshoot):
                    break
                taken += 1
            else:
                for slot in self._slots:
                    if not slot.take(now, holder):
                        break
                    taken += 1
                else:
                    if self._slots:
                        self.live.add(holder)
                    return MemoryGrant(self, now, tokens, holder)
        except StateUnavailable:
            pass  # asked again below, where room is made first
        for one in self._taking[:taken]:
            one.undo(now, tokens, holder)
        return self._refuse(tokens, holder)

    def renew(self) -> None:
        """Prolong the slots of all that were granted and are not over."""
        now = self.monotonic()
        for gauge in self._slots:
            for holder in self.live:
                gauge.renew(now, holder)

    def left(self, place: int) -> int:
        """Return what is left of a bound."""
        return self.gauges[place].figures(self.monotonic())[0]

    def _refuse(self, tokens: int, holder: str) -> Grant:
        """Ask with operations, which say all that refused, and for how long."""
        results = self._apply(operations_of(self._bounds, tokens, holder, self._ttl))
        refused = tuple(place for place, one in enumerate(results) if not one.allowed)
        grant = MemoryGrant(self, self.monotonic(), tokens, holder)
        if not refused:  # there was no room before it was made
            if self._slots:
                self.live.add(holder)
            return grant
        grant.refused = refused
        grant.waits = {
            place: one.reset_seconds
            for place, one in enumerate(results)
            if isinstance(one, WindowResult) and not one.allowed
        }
        grant.wait = max(grant.waits.values(), default=0.0)
        grant.over = True
        return grant


class MemoryGrant(Grant):
    """See :class:`~hookway_sdk.meters.Grant`; what is left is what the windows say when they are asked.

    Attributes:
        over: it was settled, released, or refused.
        waits: seconds until what was refused would fit, by place.
    """

    __slots__ = ("_at", "_holder", "_meter", "_tokens", "over", "waits")

    waits: dict[int, float]

    def __init__(self, meter: MemoryMeter, at: float, tokens: int, holder: str) -> None:
        self.refused = ()
        self.wait = 0.0
        self.over = False
        self._meter = meter
        self._at = at
        self._tokens = tokens
        self._holder = holder

    def figures(self) -> list[tuple[int, float]]:
        """Return what is left of each bound at this moment, and until when it counts."""
        meter = self._meter
        now = meter.monotonic()
        found = [gauge.figures(now) for gauge in meter.gauges]
        if self.refused:
            for place, wait in self.waits.items():
                found[place] = (found[place][0], wait)
        return found

    def settle(self, usage: Usage) -> None:
        """Charge the exact tokens and free the slots; the request stays counted (see ``StateGrant``)."""
        if self.over:
            return
        self.over = True
        meter = self._meter
        used = min(usage.input_tokens + usage.output_tokens, MAX_COUNT)
        now = meter.monotonic()
        for gauge in meter.settling:
            gauge.settle(now, self._at, self._tokens, used, self._holder)
        meter.live.discard(self._holder)

    def release(self) -> None:
        """Give everything back."""
        if self.over:
            return
        self.over = True
        meter = self._meter
        now = meter.monotonic()
        for gauge in meter.gauges:
            gauge.release(now, self._at, self._tokens, self._holder)
        meter.live.discard(self._holder)
