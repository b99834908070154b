"""What a ``strategy_`` plugin promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from hookway_sdk.exchange import Exchange
from hookway_sdk.kinds.strategy import Strategy
from hookway_sdk.targets import Candidate
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.testing.exchanges import make_candidate, make_exchange

GROUP = "id-of-a-group"


class StrategyContract(PluginContract):
    """Promises of a strategy.

    Attributes:
        rounds: how many requests a promise is checked with.
    """

    plugin: ClassVar[type[Strategy[Any]]]
    rounds: ClassVar[int] = 50

    def tier(self, count: int = 4) -> list[Candidate]:
        """Return candidates of one priority, with different weights."""
        return [make_candidate(f"target-{n}", weight=1 + n * n, position=n) for n in range(count)]

    def exchange(self, tier: Sequence[Candidate]) -> Exchange:
        """Return an exchange of which a tier is the plan."""
        return make_exchange(candidates=tier)

    async def _order(self, strategy: Any, tier: Sequence[Candidate]) -> list[Candidate]:
        return list(await strategy.order(self.exchange(tier), GROUP, tier))

    async def test_it_names_each_candidate_at_most_once_and_no_stranger(self) -> None:
        async with self.running() as strategy:
            for _ in range(self.rounds):
                tier = self.tier()
                order = await self._order(strategy, tier)
                assert len({id(one) for one in order}) == len(order), f"a candidate stands twice in {order}"
                assert all(any(one is known for known in tier) for one in order), f"a stranger in {order}"

    async def test_it_leaves_somebody_to_try(self) -> None:
        async with self.running() as strategy:
            for count in (1, 2, 7):
                for _ in range(self.rounds):
                    assert await self._order(strategy, self.tier(count)), (
                        f"nobody is left of {count} candidates"
                    )

    async def test_it_leaves_the_tier_as_it_was(self) -> None:
        async with self.running() as strategy:
            for _ in range(self.rounds):
                tier = self.tier()
                before = list(tier)
                await self._order(strategy, tier)
                assert tier == before, "the tier that was given has changed"

    async def test_it_copes_with_any_weights_and_any_number_of_candidates(self) -> None:
        async with self.running() as strategy:
            for tier in (
                [make_candidate(f"target-{n}", weight=1, position=n) for n in range(200)],
                [make_candidate(f"target-{n}", weight=10**9, position=n) for n in range(3)],
                [make_candidate("light"), make_candidate("heavy", weight=10**9, position=1)],
            ):
                order = await self._order(strategy, tier)
                assert 1 <= len(order) <= len(tier), f"{len(order)} of {len(tier)} candidates are left"

    async def test_chance_and_time_come_from_the_services(self) -> None:
        tier = self.tier()
        runs = []
        for _ in range(2):
            async with self.running() as strategy:
                runs.append([await self._order(strategy, tier) for _ in range(self.rounds)])
        assert runs[0] == runs[1], "equal services gave another order; draw from services.random"
