"""Which failures make a target cool down, for how long, and what operators read of it."""

from __future__ import annotations

from typing import Any

import pytest
from cooling_workers import Workers, model_row, target

from hookway_plugins.resilience_cooldown.cooldown_rules import CooldownFields, CooldownSettings
from hookway_sdk import (
    AllCandidatesUnavailable,
    BudgetExceeded,
    ClientDisconnected,
    ConfigBroken,
    ConfigError,
    GatewayError,
    Health,
    InvalidUpstreamConfig,
    InvalidUpstreamCredential,
    LimitExceeded,
    PluginFailed,
    ProviderUnavailable,
    StreamAborted,
    TransportFailed,
    UpstreamError,
    UpstreamInBand,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUndecodable,
    walker,
)

A = target("a")

CAUSES: list[tuple[GatewayError, str, int]] = [
    (UpstreamRefused(401, "no"), "upstream_auth_failure", 401),
    (UpstreamRefused(408), "upstream_request_timeout", 408),
    (UpstreamRefused(429), "upstream_rate_limited", 429),
    (UpstreamRefused(500), "upstream_server_error", 500),
    (UpstreamRefused(502), "upstream_server_error", 502),
    (UpstreamRefused(503), "upstream_server_error", 503),
    (UpstreamRefused(504), "upstream_server_error", 504),
    (UpstreamTimeout(1_000), "request_timeout", 0),
    (TransportFailed("connection refused", sent=False), "transport_error", 0),
    (TransportFailed("connection reset"), "transport_error", 0),
    (StreamAborted(), "transport_error", 0),
    (UpstreamUndecodable("no choices"), "upstream_decode_error", 0),
    (UpstreamTooLarge(10), "upstream_decode_error", 0),
    (UpstreamInBand("gone"), "upstream_in_band_error", 0),
    (UpstreamInBand("busy", upstream_status=503), "upstream_server_error", 503),
    (UpstreamInBand("slow", upstream_status=429), "upstream_rate_limited", 429),
]


def named(error: GatewayError) -> str:
    return f"{type(error).__name__}-{getattr(error, 'upstream_status', None) or error.status}"


@pytest.mark.parametrize(
    ("error", "reason", "status"), CAUSES, ids=lambda one: named(one) if isinstance(one, Exception) else ""
)
async def test_a_targets_own_failure_makes_it_cool_down(
    worker: Workers, error: GatewayError, reason: str, status: int
) -> None:
    one = await worker(model_row("a"))
    one.ends(A, error)
    assert await one.cools(A)
    assert one.reasons == [f"cooling down for 30 s ({reason})"]
    now = one.clock.now()
    assert await one.health("a") == Health("cooldown", reason, now + 30, now, status)


NOT_ITS_FAULT: list[GatewayError] = [
    *(UpstreamRefused(status, "no") for status in (400, 402, 403, 404, 409, 413, 422, 501, 529)),
    UpstreamInBand("bad prompt", upstream_status=400),
    ClientDisconnected(),
    LimitExceeded("requests", retry_after=9),
    BudgetExceeded("used up"),
    AllCandidatesUnavailable(),
    ConfigBroken("closed"),
    ProviderUnavailable("none"),
    InvalidUpstreamConfig("no base"),
    InvalidUpstreamCredential("no JSON"),
    PluginFailed("provider_x", "attempt"),
    UpstreamError("something else"),
]


@pytest.mark.parametrize("error", NOT_ITS_FAULT, ids=named)
async def test_what_others_did_makes_no_target_cool_down(worker: Workers, error: GatewayError) -> None:
    one = await worker(model_row("a"))
    one.ends(A, error)
    assert not await one.cools(A)
    assert await one.health("a") is None


async def test_an_attempt_that_was_never_sent_says_nothing(worker: Workers) -> None:
    one = await worker(model_row("a"))
    one.ends(A, UpstreamRefused(429), dispatched=False)
    assert not await one.cools(A)


RETRY_AFTER: list[tuple[dict[str, Any], int | None, int]] = [
    ({}, None, 30),
    ({}, 0, 30),
    ({}, 7, 7),
    ({}, 90, 90),
    ({}, 601, 600),
    ({"max_seconds": 60}, 90, 60),
    ({"max_seconds": 10}, None, 30),
    ({"honor_retry_after": False}, 90, 30),
    ({"default_seconds": 5}, None, 5),
]


