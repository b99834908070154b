"""The course of cooldowns: who is kept away from, until when, and what ends it early."""

from __future__ import annotations

import pytest
from cooling_workers import Worker, Workers, model_row, target

from hookway_plugins.resilience_cooldown import Cooldown
from hookway_plugins.resilience_cooldown.cooldown_rules import CooldownSettings
from hookway_sdk import Candidate, ClientDisconnected, UpstreamRefused, UpstreamTimeout
from hookway_sdk.testing import ListedCompiler, make_candidate, make_deployment, make_services, make_snapshot

A, B, C = target("a"), target("b", position=1), target("c", position=2)
BUSY = UpstreamRefused(503)


async def test_targets_that_cool_down_are_put_off_while_another_is_left(worker: Workers) -> None:
    one = await worker()
    one.ends(A, BUSY)
    assert (await one.left(A, B, C), one.deferred) == (["b", "c"], ["a"])
    one.ends(C, BUSY)
    assert (await one.left(A, B, C), one.deferred) == (["b"], ["a", "c"])


async def test_an_operator_can_have_them_left_out_altogether(worker: Workers) -> None:
    one = await worker(settings={"last_resort": False})
    one.ends(A, BUSY)
    assert (await one.left(A, B), one.deferred) == (["b"], [])
    assert one.reasons == ["cooling down for 30 s (upstream_server_error)"]


async def test_all_are_tried_when_all_of_them_cool_down(worker: Workers) -> None:
    one = await worker()
    for candidate in (A, B):
        one.ends(candidate, BUSY)
    assert await one.left(A, B) == ["a", "b"]
    assert one.reasons == []


async def test_a_model_called_by_its_own_name_is_always_tried(worker: Workers) -> None:
    one = await worker()
    one.ends(A, BUSY)
    assert await one.left(A, shape="direct") == ["a"]
    assert await one.left(A, B, shape="direct") == ["a", "b"]


async def test_a_success_ends_a_cooldown(worker: Workers) -> None:
    one = await worker()
    one.ends(A, BUSY)
    one.clock.advance(1)
    one.ends(A)
    assert not await one.cools(A)
    assert one.services.log.events() == ["target_cools_down", "target_recovered"]


async def test_a_success_that_set_out_before_the_failure_is_no_news(worker: Workers) -> None:
    one = await worker()
    one.clock.advance(60)
    one.ends(A, UpstreamRefused(429))
    one.clock.advance(1)
    one.ends(A, took=5)
    assert await one.cools(A)
    one.ends(A, took=0.5)
    assert not await one.cools(A)


async def test_a_success_of_one_target_leaves_the_others_cooling(worker: Workers) -> None:
    one = await worker()
    one.ends(A, BUSY)
    one.ends(B)
    assert await one.cools(A)


async def test_a_client_that_leaves_is_no_success(worker: Workers) -> None:
    one = await worker()
    one.ends(A, BUSY)
    one.ends(A, ClientDisconnected())
    assert await one.cools(A)


async def test_a_shorter_cooldown_lets_no_target_back_early(worker: Workers) -> None:
    one = await worker()
    one.ends(A, UpstreamRefused(429, retry_after=100))
    one.clock.advance(1)
    one.ends(A, UpstreamTimeout(5))
    one.clock.advance(98)
    assert await one.cools(A)
    health = await one.health("a")
    assert health is not None
    assert health.reason == "upstream_rate_limited"
    one.clock.advance(1.1)
    assert not await one.cools(A)


async def test_a_longer_cooldown_takes_the_place_of_a_running_one(worker: Workers) -> None:
    one = await worker()
    one.ends(A, UpstreamTimeout(5))
    one.ends(A, UpstreamRefused(429, retry_after=100))
    one.clock.advance(99)
    assert await one.cools(A)
    health = await one.health("a")
    assert health is not None
    assert (health.reason, health.check_status) == ("upstream_rate_limited", 429)


async def test_each_transition_is_counted_and_told_once(worker: Workers) -> None:
    one = await worker()
    for _ in range(5):
        one.ends(A, BUSY)
        one.clock.advance(1)
    assert one.count("a") == 1
    assert one.services.log.events() == ["target_cools_down"]
    one.clock.advance(60)
    one.ends(A, BUSY)
    assert one.count("a") == 2
    fields = one.services.log.lines[-1].fields
    assert (fields["model"], fields["upstream_model"], fields["seconds"]) == ("a", "a-1", 30)
    assert (fields["reason"], fields["status"]) == ("upstream_server_error", 503)


