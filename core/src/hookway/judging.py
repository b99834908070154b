"""The core's own judgement of a failed attempt: what may be tried again, where, and after how long."""

from __future__ import annotations

from collections.abc import Collection

from hookway.models import CompiledModel
from hookway_sdk import (
    Attempt,
    ConfigBroken,
    Decision,
    GatewayError,
    InvalidUpstreamConfig,
    InvalidUpstreamCredential,
    LimitExceeded,
    Next,
    ProviderUnavailable,
    Random,
    Retry,
    Stop,
    StreamAborted,
    TransportFailed,
    UpstreamInBand,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUndecodable,
)

FIRST_BACKOFF = 0.25
LONGEST_BACKOFF = 2.0
LONGEST_RETRY_AFTER = 5
JITTER = 0.25

OTHER_TARGET_ONLY = (
    LimitExceeded,
    ProviderUnavailable,
    ConfigBroken,
    InvalidUpstreamConfig,
    InvalidUpstreamCredential,
)
"""Failures that say something of the target and not of the request: trying it again helps nobody."""


def is_retryable(error: GatewayError, model: CompiledModel) -> bool:
    """Say whether a failure may be tried again at all; a fault of the request never is."""
    if isinstance(error, (UpstreamRefused, UpstreamInBand)):
        status = error.upstream_status or 0
        if status in model.fallback_on_statuses or status >= 500:
            return True
        if 400 <= status < 500:
            return status == 429 and model.retry_on_429
        return isinstance(error, UpstreamInBand)
    return isinstance(error, (UpstreamTimeout, TransportFailed, UpstreamUndecodable, StreamAborted))


def judge_failure(
    attempt: Attempt,
    model: CompiledModel,
    *,
    tries: int,
    budget: int,
    explicit_timeout: bool,
    elsewhere: Collection[int],
    random: Random,
) -> Decision:
    """Decide after a failed attempt.

    Args:
        tries: how often this target has been tried again already.
        budget: how often it may be.
        explicit_timeout: the deadline was set on the model or its group; only then is a timeout tried
            again at the same target (another target is always tried).
        elsewhere: upstream statuses that say something of the account and not of the request, so that
            another target may do better.
    """
    error = attempt.error
    assert error is not None
    if isinstance(error, OTHER_TARGET_ONLY):
        return Next()
    if not is_retryable(error, model):
        status = error.upstream_status if isinstance(error, (UpstreamRefused, UpstreamInBand)) else None
        return Next() if status in elsewhere else Stop()
    if tries >= budget or (isinstance(error, UpstreamTimeout) and not explicit_timeout):
        return Next()
    return Retry(backoff(tries + 1, error.retry_after, random))


def backoff(nth: int, retry_after: int | None, random: Random) -> float:
    """Return seconds to wait before the nth retry: the upstream's wish if it is short, else exponential."""
    if retry_after is not None and 0 < retry_after <= LONGEST_RETRY_AFTER:
        base = float(retry_after)
    else:
        base = min(FIRST_BACKOFF * 2 ** (nth - 1), LONGEST_BACKOFF)
    return base + random.uniform(0.0, JITTER)
