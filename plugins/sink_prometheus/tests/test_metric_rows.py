"""What events become in a scrape: names, labels and values, computed by hand."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from hookway_plugins.sink_prometheus.families import (
    DURATION_LABELS,
    FAMILIES,
    LATENCY_LABELS,
    REQUEST_LABELS,
    USAGE_LABELS,
)
from hookway_plugins.sink_prometheus.labels import handler
from hookway_plugins.sink_prometheus.plugin import MetricsRoute, RequestCounter
from hookway_plugins.sink_prometheus.settings import PrometheusSettings
from hookway_plugins.sink_prometheus.shared_tally import tally_of
from hookway_sdk import (
    Applied,
    Attempt,
    AttemptEnded,
    AuthDenied,
    Brand,
    ClientDisconnected,
    ConfigStatus,
    Event,
    Exchange,
    ModelStatus,
    OperatorRequest,
    RejectedRow,
    RequestEnded,
    SourceStatus,
    UpstreamTimeout,
    Usage,
    walker,
)
from hookway_sdk.testing.exchanges import (
    make_candidate,
    make_deployment,
    make_exchange,
    make_model,
    make_provider_key,
)
from hookway_sdk.testing.services import RecordingServices, make_services

Read = Callable[[bytes], Any]
GET = OperatorRequest("GET", "/metrics", "", {}, b"", "127.0.0.1")


class Gateway:
    """Both kinds of one instance, on the services of one process."""

    def __init__(self, read: Read, services: RecordingServices | None = None, **settings: Any) -> None:
        self.services = services or make_services("sink_prometheus")
        self._read = read
        self.configure(**settings)

    def configure(self, **settings: Any) -> None:
        """Make new instances, as a reload does."""
        wanted = walker.convert(settings, PrometheusSettings)
        self.counter = RequestCounter("sink_prometheus", wanted, self.services)
        self.route = MetricsRoute("sink_prometheus", wanted, self.services)

    def record(self, *events: Event) -> None:
        for event in events:
            if isinstance(event, AttemptEnded):
                self.counter.attempt_ended(*over(event))
            else:
                self.counter.record(event)

    async def scrape(self) -> Any:
        return self._read(b"".join((await self.route.metrics(GET)).body))  # type: ignore[arg-type]


def ended(**facts: Any) -> RequestEnded:
    """Return a request that went well, unless told otherwise."""
    usual: dict[str, Any] = {
        "request_id": "request-1",
        "endpoint": "/v1/chat/completions",
        "protocol": "openai",
        "provider": "openai",
        "model": "fast",
        "target_model": "gpt-4o-mini",
        "provider_key_id": "account-1",
        "provider_key_name": "main",
        "key_id": "key-1",
        "team_id": "team-1",
        "user_id": "user-1",
        "user_name": "Ann",
        "auth_method": "api_key",
        "status": 200,
        "attempts": 1,
        "last_attempt": "initial",
        "begun": True,
        "latency_ms": 120.0,
        "user_agent": "OpenAI/Python 1.40.0",
    }
    return RequestEnded(**{**usual, **facts})


def refused(status: int, **facts: Any) -> RequestEnded:
    """Return a request that was refused before it reached a target."""
    nothing = dict.fromkeys(
        ("provider", "model", "target_model", "provider_key_id", "provider_key_name", "last_attempt"), ""
    )
    return ended(**{**nothing, "status": status, "attempts": 0, "begun": False, **facts})


def attempt(**facts: Any) -> AttemptEnded:
    usual: dict[str, Any] = {
        "request_id": "request-1",
        "index": 0,
        "kind": "initial",
        "at": 1.0,
        "model": "group",
        "target": "fast",
        "provider": "openai",
        "provider_key_id": "account-1",
        "target_model": "gpt-4o-mini",
        "dispatched": True,
    }
    return AttemptEnded(**{**usual, **facts})


def over(told: AttemptEnded) -> tuple[Exchange, Attempt]:
    """Return the attempt that an event would tell of, and its exchange."""
    account = make_provider_key(told.provider, id=told.provider_key_id, provider=told.provider)
    row = SimpleNamespace(model_name=told.target_model)
    deployment = make_deployment(told.target, key=account, row=row)
    done = Attempt(told.index, told.kind, make_candidate(deployment=deployment), 0.0)  # type: ignore[arg-type]
    done.dispatched = told.dispatched
    if told.error_kind:
        done.error = ClientDisconnected() if told.error_kind == "client_disconnected" else UpstreamTimeout(1)
    return make_exchange(model=make_model(told.model, shape="routing")), done


def denied(reason: str = "unknown_key", method: str = "api_key") -> AuthDenied:
    return AuthDenied(
        request_id="r", at=1.0, reason=reason, method=method, endpoint="/", http_method="POST", path="/"
    )


ALL = {
    "endpoint": "/v1/chat/completions",
    "inbound_protocol": "openai",
    "provider": "openai",
    "model": "fast",
    "upstream_model": "gpt-4o-mini",
    "provider_key_id": "account-1",
    "provider_key_name": "main",
    "api_key_id": "key-1",
    "team_id": "team-1",
    "user_id": "user-1",
    "user_name": "Ann",
}
WELL = {"stream": "false", "status": "200", "outcome": "success"}


# ── requests ────────────────────────────────────────────────────────────────────────────────


async def test_a_request_shows_in_every_family_with_exactly_its_labels(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended(usage=Usage(120, 30)), ended(usage=Usage(10, 0), latency_ms=80.0))
    found = await gateway.scrape()
    direct = {**ALL, **WELL, "is_fallback": "false"}
    assert found.find("hookway_proxy_requests_total") == [(direct, 2)]
    assert found.find("hookway_llm_requests_total") == [(direct, 2)]
    assert found.find("hookway_requests_total") == [
        ({"provider": "openai", "model": "fast", "status": "200", "outcome": "success"}, 2)
    ]
    for name in ("proxy_request_duration_seconds", "llm_request_duration_seconds"):
        assert found.find(f"hookway_{name}_count") == [({**ALL, **WELL}, 2)]
        assert found.find(f"hookway_{name}_sum") == [({**ALL, **WELL}, pytest.approx(0.2))]
    labels = {"provider": "openai", "model": "fast", "status": "200"}
    assert found.find("hookway_request_duration_seconds_sum") == [(labels, pytest.approx(0.2))]
    assert found.find("hookway_llm_input_tokens_total") == [(ALL, 130)]
    assert found.find("hookway_llm_output_tokens_total") == [(ALL, 30)]
    assert found.find("hookway_llm_total_tokens_total") == [(ALL, 160)]
    assert found.find("hookway_tokens_consumed_total") == [({"provider": "openai", "model": "fast"}, 160)]
    client = {"client_type": "openai-python", "model": "fast"}
    for token_type, count in (("input", 130), ("output", 30), ("total", 160)):
        assert found.value("hookway_llm_tokens_by_client_total", **client, token_type=token_type) == count
    account = {"model": "fast", "provider_key_id": "account-1", "provider_key_name": "main"}
    event = {"handler": "chat", "status_code": "2xx", "inbound_protocol": "openai", **account}
    assert found.find("hookway_usage_events_emitted_total") == [(event, 2)]
    decision = {"method": "api_key", "result": "allow", "reason": "none"}
    assert found.find("hookway_auth_decisions_total") == [(decision, 2)]
    assert "hookway_proxy_failed_requests_total" not in found.types


async def test_labels_stand_in_the_order_of_the_reference(read: Read) -> None:
    gateway = Gateway(read, quantiles=True)
    gateway.record(
        ended(usage=Usage(1, 1), stream=True, ttft_ms=5.0),
        ended(status=500, last_attempt="fallback"),
        refused(413),
        refused(499, auth_method=""),
        attempt(),
        attempt(error_kind="timeout", kind="fallback"),
        attempt(kind="fallback"),
        denied(),
    )
    gateway.services.status.configuration = ConfigStatus(
        failures={"parse": 1},
        rejected=(RejectedRow("models", "m", "1", "schema_failed", "x", 1.0, 1.0, 1.0),),
    )
    gateway.services.status.listed = [ModelStatus("1", "fast", "direct", "healthy", provider="openai")]
    found = await gateway.scrape()
    extra = {"histogram": ("_bucket", ("le",)), "summary": ("", ("quantile",))}
    checked = 0
    for spec in FAMILIES:
        if not spec.labels:
            continue
        suffix, more = extra.get(spec.type, ("", ()))
        name = f"hookway_{spec.name}{suffix}"
        if spec.name != "config_hash_info":
            assert found.label_orders(name) == {(*spec.labels, *more)}, name
            checked += 1
    assert checked > 25
    for labels in (REQUEST_LABELS, DURATION_LABELS):
        places = [labels.index(one) for one in ("endpoint", "model", "status")]
        assert places == sorted(places)
    assert REQUEST_LABELS[:11] == USAGE_LABELS
    assert LATENCY_LABELS[0] == "env_id"


async def test_failures_have_their_outcomes(read: Read) -> None:
    gateway = Gateway(read)
    for status in (200, 302, 400, 404, 422, 429, 500, 503):
        gateway.record(ended(status=status))
    found = await gateway.scrape()
    outcomes = {
        labels["status"]: labels["outcome"] for labels, _ in found.find("hookway_proxy_requests_total")
    }
    assert outcomes == {
        "200": "success",
        "302": "success",
        "400": "client_error",
        "404": "client_error",
        "422": "client_error",
        "429": "rate_limited",
        "500": "upstream_error",
        "503": "upstream_error",
    }
    failed = {labels["status"] for labels, _ in found.find("hookway_proxy_failed_requests_total")}
    assert failed == {"400", "404", "422", "429", "500", "503"}
    classes = {labels["status_code"] for labels, _ in found.find("hookway_usage_events_emitted_total")}
    assert classes == {"2xx", "3xx", "4xx", "5xx"}


async def test_a_fallback_is_a_series_of_its_own_but_for_durations(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended(), ended(last_attempt="fallback"), ended(last_attempt="retry"))
    found = await gateway.scrape()
    assert found.value("hookway_proxy_requests_total", is_fallback="true") == 1
    assert found.value("hookway_proxy_requests_total", is_fallback="false") == 2
    assert found.value("hookway_llm_requests_total", is_fallback="true") == 1
    assert found.value("hookway_proxy_request_duration_seconds_count") == 3


async def test_what_a_request_does_not_have_is_unknown_and_its_model_unresolved(read: Read) -> None:
    gateway = Gateway(read)
    nobody = {"key_id": "", "team_id": "", "user_id": "", "user_name": "", "auth_method": ""}
    gateway.record(refused(413, **nobody), refused(404, key_id="key-9", team_id="", user_id="", user_name=""))
    gateway.record(refused(200, endpoint="/v1/models"))
    found = await gateway.scrape()
    early, _ = found.find("hookway_proxy_requests_total", status="413")[0]
    assert {name: value for name, value in early.items() if value == "unknown"} == dict.fromkeys(
        (
            *("provider", "upstream_model", "provider_key_id", "provider_key_name"),
            *("api_key_id", "team_id", "user_id", "user_name"),
        ),
        "unknown",
    )
    assert early["model"] == "unresolved"
    assert (
        found.value("hookway_proxy_requests_total", status="404", api_key_id="key-9", team_id="unknown") == 1
    )
    assert found.value("hookway_proxy_requests_total", endpoint="/v1/models", model="unknown") == 1
    assert found.find("hookway_llm_requests_total", endpoint="/v1/models") == []
    assert len(found.find("hookway_llm_requests_total", model="unresolved")) == 2
    assert found.find("hookway_usage_events_emitted_total", handler="models") == []
    assert '""' not in found.text


async def test_a_body_over_the_limit_is_one_of_the_gateway_not_of_a_provider(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(refused(413), ended(status=413))
    found = await gateway.scrape()
    labels = {"endpoint": "/v1/chat/completions", "inbound_protocol": "openai", "outcome": "unknown"}
    assert found.find("hookway_proxy_request_body_limit_rejections_total") == [(labels, 1)]


async def test_who_left_before_the_head_is_told_from_who_left_a_stream(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(
        ended(status=499, begun=False, latency_ms=40.0),
        ended(status=499, begun=True, stream=True, ttft_ms=30.0, latency_ms=5_000.0),
        ended(status=200, begun=True, stream=True, ttft_ms=10.0, latency_ms=9_000.0),
    )
    found = await gateway.scrape()
    left = {
        "endpoint": "/v1/chat/completions",
        "model": "fast",
        "provider_key_id": "account-1",
        "provider_key_name": "main",
    }
    assert found.find("hookway_proxy_client_cancelled_requests_total") == [(left, 1)]
    assert found.value("hookway_proxy_requests_total", status="499", outcome="client_error") == 1
    assert found.value("hookway_proxy_requests_total", status="200", stream="true") == 2
    # Until the head, while the histogram has whole requests.
    assert found.value("hookway_proxy_request_duration_seconds_sum", stream="true") == pytest.approx(0.04)
    assert found.value("hookway_request_e2e_latency_seconds_sum", streaming="true") == pytest.approx(14.0)


async def test_nested_calls_are_nobodys_requests(read: Read) -> None:
    gateway = Gateway(read)
    inside = {"endpoint": "nested", "protocol": "internal", "usage": Usage(5, 5)}
    gateway.record(ended(parent_id="request-0", **inside))
    gateway.record(ended(auth_method="internal", key_id="gateway", **inside))
    found = await gateway.scrape()
    assert "hookway_proxy_requests_total" not in found.types
    assert "hookway_auth_decisions_total" not in found.types
    # What a parent pays for is in its own usage; what nobody asked for is the gateway's.
    assert found.value("hookway_llm_total_tokens_total") == 10
    assert found.value("hookway_llm_total_tokens_total", api_key_id="gateway", endpoint="nested") == 10


async def test_no_tokens_make_no_series(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended(), ended(usage=Usage(7, 0), key_id="key-2"))
    found = await gateway.scrape()
    assert [labels["api_key_id"] for labels, _ in found.find("hookway_llm_input_tokens_total")] == ["key-2"]
    assert "hookway_llm_output_tokens_total" not in found.types
    kinds = {labels["token_type"] for labels, _ in found.find("hookway_llm_tokens_by_client_total")}
    assert kinds == {"input", "total"}


async def test_estimated_usage_counts_like_reported_usage(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended(usage=Usage(7, 3, estimated=True)))
    assert (await gateway.scrape()).value("hookway_llm_total_tokens_total") == 10


async def test_clients_are_told_by_rules_first(read: Read) -> None:
    gateway = Gateway(read, client_type_rules=[{"pattern": "acme", "client": "ours"}])
    gateway.record(
        ended(usage=Usage(1, 0), user_agent="ACME curl"),
        ended(usage=Usage(2, 0), user_agent="curl/8"),
        ended(usage=Usage(4, 0), user_agent=""),
    )
    found = await gateway.scrape()
    told = {
        labels["client_type"]: value
        for labels, value in found.find("hookway_llm_tokens_by_client_total", token_type="input")
    }
    assert told == {"ours": 1, "curl": 2, "unknown": 4}


async def test_many_user_agents_take_no_more_room_than_their_words(read: Read) -> None:
    gateway = Gateway(read)
    for number in range(10_000):
        gateway.record(ended(usage=Usage(1, 0), user_agent=f"robot {number}"))
    found = await gateway.scrape()
    assert (
        found.value("hookway_llm_tokens_by_client_total", token_type="input", client_type="other") == 10_000
    )
    assert len(tally_of(gateway.services, PrometheusSettings())._agents) <= 4_096


@pytest.mark.parametrize(
    ("endpoint", "word"),
    [
        ("/v1/messages/count_tokens", "messages"),
        ("/v1/responses", "responses"),
        ("/v1/completions", "completions"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/rerank", "rerank"),
        ("/v1/audio/speech", "audio"),
        ("/v1/images/edits", "images"),
        ("/v1/videos/{id}", "videos"),
        ("/v1/realtime", "realtime"),
        ("/mcp/{server}", "mcp"),
        ("/a2a/{agent}", "a2a"),
        ("/passthrough_route", "passthrough_route"),
        ("/v1/files/{id}", "files"),
        ("/v1/batches", "batches"),
        ("/v1/fine_tuning/jobs", "fine_tuning"),
        ("/v1/models", ""),
    ],
)
def test_endpoints_have_short_words(endpoint: str, word: str) -> None:
    assert handler(endpoint, False) == word


def test_an_endpoint_that_nobody_knows_is_one_for_models_where_it_found_one() -> None:
    assert handler("/acme/generate", True) == "generate"
    assert handler("/acme/generate", False) == ""


# ── durations ───────────────────────────────────────────────────────────────────────────────


async def test_histograms_have_the_configured_edges_and_cumulate(read: Read) -> None:
    gateway = Gateway(
        read, env_id="blue", buckets={"request_e2e_latency": [0.1, 1, 2.5], "request_ttft": [0.05]}
    )
    for took in (50.0, 100.0, 100.1, 2_000.0, 9_000.0):
        gateway.record(ended(latency_ms=took))
    gateway.record(ended(stream=True, latency_ms=3_000.0, ttft_ms=50.0))
    gateway.record(ended(stream=True, latency_ms=3_000.0, ttft_ms=51.0))
    found = await gateway.scrape()
    name = "hookway_request_e2e_latency_seconds"
    counts = {labels["le"]: value for labels, value in found.find(name + "_bucket", streaming="false")}
    assert counts == {"0.1": 2, "1": 3, "2.5": 4, "+Inf": 5}
    labels = {
        "env_id": "blue",
        "endpoint": "/v1/chat/completions",
        "model": "fast",
        "provider": "openai",
        "status_class": "2xx",
        "streaming": "false",
    }
    assert found.find(name + "_count", streaming="false") == [(labels, 5)]
    assert found.value(name + "_sum", streaming="false") == pytest.approx(11.2501)
    first = "hookway_request_ttft_seconds"
    assert {one["le"]: value for one, value in found.find(first + "_bucket")} == {"0.05": 1, "+Inf": 2}
    assert found.value(first + "_count", streaming="true") == 2
    assert found.value(first + "_sum") == pytest.approx(0.101)


async def test_edges_are_written_without_trailing_zeros(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended())
    found = await gateway.scrape()
    edges = [labels["le"] for labels, _ in found.find("hookway_request_e2e_latency_seconds_bucket")]
    assert edges == "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2 5 10 30 60 120 300 420 600 +Inf".split()
    assert found.value("hookway_request_e2e_latency_seconds_count", env_id="unknown") == 1


@pytest.mark.parametrize("quantiles", [False, True])
async def test_durations_are_summaries_and_never_have_buckets(read: Read, quantiles: bool) -> None:
    gateway = Gateway(read, quantiles=quantiles)
    for took in range(1, 1001):
        gateway.record(ended(latency_ms=float(took), ttft_ms=float(took), stream=True))
    found = await gateway.scrape()
    names = [name for name in found.types if name.endswith("_duration_seconds")]
    names.append("hookway_llm_time_to_first_token_seconds")
    assert len(names) == 4
    for name in names:
        assert found.types[name] == "summary"
        assert found.find(name + "_bucket") == []
        assert found.value(name + "_count") == 1000
        assert found.value(name + "_sum") == pytest.approx(500.5)
        told = {labels["quantile"]: value for labels, value in found.find(name)}
        true = {"0": 1, "0.5": 500, "0.9": 900, "0.95": 950, "0.99": 990, "0.999": 999, "1": 1000}
        expected = {word: pytest.approx(value / 1000, rel=0.05) for word, value in true.items()}
        assert told == (expected if quantiles else {})


async def test_time_to_first_token_is_told_of_streams_alone(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended(), ended(stream=True, ttft_ms=250.0, key_id="key-2"))
    found = await gateway.scrape()
    assert found.value("hookway_llm_time_to_first_token_seconds_sum") == 0.25
    assert found.value("hookway_llm_time_to_first_token_seconds_count", api_key_id="key-2") == 1


# ── labels ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "value", ['a "quoted" one', "back\\slash", "two\nlines", "\\n", 'x"} 1\nforged{a="b', "日本語 é", " "]
)
async def test_values_come_back_as_they_were(read: Read, value: str) -> None:
    gateway = Gateway(read)
    gateway.record(ended(user_name=value, model=value))
    found = await gateway.scrape()
    assert found.value("hookway_proxy_requests_total", user_name=value, model=value) == 1
    assert found.value("hookway_request_e2e_latency_seconds_count", model=value) == 1
    assert "forged" not in found.names()


async def test_what_utf8_cannot_hold_is_replaced_and_long_values_are_cut(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended(user_name="\ud800"), ended(user_name="?"), ended(user_name="a" * 10_000))
    found = await gateway.scrape()
    assert found.value("hookway_proxy_requests_total", user_name="?") == 2
    assert found.value("hookway_proxy_requests_total", user_name="a" * 256) == 1


async def test_names_have_the_brands_prefix(read: Read) -> None:
    brand = Brand("acme", "x-acme-", "acme_", "acme.", "Acme/1")
    gateway = Gateway(read, make_services("sink_prometheus", brand=brand))
    gateway.record(ended(usage=Usage(1, 1)))
    gateway.services.metrics.counter("things_total", "Things.").add(2)
    found = await gateway.scrape()
    own = {name for name in found.types if not name.startswith(("process_", "python_"))}
    assert {name.partition("_")[0] for name in own} == {"acme"}
    assert found.value("acme_things_total") == 2


async def test_beyond_the_cap_rows_share_one_and_no_request_is_lost(read: Read) -> None:
    gateway = Gateway(read, max_rows=10)
    for number in range(500):
        gateway.record(ended(key_id=f"key-{number}", user_id=f"user-{number}", usage=Usage(1, 0)))
    gateway.record(ended(key_id="key-3", user_id="user-3"))
    found = await gateway.scrape()
    series = found.find("hookway_proxy_requests_total")
    assert len(series) == 11
    assert sum(value for _, value in series) == 501
    assert found.value("hookway_proxy_requests_total", api_key_id="key-3") == 2
    others = dict.fromkeys(
        (
            *("model", "upstream_model", "provider_key_id", "provider_key_name"),
            *("api_key_id", "team_id", "user_id", "user_name"),
        ),
        "other",
    )
    assert found.value("hookway_proxy_requests_total", **others) == 490
    assert found.value("hookway_llm_input_tokens_total", api_key_id="other") == 490
    tally = tally_of(gateway.services, PrometheusSettings())
    assert len(tally.index.by_event) <= 20


async def test_beyond_the_cap_statuses_and_endpoints_are_still_told_apart(read: Read) -> None:
    gateway = Gateway(read, max_rows=1)
    gateway.record(ended(), ended(status=429), ended(endpoint="/v1/messages"), refused(404))
    found = await gateway.scrape()
    assert found.value("hookway_proxy_requests_total", status="429", model="other") == 1
    assert found.value("hookway_proxy_requests_total", endpoint="/v1/messages", model="other") == 1
    assert found.value("hookway_proxy_requests_total", status="404", model="unresolved") == 1


async def test_targets_and_reasons_are_capped_too(read: Read) -> None:
    gateway = Gateway(read, max_rows=10)
    for number in range(50):
        gateway.record(attempt(target=f"target-{number}"), attempt(target=f"t-{number}", kind="fallback"))
    for number in range(1_500):
        gateway.record(denied(f"reason-{number}"))
    found = await gateway.scrape()
    assert len(found.find("hookway_deployment_requests_total")) == 11
    assert found.total("hookway_deployment_requests_total") == 100
    assert len(found.find("hookway_routing_successful_fallbacks_total")) == 11
    assert len(found.find("hookway_auth_decisions_total")) == 1_001
    assert found.total("hookway_auth_decisions_total") == 1_500


# ── attempts and credentials ────────────────────────────────────────────────────────────────


async def test_attempts_are_counted_by_target(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(
        attempt(),
        attempt(error_kind="timeout"),
        attempt(error_kind="client_disconnected"),
        attempt(dispatched=False, error_kind="rate_limit_exceeded"),
    )
    found = await gateway.scrape()
    labels = {
        "provider": "openai",
        "model": "fast",
        "upstream_model": "gpt-4o-mini",
        "provider_key_id": "account-1",
    }
    assert found.find("hookway_deployment_requests_total") == [(labels, 3)]
    assert found.find("hookway_deployment_success_responses_total") == [(labels, 1)]
    assert found.find("hookway_deployment_failure_responses_total") == [(labels, 1)]


async def test_a_target_that_never_answered_has_no_successes(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(attempt(error_kind="timeout"))
    found = await gateway.scrape()
    assert found.value("hookway_deployment_failure_responses_total") == 1
    assert "hookway_deployment_success_responses_total" not in found.types


async def test_fallbacks_are_counted_by_group_and_target(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(
        attempt(),
        attempt(kind="fallback", target="second"),
        attempt(kind="fallback", target="second", error_kind="timeout"),
        attempt(kind="fallback", target="second", error_kind="rate_limit_exceeded", dispatched=False),
        attempt(kind="fallback", target="second", error_kind="client_disconnected"),
    )
    found = await gateway.scrape()
    labels = {"model": "group", "fallback_model": "second"}
    assert found.find("hookway_routing_successful_fallbacks_total") == [(labels, 1)]
    assert found.find("hookway_routing_failed_fallbacks_total") == [(labels, 2)]


async def test_refused_credentials_are_decisions_and_no_requests(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(denied(), denied(), denied("missing_credentials", "none"))
    found = await gateway.scrape()
    assert {(*labels.values(), value) for labels, value in found.find("hookway_auth_decisions_total")} == {
        ("api_key", "deny", "unknown_key", 2),
        ("none", "deny", "missing_credentials", 1),
    }
    assert "hookway_proxy_requests_total" not in found.types


# ── what is read when scraped ───────────────────────────────────────────────────────────────


async def test_targets_have_a_state(read: Read) -> None:
    gateway = Gateway(read)
    facts = {"provider": "openai", "provider_key_id": "account-1", "model_name": "gpt-4o"}
    gateway.services.status.listed = [
        ModelStatus("1", "well", "direct", "healthy", **facts),
        ModelStatus("2", "cooling", "direct", "cooldown", **facts),
        ModelStatus("3", "ill", "direct", "unhealthy", **facts),
        ModelStatus("4", "group", "routing", "not_applicable"),
    ]
    found = await gateway.scrape()
    states = {labels["model"]: value for labels, value in found.find("hookway_deployment_state")}
    assert states == {"well": 0, "cooling": 2, "ill": 2}
    assert found.value("hookway_deployment_state", upstream_model="gpt-4o", model="well") == 0


def rejected(collection: str, name: str, stale_since: float | None = None) -> RejectedRow:
    return RejectedRow(collection, name, "id", "schema_failed", "is wrong", 1.0, 2.0, stale_since)


async def test_the_configuration_is_told_as_it_is_now(read: Read) -> None:
    gateway = Gateway(read)
    status = gateway.services.status
    assert not [name for name in (await gateway.scrape()).types if "config" in name]
    well = ConfigStatus(
        sources=(SourceStatus("source_file", "file", "r", 1.0),),
        applied=Applied(1, "aa", 1, 5.0, {}),
        last_reload_ok=True,
        last_success_at=1_700_000_000.25,
        reloads=3,
    )
    status.configuration = well
    found = await gateway.scrape()
    assert found.value("hookway_config_last_reload_successful") == 1
    assert found.value("hookway_config_last_reload_success_timestamp_seconds") == 1_700_000_000.25
    assert found.value("hookway_config_reloads_total") == 3
    assert found.find("hookway_config_hash_info") == [({"hash": "aa"}, 1)]
    assert "hookway_config_rejected_resources" not in found.types

    status.configuration = ConfigStatus(
        applied=Applied(2, "bb", 2, 6.0, {}),
        last_reload_ok=True,
        reloads=4,
        failures={"fetch": 2, "validate": 1},
        rejected=(rejected("models", "a", 4.0), rejected("models", "b"), rejected("", "file")),
    )
    found = await gateway.scrape()
    assert found.value("hookway_config_last_reload_successful") == 0
    assert found.value("hookway_config_reload_failures_total", reason="fetch") == 2
    assert found.value("hookway_config_reload_failures_total", reason="validate") == 1
    assert found.value("hookway_config_rejected_resources", kind="models") == 2
    assert found.value("hookway_config_rejected_resources", kind="unknown") == 1
    assert found.find("hookway_config_stale_served_resources") == [({"kind": "models"}, 1)]
    assert found.find("hookway_config_hash_info") == [({"hash": "bb"}, 1), ({"hash": "aa"}, 0)]

    status.configuration = well
    found = await gateway.scrape()
    assert found.value("hookway_config_rejected_resources", kind="models") == 0
    assert found.value("hookway_config_stale_served_resources", kind="models") == 0
    assert found.find("hookway_config_hash_info") == [({"hash": "aa"}, 1), ({"hash": "bb"}, 0)]


async def test_a_source_that_cannot_be_reached_is_no_successful_load(read: Read) -> None:
    gateway = Gateway(read)
    gateway.services.status.configuration = ConfigStatus(
        sources=(SourceStatus("source_file", "file", "r", 1.0, reachable=False),), last_reload_ok=True
    )
    assert (await gateway.scrape()).value("hookway_config_last_reload_successful") == 0


async def test_families_of_others_are_shown_as_they_are(read: Read) -> None:
    gateway = Gateway(read)
    metrics = gateway.services.metrics
    rejections = metrics.counter("ratelimit_rejections_total", "Refused.", ("scope", "layer", "policy_id"))
    rejections.add(2, "requests", "api_key", "")
    metrics.gauge("proxy_in_flight_requests", "In flight.", ("endpoint",)).set(0, '/a"b')
    metrics.counter("never_total", "Nothing yet.", ("a",)).bind("x").add(0)
    metrics.counter("quiet_total", "Nothing at all.")
    waits = metrics.histogram("wait_seconds", "Waits.\nOf all.", ("queue",), buckets=(0.5, 1.0))
    for value in (0.5, 0.75, 3.0):
        waits.observe(value, "a")
    waits.bind("b")
    found = await gateway.scrape()
    labels = {"scope": "requests", "layer": "api_key", "policy_id": ""}
    assert found.find("hookway_ratelimit_rejections_total") == [(labels, 2)]
    assert found.value("hookway_proxy_in_flight_requests", endpoint='/a"b') == 0
    assert {"hookway_never_total", "hookway_quiet_total"} & set(found.types) == set()
    assert [(one["le"], value) for one, value in found.find("hookway_wait_seconds_bucket")] == [
        ("0.5", 1),
        ("1", 2),
        ("+Inf", 3),
    ]
    assert found.value("hookway_wait_seconds_sum", queue="a") == 4.25
    assert found.value("hookway_wait_seconds_count") == 3
    assert found.helps["hookway_wait_seconds"] == "Waits.\\nOf all."


async def test_a_family_of_another_that_has_the_name_of_ours_is_left_out_and_told_once(read: Read) -> None:
    gateway = Gateway(read)
    gateway.services.metrics.counter("requests_total", "Mine.").add(7)
    gateway.record(ended())
    for _ in range(2):
        assert (await gateway.scrape()).value("hookway_requests_total") == 1
    assert gateway.services.log.events("warning") == ["metric_not_exposed"]


async def test_the_process_is_told_of_under_the_usual_names(read: Read) -> None:
    found = await Gateway(read).scrape()
    assert found.value("process_resident_memory_bytes") > 1_000_000
    assert found.value("python_gc_collections_total", generation="2") >= 0
    assert found.value("python_info", implementation="CPython") == 1


async def test_every_family_has_the_type_and_help_of_the_reference(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended(usage=Usage(1, 1), stream=True, ttft_ms=1.0), ended(status=500), attempt(), denied())
    found = await gateway.scrape()
    shown = [spec for spec in FAMILIES if f"hookway_{spec.name}" in found.types]
    assert len(shown) > 15
    for spec in shown:
        assert found.types[f"hookway_{spec.name}"] == spec.type
        assert found.helps[f"hookway_{spec.name}"] == spec.help
    assert len({spec.name for spec in FAMILIES}) == len(FAMILIES)


# ── lives ───────────────────────────────────────────────────────────────────────────────────


async def test_counts_go_on_when_settings_change(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended(usage=Usage(1, 1)), ended(stream=True, ttft_ms=5.0))
    old = gateway.counter
    gateway.configure(quantiles=True, buckets={"request_e2e_latency": [1.0]}, max_rows=7)
    old.record(ended())  # in flight during the reload
    gateway.record(ended())
    old.record(ended(key_id="key-2"))  # what the old instance wants no longer counts
    found = await gateway.scrape()
    assert found.total("hookway_proxy_requests_total", stream="false") == 4
    assert found.total("hookway_llm_total_tokens_total") == 2
    # Counts of other edges cannot go on; the buckets begin anew, and so does what they add up to.
    buckets = found.find("hookway_request_e2e_latency_seconds_bucket", streaming="false")
    assert [(labels["le"], value) for labels, value in buckets] == [("1", 2), ("+Inf", 2)]
    assert found.value("hookway_request_ttft_seconds_count") == 1
    assert len(found.find("hookway_proxy_request_duration_seconds", api_key_id="key-1")) == 7
    gateway.configure()
    found = await gateway.scrape()
    assert found.find("hookway_proxy_request_duration_seconds") == []
    assert found.total("hookway_proxy_requests_total") == 5


async def test_a_scrape_of_an_old_instance_changes_no_settings(read: Read) -> None:
    gateway = Gateway(read)
    old = gateway.route
    gateway.record(ended())
    gateway.configure(buckets={"request_e2e_latency": [1.0]})
    gateway.record(ended())
    await old.metrics(GET)
    found = await gateway.scrape()
    assert len(found.find("hookway_request_e2e_latency_seconds_bucket")) == 2
    assert found.value("hookway_request_e2e_latency_seconds_count") == 1


async def test_new_rules_hold_for_clients_that_are_known_already(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended(usage=Usage(1, 0)))
    gateway.configure(client_type_rules=[{"pattern": "openai", "client": "sdk"}])
    gateway.record(ended(usage=Usage(2, 0)))
    found = await gateway.scrape()
    assert found.value("hookway_llm_tokens_by_client_total", client_type="sdk", token_type="input") == 2


async def test_an_instance_of_a_refused_configuration_changes_nothing(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended())
    serving = gateway.counter, gateway.route
    gateway.configure(buckets={"request_e2e_latency": [1.0]}, max_rows=1)
    gateway.counter, gateway.route = serving
    gateway.record(ended(), ended(key_id="key-2"))
    found = await gateway.scrape()
    assert len(found.find("hookway_request_e2e_latency_seconds_bucket")) == 18
    assert found.value("hookway_request_e2e_latency_seconds_count") == 3
    assert found.value("hookway_proxy_requests_total", api_key_id="key-2") == 1


async def test_two_processes_and_two_instances_count_apart(read: Read) -> None:
    first, second = Gateway(read), Gateway(read)
    first.record(ended())
    assert "hookway_requests_total" not in (await second.scrape()).types
    third = Gateway(read, make_services("sink_prometheus.eu"))
    third.services.metrics = first.services.metrics
    third.configure()
    third.services.plugin = "sink_prometheus.eu"
    third.configure()
    assert "hookway_requests_total" not in (await third.scrape()).types


async def test_counts_go_when_their_process_goes(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended())
    await gateway.scrape()
    gone = weakref.ref(tally_of(gateway.services, PrometheusSettings()))
    del gateway
    gc.collect()
    assert gone() is None


async def test_scrapes_at_once_share_one(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended())
    asked = 0

    async def models() -> list[ModelStatus]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        return []

    gateway.services.status.models = models  # type: ignore[method-assign]
    replies = await asyncio.gather(*[gateway.route.metrics(GET) for _ in range(5)])
    assert asked == 1
    assert len({b"".join(reply.body) for reply in replies}) == 1  # type: ignore[arg-type]
    await gateway.scrape()
    assert asked == 2


async def test_who_waits_for_a_scrape_that_is_given_up_makes_its_own(read: Read) -> None:
    gateway = Gateway(read)
    gateway.record(ended())
    entered = asyncio.Event()

    async def models() -> list[ModelStatus]:
        entered.set()
        await asyncio.sleep(0.01)
        return []

    gateway.services.status.models = models  # type: ignore[method-assign]
    first = asyncio.create_task(gateway.scrape())
    await entered.wait()
    second = asyncio.create_task(gateway.scrape())
    third = asyncio.create_task(gateway.scrape())
    await asyncio.sleep(0)
    third.cancel()
    first.cancel()
    assert (await second).value("hookway_requests_total") == 1
    for one in (first, third):
        with pytest.raises(asyncio.CancelledError):
            await one


async def test_a_scrape_that_fails_fails_alone(read: Read) -> None:
    gateway = Gateway(read)
    real = gateway.services.status.models

    async def broken() -> list[ModelStatus]:
        raise RuntimeError("no models")

    gateway.services.status.models = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="no models"):
        await gateway.scrape()
    gateway.services.status.models = real  # type: ignore[method-assign]
    assert "python_info" in (await gateway.scrape()).types


async def test_the_answer_says_its_format(read: Read) -> None:
    reply = await Gateway(read).route.metrics(GET)
    assert reply.content_type == "text/plain; version=0.0.4"
    assert reply.body[-1].endswith(b"\n")  # type: ignore[union-attr]