async def test_metrics_call_what_is_missing_unknown_and_a_wildcards_model_a_star(worker: Workers) -> None:
    one = await worker()
    one.ends(target("openai/*", "gpt-x"), BUSY)
    bare = make_candidate(deployment=make_deployment("bare", model="m", provider=""))
    one.ends(bare, BUSY)
    assert dict(one.services.metrics.declared["deployment_cooled_down_total"].values) == {
        ("openai", "openai/*", "*", "id-of-account"): 1,
        ("unknown", "bare", "m", "id-of-account"): 1,
    }


async def test_models_of_a_wildcard_cool_down_apart(worker: Workers) -> None:
    one = await worker()
    large, small = target("openai/*", "large"), target("openai/*", "small", 1)
    one.ends(large, UpstreamRefused(429, retry_after=50))
    assert len(await one.left(large, small)) == 1
    one.clock.advance(1)
    one.ends(small, UpstreamRefused(429, retry_after=10))
    health = await one.health("openai/*")
    assert health is not None
    assert health.until == one.clock.now() + 49
    one.clock.advance(11)
    assert len(await one.left(large, small)) == 1


async def test_a_target_that_flaps_gets_one_request_per_cooldown(worker: Workers) -> None:
    """It works for two seconds, then fails for a minute, over and over; traffic comes ten times a second."""
    one = await worker()
    asked_while_down = downs = 0
    for tick in range(6_200):
        one.clock.advance(0.1)
        if tick % 10 == 0:
            await one.polls()
        down = tick % 620 >= 20
        downs += down
        first = A if "a" in await one.left(A, B) else B
        if first is B:
            one.ends(B)
        else:
            asked_while_down += down
            one.ends(A, BUSY if down else None)
    assert downs == 6_000
    # Ten spells of 60 s; each is met by one request, and by one more every 30 s.
    assert 20 <= asked_while_down <= 30
    assert one.count("a") == asked_while_down


async def test_a_target_that_recovers_is_back_after_one_cooldown(worker: Workers) -> None:
    one = await worker()
    asked: list[float] = []
    for _ in range(600):
        one.clock.advance(0.1)
        now = one.clock.now() - 1_700_000_000
        if "a" in await one.left(A, B):
            asked.append(now)
            one.ends(A, BUSY if now < 20 else None)
    assert asked[0] == pytest.approx(0.1)
    assert asked[1] == pytest.approx(30.1, abs=0.11)
    assert len(asked) == pytest.approx(300, abs=3)


def test_cooldown_is_refused_on_models_that_are_no_deployment() -> None:
    group = model_row("group", routing={"targets": [{"model": "a"}]}, cooldown={"default_seconds": 3})
    plugin = Cooldown("resilience_cooldown", CooldownSettings(), make_services("resilience_cooldown"))
    compiler = ListedCompiler(make_snapshot([group, model_row("a")]))
    plugin.compile(compiler)
    ((resource, reason),) = compiler.rejected
    assert (resource.name, "set cooldown on the models it routes to" in reason) == ("group", True)


async def test_a_clock_that_is_set_changes_no_running_cooldown(worker: Workers) -> None:
    one = await worker()
    one.ends(A, BUSY)
    await one.polls()
    one.clock.jump(-3_600)
    await one.polls()
    one.clock.advance(29)
    assert await one.cools(A)
    one.clock.advance(1.1)
    assert not await one.cools(A)
    await one.polls()
    assert not await one.cools(A)


def candidates(count: int) -> list[Candidate]:
    return [target(f"t{n}", position=n) for n in range(count)]


async def test_more_targets_than_anyone_has_are_not_kept(worker: Workers) -> None:
    one: Worker = await worker()
    for candidate in candidates(2_100):
        one.ends(candidate, BUSY)
    assert len(one.plugin._ends) == 2_000
    one.clock.advance(31)
    one.ends(A, BUSY)
    assert await one.cools(A)
    assert len(one.plugin._ends) == 1
