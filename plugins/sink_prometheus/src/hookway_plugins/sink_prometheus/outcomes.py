"""Counts that need no row of a request: attempts at targets, fallbacks, and credentials."""

from __future__ import annotations

from hookway_plugins.sink_prometheus.labels import OTHER, known
from hookway_sdk import Attempt, AuthDenied, ClientDisconnected, Exchange

MOST_REASONS = 1_000
"""Pairs of method and reason that are kept; they are words of plugins, so there should be far fewer."""

Deployment = tuple[str, str, str, str]


class Attempts:
    """Attempts at one target, those that were sent."""

    __slots__ = ("failures", "sent", "successes")

    def __init__(self) -> None:
        self.sent = 0
        self.successes = 0
        self.failures = 0


class Outcomes:
    """Attempts and credentials.

    Attributes:
        most: how many targets, and pairs of a model and a fallback, are told apart.
        attempts: by the labels of deployments.
        fallbacks: fallback attempts that answered, by model and target.
        failed_fallbacks: those that did not.
        allowed: requests that were let in, by method.
        denied: those that were not, by method and reason.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.attempts: dict[Deployment, Attempts] = {}
        self.fallbacks: dict[tuple[str, str], int] = {}
        self.failed_fallbacks: dict[tuple[str, str], int] = {}
        self.allowed: dict[str, int] = {}
        self.denied: dict[tuple[str, str], int] = {}

    def attempted(self, exchange: Exchange, attempt: Attempt) -> None:
        """Count an attempt that is over."""
        deployment, error = attempt.candidate.deployment, attempt.error
        succeeded = None if isinstance(error, ClientDisconnected) else error is None
        if attempt.dispatched:
            account = deployment.key
            place = (deployment.provider, deployment.name, deployment.model_as_written, account.id)
            self.sent(place, succeeded)
        if attempt.kind == "fallback" and succeeded is not None:
            counts = self.fallbacks if succeeded else self.failed_fallbacks
            pair = (known(exchange.model.name), known(deployment.name))
            if pair not in counts and len(counts) >= self.most:
                pair = (OTHER, OTHER)
            counts[pair] = counts.get(pair, 0) + 1

    def sent(self, place: Deployment, succeeded: bool | None) -> None:
        """Count an attempt that was sent; ``None`` is neither a success nor a failure."""
        row = self.attempts.get(place)
        if row is None:
            if len(self.attempts) >= self.most:
                place = (OTHER, OTHER, OTHER, OTHER)
            row = self.attempts.setdefault(place, Attempts())
        row.sent += 1
        if succeeded:
            row.successes += 1
        elif succeeded is not None:
            row.failures += 1

    def refused(self, event: AuthDenied) -> None:
        """Count a request that was turned away before anyone knew who it was from."""
        pair = (event.method or "none", known(event.reason))
        if pair not in self.denied and len(self.denied) >= MOST_REASONS:
            pair = (OTHER, OTHER)
        self.denied[pair] = self.denied.get(pair, 0) + 1
