"""The metric families of rate limits."""

from __future__ import annotations

from hookway_plugins.limit_rate.limits import Limits
from hookway_plugins.limit_rate.plan import Bound, Gauges
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
            "ratelimit_remaining_requests", "What was left of a key's requests a minute.", labels
        )
        self._tokens = metrics.gauge(
            "ratelimit_remaining_tokens", "What was left of a key's tokens a minute.", labels
        )

    def gauges(self, key_id: str, model: str, limits: Limits) -> Gauges:
        """Return the gauges of a key and a model's row, as far as the key has limits a minute."""
        return Gauges(
            self._requests.bind(key_id, model) if limits.rpm is not None else None,
            self._tokens.bind(key_id, model) if limits.tpm is not None else None,
        )

    def refused(self, bound: Bound) -> None:
        """Count a refusal by the limit that it is reported for."""
        policy = bound.layer.policy
        self._rejections.add(1.0, bound.dimension, bound.layer.name, policy.id if policy else "")
