"""What a gate asks of the shared state for one caller and model: made once, used by every request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from hookway_plugins.limit_rate.buckets import state_key
from hookway_plugins.limit_rate.headers import Shown, shown_of
from hookway_plugins.limit_rate.limits import REQUEST_WINDOWS, TOKEN_WINDOWS, Limits
from hookway_plugins.limit_rate.policies import Policy
from hookway_sdk import RequestView, Series
from hookway_sdk.state import Acquire, Hit, Op, Shape

LayerName = Literal["api_key", "model", "policy"]


class Counting(msgspec.Struct, frozen=True):
    """How an instance counts, by its settings.

    Args:
        shape: how windows move.
        overshoot: tokens are not reserved.
        lease_ttl: seconds after which a slot ends by itself.
        reserve_output: tokens to reserve for an answer, at most.
    """

    shape: Shape
    overshoot: bool
    lease_ttl: float
    reserve_output: int


class Layer(msgspec.Struct, frozen=True, eq=False):
    """The limits of one bucket that a request has to pass.

    Args:
        name: what set them, for metrics.
        bucket: where it counts.
        limits: how much is allowed.
        policy: the policy that says so.
    """

    name: LayerName
    bucket: str
    limits: Limits
    policy: Policy | None = None


class Bound(msgspec.Struct, frozen=True, eq=False):
    """One limit of a plan.

    Args:
        dimension: ``requests``, ``tokens`` or ``concurrency``.
        layer: its layer.
        key: where the state counts it.
        limit: how much is allowed.
        field: its name in :class:`Limits`.
        seconds: length of the window, 0.0 for slots.
    """

    dimension: Literal["requests", "tokens", "concurrency"]
    layer: Layer
    key: str
    limit: int
    field: str
    seconds: float = 0.0


class Gauges(msgspec.Struct, frozen=True, eq=False):
    """Where the per-minute figures of a key are shown, ``None`` where it has none."""

    requests: Series | None
    tokens: Series | None


class Plan:
    """The limits of one gate, in the order in which refusals are reported.

    Attributes:
        bounds: the limits, one operation each.
        idle: there are none.
        slots: places of those on concurrency.
        requests: places of those on requests.
        tokens: places of those on tokens.
        shown: what headers say.
        shown_tokens: the part of it about tokens.
        minute_requests: place of the key's ``rpm``, -1 for none.
        minute_tokens: place of the key's ``tpm``, -1 for none.
        gauges: where these two are shown, ``None`` where there is neither.
        timetable: chooses the plan of the moment in place of this one, ``None`` where no policy ever rests.
    """

    __slots__ = (
        "_counting",
        "_estimated",
        "_ready",
        "bounds",
        "gauges",
        "idle",
        "minute_requests",
        "minute_tokens",
        "requests",
        "shown",
        "shown_tokens",
        "slots",
        "timetable",
        "tokens",
    )

    def __init__(
        self,
        layers: Sequence[Layer],
        counting: Counting,
        gauges: Gauges | None = None,
        timetable: Timetable | None = None,
    ) -> None:
        self.bounds = bounds = tuple(bound for layer in layers for bound in bounds_of(layer))
        self.timetable = timetable
        self.idle = not bounds
        self.slots = places(bounds, "concurrency")
        self.requests = places(bounds, "requests")
        self.tokens = places(bounds, "tokens")
        self.minute_requests = place_of(bounds, "rpm")
        self.minute_tokens = place_of(bounds, "tpm")
        self.gauges = gauges if self.minute_requests >= 0 or self.minute_tokens >= 0 else None
        self.shown: tuple[Shown, ...] = shown_of([(one.dimension, one.limit) for one in bounds])
        self.shown_tokens = next((one for one in self.shown if one.dimension == "tokens"), None)
        self._counting = counting
        self._estimated = () if counting.overshoot else self.tokens
        self._ready: list[Any] = [self._ready_hit(bound) for bound in bounds]

    def operations(self, request: RequestView, holder: str) -> list[Op]:
        """Return what to apply for one request; what does not depend on it is shared by all.

        Args:
            request: what the tokens are estimated from.
            holder: who takes the slots.
        """
        operations: list[Op] = self._ready.copy()
        bounds = self.bounds
        for place in self.slots:
            bound = bounds[place]
            operations[place] = Acquire(bound.key, holder, bound.limit, self._counting.lease_ttl)
        if self._estimated:
            amount = self._estimate(request)
            shape = self._counting.shape
            for place in self._estimated:
                bound = bounds[place]
                limit = bound.limit
                # What is larger than the limit is admitted into an empty window, or it never would be.
                fitting = amount if amount < limit or not limit else limit
                operations[place] = Hit(bound.key, limit, bound.seconds, fitting, shape)
        return operations

    def _estimate(self, request: RequestView) -> int:
        """Return the tokens to reserve: those of the request by its bytes, and some for the answer."""
        amount = request.size() // 4 or 1
        reserve = self._counting.reserve_output
        if reserve:
            amount += min(request.output_limit() or reserve, reserve)
        return amount

    def _ready_hit(self, bound: Bound) -> Hit | None:
        shape = self._counting.shape
        if bound.dimension == "requests":
            return Hit(bound.key, bound.limit, bound.seconds, 1, shape)
        if bound.dimension == "tokens" and self._counting.overshoot:
            return Hit(bound.key, bound.limit, bound.seconds, 0, shape, overshoot=True)
        return None


class Timetable:
    """The plans of a gate some of whose policies rest at times; one is made for each combination.

    Args:
        layers: all layers.
        make: makes a plan of those that act.
    """

    __slots__ = ("_layers", "_make", "_plans")

    def __init__(self, layers: Sequence[Layer], make: Callable[[Sequence[Layer]], Plan]) -> None:
        self._layers = layers
        self._make = make
        self._plans: dict[tuple[bool, ...], Plan] = {}

    def at(self, now: float) -> Plan:
        """Return the plan of a moment (epoch seconds)."""
        acting = tuple([acts(layer, now) for layer in self._layers])
        plan = self._plans.get(acting)
        if plan is None:
            layers = [layer for layer, one in zip(self._layers, acting, strict=True) if one]
            plan = self._plans[acting] = self._make(layers)
        return plan


def acts(layer: Layer, now: float) -> bool:
    """Say whether a layer's limits count at a moment."""
    policy = layer.policy
    return policy is None or policy.suspension is None or not policy.suspension.holds(now)


