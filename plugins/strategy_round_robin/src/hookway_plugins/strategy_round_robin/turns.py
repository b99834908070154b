"""The turns of one set of targets: their schedule, and the counter that says how far it has come."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import msgspec

from hookway_plugins.strategy_round_robin.smooth_schedule import SmoothSchedule
from hookway_sdk.state import CompareAndSet, Increment

LIFETIME = 86_400.0
"""Seconds after which the counter of a set that nobody asked for is forgotten."""
PROLONG_EVERY = 3_600.0
"""Seconds after which a worker prolongs the life of a counter that it uses."""
PROLONG_AGAIN = 10.0
"""Seconds until it tries again, where another worker counted at the same moment."""

Members: TypeAlias = "tuple[tuple[str, int], ...]"
"""Row id and weight of each target, in order."""


class Turns:
    """What a worker keeps of one set of targets; all of it can be made anew from the set.

    Args:
        group: row id of the model group.
        priority: the tier.
        members: the targets.

    Attributes:
        schedule: whose turn it is at each position.
        take: the batch that takes the next turn.
        prolong_at: monotonic seconds when the counter's life is to be prolonged.
    """

    __slots__ = ("_key", "prolong_at", "schedule", "take")

    def __init__(self, group: str, priority: int, members: Members) -> None:
        self._key = counter_key(group, priority, members)
        self.schedule = SmoothSchedule([weight for _, weight in members])
        self.take = (Increment(self._key, 1, LIFETIME),)
        self.prolong_at = 0.0

    def prolong(self, value: int) -> CompareAndSet:
        """Return what lets the counter live on from now, if it still has this value.

        An increment leaves the end of a number as it was, and a plain ``Set`` would undo what other workers
        counted meanwhile.
        """
        digits = b"%d" % value
        return CompareAndSet(self._key, digits, digits, LIFETIME)


def counter_key(group: str, priority: int, members: Members) -> str:
    """Return the key of a set's counter: equal in every worker and after every restart."""
    named = msgspec.json.encode((group, priority, members))
    return f"{group[:100]}:{priority}:{hashlib.blake2b(named, digest_size=10).hexdigest()}"
