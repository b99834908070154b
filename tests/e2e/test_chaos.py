"""Chaos: providers that are sick in every way, many callers, and errors only where no target could serve.

Each gateway has every standard plugin but the tokenizer, and groups of three targets; a provider's weather
says which are sick. What callers were told is compared with what the provider saw, with events, with limits
and with metrics.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from crowd import DONE, Crowd, Told
from prometheus_client.parser import text_string_to_metric_families
from watched import Watched
from weather import SICKNESSES, TARGETS, Weather, WeatherProvider, cut_later, pieces, usage_of

from hookway.testing import KEY, RunningGateway
from hookway_sdk import AttemptEnded, RequestEnded

STRATEGIES = ("failover", "round_robin", "weighted")
COOLS = 10
"""Seconds for which a target cools down, unless the provider says how long."""
TOKENS, REQUESTS, AT_ONCE = 10_000_000, 1_000_000, 500
"""What the key may use: so much that nobody meets it."""
HASTY = {"timeout": 200, "first_token_timeout": 150}
"""Deadlines of targets that stall, in ms; those that are well have none, however busy the machine is."""

LONGEST_COOLDOWN = 20.5
"""Seconds after which every target that is well is asked again, whatever its Retry-After was."""
INSTANT = [one for one in SICKNESSES if one != "stall"]
"""Sicknesses that nobody has to wait for."""

each_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


class SkippingClock:
    """The machine's clocks, some time ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        """Return epoch seconds."""
        return time.time() + self.ahead

    def monotonic(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic() + self.ahead

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self.ahead += seconds


@pytest.fixture(scope="module")
def weather_provider() -> Iterator[WeatherProvider]:
    made = WeatherProvider()
    yield made
    made.close()


@pytest.fixture
def provider(weather_provider: WeatherProvider) -> Iterator[WeatherProvider]:
    """The provider, with fine weather; at the end everything it was asked has to have been well-formed."""
    weather_provider.begin()
    weather_provider.weather = Weather()
    yield weather_provider
    weather_provider.check()


@pytest.fixture
def weather(provider: WeatherProvider) -> Weather:
    return provider.weather


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock()


def settings_with(**plugins: Any) -> dict[str, Any]:
    """Return settings with a cooldown of a known length."""
    cooldown = {"enabled": True, "default_seconds": COOLS}
    return {"plugins": {"resilience_cooldown": cooldown, **plugins}}


def resources(provider: WeatherProvider, **more: dict[str, Any]) -> dict[str, Any]:
    """Return three targets, and a group of them for each strategy; ``more`` are fields of single rows."""
    targets = [{"name": one, "model": f"openai/{one}", **provider.account()} for one in TARGETS]
    routes = [{"model": one} for one in TARGETS]
    groups = [{"name": one, "routing": {"strategy": one, "targets": routes}} for one in STRATEGIES]
    models = [{**row, **more.get(row["name"], {})} for row in [*targets, *groups]]
    limit = {"tpd": TOKENS, "rpd": REQUESTS, "concurrency": AT_ONCE}
    return {
        "models": models,
        "api_keys": [{"name": "ci", "key": KEY, "allowed_models": ["*"], "rate_limit": limit}],
    }


# ── what has to hold, whatever the weather was ──────────────────────────────────────────────


def check_answers(told: Sequence[Told], model: str, weather: Weather) -> None:
    """Fail if anyone was told less than a whole answer who could have been served."""
    wronged = [one for one in told if one.error is not None and weather.could_serve(one.began, one.ended)]
    assert not wronged, f"{len(wronged)} of {len(told)} saw an error while a target was well: {wronged[:3]}"
    for one in told:
        if one.error is None:
            one.check(model)


def check_books(running: RunningGateway, provider: WeatherProvider, told: Sequence[Told]) -> None:
    """Fail unless events, limits and metrics tell of exactly what callers asked and the provider saw."""
    ends = running.wait_for(RequestEnded, len(told))
    assert Counter(one.request_id for one in ends) == Counter(one.id for one in told)
    tries = running.of(AttemptEnded)
    assert sum(one.attempts for one in ends) == len(tries)
    assert Counter(one.target for one in tries if one.dispatched) == Counter(provider.asked)
    by_id = {one.request_id: one for one in ends}
    for one in told:
        event = by_id[one.id]
        assert (event.status, event.stream) == (one.status, one.streamed), one
        if one.error is None:
            assert (event.target, event.usage, event.error_type) == (one.served_by, usage_of(one.number), "")
    assert running.gateway.process.failures.values == {}
    used = sum(one.usage.total_tokens for one in ends)
    check_metrics(running, len(told), len(provider.requests), used)
    sent = {one.request_id for one in tries if one.dispatched}
    check_limit(running, len(sent), used)


def check_limit(running: RunningGateway, requests: int, tokens: int) -> None:
    """Fail unless the key's limit has exactly so much less, and every slot back.

    Args:
        requests: those that were sent to a provider; others are given back.
        tokens: that were used.
    """
    left = running.get("/v1/models").headers
    assert int(left["x-ratelimit-remaining-tokens"]) == TOKENS - tokens
    assert int(left["x-ratelimit-remaining-requests"]) == REQUESTS - requests - 1
    assert int(left["x-ratelimit-remaining-concurrent"]) == AT_ONCE


def check_metrics(running: RunningGateway, requests: int, attempts: int, tokens: int) -> None:
    """Fail unless the counters are exactly these."""
    found = scrape(running)
    assert total(found, "requests_total") == requests
    assert total(found, "deployment_requests_total") == attempts
    assert total(found, "llm_total_tokens_total") == tokens
    assert total(found, "proxy_in_flight_requests") == 0


def scrape(running: RunningGateway) -> dict[str, list[Any]]:
    """Return the series by name."""
    found: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(running.operator("/metrics").body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name.removeprefix("hookway_"), []).append(sample)
    return found


def total(found: dict[str, list[Any]], name: str, **labels: str) -> float:
    """Return the sum of the series that have these labels."""
    return float(sum(one.value for one in found.get(name, []) if labels.items() <= one.labels.items()))


# ── a target is well all the while ──────────────────────────────────────────────────────────

PAIRS = {
    "429 storm": ("429", "429 with Retry-After"),
    "down": ("500", "503"),
    "network": ("reset", "cut before the first frame"),
    "broken answers": ("cut in the first frame", "garbage"),
    "slow": ("stall", "stall"),
    "out of order": ("401", "error inside"),
}


@each_strategy
@pytest.mark.parametrize("pair", PAIRS)
async def test_nobody_notices_that_two_of_three_targets_are_sick(
    start: Watched, provider: WeatherProvider, weather: Weather, pair: str, strategy: str
) -> None:
    first, second = PAIRS[pair]
    hasty = HASTY if "stall" in PAIRS[pair] else {}
    running = start(settings_with(), resources=resources(provider, a=hasty, b=hasty))
    weather.fall_sick(a=first, b=second)
    told = await Crowd(running, "sick").ask(strategy, 100)
    check_answers(told, strategy, weather)
    assert {one.served_by for one in told} == {"c"}
    assert weather.answered["a", False] + weather.answered["b", False] > 0
    check_books(running, provider, told)


@each_strategy
async def test_nobody_notices_weather_that_changes_more_slowly_than_targets_cool_down(
    start: Watched, provider: WeatherProvider, weather: Weather, clock: SkippingClock, strategy: str
) -> None:
    running = start(settings_with(), resources=resources(provider), clock=clock)
    crowd = Crowd(running, "slow")
    chance = random.Random(strategy)
    told: list[Told] = []
    for _ in range(8):
        sick = chance.sample(TARGETS, chance.choice((1, 2)))
        weather.fall_sick(**{target: chance.sample(INSTANT, 3) for target in sick})
        told += await crowd.ask(strategy, 30)
        clock.skip(LONGEST_COOLDOWN)
    check_answers(told, strategy, weather)
    assert {one.served_by for one in told} == set(TARGETS)
    check_books(running, provider, told)


@each_strategy
async def test_nobody_notices_targets_that_flap_more_quickly_than_they_cool_down(
    start: Watched, provider: WeatherProvider, weather: Weather, strategy: str
) -> None:
    """What cools down may be well again by now, and is asked before a caller sees an error."""
    running = start(settings_with(), resources=resources(provider))
    weather.turn(30, "a", "b", "c", how=["503", "error inside", "reset", "429"])
    told = await Crowd(running, "flap", at_once=10).ask(strategy, 200)
    check_answers(told, strategy, weather)
    assert sum(weather.could_serve(one.began, one.ended) for one in told) > 150, "the weather was too wild"
    check_books(running, provider, told)


async def test_a_target_that_cools_down_is_asked_before_a_caller_sees_an_error(
    start: Watched, provider: WeatherProvider, weather: Weather
) -> None:
    """The same with few requests: ``a`` and ``c`` are well again when ``b``, which alone is left, fails."""
    running = start(settings_with(), resources=resources(provider))
    weather.fall_sick(a="503", c="503")
    crowd = Crowd(running, "again", at_once=1)
    await crowd.ask("round_robin", 3)
    weather.fall_sick(b="503")
    told = await crowd.ask("round_robin", 3)
    check_answers(told, "round_robin", weather)


async def test_two_targets_that_refuse_for_good_cost_nobody_the_third(
    start: Watched, provider: WeatherProvider, weather: Weather
) -> None:
    """They do not cool down, so each request meets both; its fallbacks were not in vain."""
    running = start(settings_with(), resources=resources(provider))
    weather.fall_sick(a="404", b="404")
    told = await Crowd(running, "gone").ask("failover", 200)
    check_answers(told, "failover", weather)
    check_books(running, provider, told)


# ── no target is well ───────────────────────────────────────────────────────────────────────

LAST_WORDS = {
    "429": (429, "slow down"),
    "429 with Retry-After": (429, "slow down"),
    "401": (401, "incorrect API key"),
    "404": (404, "no such deployment"),
    "500": (502, "upstream returned 500"),
    "503": (502, "upstream returned 503"),
    "stall": (504, ""),
}
"""What callers see of a sickness of all targets; of the others it is 502, in the gateway's own words."""


@pytest.mark.parametrize("how", SICKNESSES)
async def test_where_all_are_sick_callers_see_the_documented_error(
    start: Watched, provider: WeatherProvider, weather: Weather, how: str
) -> None:
    hasty = HASTY if how == "stall" else {}
    running = start(settings_with(), resources=resources(provider, a=hasty, b=hasty, c=hasty))
    weather.fall_sick(a=how, b=how, c=how)
    told = await Crowd(running, "all").ask("failover", 20)
    status, message = LAST_WORDS.get(how, (502, ""))
    for one in told:
        assert (one.status, one.pieces) == (status, []), one
        assert isinstance(one.error, dict), one
        assert {"message", "type", "param", "code"} >= one.error.keys() >= {"message", "type"}, one
        assert one.error["message"] == (message or one.error["message"])
        assert "oops" not in one.error["message"]
    tried = Counter((one.request_id, one.target) for one in running.of(AttemptEnded))
    assert set(tried.values()) == {1}, "a target was asked again"
    check_books(running, provider, told)


async def test_a_storm_of_failures_is_not_made_worse(
    start: Watched, provider: WeatherProvider, weather: Weather
) -> None:
    """With five tries for each caller it would be 500 requests."""
    again = {"retries": 2}
    budget = {"ratio": 0.2, "min_per_second": 1}
    running = start(
        settings_with(resilience_retry_budget=budget),
        resources=resources(provider, a=again, b=again, c=again),
    )
    weather.fall_sick(a="500", b="500", c="500")
    told = await Crowd(running, "storm").ask("failover", 100)
    assert {one.status for one in told} == {502}
    # First tries, retries, and fallbacks; of the latter those may come on top that were under way meanwhile.
    assert 100 < len(provider.requests) <= 100 + 2 * (0.2 * 100 + 10) + 2 * 20
    check_books(running, provider, told)


# ── what comes after ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("how", "seconds", "strategy"),
    [*(("500", COOLS, one) for one in STRATEGIES), ("429 with Retry-After", 20, "failover")],
)
async def test_traffic_returns_to_a_target_that_is_well_again_and_not_before(
    start: Watched,
    provider: WeatherProvider,
    weather: Weather,
    clock: SkippingClock,
    how: str,
    seconds: int,
    strategy: str,
) -> None:
    running = start(settings_with(), resources=resources(provider), clock=clock)
    crowd = Crowd(running, "back")
    weather.fall_sick(a=how)
    told = await crowd.ask(strategy, 60)
    failed = weather.answered["a", False]
    assert 1 <= failed <= 20, "only those who asked at the same time met the failure"
    assert state_of(running, "a") == 2

    weather.fine()
    clock.skip(seconds - 5)
    told += await crowd.ask(strategy, 30)
    assert weather.answered["a", True] == 0, "it was asked while it cooled down"

    clock.skip(5.5)
    back = await crowd.ask(strategy, 60)
    assert weather.answered["a", True] >= 5
    assert state_of(running, "a") == 0
    check_answers([*told, *back], strategy, weather)
    check_books(running, provider, [*told, *back])


