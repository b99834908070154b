"""Draw the targets of a model group at random, by weight."""

from hookway_plugins.strategy_weighted.plugin import WeightedStrategy

__all__ = ["WeightedStrategy"]
