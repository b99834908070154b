"""The refusal of a request that is over a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hookway_plugins.limit_rate.plan import Bound
from hookway_sdk import LimitExceeded
from hookway_sdk.state import Result, WindowResult


def refused_bound(bounds: Sequence[Bound], results: Sequence[Result]) -> Bound:
    """Return the limit that a refusal is reported for: the first one in their order that refused."""
    return next(bound for bound, result in zip(bounds, results, strict=True) if not result.allowed)


def refusal(bound: Bound, results: Sequence[Result]) -> LimitExceeded:
    """Return the error for the caller.

    Args:
        bound: the limit it is reported for.
        results: of all limits of the gate. Where several windows refused, the caller is told the longest
            wait, since it would only be refused again before; nobody knows when a slot becomes free.
    """
    policy = bound.layer.policy
    name = policy.name if policy is not None else None
    after: int | None = None
    if bound.dimension != "concurrency":
        waits = [one.reset_seconds for one in results if isinstance(one, WindowResult) and not one.allowed]
        after = max(1, math.ceil(max(waits)))
    members = {"policy": name} if name is not None else None
    return LimitExceeded(bound.dimension, policy=name, members=members, retry_after=after)