@pytest.mark.parametrize(("said", "asked", "seconds"), RETRY_AFTER)
@pytest.mark.parametrize("where", ["row", "settings"])
async def test_a_target_cools_down_as_long_as_the_provider_asks_within_bounds(
    worker: Workers, where: str, said: dict[str, Any], asked: int | None, seconds: int
) -> None:
    row = model_row("a", cooldown=said) if where == "row" else model_row("a")
    one = await worker(row, settings=said if where == "settings" else {})
    one.ends(A, UpstreamRefused(429, retry_after=asked))
    one.clock.advance(seconds - 0.01)
    assert await one.cools(A)
    one.clock.advance(0.02)
    assert not await one.cools(A)


async def test_an_error_inside_a_success_takes_the_usual_time(worker: Workers) -> None:
    one = await worker(model_row("a"))
    one.ends(A, UpstreamInBand("slow", upstream_status=429, retry_after=300))
    one.clock.advance(30.01)
    assert not await one.cools(A)


OFF: list[tuple[dict[str, Any], GatewayError]] = [
    ({"enabled": False}, UpstreamRefused(503)),
    ({"default_seconds": 0}, UpstreamRefused(429, retry_after=20)),
    ({"trigger_statuses": [500]}, UpstreamRefused(503)),
    ({"trigger_statuses": []}, UpstreamInBand("busy", upstream_status=503)),
    ({"trigger_on_timeout": False}, UpstreamTimeout(1)),
    ({"trigger_on_transport": False}, TransportFailed("reset")),
    ({"trigger_on_transport": False}, StreamAborted()),
    ({"trigger_on_transport": False}, UpstreamUndecodable("html")),
    ({"trigger_on_transport": False}, UpstreamInBand("gone")),
]


@pytest.mark.parametrize(("said", "error"), OFF)
async def test_a_row_can_turn_each_trigger_off(
    worker: Workers, said: dict[str, Any], error: GatewayError
) -> None:
    one = await worker(model_row("a", cooldown=said), model_row("b"))
    one.ends(A, error)
    one.ends(target("b"), error)
    assert await one.left(A, target("b"), target("c")) == ["a", "c"]


async def test_a_row_can_name_further_statuses(worker: Workers) -> None:
    one = await worker(model_row("a", cooldown={"trigger_statuses": [404, 529]}))
    one.ends(A, UpstreamRefused(404))
    health = await one.health("a")
    assert health is not None
    assert (health.reason, health.check_status) == ("upstream_status_failure", 404)
    one.ends(target("b"), UpstreamRefused(404))
    assert await one.left(A, target("b")) == ["b"]


async def test_a_rows_word_goes_before_the_settings_and_leaves_them_the_rest(worker: Workers) -> None:
    settings = {"default_seconds": 0, "trigger_statuses": [418]}
    one = await worker(model_row("a", cooldown={"default_seconds": 9}), settings=settings)
    one.ends(A, UpstreamRefused(418))
    one.ends(target("b"), UpstreamRefused(418))
    assert await one.left(A, target("b")) == ["b"]
    one.clock.advance(9.01)
    assert await one.left(A, target("b")) == ["a", "b"]


async def test_a_cooldown_that_is_turned_off_is_over_at_once(worker: Workers) -> None:
    one = await worker(model_row("a"))
    one.ends(A, UpstreamRefused(503))
    assert await one.cools(A)
    await one.polls()
    assert await (await worker(model_row("a"))).cools(A)
    two = await worker(model_row("a", cooldown={"enabled": False}))
    assert not await two.cools(A)
    assert await two.health("a") is None


@pytest.mark.parametrize(
    "written",
    [
        {"default_seconds": -1},
        {"max_seconds": 0},
        {"trigger_statuses": [99]},
        {"trigger_statuses": [600]},
        {"default_second": 1},
        {"enabled": "yes"},
    ],
)
def test_what_makes_no_sense_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        walker.convert({"cooldown": written}, CooldownFields)
    if "enabled" not in written:
        with pytest.raises(ConfigError):
            walker.convert(written, CooldownSettings)
