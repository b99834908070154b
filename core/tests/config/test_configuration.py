"""The whole configuration: sections, plugin entries, and every problem with its place."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from hookway.config.addresses import Address, Network
from hookway.config.configuration import Configuration, load_configuration
from hookway.config.plugin_entries import PluginEntry
from hookway.config.settings import RootSettings, root_schema
from hookway_sdk.durations import Seconds
from hookway_sdk.errors import ConfigError
from hookway_sdk.phases import OnError, Phase
from hookway_sdk.secrets import Secret
from hookway_sdk.settings import Settings, also
from hookway_sdk.walker import check, convert


@pytest.fixture
def conf(tmp_path: Path) -> Any:
    def load(text: str, **environ: str) -> Configuration:
        (tmp_path / "50-mine.yaml").write_text(text)
        return load_configuration(tmp_path, environ)

    return load


@pytest.fixture
def problems(conf: Any, tmp_path: Path) -> Any:
    def load(text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            conf(text, **environ)
        return [str(one).replace(f"{tmp_path}/", "") for one in caught.value.problems]

    return load


# ── defaults ────────────────────────────────────────────────────────────────────────────────


def test_an_empty_conf_d_gives_a_gateway_on_loopback_with_bounds_and_the_default_plugins(conf: Any) -> None:
    root = conf("").settings
    assert root.proxy.addr == Address("127.0.0.1", 3000)
    assert root.admin.addr == Address("127.0.0.1", 3001)
    assert root.observability.metrics.prometheus.addr == Address("127.0.0.1", 3002)
    assert root.proxy.request_body_limit == 64 * 1024 * 1024
    assert root.shutdown.min_drain_secs == 5
    assert (root.upstream.timeout_ms, root.upstream.connect_timeout_ms, root.upstream.retries) == (
        6_000_000,
        5000,
        2,
    )
    assert [entry.name for entry in root.plugins.values() if entry.enabled] == [
        "auth_keys",
        "dialect_openai",
        "provider_openai",
        "provider_echo",
        "limit_rate",
        "strategy_failover",
        "strategy_round_robin",
        "strategy_weighted",
        "resilience_checks",
        "resilience_cooldown",
        "resilience_retry_budget",
        "service_tokens",
        "store_memory",
        "source_env",
        "source_file",
        "sink_access_log",
        "sink_prometheus",
        "admin_status",
    ]


def test_the_shipped_defaults_are_the_structs_defaults(conf: Any) -> None:
    assert msgspec.structs.replace(conf("").settings, plugins={}) == RootSettings()


# ── sections ────────────────────────────────────────────────────────────────────────────────


def test_every_key_of_the_contract_that_the_core_owns_is_read(conf: Any) -> None:
    text = """
proxy:
  addr: 0.0.0.0:8080
  request_body_limit_bytes: 0
  tls: {cert_file: a.pem, key_file: b.pem}
  real_ip: {trusted_proxies: [10.0.0.0/8, "::1"], recursive: true, header: X-Real-IP}
  request_id: {accept_headers: [X-Request-Id]}
admin: {enabled: false, addr: "127.0.0.1:0"}
observability:
  service_name: gw
  log_level: debug
  access_log: false
  metrics: {prometheus: {enabled: false, addr: "0.0.0.0:9090"}}
upstream:
  timeout_ms: 1000
  stream_timeout_ms: 2000
  connect_timeout_ms: 3000
  tcp_keepalive_secs: 1
  tcp_keepalive_interval_secs: 2
  tcp_keepalive_retries: 3
  pool_idle_timeout_secs: 4
  pool_max_idle_per_host: null
  retries: 0
  tls: {ca_file: ca.pem, client_cert_file: c.pem, client_key_file: k.pem, verify: false}
