"""Give each target of a model group its exact share, in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from hookway_plugins.strategy_round_robin.turns import PROLONG_AGAIN, PROLONG_EVERY, Members, Turns
from hookway_sdk import Candidate, Exchange, NoSettings, Services, StateUnavailable, Strategy
from hookway_sdk.state import CountResult

MOST_SETS = 512
"""Sets of targets whose turns a worker keeps at hand; the oldest makes way for a new one."""
WARN_SECONDS = 60.0

SetKey: TypeAlias = "tuple[str, int, Members]"


class RoundRobinStrategy(Strategy[NoSettings]):
    """Give each target of a model group its exact share, in turn.

    The turns of every set of targets are counted in ``services.state``, so all workers take them together,
    a reload loses none, and a set that comes back goes on where it was. The order walks forward from the
    target whose turn it is, and around.
    """

    def __init__(self, name: str, settings: NoSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._apply = services.state.apply
        self._monotonic = services.clock.monotonic
        self._sets: dict[SetKey, Turns] = {}
        self._random_starts = services.metrics.counter(
            "round_robin_random_starts_total",
            "Requests whose first target was drawn at random, since the shared state did not answer.",
        )
        self._unreported = 0
        self._warn_at = 0.0

    async def order(self, exchange: Exchange, group: str, tier: Sequence[Candidate]) -> Sequence[Candidate]:
        """Return the tier from the target whose turn it is, and around.

        While the state does not answer, the start is drawn at random by weight: an inexact share is better
        than no answer.
        """
        members = tuple([(one.deployment.id, one.weight) for one in tier])
        key = (group, tier[0].priority, members)
        turns = self._sets.get(key)
        if turns is None:
            turns = self._remember(key)
        schedule = turns.schedule
        try:
            (result,) = await self._apply(turns.take)
        except StateUnavailable as error:
            self._note_away(error)
            start = schedule.winner(int(self.services.random.random() * schedule.cycle))
        else:
            assert isinstance(result, CountResult)
            start = schedule.winner((result.value - 1) % schedule.cycle)
            if self._monotonic() >= turns.prolong_at:
                await self._prolong(turns, result.value)
        return [*tier[start:], *tier[:start]]

    def _remember(self, key: SetKey) -> Turns:
        sets = self._sets
        if len(sets) >= MOST_SETS:
            del sets[next(iter(sets))]
        turns = sets[key] = Turns(*key)
        return turns

    async def _prolong(self, turns: Turns, value: int) -> None:
        """Let a counter live on, or try so again soon."""
        now = self._monotonic()
        turns.prolong_at = now + PROLONG_AGAIN
        try:
            (result,) = await self._apply((turns.prolong(value),))
        except StateUnavailable:
            return  # the turn is taken; there is most of a day left for this
        if result.allowed:
            turns.prolong_at = now + PROLONG_EVERY

    def _note_away(self, error: StateUnavailable) -> None:
        """Count a request without a shared turn; say so once a minute at most."""
        self._random_starts.add()
        self._unreported += 1
        now = self._monotonic()
        if now >= self._warn_at:
            self._warn_at = now + WARN_SECONDS
            self.services.log.warning(
                "round_robin_at_random", error=error.detail or error.message, requests=self._unreported
            )
            self._unreported = 0
