"""Requests, tokens and concurrency by key, model and policy, in windows that hold."""

from hookway_plugins.limit_rate.plugin import RateLimit

__all__ = ["RateLimit"]