downstream: {idle_timeout_secs: 9, sse_keepalive_interval_secs: 0}
shutdown: {min_drain_secs: 30}
"""
    root = conf(text).settings
    assert root.proxy.addr == Address("0.0.0.0", 8080)
    assert root.proxy.request_body_limit == 0
    assert root.proxy.real_ip.trusted_proxies == (
        Network(ipaddress.ip_network("10.0.0.0/8")),
        Network(ipaddress.ip_network("::1")),
    )
    assert root.proxy.real_ip.header == "x-real-ip"
    assert root.proxy.request_id.accept_headers == ("x-request-id",)
    assert root.proxy.tls.key_file == "b.pem"
    assert root.admin.enabled is False
    assert root.observability.log_level == "debug"
    assert root.upstream.timeout_ms == 1000
    assert root.upstream.tls.client_key_file == "k.pem"
    assert root.downstream.sse_keepalive_interval_secs == 0
    assert root.shutdown.min_drain_secs == 30


def test_units_and_short_names_are_read(conf: Any) -> None:
    root = conf(
        "proxy: {request_body_limit: 1MiB, head_timeout: 250ms}\n"
        "upstream: {timeout: 30, connect_timeout: 2s, pool_idle_timeout: 1m, answer_limit: 1GB}\n"
        "shutdown: {min_drain: 0}\n"
    ).settings
    assert root.proxy.request_body_limit == 1024 * 1024
    assert root.proxy.head_timeout == 0.25
    assert (root.upstream.timeout_ms, root.upstream.connect_timeout_ms) == (30_000, 2000)
    assert root.upstream.pool_idle_timeout_secs == 60
    assert root.upstream.answer_limit == 10**9
    assert root.shutdown.min_drain_secs == 0


def test_variables_set_numbers_bools_and_lists_in_files_and_in_the_environment(conf: Any) -> None:
    root = conf(
        "upstream: {retries: '${N}', timeout: '${N}'}\n"
        "observability: {access_log: '${OFF}', service_name: '${N}'}\n",
        N="7",
        OFF="false",
        HOOKWAY_PROXY__REAL_IP__TRUSTED_PROXIES="10.0.0.0/8,192.168.0.1",
        HOOKWAY_PROXY__REQUEST_ID__ACCEPT_HEADERS='["x-a"]',
        HOOKWAY_UPSTREAM__POOL_MAX_IDLE_PER_HOST="null",
        HOOKWAY_PROXY__REQUEST_BODY_LIMIT="1MiB",
        HOOKWAY_VENDORS__GROQ="false",
    ).settings
    assert (root.upstream.retries, root.upstream.timeout_ms) == (7, 7000)
    assert root.observability.access_log is False
    assert root.observability.service_name == "7"
    assert len(root.proxy.real_ip.trusted_proxies) == 2
    assert root.proxy.request_id.accept_headers == ("x-a",)
    assert root.upstream.pool_max_idle_per_host is None
    assert root.proxy.request_body_limit == 1024 * 1024
    assert root.vendors == {"groq": False}


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(problems: Any) -> None:
    text = """\
proxi: {}
proxy:
  addr: 127.0.0.1
  request_body_limit: 64M
  request_body_limit_bytes: 5
  tls: {cert_file: a.pem}
  real_ip:
    trusted_proxies:
      - 10.0.0.0/8
      - 10.0.0.300
    header: "x y"
  request_id:
    accept_headers: [authorization, traceparent, x-mine]
observability: {log_level: inof}
upstream:
  retries: -1
  timeout: 0.5ms
  tls: {client_cert_file: a}
shutdown:
workers: 4
plugins:
  guardrail_keyword: {priority: {admit_reqest: 5}, only: [x], on_error: opn}
  limit_rate: {instances: 2, enabled: yes}
  Bad-Name: {}
  auth_keys: false
