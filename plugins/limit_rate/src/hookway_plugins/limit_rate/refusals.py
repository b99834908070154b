"""The refusal of a request that is over a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hookway_plugins.limit_rate.plan import Bound
from hookway_sdk import LimitExceeded

_MINUTE = 60.0


def refusal(bounds: Sequence[Bound], wait: float) -> LimitExceeded:
    """Return the error for the caller.

    Args:
        bounds: the limits that refused; the first is the one it is reported for.
        wait: seconds. Where several windows refused it is the longest, since the caller would only be
            refused again before; nobody knows when a slot becomes free.
    """
    first = bounds[0]
    policy = first.layer.policy
    name = policy.name if policy is not None else None
    after: int | None = None
    if first.dimension != "concurrency":
        # A window of a minute counts for a step longer, and OpenAI's SDKs heed no wait of more than 60 s.
        length = max(bound.seconds for bound in bounds)
        after = max(1, math.ceil(min(wait, length) if length >= _MINUTE else wait))
    members = {"policy": name} if name is not None else None
    return LimitExceeded(first.dimension, policy=name, members=members, retry_after=after)
