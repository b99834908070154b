"""What conf.d says about rate limits."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hookway_sdk import Settings
from hookway_sdk.durations import Seconds
from hookway_sdk.state import MAX_COUNT


class RateSettings(Settings):
    """Settings of the rate limits.

    Args:
        window: ``sliding`` counts the last second, minute, hour or day at every moment; ``aligned`` counts
            by the wall clock, which lets up to twice the limit pass around a boundary.
        overshoot: tokens are not reserved: a request is admitted while its window does not count more than
            the limit, and charged when its usage is known; the last one may pass the limit.
        lease_ttl: how long the slot of a gateway that died stays taken; the slots of living ones are renewed.
        reserve_output: tokens to reserve for an answer, at most; the caller's own limit of the answer's
            length counts where it is lower. 0 reserves for the request alone.
        headers: answers say what is left (``x-ratelimit-*``).
    """

    window: Literal["sliding", "aligned"] = "sliding"
    overshoot: bool = False
    lease_ttl: Annotated[Seconds, msgspec.Meta(ge=1, le=86400)] = 300.0
    reserve_output: Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)] = 0
    headers: bool = True