def state_of(running: RunningGateway, target: str) -> float:
    """Return what metrics say of a target: 0 is well, 2 cools down."""
    return total(scrape(running), "deployment_state", model=target)


# ── limits of targets ───────────────────────────────────────────────────────────────────────


@each_strategy
async def test_a_target_over_its_own_limit_is_passed_over_and_not_asked(
    start: Watched, provider: WeatherProvider, weather: Weather, strategy: str
) -> None:
    running = start(
        settings_with(),
        resources=resources(provider, a={"rate_limit": {"rpm": 10}}, b={"rate_limit": {"rpm": 1000}}),
    )
    weather.fall_sick(b="429 with Retry-After")
    told = await Crowd(running, "full").ask(strategy, 100)
    check_answers(told, strategy, weather)
    assert provider.asked.count("a") == 10
    passed = [one for one in running.of(AttemptEnded) if one.target == "a" and not one.dispatched]
    assert {one.error_kind for one in passed} == {"rate_limit_exceeded"}
    assert state_of(running, "a") == 0, "a limit of the gateway's own is no sickness"
    check_books(running, provider, told)


async def test_where_every_target_is_over_its_limit_callers_are_told_to_come_back(
    start: Watched, provider: WeatherProvider, weather: Weather
) -> None:
    few = {"rate_limit": {"rpm": 5}}
    running = start(settings_with(), resources=resources(provider, a=few, b=few, c=few))
    told = await Crowd(running, "over").ask("round_robin", 60)
    refused = [one for one in told if one.error is not None]
    assert len(refused) == 60 - 3 * 5
    for one in refused:
        assert (one.status, one.error["type"]) == (429, "rate_limit_exceeded")
        assert 1 <= int(one.headers["retry-after"]) <= 60
    for one in told:
        if one.error is None:
            one.check("round_robin")
    assert Counter(provider.asked) == dict.fromkeys(TARGETS, 5)
    check_books(running, provider, told)