vendors: {groq: off}
"""
    assert problems(text, HOOKWAY_ADMIN__ADDR="x", HOOKWAY_UPSTREAM__RETRY="5") == [
        "50-mine.yaml:1: proxi: unknown key 'proxi'; did you mean 'proxy'?",
        "50-mine.yaml:3: proxy.addr: '127.0.0.1' has no port; "
        "expected an address such as 127.0.0.1:3000, [::1]:3000 or 0.0.0.0:3000",
        "50-mine.yaml:4: proxy.request_body_limit: '64M' has an unknown unit; the units are "
        "B, kB, MB, GB, TB, KiB, MiB, GiB, TiB; expected a size such as 512KiB, 64MiB or 1GB",
        "50-mine.yaml:5: proxy.request_body_limit_bytes: 'request_body_limit' and 'request_body_limit_bytes' "
        "are two names of one thing; expected one of the two",
        "50-mine.yaml:6: proxy.tls.key_file: the key is missing; expected text that is not empty",
        "50-mine.yaml:10: proxy.real_ip.trusted_proxies[1]: '10.0.0.300' is no network and no IP address; "
        "expected a network such as 10.0.0.0/8, or one IP address",
        "50-mine.yaml:11: proxy.real_ip.header: 'x y' is no header name; "
        "expected a header name such as x-forwarded-for",
        "50-mine.yaml:13: proxy.request_id.accept_headers[0]: 'authorization' is a header that carries "
        "credentials or addresses, never an id; expected a header name such as x-request-id",
        "50-mine.yaml:13: proxy.request_id.accept_headers[1]: 'traceparent' is a header of trace context, "
        "never an id; expected a header name such as x-request-id",
        "50-mine.yaml:14: observability.log_level: unknown value 'inof'; "
        "expected debug, error, info or warning; did you mean 'info'?",
        "50-mine.yaml:16: upstream.retries: found the number -1; expected a whole number from 0 to 100",
        "50-mine.yaml:17: upstream.timeout: '0.5ms' is no whole number of milliseconds; "
        "expected a duration such as 250ms, 30s or 5m",
        "50-mine.yaml:18: upstream.tls: client_cert_file and client_key_file go together; "
        "client_key_file is missing",
        "50-mine.yaml:19: shutdown: found nothing (null); expected a map",
        "50-mine.yaml:20: workers: the number 4 is not supported yet; "
        "this version serves from one process, so it is 1",
        "50-mine.yaml:22: plugins.guardrail_keyword.priority.admit_reqest: unknown key 'admit_reqest'; "
        f"expected {_phases()}; did you mean 'admit_request'?",
        "50-mine.yaml:22: plugins.guardrail_keyword.on_error: unknown value 'opn'; "
        "expected closed or open; did you mean 'open'?",
        "50-mine.yaml:22: plugins.guardrail_keyword.only: is not supported yet",
        "50-mine.yaml:23: plugins.limit_rate.enabled: found the text 'yes'; expected true or false",
        "50-mine.yaml:23: plugins.limit_rate.instances: is not supported; "
        "expected a second entry such as 'limit_rate.eu'",
        "50-mine.yaml:24: plugins.Bad-Name: is no name of a plugin; "
        "expected a name such as guardrail_keyword, or guardrail_keyword.strict for a second one",
        "50-mine.yaml:25: plugins.auth_keys: found false; expected {enabled: false}",
        "50-mine.yaml:26: vendors.groq: found the text 'off'; expected true or false",
        "environment variable HOOKWAY_UPSTREAM__RETRY: upstream.retry: unknown key 'retry'; "
        "did you mean 'retries'?",
        "environment variable HOOKWAY_ADMIN__ADDR: admin.addr: the text has no port; "
        "expected an address such as 127.0.0.1:3000, [::1]:3000 or 0.0.0.0:3000",
    ]


def _phases() -> str:
    names = [phase.value for phase in Phase]
    return f"{', '.join(names[:-1])} or {names[-1]}"


def test_a_broken_file_does_not_hide_the_problems_of_another(tmp_path: Path) -> None:
    (tmp_path / "1.yaml").write_text("proxy: {addr: [}\n")
    (tmp_path / "2.yaml").write_text("proxy: {head_timeout: x}\nstate_dir: ${NONE}\n")
    with pytest.raises(ConfigError) as caught:
        load_configuration(tmp_path, {})
    assert [str(one.place).rpartition("/")[2] for one in caught.value.problems] == [
        "1.yaml:1",
        "2.yaml:1",
        "2.yaml:2",
    ]


def test_no_message_holds_a_value_from_the_environment(problems: Any) -> None:
    text = (
        "proxy: {addr: '${KEY}', head_timeout: 'x${KEY}'}\n"
        "observability: {log_level: '${KEY}'}\nworkers: ${KEY}\n"
    )
    found = problems(
        text, KEY="sk-live-1", HOOKWAY_UPSTREAM__RETRIES="sk-live-2", HOOKWAY_PLUGINS="sk-live-3"
    )
    assert len(found) == 6
    assert "sk-live" not in "\n".join(found)


def test_stray_variables_warn_and_stop_nothing(conf: Any) -> None:
    assert len(conf("", HOOKWAY_FOO="1").warnings) == 1


# ── plugin entries ──────────────────────────────────────────────────────────────────────────


class Cache(Settings):
    """Settings of a plugin for these tests."""

    url: Annotated[str, also("address")] = "redis://"
    password: Secret | None = None
    ttl: Seconds = 60.0


def test_reserved_words_are_the_cores_and_the_rest_is_the_plugins(conf: Any) -> None:
    found = conf(
        "plugins:\n"
        "  cache_redis: {enabled: false, priority: 5, on_error: open, timeout: 250ms, dormant: ignore,\n"
        "    default_row: true, address: 'redis://x', password: '${PW}', ttl: 5m}\n"
        "  cache_redis.eu: {priority: {lookup: 7}}\n"
        "  guardrail_keyword:\n",
        PW="0123",
    )
    entry = found.settings.plugins["cache_redis"]
    assert (entry.enabled, entry.priority, entry.on_error, entry.timeout) == (False, 5, OnError.OPEN, 0.25)
    assert (entry.dormant, entry.default_row) == ("ignore", True)
    assert (entry.name, entry.plugin, entry.instance) == ("cache_redis", "cache_redis", "")
    cache = found.plugin_settings(entry, Cache)
    assert (cache.url, cache.password, cache.ttl) == ("redis://x", Secret("0123"), 300.0)
    second = found.settings.plugins["cache_redis.eu"]
    assert (second.plugin, second.instance, second.priority) == ("cache_redis", "eu", {Phase.LOOKUP: 7})
    assert found.settings.plugins["guardrail_keyword"] == PluginEntry(name="guardrail_keyword")


def test_problems_with_a_plugins_settings_have_their_place(conf: Any, tmp_path: Path) -> None:
    found = conf("plugins:\n  cache_redis:\n    ur: x\n    ttl: 1x\n")
    with pytest.raises(ConfigError) as caught:
        found.plugin_settings(found.settings.plugins["cache_redis"], Cache)
    assert [str(one).replace(f"{tmp_path}/", "") for one in caught.value.problems] == [
        "50-mine.yaml:3: plugins.cache_redis.ur: unknown key 'ur'; did you mean 'url'?",
        "50-mine.yaml:4: plugins.cache_redis.ttl: '1x' has an unknown unit; the units are ms, s, m, h, d; "
        "expected a duration such as 30s, 250ms or 5m",
    ]


def test_a_plugin_can_be_switched_and_set_from_the_environment(conf: Any) -> None:
    found = conf(
        "plugins: {cache_redis: {ttl: 5}}\n",
        HOOKWAY_PLUGINS__AUTH_KEYS__ENABLED="false",
        HOOKWAY_PLUGINS__CACHE_REDIS__PASSWORD="123",
        HOOKWAY_PLUGINS__GUARDRAIL_KEYWORD='{"enabled": false, "words": ["a"]}',
        HOOKWAY_PLUGINS__GUARDRAIL_KEYWORD__PRIORITY="3",
    )
    plugins = found.settings.plugins
    assert plugins["auth_keys"].enabled is False
    assert found.plugin_settings(plugins["cache_redis"], Cache) == Cache(password=Secret("123"), ttl=5.0)
    assert (plugins["guardrail_keyword"].enabled, plugins["guardrail_keyword"].priority) == (False, 3)
    assert plugins["guardrail_keyword"].settings == {"words": ["a"]}


@pytest.mark.parametrize(
    "text", ["plugins:", "plugins: []", "plugins: {cache_redis: 5}", "plugins: {a: [x]}"]
)
def test_plugins_and_their_entries_are_maps(problems: Any, text: str) -> None:
    (problem,) = problems(text)
    assert problem.endswith("expected a map")


# ── addresses ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:3000", "127.0.0.1", 3000, True),
        ("[::1]:0", "::1", 0, True),
        ("[::]:65535", "::", 65535, False),
        ("0.0.0.0:1", "0.0.0.0", 1, False),
        ("localhost:80", "localhost", 80, True),
        ("gw.example.org:80", "gw.example.org", 80, False),
    ],
)
def test_an_address_is_host_and_port(text: str, host: str, port: int, loopback: bool) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, address.is_loopback) == (host, port, loopback)
    assert str(address) == text


_NO_ADDRESSES = """
    : 3000 :3000 host: host:65536 host:-1 host:٣ ::1:80 [::1] [host]:80 1.2.3:80 256.0.0.1:80
    http://x:80 host:80/ -x:80 [127.0.0.1]:80
