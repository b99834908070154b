"""The order of the row is the order of the tries."""

from __future__ import annotations

from hookway_plugins.strategy_failover import FailoverStrategy
from hookway_sdk import NoSettings
from hookway_sdk.testing.contracts.strategy import StrategyContract
from hookway_sdk.testing.exchanges import make_candidate, make_exchange
from hookway_sdk.testing.services import make_services


class TestContract(StrategyContract):
    plugin = FailoverStrategy


async def test_targets_are_tried_in_the_order_of_the_row_whatever_their_weights() -> None:
    strategy = FailoverStrategy("strategy_failover", NoSettings(), make_services())
    tier = [make_candidate(name, weight=weight) for name, weight in (("c", 1), ("a", 9), ("b", 5))]
    for _ in range(3):
        order = await strategy.order(make_exchange(candidates=tier), "id-of-a-group", tier)
        assert [one.name for one in order] == ["c", "a", "b"]
