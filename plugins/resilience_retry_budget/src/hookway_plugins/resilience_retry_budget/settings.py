"""How many retries are allowed."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hookway_sdk import Settings
from hookway_sdk.durations import Seconds


class RetryBudgetSettings(Settings):
    """Settings under ``plugins.resilience_retry_budget``.

    Args:
        ratio: retries and fallbacks that each first attempt allows; 0.2 lets the load grow by a fifth.
        min_per_second: those that are always allowed, per second of the window, so that a gateway with little
            traffic may retry. With 0 here and in ``ratio`` nothing is tried again.
        window: the time over which attempts are counted.
    """

    ratio: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.2
    min_per_second: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 10.0
    window: Annotated[Seconds, msgspec.Meta(ge=1, le=3600)] = 10.0
