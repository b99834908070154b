"""Which limits a request meets, at which gate, in which buckets and in which order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from limited_worker import (
    Worker,
    direct,
    group,
    key_row,
    model_row,
    policy_row,
    release,
    settle,
)

from hookway_plugins.limit_rate.buckets import state_key
from hookway_plugins.limit_rate.rules import KEPT
from hookway_sdk import LimitExceeded
from hookway_sdk.testing.exchanges import make_exchange, make_model, make_principal
from hookway_sdk.testing.snapshots import make_resource

GPT = {"dimension": "model", "operator": "==", "value": "gpt"}


def classic(scope: str, ref: str, most: int = 1, window: str = "minute") -> dict[str, Any]:
    return {"scope": scope, "scope_ref": ref, "window": window, "max_requests": most}


async def buckets_of(worker: Worker, **facts: Any) -> list[str]:
    return [key.rpartition(":")[0][1:-1] for key in await worker.keys_of(worker.exchange(**facts))]


# ── buckets ─────────────────────────────────────────────────────────────────────────────────


async def test_each_layer_has_a_bucket_of_its_own_in_the_order_key_model_policies() -> None:
    worker = Worker(
        policy_row("p1", **classic("team", "red")),
        policy_row("p2", limits={"rpm": 1}, group_by=["provider", "member", "model", "api_key", "team"]),
        key_row(rpm=1),
        model_row(rpm=1),
        policy_row("p3", **classic("team_member", "red")),
        policy_row("p4", **classic("model", "gpt")),
        policy_row("p5", **classic("api_key", "key-1")),
        policy_row("p6", **classic("member", "u:1")),
        policy_row("p7", limits={"rpm": 1}),
    )
    assert await buckets_of(worker, team="red", user="u:1") == [
        "id-of-key-1",
        "model:gpt",
        "policy:team:red:id-of-p1",
        "policy:v2:id-of-p2:team=red:member=u%3A1:api_key=id-of-key-1:model=id-of-gpt:provider=acme",
        "policy:team_member:red:id-of-p3:u:1",
        "policy:model:id-of-gpt:id-of-p4",
        "policy:api_key:id-of-key-1:id-of-p5",
        "policy:member:u:1:id-of-p6",
        "policy:v2:id-of-p7",
    ]


async def test_values_in_a_buckets_name_cannot_be_taken_for_parts_of_it() -> None:
    worker = Worker(policy_row(limits={"rpm": 1}, group_by=["team", "member"]))
    first = await buckets_of(worker, team="a:member=b", user="c")
    second = await buckets_of(worker, team="a", user="b:member=c")
    assert first == ["policy:v2:id-of-cap:team=a%3Amember%3Db:member=c"]
    assert first != second
    assert await buckets_of(worker, team="100%", user="25") == ["policy:v2:id-of-cap:team=100%25:member=25"]


async def test_all_names_of_a_wildcard_share_its_bucket() -> None:
    worker = Worker(model_row("gpt-*", rpm=1))
    wild = [make_model("gpt-*", requested=name) for name in ("gpt-4", "gpt-5")]
    for one in wild:
        exchange = worker.exchange(model=one)
        assert await worker.keys_of(exchange) == ["{model:gpt-*}:rpm"]
        release(exchange)


def test_a_name_of_any_length_makes_a_key_that_the_state_takes() -> None:
    one, other = state_key("x" * 600 + "1", "concurrency"), state_key("x" * 600 + "2", "concurrency")
    assert max(len(one), len(other)) <= 512
    assert one != other
    assert one == state_key("x" * 600 + "1", "concurrency")


# ── who is meant ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("scope", "ref", "hit", "missed"),
    [
        ("api_key", "key-1", {}, {"key": "key-2"}),
        ("api_key", "id-of-key-1", {}, {"key": "key-2"}),
        ("model", "gpt", {}, {"model": "claude"}),
        ("model", "id-of-gpt", {}, {"model": "claude"}),
        ("team", "red", {"team": "red"}, {"team": "blue"}),
        ("team", "red", {"team": "red"}, {}),
        ("member", "una", {"user": "una"}, {"user": "ulf"}),
        ("team_member", "red", {"team": "red", "user": "una"}, {"team": "red"}),
        ("team_member", "red", {"team": "red", "user": "una"}, {"user": "una"}),
    ],
)
async def test_a_classic_policy_applies_to_what_it_names(
    scope: str, ref: str, hit: dict[str, str], missed: dict[str, str]
) -> None:
    worker = Worker(key_row(), model_row(), policy_row(**classic(scope, ref)))
    settle(await worker.admit(**hit))
    assert not await worker.fits(**hit)
    for _ in range(3):
        settle(await worker.admit(**missed))


async def test_each_member_of_a_team_has_a_bucket() -> None:
    worker = Worker(policy_row(**classic("team_member", "red")))
    settle(await worker.admit(team="red", user="una"))
    assert await worker.fits(team="red", user="ulf")
    assert not await worker.fits(team="red", user="una")


@pytest.mark.parametrize(
    ("window", "seconds"), [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400)]
)
async def test_a_classic_policy_limits_requests_and_tokens_in_every_window(window: str, seconds: int) -> None:
    limits: dict[str, Any] = {"max_requests": 2, "max_tokens": 10, "window": window}
    worker = Worker(policy_row(scope="team", scope_ref="red", **limits))
    settle(await worker.admit(team="red", tokens=2), 10)
    assert (await worker.refused(team="red")).dimension == "tokens"
    worker.clock.advance(seconds * 1.02)
    for _ in range(2):
        settle(await worker.admit(team="red"), 1)
    assert (await worker.refused(team="red")).dimension == "requests"


async def test_a_request_that_lacks_a_group_is_not_limited() -> None:
    worker = Worker(policy_row(limits={"rpm": 0}, group_by=["team", "member"]))
    assert await worker.fits()
    assert await worker.fits(team="red")
    assert not await worker.fits(team="red", user="una")


async def test_a_policy_that_is_off_does_nothing() -> None:
    assert await Worker(policy_row(limits={"rpm": 0}, enabled=False)).fits()


async def test_zero_allows_nothing_and_absence_everything() -> None:
    for field in ("rps", "rpm", "rph", "rpd", "tps", "tpm", "tph", "tpd", "concurrency"):
        limits: dict[str, Any] = {field: 0}
        worker = Worker(key_row(**limits))
        error = await worker.refused()
        assert error.status == 429
        assert await worker.fits("key-2")


# ── gates ───────────────────────────────────────────────────────────────────────────────────


async def test_a_direct_models_limits_are_met_at_the_gate_alone() -> None:
    worker = Worker(model_row(rpm=1), policy_row(limits={"rpm": 5}, conditions=[GPT]))
    exchange = await worker.admit()
    attempt = await worker.attempt(exchange)
    assert attempt.reservations == []
    settle(exchange)
    assert not await worker.fits()


async def test_a_groups_own_limits_are_met_at_the_gate_and_its_targets_at_attempts() -> None:
    worker = Worker(model_row("pool", rpm=2), model_row("gpt", rpm=1))
    first = await worker.admit(model=group())
    settle(await worker.attempt(first))
    settle(first)
    second = await worker.admit(model=group())
    with pytest.raises(LimitExceeded, match="request limit"):
        await worker.attempt(second)
    assert (await worker.attempt(second, "claude", index=1)).reservations == []
    settle(second)
    assert not await worker.fits(model=group())


@pytest.mark.parametrize(
    "written",
    [
        {"conditions": [GPT]},
        {"conditions": [{"dimension": "model_name", "operator": "~~", "value": "^gpt"}]},
        {"conditions": [{"dimension": "provider", "operator": "==", "value": "acme"}]},
        {"group_by": ["model"]},
        {"group_by": ["provider"]},
    ],
)
async def test_a_policy_that_looks_at_the_target_waits_for_it(written: dict[str, Any]) -> None:
    worker = Worker(policy_row(limits={"rpm": 1}, **written))
    exchange = await worker.admit(model=group())
    assert exchange.reservations == []
    settle(await worker.attempt(exchange))
    with pytest.raises(LimitExceeded, match=r"\(policy 'cap'\)"):
        await worker.attempt(exchange)
    assert not await worker.fits(), "called directly it counts in the same bucket"
    settle(await worker.attempt(exchange, "claude", provider="other"))


async def test_a_group_that_was_addressed_counts_for_conditions_on_its_targets() -> None:
    pool = [{"dimension": "model", "operator": "==", "value": "pool"}]
    worker = Worker(policy_row(limits={"rpm": 1}, conditions=pool))
    exchange = await worker.admit(model=group())
    assert exchange.reservations == []
    settle(await worker.attempt(exchange))
    with pytest.raises(LimitExceeded):
        await worker.attempt(exchange, "claude")
    assert await worker.fits(), "called directly it is no target of the group"


async def test_a_classic_policy_of_a_group_is_met_at_the_gate_and_one_of_a_target_at_attempts() -> None:
    worker = Worker(
        model_row("pool"),
        model_row("gpt"),
        policy_row("of-pool", **classic("model", "pool", 2)),
        policy_row("of-gpt", **classic("model", "gpt", 1)),
    )
    first = await worker.admit(model=group())
    settle(await worker.attempt(first))
    settle(first)
    second = await worker.admit(model=group())
    with pytest.raises(LimitExceeded, match="of-gpt"):
        await worker.attempt(second)
    settle(second)
    assert (await worker.refused(model=group())).policy == "of-pool"


async def test_a_policy_about_callers_alone_is_met_once() -> None:
    worker = Worker(policy_row(limits={"rpm": 1}, group_by=["api_key"]))
    exchange = await worker.admit(model=group())
    assert len(exchange.reservations) == 1
    assert (await worker.attempt(exchange)).reservations == []


async def test_a_nested_call_of_a_direct_model_meets_the_models_limits_at_its_attempt() -> None:
    worker = Worker(key_row(rpm=1), model_row(rpm=1), policy_row(limits={"rpm": 9}, conditions=[GPT]))
    nested = worker.exchange(depth=1)
    attempt = await worker.attempt(nested)
    assert len(attempt.reservations) == 1
    with pytest.raises(LimitExceeded):
        await worker.attempt(nested, index=1)


@pytest.mark.parametrize("shape", ["routing", "ensemble", "semantic"])
async def test_every_shape_but_direct_is_judged_at_its_attempts(shape: str) -> None:
    worker = Worker(policy_row(limits={"rpm": 0}, conditions=[GPT]))
    exchange = await worker.admit(model=group(shape=shape))
    with pytest.raises(LimitExceeded):
        await worker.attempt(exchange)


async def test_an_endpoint_without_a_model_meets_its_callers_limits_only() -> None:
    negated = {"logic": "or", "children": [GPT], "negate": True}
    worker = Worker(
        key_row(rpm=2),
        model_row(rpm=0),
        policy_row("who", limits={"rpm": 5}, group_by=["api_key"]),
        policy_row("what", limits={"rpm": 0}, conditions=[negated]),
    )
    exchange = make_exchange(snapshot=worker.snapshot, principal=make_principal("id-of-key-1"))
    del exchange.model
    assert await worker.keys_of(exchange) == [
        "{id-of-key-1}:rpm",
        "{policy:v2:id-of-who:api_key=id-of-key-1}:rpm",
    ]


# ── order of refusals ───────────────────────────────────────────────────────────────────────


async def test_refusals_are_reported_by_layer_then_concurrency_tokens_requests() -> None:
    nothing: dict[str, Any] = {"concurrency": 0, "tps": 0, "tpd": 0, "rps": 0, "rpd": 0}
    rows = {"key": key_row(**nothing), "model": model_row(**nothing)}
    worker = Worker(*rows.values(), policy_row(limits=nothing))
    keys = await worker_keys(worker)
    fields = ["concurrency", "tps", "tpd", "rps", "rpd"]
    assert [key.rpartition(":")[2] for key in keys] == fields * 3
    assert (await worker.refused()).dimension == "concurrency"
    worker.compile(key_row(tpd=0, rps=0), rows["model"])
    assert (await worker.refused()).dimension == "tokens"
    worker.compile(key_row(rps=0), rows["model"])
    assert (await worker.refused()).dimension == "requests"


async def worker_keys(worker: Worker) -> list[str]:
    exchange = worker.exchange()
    try:
        await worker.keys_of(exchange)
    except LimitExceeded:
        pass
    worker.plugin._state = worker.state
    plan = worker.snapshot.compiled(worker.plugin._rules).request_plan(exchange.principal, exchange.model)  # type: ignore[arg-type]
    return [bound.key for bound in plan.bounds]


async def test_what_refuses_in_a_policy_is_named_to_the_caller() -> None:
    worker = Worker(policy_row("night owls", limits={"rpm": 0}))
    error = await worker.refused()
    assert error.message == "request limit exceeded (requests) (policy 'night owls')"
    assert error.policy == "night owls"
    assert error.members == {"policy": "night owls"}
    unnamed = await Worker(key_row(rpm=0)).refused()
    assert (unnamed.policy, unnamed.members) == (None, None)


async def test_a_refusal_of_a_later_layer_takes_nothing_from_the_earlier_ones() -> None:
    worker = Worker(key_row(rpm=2, tpm=100, concurrency=1), model_row(rpm=1))
    settle(await worker.admit())
    for _ in range(20):
        assert (await worker.refused()).dimension == "requests"
    settle(await worker.admit(model="claude"))
    assert (await worker.refused(model="claude")).dimension == "requests"


async def test_after_several_refusals_the_longest_wait_is_told() -> None:
    worker = Worker(key_row(rps=1, rph=1))
    settle(await worker.admit())
    assert (await worker.refused()).retry_after == 3600
    worker.clock.advance(3600.5)
    assert (await worker.refused()).retry_after == 20
    worker.clock.advance(20)
    assert await worker.fits()


# ── snapshots ───────────────────────────────────────────────────────────────────────────────


async def test_counts_go_on_when_a_limit_is_changed() -> None:
    worker = Worker(key_row(rpm=5))
    for _ in range(3):
        settle(await worker.admit())
    worker.compile(key_row(rpm=3))
    assert not await worker.fits()
    worker.compile(key_row(rpm=4))
    assert await worker.fits()


async def test_a_policy_whose_row_stays_is_compiled_once() -> None:
    worker = Worker(policy_row(limits={"rpm": 1}))
    (first,) = worker.plugin._policies._made.values()
    worker.compile(policy_row(limits={"rpm": 1}))
    (second,) = worker.plugin._policies._made.values()
    worker.compile(policy_row(limits={"rpm": 2}))
    (third,) = worker.plugin._policies._made.values()
    assert first[2] is second[2]
    assert third[2] is not second[2]


async def test_a_model_that_a_policy_names_may_get_another_id() -> None:
    worker = Worker(model_row("gpt"), policy_row(**classic("model", "gpt", 9)))
    settle(await worker.admit())
    moved = make_resource("models", SimpleNamespace(rate_limit=None), name="gpt", id="new-id")
    worker.compile(moved, policy_row(**classic("model", "gpt", 9)))
    assert await worker.keys_of(worker.exchange(model=direct("gpt", id="new-id"))) == [
        "{policy:model:new-id:id-of-cap}:rpm"
    ]


async def test_plans_are_bounded() -> None:
    worker = Worker(key_row(rpm=10**9))
    rules = worker.snapshot.compiled(worker.plugin._rules)
    principal = make_principal("id-of-key-1")
    for number in range(KEPT + 50):
        rules.request_plan(principal, make_model("gpt-*", requested=f"gpt-{number}"))
    assert len(rules._requests) == KEPT
    assert rules._requests.get(("id-of-key-1", "", "", "id-of-gpt-*", "gpt-0")) is None


async def test_a_released_request_is_as_if_it_had_not_been() -> None:
    worker = Worker(key_row(rpm=1, tpm=1, concurrency=1), policy_row(limits={"rpd": 1}))
    for _ in range(5):
        release(await worker.admit())
