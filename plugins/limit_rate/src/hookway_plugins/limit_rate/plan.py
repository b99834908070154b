"""What a gate asks of the shared state for one caller and model: made once, used by every request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from hookway_plugins.limit_rate.buckets import state_key
from hookway_plugins.limit_rate.headers import Shown, shown_of
from hookway_plugins.limit_rate.limits import REQUEST_WINDOWS, TOKEN_WINDOWS, Limits
from hookway_plugins.limit_rate.policies import Policy
from hookway_sdk import RequestView
from hookway_sdk.meters import Bound as MeterBound
from hookway_sdk.meters import Meter, meter_of
from hookway_sdk.state import Shape

LayerName = Literal["api_key", "model", "policy"]


class Counting(msgspec.Struct, frozen=True):
    """How an instance counts, by its settings.

    Args:
        state: where.
        shape: how windows move.
        overshoot: tokens are not reserved.
        lease_ttl: seconds after which a slot ends by itself.
        reserve_output: tokens to reserve for an answer, at most.
    """

    state: Any
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

    def metered(self, counting: Counting) -> MeterBound:
        """Return what a meter needs to know of it."""
        if self.dimension == "concurrency":
            return MeterBound(self.key, self.limit)
        counts: Literal["requests", "tokens"] = "tokens" if self.dimension == "tokens" else "requests"
        overshoot = counting.overshoot and counts == "tokens"
        return MeterBound(self.key, self.limit, self.seconds, counts, counting.shape, overshoot)


class Plan:
    """The limits of one gate, in the order in which refusals are reported.

    Attributes:
        bounds: the limits.
        meter: what counts them, ``None`` where there are none.
        slots: somebody has to hold slots.
        tokens: tokens are counted.
        waits: the meter has to be awaited.
        shown: what headers say.
        minute_requests: place of the key's ``rpm``, -1 for none.
        minute_tokens: place of the key's ``tpm``, -1 for none.
        timetable: chooses the plan of the moment in place of this one, ``None`` where no policy ever rests.
    """

    __slots__ = (
        "_reserve",
        "bounds",
        "meter",
        "minute_requests",
        "minute_tokens",
        "shown",
        "slots",
        "timetable",
        "tokens",
        "waits",
    )

    def __init__(
        self, layers: Sequence[Layer], counting: Counting, timetable: Timetable | None = None
    ) -> None:
        self.bounds = bounds = tuple(bound for layer in layers for bound in bounds_of(layer))
        self.timetable = timetable
        self.slots = any(one.dimension == "concurrency" for one in bounds)
        self.tokens = any(one.dimension == "tokens" for one in bounds)
        self.minute_requests = place_of(bounds, "rpm")
        self.minute_tokens = place_of(bounds, "tpm")
        self.shown: tuple[Shown, ...] = shown_of([(one.dimension, one.limit, one.seconds) for one in bounds])
        self.meter: Meter | None = None
        if bounds:
            metered = tuple(one.metered(counting) for one in bounds)
            self.meter = meter_of(counting.state, metered, counting.lease_ttl)
        self.waits = self.meter is not None and not self.meter.immediate
        self._reserve = counting.reserve_output

    def estimate(self, request: RequestView) -> int:
        """Return the tokens to reserve: those of the request by its bytes, and some for the answer."""
        amount = request.size() // 4 or 1
        if self._reserve:
            amount += min(request.output_limit() or self._reserve, self._reserve)
        return amount


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


def place_of(bounds: Sequence[Bound], field: str) -> int:
    """Return where a limit of the key's own stands, -1 for nowhere."""
    for place, bound in enumerate(bounds):
        if bound.layer.name == "api_key" and bound.field == field:
            return place
    return -1
