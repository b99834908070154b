"""Draw the targets of a model group at random, by weight."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from hookway_sdk import Candidate, Exchange, NoSettings, Services, Strategy


class WeightedStrategy(Strategy[NoSettings]):
    """Draw the targets of a model group at random, by weight.

    The first is drawn from all, the second from those that are left, and so on, each time in proportion to
    weights. It keeps no state, so it costs no access to any.
    """

    def __init__(self, name: str, settings: NoSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._random = services.random.random

    async def order(self, exchange: Exchange, group: str, tier: Sequence[Candidate]) -> Sequence[Candidate]:
        """Return the tier in an order of chance."""
        # A race: arrival times are exponential with the weight as rate, so whoever is left arrives next with
        # a probability proportional to its weight. Times are negated here, hence the reversed order; the
        # logarithm is of (0, 1], never of 0.
        draw = self._random
        return sorted(tier, key=lambda one: log(1.0 - draw()) / one.weight, reverse=True)
