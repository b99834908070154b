"""A metric is done when it shows after real traffic: what a running gateway answers to a scrape."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from hookway.testing import KEY, GatewayFactory, HttpReply, RunningGateway
from hookway_plugins.sink_prometheus.families import FAMILIES
from hookway_sdk import (
    Admin,
    Guard,
    OperatorReply,
    OperatorRequest,
    OperatorRoute,
    RequestEnded,
    Services,
    Settings,
)

Read = Callable[[bytes], Any]

RESOURCES = {
    "provider_keys": [
        {"name": "main", "provider": "echo", "adapter": "echo", "api_key": "none"},
        {
            "name": "away",
            "provider": "openai",
            "adapter": "openai",
            "api_key": "k",
            "api_base": "http://127.0.0.1:9",
        },
    ],
    "models": [
        {"name": "echo", "provider": "echo", "model_name": "echo-1", "provider_key": "main"},
        {"name": "dead", "provider": "openai", "model_name": "gpt-x", "provider_key": "away", "retries": 0},
        {"name": "gone", "provider": "openai", "model_name": "gpt-y", "provider_key": "away", "retries": 0},
        {"name": "group", "routing": {"targets": [{"model": "dead"}, {"model": "echo"}]}},
        {"name": "hopeless", "routing": {"targets": [{"model": "echo"}, {"model": "gone"}]}},
    ],
    "api_keys": [
        {
            "name": "ci",
            "key": KEY,
            "allowed_models": ["*"],
            "team_id": "platform",
            "user_id": "u-1",
            "user_name": 'Ann "A"',
        },
        {"name": "old", "key": "hw-old-key", "allowed_models": ["*"], "disabled": True},
    ],
}

ON = (
    *("auth_keys", "dialect_openai", "provider_openai", "provider_echo", "strategy_failover"),
    *("store_memory", "source_file", "resilience_cooldown", "sink_prometheus"),
)

SETTINGS = {"plugins": {"sink_prometheus": {}}, "proxy": {"request_body_limit": 4000}}


def get(running: RunningGateway, path: str = "/metrics") -> HttpReply:
    """Ask the listener for metrics."""
    address = running.gateway.serve.operator_addresses["metrics"]
    connection = http.client.HTTPConnection(address.host, address.port, timeout=5)
    connection.request("GET", path)
    reply = connection.getresponse()
    found = HttpReply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
    connection.close()
    return found


def leave(running: RunningGateway, body: dict[str, Any], first: bytes = b"") -> None:
    """Send a request and leave, after a piece of the answer came if one is named."""
    data = json.dumps(body).encode()
    with socket.create_connection((running.host, running.port), timeout=5) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer "
            + KEY.encode()
            + b"\r\n"
            b"content-length: %d\r\n\r\n" % len(data) + data
        )
        seen = b""
        while first not in seen:
            seen += connection.recv(65536)
        if not first:
            time.sleep(0.2)


def talk(running: RunningGateway) -> int:
    """Do what callers do; return how many of it were requests."""
    messages = [{"role": "user", "content": "!slow 0.05\none two three"}]
    assert running.chat("hello there").status == 200
    assert running.chat("again, please", model="group").status == 200
    assert running.chat("!words 3\n", stream=True).status == 200
    assert running.chat("hi", model="no-such-model").status == 404
    assert running.chat("!error 500", model="hopeless").status >= 500
    assert running.chat("!error 400").status == 400
    assert running.chat("x" * 5000).status == 413
    assert running.post("/v1/chat/completions", b"{").status == 400
    assert running.get("/v1/models").status == 200
    assert running.chat("hi", user="x").status == 200
    leave(running, {"model": "echo", "messages": [{"role": "user", "content": "!delay 5\nhi"}]})
    leave(running, {"model": "echo", "stream": True, "messages": messages}, b"data:")
    body = {"model": "echo", "messages": messages}
    assert running.post("/v1/chat/completions", body, key=None).status == 401
    assert running.post("/v1/chat/completions", body, key="hw-nobody").status == 401
    assert running.post("/v1/chat/completions", body, key="hw-old-key").status == 401
    return 12


class Queue(Admin[Settings]):
    """A plugin that counts something of its own."""

    def __init__(self, name: str, settings: Settings, services: Services) -> None:
        super().__init__(name, settings, services)
        services.metrics.counter("queue_jobs_total", "Jobs.", ("queue",)).add(3, "night")
        waits = services.metrics.histogram("queue_wait_seconds", "Waits.", ("queue",), buckets=(1,))
        waits.observe(2.5, "night")
        waits.bind("day")

    def routes(self) -> Sequence[OperatorRoute]:
        return [OperatorRoute("metrics", "GET", "/queue", self.told, Guard.NONE)]

    async def told(self, request: OperatorRequest) -> OperatorReply:
        return OperatorReply(b"{}")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, read: Read) -> Iterator[Any]:
    """What is told after all that."""
    factory = GatewayFactory(tmp_path_factory.mktemp("traffic"))
    try:
        running = factory(SETTINGS, resources=RESOURCES, plugins={"admin_queue": Queue}, only=ON)
        running.wait_for(RequestEnded, talk(running))
        yield read(get(running).body)
    finally:
        factory.close()


CHAT = {"endpoint": "/v1/chat/completions"}
CI = {"team_id": "platform", "user_id": "u-1", "user_name": 'Ann "A"'}
NOBODY = dict.fromkeys(("api_key_id", "team_id", "user_id", "user_name"), "unknown")
ECHO = {"provider": "echo", "model": "echo"}
ECHO_ACCOUNT = {**ECHO, "provider_key_name": "main", "upstream_model": "echo-1"}
NO_TARGET = {
    **{"provider": "unknown", "model": "unresolved", "upstream_model": "unknown"},
    **{"provider_key_id": "unknown", "provider_key_name": "unknown"},
}

SEEN: list[tuple[str, dict[str, str], float]] = [
    ("requests_total", {**ECHO, "status": "200", "outcome": "success"}, 4),
    ("requests_total", {**ECHO, "status": "400", "outcome": "client_error"}, 1),
    ("requests_total", {**ECHO, "status": "499", "outcome": "client_error"}, 1),
    ("requests_total", {"provider": "unknown", "model": "unresolved", "status": "404"}, 1),
    ("requests_total", {"provider": "unknown", "model": "unresolved", "status": "413"}, 1),
    ("requests_total", {"provider": "unknown", "model": "unknown", "status": "200"}, 1),
    ("request_duration_seconds_count", {**ECHO, "status": "200"}, 4),
    (
        "proxy_requests_total",
        {**CHAT, **ECHO_ACCOUNT, **CI, "stream": "false", "is_fallback": "false", "status": "200"},
        2,
    ),
    ("proxy_requests_total", {**ECHO, "stream": "true", "status": "200", "inbound_protocol": "openai"}, 2),
    ("proxy_requests_total", {"model": "group", "provider": "echo", "is_fallback": "true"}, 1),
    ("proxy_requests_total", {**CHAT, **NO_TARGET, **CI, "status": "404", "outcome": "client_error"}, 1),
    ("proxy_requests_total", {**CHAT, **NO_TARGET, **NOBODY, "status": "413"}, 1),
    ("proxy_requests_total", {"endpoint": "/v1/models", "model": "unknown", "status": "200"}, 1),
    ("proxy_failed_requests_total", {**ECHO, "status": "400"}, 1),
    ("proxy_failed_requests_total", {"model": "hopeless", "outcome": "upstream_error"}, 1),
    ("proxy_failed_requests_total", {"status": "413"}, 1),
    ("proxy_request_duration_seconds_count", {**ECHO, **CI, "stream": "true", "status": "200"}, 2),
    ("llm_requests_total", {**ECHO, "stream": "false", "status": "200"}, 2),
    ("llm_request_duration_seconds_count", {"model": "group", "status": "200"}, 1),
    ("llm_input_tokens_total", {**CHAT, "model": "group", **CI}, 2),
    ("llm_output_tokens_total", {**CHAT, "model": "group", **CI}, 2),
    ("llm_total_tokens_total", {**CHAT, "model": "group", **CI}, 4),
    ("llm_time_to_first_token_seconds_count", {**CHAT, **ECHO_ACCOUNT, **CI}, 2),
    ("tokens_consumed_total", {"provider": "echo", "model": "group"}, 4),
    ("llm_tokens_by_client_total", {"client_type": "unknown", "model": "group", "token_type": "total"}, 4),
    ("proxy_in_flight_requests", {**CHAT, "inbound_protocol": "openai"}, 0),
    ("proxy_client_cancelled_requests_total", {**CHAT, "model": "echo", "provider_key_name": "main"}, 1),
    ("proxy_request_body_limit_rejections_total", {**CHAT, "inbound_protocol": "openai"}, 1),
    ("deployment_success_responses_total", {**ECHO, "upstream_model": "echo-1"}, 4),
    ("deployment_failure_responses_total", {"provider": "openai", "model": "dead"}, 1),
    ("deployment_failure_responses_total", {"provider": "openai", "model": "gone"}, 1),
    ("deployment_cooled_down_total", {"provider": "openai", "model": "dead", "upstream_model": "gpt-x"}, 1),
    ("deployment_state", {**ECHO, "upstream_model": "echo-1"}, 0),
    ("deployment_state", {"provider": "openai", "model": "dead", "upstream_model": "gpt-x"}, 2),
    ("routing_successful_fallbacks_total", {"model": "group", "fallback_model": "echo"}, 1),
    ("routing_failed_fallbacks_total", {"model": "hopeless", "fallback_model": "gone"}, 1),
    ("usage_events_emitted_total", {"handler": "chat", "status_code": "2xx", "model": "echo"}, 4),
    ("usage_events_emitted_total", {"handler": "chat", "status_code": "4xx", "model": "unresolved"}, 3),
    ("auth_decisions_total", {"method": "none", "result": "deny", "reason": "missing_credentials"}, 1),
    ("auth_decisions_total", {"method": "api_key", "result": "deny", "reason": "unknown_key"}, 1),
    ("auth_decisions_total", {"method": "api_key", "result": "deny", "reason": "key_disabled"}, 1),
    ("auth_decisions_total", {"method": "api_key", "result": "allow", "reason": "none"}, 11),
    ("request_e2e_latency_seconds_count", {**CHAT, **ECHO, "status_class": "2xx", "streaming": "true"}, 2),
    ("request_e2e_latency_seconds_bucket", {**ECHO, "status_class": "4xx", "le": "+Inf"}, 2),
    ("request_ttft_seconds_count", {**CHAT, **ECHO, "env_id": "unknown", "streaming": "true"}, 2),
    ("config_last_reload_successful", {}, 1),
    ("queue_jobs_total", {"queue": "night"}, 3),
    ("queue_wait_seconds_bucket", {"queue": "night", "le": "1"}, 0),
    ("queue_wait_seconds_sum", {"queue": "night"}, 2.5),
]


@pytest.mark.parametrize(("name", "labels", "value"), SEEN)
def test_real_traffic_shows(found: Any, name: str, labels: dict[str, str], value: float) -> None:
    assert found.total(f"hookway_{name}", **labels) == value
    assert found.find(f"hookway_{name}", **labels)


def test_every_family_of_this_plugin_was_seen_but_those_that_need_a_broken_configuration(found: Any) -> None:
    shown = {name.removeprefix("hookway_") for name in found.types}
    assert {spec.name for spec in FAMILIES} - shown == {
        "config_reload_failures_total",
        "config_rejected_resources",
        "config_stale_served_resources",
    }


def test_a_series_that_nobody_observed_is_not_there(found: Any) -> None:
    assert found.find("hookway_queue_wait_seconds_count", queue="day") == []


def test_no_label_is_empty(found: Any) -> None:
    assert '=""' not in found.text


def test_the_configuration_and_the_process_are_told_of(found: Any) -> None:
    assert found.value("hookway_config_reloads_total") >= 1
    assert abs(found.value("hookway_config_last_reload_success_timestamp_seconds") - time.time()) < 60
    assert [value for _, value in found.find("hookway_config_hash_info")] == [1]
    assert found.value("process_resident_memory_bytes") > 1_000_000


def test_every_attempt_is_a_success_a_failure_or_was_left(found: Any) -> None:
    sent = found.total("hookway_deployment_requests_total")
    ended = found.total("hookway_deployment_success_responses_total") + found.total(
        "hookway_deployment_failure_responses_total"
    )
    assert sent == ended + 2, "two callers left"


def test_anyone_who_reaches_the_listener_may_scrape(gateway: GatewayFactory) -> None:
    running = gateway(SETTINGS)
    reply = get(running)
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4"
    assert get(running, "/stats").status == 404
    assert running.get("/metrics").status == 404, "callers have no metrics"


def reload(running: RunningGateway, **settings: Any) -> bool:
    """Change the plugin's settings while the gateway runs; say whether that was accepted."""
    directory = running.gateway.control._directory
    assert directory is not None
    (directory / "90-changed.yaml").write_text(json.dumps({"plugins": {"sink_prometheus": settings}}))
    return running.run(running.gateway.control.reload_everything())


