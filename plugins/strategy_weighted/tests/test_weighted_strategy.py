"""Draws without replacement: how often each target stands where, by Pearson's chi-square test.

A statistic is the sum of (seen - expected)² / expected; where the shares are right it exceeds its critical
value once in a thousand runs. The dice are seeded, so a run that passes always passes.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

import pytest

from hookway.testing import GatewayFactory
from hookway_plugins.strategy_weighted import WeightedStrategy
from hookway_sdk import Candidate, NoSettings
from hookway_sdk.testing import ScriptedRandom, StrategyContract, make_candidate, make_exchange, make_services

DRAWS = 20_000
CRITICAL = {1: 10.828, 2: 13.816, 3: 16.266, 4: 18.467, 5: 20.515, 8: 26.124, 9: 27.877}
"""Values that chi-square exceeds with a probability of 0.001, by degrees of freedom."""


class TestContract(StrategyContract):
    plugin = WeightedStrategy


def targets(**weights: int) -> list[Candidate]:
    return [
        make_candidate(name, weight=weight, position=position)
        for position, (name, weight) in enumerate(weights.items())
    ]


async def orders(tier: Sequence[Candidate], seed: int = 7, draws: int = DRAWS) -> list[str]:
    strategy = WeightedStrategy("strategy_weighted", NoSettings(), make_services(random=random.Random(seed)))
    exchange = make_exchange(candidates=tier)
    return ["".join(one.name for one in await strategy.order(exchange, "g", tier)) for _ in range(draws)]


def chi_square(seen: Mapping[str, int], shares: Mapping[str, Fraction]) -> float:
    """Return how far counts are from what shares make them expect."""
    total = sum(seen.values())
    assert set(seen) <= set(shares)
    assert sum(shares.values()) == 1
    return sum(
        float((seen.get(one, 0) - share * total) ** 2 / (share * total)) for one, share in shares.items()
    )


def shares_of(weights: Mapping[str, int]) -> dict[str, Fraction]:
    return {name: Fraction(weight, sum(weights.values())) for name, weight in weights.items()}


def order_shares(weights: Mapping[str, int]) -> dict[str, Fraction]:
    """Return the probability of every order of draws without replacement."""
    found = {}
    for names in itertools.permutations(weights):
        left, share = dict(weights), Fraction(1)
        for name in names:
            share *= Fraction(left[name], sum(left.values()))
            del left[name]
        found["".join(names)] = share
    return found


@pytest.mark.parametrize(
    "weights",
    [{"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 3, "d": 4}, {"a": 90, "b": 10}, dict.fromkeys("abcdefghij", 3)],
    ids=str,
)
async def test_the_first_place_is_shared_by_weight(weights: dict[str, int]) -> None:
    seen = Counter(order[0] for order in await orders(targets(**weights)))
    assert chi_square(seen, shares_of(weights)) < CRITICAL[len(weights) - 1]


async def test_the_second_place_is_shared_by_weight_among_those_that_are_left() -> None:
    weights = {"a": 1, "b": 2, "c": 3, "d": 4}
    drawn = await orders(targets(**weights))
    together = 0.0
    for first in weights:
        seen = Counter(order[1] for order in drawn if order[0] == first)
        left = {name: weight for name, weight in weights.items() if name != first}
        found = chi_square(seen, shares_of(left))
        assert found < CRITICAL[2], f"after {first}"
        together += found
    assert together < CRITICAL[8]


async def test_every_order_is_as_likely_as_draws_without_replacement_make_it() -> None:
    weights = {"a": 1, "b": 2, "c": 5}
    assert chi_square(Counter(await orders(targets(**weights))), order_shares(weights)) < CRITICAL[5]


async def test_the_measure_would_notice_shares_that_are_off_by_a_few_hundredths() -> None:
    drawn = await orders(targets(a=10, b=10, c=10))
    seen = Counter(order[0] for order in drawn)
    assert chi_square(seen, shares_of({"a": 11, "b": 10, "c": 9})) > CRITICAL[2]
    # Nor do orders pass whose second place ignores weights, as a rotation from the first would.
    weights = {"a": 1, "b": 2, "c": 5}
    rotated = Counter(
        order[0] + ("abcab"["abc".index(order[0]) + 1 :])[:2] for order in await orders(targets(**weights))
    )
    assert chi_square(rotated, order_shares(weights)) > CRITICAL[5]


async def test_weights_may_be_as_far_apart_as_they_like() -> None:
    drawn = await orders(targets(a=1, b=10**15), draws=1_000)
    assert Counter(drawn) == {"ba": 1_000}


async def test_a_number_that_no_logarithm_takes_does_no_harm() -> None:
    services = make_services(random=ScriptedRandom([0.0, 0.5, 0.0]))
    strategy = WeightedStrategy("strategy_weighted", NoSettings(), services)
    tier = targets(a=1, b=1, c=1)
    assert [one.name for one in await strategy.order(make_exchange(candidates=tier), "g", tier)] == [
        "a",
        "c",
        "b",
    ]


def test_a_gateway_shares_requests_out_at_random(gateway: GatewayFactory) -> None:
    targets = [{"model": "a", "weight": 3}, {"model": "b"}, {"model": "c", "priority": -1}]
    running = gateway(
        plugins={"strategy_weighted": WeightedStrategy},
        resources={
            "models": [
                *({"name": name, "model": "echo/echo", "key": "none"} for name in "abc"),
                {"name": "group", "routing": {"strategy": "weighted", "targets": targets}},
            ]
        },
        only=("auth_keys", "dialect_openai", "provider_echo", "source_file", "store_memory"),
        chance=random.Random(3),
    )
    answers = [running.chat("hello", model="group") for _ in range(200)]
    seen = Counter(one.headers["x-hookway-served-by"] for one in answers)
    assert set(seen) == {"a", "b"}
    assert chi_square(seen, shares_of({"a": 3, "b": 1})) < CRITICAL[1]
