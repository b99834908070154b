"""The metric families of rate limits."""

from __future__ import annotations

from functools import partial

from hookway_plugins.limit_rate.plan import Bound, Plan
from hookway_sdk import Metrics


class Meters:
    """Counts refusals and shows what is left.

    Args:
        metrics: where families are declared.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._rejections = metrics.counter(
            "ratelimit_rejections_total",
            "Requests and attempts that a limit refused.",
            ("scope", "layer", "policy_id"),
        )
        labels = ("api_key_id", "model")
        self._requests = metrics.gauge(
            "ratelimit_remaining_requests", "What is left of a key's requests a minute.", labels
        )
        self._tokens = metrics.gauge(
            "ratelimit_remaining_tokens", "What is left of a key's tokens a minute.", labels
        )

    def show(self, key_id: str, model: str, plan: Plan) -> None:
        """Show what is left of a key's minute, to whoever asks from now on."""
        if plan.meter is not None and plan.minute_requests >= 0:
            self._requests.follow(partial(plan.meter.left, plan.minute_requests), key_id, model)
        if plan.meter is not None and plan.minute_tokens >= 0:
            self._tokens.follow(partial(plan.meter.left, plan.minute_tokens), key_id, model)

    def refused(self, bound: Bound) -> None:
        """Count a refusal by the limit that it is reported for."""
        policy = bound.layer.policy
        self._rejections.add(1.0, bound.dimension, bound.layer.name, policy.id if policy else "")