"""


@pytest.mark.parametrize("text", ["", "a b:80", *_NO_ADDRESSES.split(), "x" * 300 + ":80"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has "):
        Address.parse(text)


def test_a_network_may_be_one_address_and_may_have_bits_beyond_its_prefix() -> None:
    assert str(Network.parse("10.1.2.3/8")) == "10.0.0.0/8"
    assert str(Network.parse("10.1.2.3")) == "10.1.2.3/32"
    assert str(Network.parse("fe80::/10")) == "fe80::/10"


# ── schema ──────────────────────────────────────────────────────────────────────────────────


def test_the_schema_names_every_key_with_its_meaning() -> None:
    definitions = root_schema()["$defs"]
    for name, definition in definitions.items():
        assert definition["description"], name
        for key, described in definition["properties"].items():
            assert described.get("description"), f"{name}.{key}"
    assert definitions["PluginEntry"]["additionalProperties"] is True
    assert definitions["ProxySettings"]["additionalProperties"] is False
    assert definitions["ProxySettings"]["properties"]["addr"]["default"] == "127.0.0.1:3000"


def test_the_defaults_in_the_schema_are_accepted_as_settings() -> None:
    properties = root_schema()["$defs"]["RootSettings"]["properties"]
    value = {name: described["default"] for name, described in properties.items()}
    assert check(value, RootSettings) == []
    assert convert(value, RootSettings) == RootSettings()
