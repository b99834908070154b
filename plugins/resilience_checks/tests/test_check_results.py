"""What a check asks, what its answer says of a model, and what that changes for requests."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from checking_workers import CHECK, Workers, checked, unchecked

from hookway_plugins.resilience_checks import BackgroundChecks
from hookway_plugins.resilience_checks.check_fields import CheckFields, CheckSettings, GroupFields
from hookway_sdk import (
    BudgetExceeded,
    Charge,
    ConfigBroken,
    ConfigError,
    GatewayError,
    InvalidUpstreamConfig,
    LimitExceeded,
    ModelNotFound,
    Overloaded,
    PluginFailed,
    ProviderUnavailable,
    StateUnavailable,
    StreamAborted,
    TextPart,
    TransportFailed,
    UpstreamInBand,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUndecodable,
    walker,
)
from hookway_sdk.testing import ListedCompiler, make_services, make_snapshot

BUSY = UpstreamRefused(503, "busy")


async def test_a_model_is_asked_one_question_at_the_gateways_expense(worker: Workers) -> None:
    one = await worker(checked("a", prompt="are you there?", max_tokens=3))
    await one.passes(10)
    ((request, parent, charge),) = worker.models.requests[:1]
    assert (parent, charge) == (None, Charge.GATEWAY)
    assert [(message.role, message.parts) for message in request.messages] == [
        ("user", (TextPart(text="are you there?"),))
    ]
    assert (request.model, request.sampling.max_tokens, request.stream) == ("a", 3, False)
    assert one.counted("a") == {"ok": 1}
    assert await one.health("a") is None


FAILURES: list[tuple[GatewayError, int]] = [
    (BUSY, 503),
    (UpstreamRefused(401, "no"), 401),
    (UpstreamRefused(404, "no such model"), 404),
    (UpstreamRefused(429, "slow down"), 429),
    (UpstreamTimeout(1_000), 408),
    (UpstreamInBand("gone", upstream_status=529), 529),
    (UpstreamInBand("gone"), 502),
    (TransportFailed("connection refused"), 502),
    (UpstreamUndecodable("html"), 502),
    (StreamAborted(), 502),
    (InvalidUpstreamConfig("no base"), 400),
    (ProviderUnavailable("no plugin"), 503),
    (ConfigBroken("closed"), 503),
    (PluginFailed("provider_x", "attempt"), 500),
]


@pytest.mark.parametrize(("error", "status"), FAILURES, ids=[f"{type(e).__name__}-{s}" for e, s in FAILURES])
async def test_a_failed_check_takes_a_model_out_of_its_groups(
    worker: Workers, error: GatewayError, status: int
) -> None:
    worker.models.says["a"] = error
    one = await worker(checked("a"), unchecked("b"))
    await one.passes(10)
    assert await one.left("a", "b") == ["b"]
    assert one.reasons == [f"unhealthy: its background check failed (status {status})"]
    health = await one.health("a")
    assert health is not None
    assert (health.status, health.reason, health.check_status) == (
        "unhealthy", "background_check_failed", status,
    )  # fmt: skip
    assert health.checked_at > 0
    assert one.counted("a")["failed"] >= 1
    assert one.told == [("model_unhealthy", "a")]


@pytest.mark.parametrize(("error", "status"), FAILURES, ids=[f"{type(e).__name__}-{s}" for e, s in FAILURES])
async def test_an_ignored_status_is_noted_and_changes_nothing(
    worker: Workers, error: GatewayError, status: int
) -> None:
    worker.models.says["a"] = error
    one = await worker(checked("a", ignore_statuses=[status]), unchecked("b"))
    await one.passes(10)
    assert await one.left("a", "b") == ["a", "b"]
    health = await one.health("a")
    assert health is not None
    assert (health.status, health.reason, health.check_status) == (
        "healthy", "ignored_transient_error", status,
    )  # fmt: skip
    assert set(one.counted("a")) == {"ignored"}
    assert one.told == []


async def test_an_ignored_status_makes_no_unhealthy_model_well_and_none_unhealthy_for_longer(
    worker: Workers,
) -> None:
    worker.models.says["a"] = BUSY
    one = await worker(checked("a", ignore_statuses=[429], stale_after_seconds=25), unchecked("b"))
    await one.passes(10)
    worker.models.says["a"] = UpstreamRefused(429)
    await one.passes(10)
    assert await one.left("a", "b") == ["b"]
    health = await one.health("a")
    assert health is not None
    assert (health.status, health.reason, health.check_status) == (
        "unhealthy", "ignored_transient_error", 429,
    )  # fmt: skip
    await one.passes(16)
    assert await one.left("a", "b") == ["a", "b"]


REFUSALS = [
    LimitExceeded("requests"),
    BudgetExceeded("used up"),
    ModelNotFound("a"),
    Overloaded("full"),
    StateUnavailable("away"),
]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda one: type(one).__name__)
async def test_what_the_gateway_refuses_says_nothing_of_a_model(worker: Workers, error: GatewayError) -> None:
    worker.models.says["a"] = error
    one = await worker(checked("a"), unchecked("b"))
    await one.passes(10)
    assert await one.left("a", "b") == ["a", "b"]
    assert await one.health("a") is None
    assert set(one.counted("a")) == {"ignored"}
    assert one.told == []


@pytest.mark.parametrize("ignored", [False, True])
async def test_a_model_that_does_not_answer_in_time_has_failed_with_408(
    worker: Workers, ignored: bool
) -> None:
    worker.models.hanging.add("a")
    one = await worker(checked("a", timeout_seconds=1, ignore_statuses=[408] if ignored else []))
    check = one.plugin._schedule.checks["id-of-a"]
    # No test waits a second: the same check with less patience.
    await one.plugin.check(check._replace(row=impatient(check.row)))
    health = await one.health("a")
    assert health is not None
    assert health.check_status == 408
    assert health.status == ("healthy" if ignored else "unhealthy")
    assert worker.models.busy == 0


def impatient(row: Any) -> Any:
    return msgspec.structs.replace(row, timeout_seconds=0.01)


async def test_a_success_makes_a_model_well_again(worker: Workers) -> None:
    worker.models.says["a"] = BUSY
    one = await worker(checked("a"), unchecked("b"))
    await one.passes(10)
    del worker.models.says["a"]
    await one.passes(10)
    assert await one.left("a", "b") == ["a", "b"]
    assert await one.health("a") is None
    assert one.told == [("model_unhealthy", "a"), ("model_healthy_again", "a")]


async def test_it_is_said_once_that_a_model_is_unhealthy(worker: Workers) -> None:
    worker.models.says["a"] = BUSY
    one = await worker(checked("a"))
    await one.passes(50)
    assert one.counted("a")["failed"] >= 5
    assert one.told == [("model_unhealthy", "a")]
    line = next(line for line in one.services.log.lines if line.event == "model_unhealthy")
    assert line.fields == {"model": "a", "status": 503, "error": BUSY.message}


async def test_a_clients_request_that_succeeds_makes_a_model_well_again(worker: Workers) -> None:
    worker.models.says["a"] = BUSY
    one = await worker(checked("a"), unchecked("b"))
    await one.passes(10)
    one.served("a", UpstreamRefused(500))
    one.served("b")
    one.served("a", took=60)
    assert await one.left("a", "b") == ["b"]
    one.served("a")
    assert await one.left("a", "b") == ["a", "b"]
    assert one.told[-1] == ("model_healthy_again", "a")


async def test_a_failed_request_makes_no_model_unhealthy(worker: Workers) -> None:
    one = await worker(checked("a"), unchecked("b"))
    for _ in range(20):
        one.served("a", BUSY)
    assert await one.left("a", "b") == ["a", "b"]


async def test_a_result_counts_for_as_long_as_the_row_says(worker: Workers) -> None:
    worker.models.says["a"] = BUSY
    one = await worker(checked("a", interval_seconds=1_000, stale_after_seconds=30), unchecked("b"))
    await one.passes(11)
    failed = await one.health("a")
    assert failed is not None
    await one.passes(failed.checked_at + 29.5 - one.services.clock.now())
    assert await one.left("a", "b") == ["b"]
    await one.passes(1)
    assert await one.left("a", "b") == ["a", "b"]
    assert await one.health("a") is None


async def test_a_group_without_a_healthy_target_fails_unless_it_is_told_to_try_anyway(
    worker: Workers,
) -> None:
    worker.models.says.update(a=BUSY, b=BUSY)
    one = await worker(checked("a"), checked("b"), unchecked("c"))
    await one.passes(10)
    assert await one.left("a", "b") == []
    assert await one.left("a", "b", when="try_anyway") == ["a", "b"]
    for when in ("fail", "try_anyway"):
        assert await one.left("a", "b", "c", when=when) == ["c"]


async def test_a_model_called_by_its_own_name_is_always_tried(worker: Workers) -> None:
    worker.models.says["a"] = BUSY
    one = await worker(checked("a"))
    await one.passes(10)
    assert await one.left("a", shape="direct") == ["a"]


@pytest.mark.parametrize("then", [unchecked("a"), checked("a", enabled=False)])
async def test_a_model_that_is_checked_no_more_is_as_good_as_any(worker: Workers, then: Any) -> None:
    worker.models.says["a"] = BUSY
    one = await worker(checked("a"), unchecked("b"))
    await one.passes(10)
    one.compile(then, unchecked("b"))
    assert await one.left("a", "b") == ["a", "b"]
    assert await one.health("a") is None


@pytest.mark.parametrize(
    ("name", "written", "words"),
    [
        ("openai/*", {}, "a wildcard is no model that could be asked"),
        ("group", {"routing": {"targets": [{"model": "a"}]}}, "set background_model_check on the models"),
    ],
)
def test_rows_that_cannot_be_checked_are_refused(name: str, written: dict[str, Any], words: str) -> None:
    plugin = BackgroundChecks("resilience_checks", CheckSettings(), make_services("resilience_checks"))
    compiler = ListedCompiler(make_snapshot([checked(name, written=written), checked("a")]))
    plugin.compile(compiler)
    ((resource, reason),) = compiler.rejected
    assert resource.name == name
    assert words in reason


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: None} for name in CHECK),
        {"interval_seconds": 4},
        {"timeout_seconds": 0},
        {"prompt": ""},
        {"max_tokens": 0},
        {"stale_after_seconds": 0},
        {"ignore_statuses": [99]},
        {"ignore_statuses": [600]},
        {"intervall_seconds": 5},
    ],
)
def test_a_check_that_is_not_complete_is_refused(wrong: dict[str, Any]) -> None:
    given = {name: value for name, value in {**CHECK, **wrong}.items() if value is not None}
    with pytest.raises(ConfigError):
        walker.convert({"background_model_check": given}, CheckFields)


def test_a_group_knows_two_words_for_what_it_does() -> None:
    assert walker.convert({}, GroupFields).when_all_unavailable == "fail"
    with pytest.raises(ConfigError):
        walker.convert({"when_all_unavailable": "try_any_way"}, GroupFields)
