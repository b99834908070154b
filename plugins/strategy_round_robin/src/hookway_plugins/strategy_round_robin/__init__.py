"""Give each target of a model group its exact share, in turn."""

from hookway_plugins.strategy_round_robin.plugin import RoundRobinStrategy

__all__ = ["RoundRobinStrategy"]