def test_counts_go_on_over_a_reload_of_settings(gateway: GatewayFactory, read: Read) -> None:
    running = gateway(SETTINGS)
    running.chat("one")
    running.wait_for(RequestEnded, 1)
    assert reload(running, path="stats", quantiles=True, env_id="blue")
    running.chat("two")
    running.wait_for(RequestEnded, 2)
    assert get(running).status == 404
    found = read(get(running, "/stats").body)
    assert found.value("hookway_requests_total", model="echo") == 2
    assert found.value("hookway_request_e2e_latency_seconds_count", env_id="blue") == 2
    assert len(found.find("hookway_request_duration_seconds", model="echo")) == 7


def test_a_refused_reload_leaves_metrics_as_they_were(gateway: GatewayFactory, read: Read) -> None:
    running = gateway(SETTINGS)
    running.chat("one")
    running.wait_for(RequestEnded, 1)
    assert not reload(running, path="stats", buckets={"request_ttft": [2, 1]})
    found = read(get(running).body)
    assert found.value("hookway_requests_total", model="echo") == 1
    assert found.value("hookway_config_last_reload_successful") == 0
    assert found.total("hookway_config_reload_failures_total") == 1


def test_a_plugin_that_is_switched_off_serves_nothing(gateway: GatewayFactory) -> None:
    running = gateway(SETTINGS)
    assert get(running).status == 200
    assert reload(running, enabled=False)
    with pytest.raises((OSError, AssertionError, KeyError)):
        assert get(running).status == 200