def bounds_of(layer: Layer) -> list[Bound]:
    """Return a layer's limits: concurrency, tokens, then requests, the shortest window first."""
    limits, bucket = layer.limits, layer.bucket
    bounds: list[Bound] = []
    if limits.concurrency is not None:
        key = state_key(bucket, "concurrency")
        bounds.append(Bound("concurrency", layer, key, limits.concurrency, "concurrency"))
    for field, seconds in TOKEN_WINDOWS:
        limit: int | None = getattr(limits, field)
        if limit is not None:
            bounds.append(Bound("tokens", layer, state_key(bucket, field), limit, field, seconds))
    for field, seconds in REQUEST_WINDOWS:
        limit = getattr(limits, field)
        if limit is not None:
            bounds.append(Bound("requests", layer, state_key(bucket, field), limit, field, seconds))
    return bounds


def places(bounds: Sequence[Bound], dimension: str) -> tuple[int, ...]:
    """Return where the limits of one dimension stand."""
    return tuple(place for place, bound in enumerate(bounds) if bound.dimension == dimension)


def place_of(bounds: Sequence[Bound], field: str) -> int:
    """Return where a limit of the key's own stands, -1 for nowhere."""
    for place, bound in enumerate(bounds):
        if bound.layer.name == "api_key" and bound.field == field:
            return place
    return -1