# ── the one error that nobody can help ──────────────────────────────────────────────────────


@each_strategy
async def test_a_stream_that_is_cut_after_it_began_ends_in_an_error_of_its_own(
    start: Watched, provider: WeatherProvider, weather: Weather, clock: SkippingClock, strategy: str
) -> None:
    running = start(settings_with(), resources=resources(provider), clock=clock)
    crowd = Crowd(running, "cut", at_once=5)
    weather.fall_sick(a=cut_later)
    whole = await crowd.ask(strategy, 30, streams=lambda number: False)
    check_answers(whole, strategy, weather)
    assert weather.answered["a", False] >= 1, "a whole answer that was cut is asked for elsewhere"

    clock.skip(COOLS + 1)
    streamed = await crowd.ask(strategy, 100, streams=lambda number: True)
    broken = [one for one in streamed if one.error is not None]
    assert 1 <= len(broken) <= 5, "only those who asked at the same time met the failure"
    for one in broken:
        assert (one.status, one.served_by, one.error["type"]) == (200, "a", "stream_aborted")
        assert one.pieces == pieces("a", one.number)[: len(one.pieces)]
        assert one.pieces
        assert one.finish == ""
        assert DONE not in one.body
    for one in streamed:
        if one.error is None:
            one.check(strategy)
    check_books(running, provider, [*whole, *streamed])
