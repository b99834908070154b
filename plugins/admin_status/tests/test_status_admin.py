"""What each field of the status is, and when it is absent."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from hookway_plugins.admin_status import StatusAdmin
from hookway_plugins.admin_status.moments import EpochTime, as_text
from hookway_sdk import (
    Applied,
    ConfigStatus,
    Failure,
    Guard,
    Health,
    ModelStatus,
    NoSettings,
    OperatorReply,
    OperatorRequest,
    RejectedRow,
    SourceStatus,
)
from hookway_sdk.testing.contracts.admin import AdminContract
from hookway_sdk.testing.services import RecordingServices, make_services

NOON = 1_769_860_800.75
NOON_TEXT = "2026-01-31T12:00:00Z"
HASH = "0123456789abcdef" * 4
FILE = SourceStatus("source_file", "file", HASH, NOON)
APPLIED = Applied(7, HASH, 3, NOON, {"models": 2, "guardrails": 0, "api_keys": 1})
REJECTED = RejectedRow("models", "fast", "id-1", "schema_failed", "wrong", NOON, NOON + 60)


class TestContract(AdminContract):
    plugin = StatusAdmin


async def ask(services: RecordingServices, path: str) -> OperatorReply:
    """Call a route as the core does."""
    admin = StatusAdmin("admin_status", NoSettings(), services)
    (route,) = [one for one in admin.routes() if one.path == path]
    return await route.handler(OperatorRequest("GET", path, "", {}, b"", "127.0.0.1"))


async def config(now: float = NOON, **fields: Any) -> dict[str, Any]:
    """Return what /status/config says of a state."""
    services = make_services("admin_status")
    services.clock.advance(now - services.clock.now())
    services.status.configuration = ConfigStatus(**fields)
    reply = await ask(services, "/status/config")
    assert (reply.status, reply.content_type) == (200, "application/json")
    answer: dict[str, Any] = json.loads(reply.body)
    return answer


async def models(*listed: ModelStatus) -> Any:
    """Return what /status/models says of models."""
    services = make_services("admin_status")
    services.status.listed = list(listed)
    reply = await ask(services, "/status/models")
    assert (reply.status, reply.content_type) == (200, "application/json")
    return json.loads(reply.body)


def test_its_routes_are_open_and_on_the_metrics_listener() -> None:
    admin = StatusAdmin("admin_status", NoSettings(), make_services("admin_status"))
    assert [(one.listener, one.method, one.path, one.guard) for one in admin.routes()] == [
        ("metrics", "GET", "/status/ready", Guard.NONE),
        ("metrics", "GET", "/status/config", Guard.NONE),
        ("metrics", "GET", "/status/models", Guard.NONE),
    ]


# ── /status/ready ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ready", "status", "body"), [(True, 200, b"ok"), (False, 503, b"no configuration available")]
)
async def test_ready_is_whether_a_configuration_serves(ready: bool, status: int, body: bytes) -> None:
    services = make_services("admin_status")
    services.status.ready = ready
    reply = await ask(services, "/status/ready")
    assert (reply.status, reply.body) == (status, body)
    assert reply.content_type.startswith("text/plain")


# ── /status/config ──────────────────────────────────────────────────────────────────────────


async def test_before_anything_was_loaded_only_what_always_stands_there_does() -> None:
    assert await config() == {
        "state": "never_loaded",
        "source": {"type": "none"},
        "last_failure": None,
        "rejected": [],
        "partially_compatible": [],
        "warnings": [],
    }


@pytest.mark.parametrize("state", ["never_loaded", "empty", "synced", "degraded", "out_of_sync"])
async def test_the_state_is_one_word(state: str) -> None:
    assert (await config(state=state))["state"] == state


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (FILE, {"type": "file", "name": "source_file", "source_hash": HASH, "observed_at": NOON_TEXT}),
        (
            SourceStatus("source_env", "env", "OPENAI_API_KEY", NOON),
            {"type": "env", "name": "source_env", "revision": "OPENAI_API_KEY", "observed_at": NOON_TEXT},
        ),
        (
            SourceStatus("source_etcd.a", "etcd", "4711", NOON),
            {
                "type": "etcd",
                "name": "source_etcd.a",
                "connected": True,
                "observed_revision": 4711,
                "observed_at": NOON_TEXT,
            },
        ),
        (
            SourceStatus("source_etcd", "etcd", "", 0.0, reachable=False),
            {"type": "etcd", "name": "source_etcd", "connected": False},
        ),
        (
            SourceStatus("source_database", "database", "4711", NOON),
            {
                "type": "database",
                "name": "source_database",
                "connected": True,
                "revision": "4711",
                "observed_at": NOON_TEXT,
            },
        ),
        (
            SourceStatus("source_file", "file", HASH[:-1], NOON, reachable=False),
            {"type": "file", "name": "source_file", "revision": HASH[:-1], "observed_at": NOON_TEXT},
        ),
        (
            SourceStatus("source_file", "file", HASH.upper(), NOON),
            {"type": "file", "name": "source_file", "revision": HASH.upper(), "observed_at": NOON_TEXT},
        ),
        (
            SourceStatus("source_etcd", "etcd", "²", NOON),
            {
                "type": "etcd",
                "name": "source_etcd",
                "connected": True,
                "revision": "²",
                "observed_at": NOON_TEXT,
            },
        ),
    ],
)
async def test_a_source_says_what_it_has(source: SourceStatus, expected: dict[str, Any]) -> None:
    answer = await config(sources=(source,))
    assert answer["source"] == expected
    assert "sources" not in answer


ENV = SourceStatus("source_env", "env", "", NOON)
ETCD = SourceStatus("source_etcd", "etcd", "12", NOON)


@pytest.mark.parametrize(
    ("sources", "alone"),
    [
        ((FILE, ETCD), "source_file"),
        ((ETCD, FILE), "source_etcd"),
        ((ENV, FILE), "source_file"),
        ((FILE, ENV), "source_file"),
        ((ENV, SourceStatus("source_env.b", "env", "", NOON)), "source_env"),
    ],
)
async def test_of_several_sources_one_stands_alone_and_all_stand_in_a_list(
    sources: tuple[SourceStatus, ...], alone: str
) -> None:
    answer = await config(sources=sources)
    assert answer["source"]["name"] == alone
    assert [one["name"] for one in answer["sources"]] == [one.name for one in sources]
    assert answer["source"] in answer["sources"]


async def test_what_serves_is_counted_by_collections_that_have_rows() -> None:
    assert (await config(applied=APPLIED))["applied"] == {
        "revision": 7,
        "config_hash": HASH,
        "apply_seq": 3,
        "applied_at": NOON_TEXT,
        "resource_counts": {"api_keys": 1, "models": 2},
    }


@pytest.mark.parametrize("ok", [True, False])
async def test_the_last_reload_is_told_after_the_first(ok: bool) -> None:
    answer = await config(last_reload_ok=ok, last_reload_at=NOON)
    assert answer["last_reload"] == {"successful": ok, "at": NOON_TEXT}


async def test_the_last_failure_is_told() -> None:
    answer = await config(last_failure=Failure(NOON, "fetch", "configuration source unreachable"))
    assert answer["last_failure"] == {
        "at": NOON_TEXT,
        "last_error_kind": "fetch",
        "last_error": "configuration source unreachable",
    }


async def test_a_rejected_row_is_told_with_its_times() -> None:
    assert (await config(rejected=(REJECTED,)))["rejected"] == [
        {
            "resource_kind": "models",
            "resource_id": "id-1",
            "resource_name": "fast",
            "last_error_kind": "schema_failed",
            "last_error": "wrong",
            "first_seen_at": NOON_TEXT,
            "last_seen_at": "2026-01-31T12:01:00Z",
        }
    ]


@pytest.mark.parametrize(("later", "age"), [(0.0, 0), (61.9, 61), (-5.0, 0)])
async def test_a_row_whose_last_good_value_serves_says_since_when(later: float, age: int) -> None:
    row = RejectedRow("models", "fast", "id-1", "parse_failed", "wrong", NOON, NOON, stale_since=NOON)
    (told,) = (await config(NOON + later, rejected=(row,)))["rejected"]
    assert told["serving_stale_since"] == NOON_TEXT
    assert told["serving_stale_age_seconds"] == age


async def test_a_whole_document_that_was_refused_has_neither_kind_nor_id() -> None:
    row = RejectedRow("", "", "", "non_json", "resources.yaml: is no YAML", NOON, NOON)
    (told,) = (await config(rejected=(row,)))["rejected"]
    assert (told["resource_kind"], told["resource_id"], told["resource_name"]) == ("", "", "")


async def test_rows_keep_their_order() -> None:
    rows = tuple(RejectedRow("models", name, name, "schema_failed", "", NOON, NOON) for name in "abc")
    assert [one["resource_name"] for one in (await config(rejected=rows))["rejected"]] == ["a", "b", "c"]


async def test_warnings_are_told() -> None:
    assert (await config(warnings=("limit_rate is off",)))["warnings"] == ["limit_rate is off"]


# ── /status/models ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "further"),
    [
        (ModelStatus("i", "fast", "direct", "healthy"), {"kind": "direct", "status": "healthy"}),
        (
            ModelStatus("i", "fast", "routing", "not_applicable"),
            {"kind": "routing", "status": "not_applicable"},
        ),
        (
            ModelStatus(
                "i",
                "fast",
                "direct",
                "cooldown",
                Health("cooldown", "upstream_rate_limited", NOON + 30, NOON, 429),
                provider="openai",
                provider_key_id="k",
                model_name="gpt-4o",
            ),
            {
                "kind": "direct",
                "status": "cooldown",
                "cooldown_until": {"secs_since_epoch": 1_769_860_830, "nanos_since_epoch": 750_000_000},
                "last_checked_at": {"secs_since_epoch": 1_769_860_800, "nanos_since_epoch": 750_000_000},
                "last_check_status": 429,
                "status_reason": "upstream_rate_limited",
            },
        ),
        (
            ModelStatus(
                "i", "fast", "direct", "unhealthy", Health("unhealthy", "background_check_failed", 0.0, NOON)
            ),
            {
                "kind": "direct",
                "status": "unhealthy",
                "last_checked_at": {"secs_since_epoch": 1_769_860_800, "nanos_since_epoch": 750_000_000},
                "status_reason": "background_check_failed",
            },
        ),
    ],
)
async def test_a_model_says_what_is_known_of_it(model: ModelStatus, further: dict[str, Any]) -> None:
    assert await models(model) == [{"id": "i", "display_name": "fast", **further}]


async def test_without_models_the_list_is_empty() -> None:
    assert await models() == []


async def test_a_list_that_cannot_be_made_is_an_error() -> None:
    services = make_services("admin_status")

    async def fail() -> list[ModelStatus]:
        raise ConnectionError("redis://user:hidden@store is away")

    services.status.models = fail  # type: ignore[method-assign]
    reply = await ask(services, "/status/models")
    assert (reply.status, json.loads(reply.body)) == (500, {"error_msg": "failed to list models"})
    (line,) = services.log.lines
    assert (line.level, line.event) == ("error", "models_not_listed")
    assert line.fields["error"].startswith("ConnectionError")


async def test_a_list_that_takes_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    services = make_services("admin_status")
    left: list[bool] = []

    async def never() -> list[ModelStatus]:
        try:
            await asyncio.Event().wait()
        finally:
            left.append(True)
        return []

    services.status.models = never  # type: ignore[method-assign]
    monkeypatch.setattr("hookway_plugins.admin_status.plugin.LONGEST_WAIT", 0.01)
    reply = await ask(services, "/status/models")
    assert (reply.status, json.loads(reply.body)) == (500, {"error_msg": "failed to list models"})
    assert left == [True]


def test_a_list_may_take_five_seconds() -> None:
    from hookway_plugins.admin_status.plugin import LONGEST_WAIT

    assert LONGEST_WAIT == 5.0


# ── moments ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("moment", "seconds", "nanoseconds"),
    [
        (0.0, 0, 0),
        (1.5, 1, 500_000_000),
        (1.9999999999, 2, 0),
        (1_769_860_800.25, 1_769_860_800, 250_000_000),
    ],
)
def test_a_moment_is_two_whole_numbers(moment: float, seconds: int, nanoseconds: int) -> None:
    assert EpochTime.of(moment) == EpochTime(seconds, nanoseconds)


@pytest.mark.parametrize("moment", [0.0, 0.999999, NOON, 4_102_444_799.9])
def test_a_text_of_a_moment_is_to_the_second_and_in_utc(moment: float) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", as_text(moment))


def test_a_moment_is_never_rounded_up() -> None:
    assert as_text(0.999999) == "1970-01-01T00:00:00Z"
