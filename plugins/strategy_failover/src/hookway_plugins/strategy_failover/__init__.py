"""Try the targets of a model group in the order in which they are written."""

from hookway_plugins.strategy_failover.plugin import FailoverStrategy

__all__ = ["FailoverStrategy"]
