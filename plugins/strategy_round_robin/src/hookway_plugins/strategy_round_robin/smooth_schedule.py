"""Whose turn it is at each position of a cycle: smooth weighted round-robin."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

LONGEST_CYCLE = 4096
"""Positions of a cycle; weights that make a longer one are scaled down to about this many."""


class SmoothSchedule:
    """One cycle of smooth weighted round-robin, as nginx has it.

    At every position each target gains its weight, the one with the most goes (the first of equals) and pays
    the sum of all weights. So the turns of a heavy target are spread over the cycle, and over a whole cycle
    each target has exactly its share. Within it, of k targets, none is ever ahead of its share by more than
    1 - 1/k turns, nor behind by more than 1/2 + 1/3 + ... + 1/k (0.5 for two targets, 1.93 for ten).

    It depends on nothing but the weights. The cycle is worked out as far as it is asked for, since a long one
    takes milliseconds.

    Args:
        weights: of the targets in their order, each at least 1.

    Attributes:
        cycle: how many positions there are before it repeats.
    """

    __slots__ = ("_balances", "_weights", "_winners", "cycle")

    def __init__(self, weights: Sequence[int]) -> None:
        self._weights = small_weights(weights)
        self._balances = [0] * len(self._weights)
        self._winners = array("I")
        self.cycle = sum(self._weights)

    def winner(self, position: int) -> int:
        """Return the index of the target whose turn it is.

        Args:
            position: from 0 up to, and without, ``cycle``.
        """
        winners = self._winners
        while len(winners) <= position:
            self._go_on()
        return winners[position]

    def _go_on(self) -> None:
        """Work out one more position."""
        balances = [had + more for had, more in zip(self._balances, self._weights, strict=True)]
        first = balances.index(max(balances))
        balances[first] -= self.cycle
        self._balances = balances
        self._winners.append(first)


def small_weights(weights: Sequence[int]) -> list[int]:
    """Return weights of the same proportions whose sum is as small as can be.

    Those that still sum to more than ``LONGEST_CYCLE`` are scaled down to it and rounded, each to at least 1:
    a share then differs from what was asked for by a few thousandths at most for up to a dozen targets.
    """
    weights = _reduced(weights)
    total = sum(weights)
    if total <= LONGEST_CYCLE:
        return weights
    return _reduced([max(1, (weight * LONGEST_CYCLE + total // 2) // total) for weight in weights])


def _reduced(weights: Sequence[int]) -> list[int]:
    divisor = math.gcd(*weights)
    return [weight // divisor for weight in weights]
