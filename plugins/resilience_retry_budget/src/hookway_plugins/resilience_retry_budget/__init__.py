"""Bound retries to a share of the traffic, so that a storm cannot double the load."""

from hookway_plugins.resilience_retry_budget.plugin import RetryBudget

__all__ = ["RetryBudget"]
