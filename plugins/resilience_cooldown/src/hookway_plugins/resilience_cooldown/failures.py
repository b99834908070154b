"""Which failures say that a target should be left alone, for how long, and in which word."""

from __future__ import annotations

from typing import NamedTuple

from hookway_plugins.resilience_cooldown.cooldown_rules import Rule
from hookway_sdk import (
    GatewayError,
    StreamAborted,
    TransportFailed,
    UpstreamInBand,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUndecodable,
)

REASONS = {
    401: "upstream_auth_failure",
    408: "upstream_request_timeout",
    429: "upstream_rate_limited",
}
"""Words of single statuses; 5xx is ``upstream_server_error``, any other ``upstream_status_failure``."""


class Cause(NamedTuple):
    """Why a target cools down.

    Args:
        seconds: for how long.
        reason: the word that operators see.
        status: the provider's HTTP status, 0 if none came.
    """

    seconds: int
    reason: str
    status: int = 0


def cause_of(error: GatewayError, rule: Rule) -> Cause | None:
    """Return why a target has to cool down after a failed attempt, ``None`` if it need not.

    What is the client's fault, the gateway's own or the operator's says nothing of the target.
    """
    if not rule.enabled:
        return None
    usual = rule.default_seconds
    if isinstance(error, UpstreamRefused | UpstreamInBand) and error.upstream_status is not None:
        status = error.upstream_status
        if status not in rule.trigger_statuses:
            return None
        asked = error.retry_after if isinstance(error, UpstreamRefused) and rule.honor_retry_after else None
        # "0" is what servers say that have not thought about it; taken at its word it would be no cooldown.
        return Cause(min(asked, rule.max_seconds) if asked else usual, word_for(status), status)
    if isinstance(error, UpstreamTimeout):
        if error.stage == "request":
            return None  # others had used up the request's time; this target may be as quick as ever
        return Cause(usual, "request_timeout") if rule.trigger_on_timeout else None
    if not rule.trigger_on_transport:
        return None
    if isinstance(error, TransportFailed | StreamAborted):
        return Cause(usual, "transport_error")
    if isinstance(error, UpstreamUndecodable):
        return Cause(usual, "upstream_decode_error")
    if isinstance(error, UpstreamInBand):
        return Cause(usual, "upstream_in_band_error")
    return None


def word_for(status: int) -> str:
    """Return the reason's word for a provider's status."""
    usual = "upstream_server_error" if 500 <= status < 600 else "upstream_status_failure"
    return REASONS.get(status, usual)
