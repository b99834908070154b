"""What may stand under ``plugins.sink_prometheus``, and what a mistake is told as."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from hookway_plugins.sink_prometheus.client_rules import compile_rule
from hookway_plugins.sink_prometheus.client_types import client_type
from hookway_plugins.sink_prometheus.settings import E2E_EDGES, TTFT_EDGES, PrometheusSettings
from hookway_sdk import ConfigError, walker


def settings(**written: Any) -> PrometheusSettings:
    return walker.convert(written, PrometheusSettings)


def mistake(**written: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(**written)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/metrics", "/metrics"),
        ("stats/prometheus", "/stats/prometheus"),
        ("", "/metrics"),
        ("  ", "/metrics"),
        (" /m ", "/m"),
    ],
)
def test_a_path_gets_its_slash_and_blank_is_the_default(path: str, route: str) -> None:
    assert settings(path=path).route == route


@pytest.mark.parametrize("path", ["/metrics?x=1", "/{a}", "/a b", "/a#b", "/é"])
def test_a_path_that_no_request_can_have_is_refused(path: str) -> None:
    assert "no plain path" in mistake(path=path)


def test_without_settings_the_documented_defaults_hold() -> None:
    plain = settings()
    assert (plain.route, plain.quantiles, plain.max_rows) == ("/metrics", False, 20_000)
    assert plain.buckets.request_e2e_latency == E2E_EDGES
    assert E2E_EDGES == (
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 420, 600,
    )  # fmt: skip
    assert plain.buckets.request_ttft == TTFT_EDGES
    assert TTFT_EDGES == (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)


@pytest.mark.parametrize("name", ["request_e2e_latency", "request_ttft"])
@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ([], "1"),
        ([1.0] * 65, "64"),
        ([1.0, 1.0], "does not ascend"),
        ([2.0, 1.0], "does not ascend"),
        ([0.0, 1.0], "positive"),
        ([-1.0], "positive"),
        ([1.0, float("inf")], "finite"),
        ([float("nan")], "finite"),
    ],
)
def test_edges_that_are_no_buckets_are_refused(name: str, edges: list[float], said: str) -> None:
    told = mistake(buckets={name: edges})
    assert said in told
    assert name in told


def test_whole_numbers_may_be_edges() -> None:
    assert settings(buckets={"request_ttft": [1, 2]}).buckets.request_ttft == (1.0, 2.0)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"pattern": "", "client": "acme"}, "1 to 512 bytes"),
        ({"pattern": "é" * 257, "client": "acme"}, "1 to 512 bytes"),
        ({"pattern": "(", "client": "acme"}, "linear time"),
        ({"pattern": "a(?=b)", "client": "acme"}, "linear time"),
        ({"pattern": r"(a)\1", "client": "acme"}, "linear time"),
        ({"pattern": "a", "client": ""}, "a-z"),
        ({"pattern": "a", "client": "Acme"}, "a-z"),
        ({"pattern": "a", "client": "-acme"}, "a-z"),
        ({"pattern": "a", "client": "a" * 65}, "a-z"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(rule: dict[str, str], said: str) -> None:
    assert said in mistake(client_type_rules=[rule])


def test_there_may_be_64_rules_and_no_more() -> None:
    rule = {"pattern": "é" * 256, "client": "a" * 64}
    assert len(settings(client_type_rules=[rule] * 64).client_type_rules) == 64
    assert "64" in mistake(client_type_rules=[rule] * 65)


def test_rules_come_first_are_unanchored_and_know_no_case() -> None:
    rules = [(compile_rule("ACME/[0-9]+"), "acme"), (compile_rule("curl"), "never-reached-by-acme")]
    assert client_type("x acme/12 curl", rules) == "acme"
    assert client_type("curl/8", rules) == "never-reached-by-acme"
    assert client_type("wget", rules) == "other"


@pytest.mark.parametrize(
    ("agent", "word"),
    [
        ("", "unknown"),
        ("   ", "unknown"),
        ("claude-cli/1.0 (external)", "claude-code"),
        ("Cline/3", "cline"),
        ("Roo-Code/1", "roo-code"),
        ("Zed/0.1", "zed"),
        ("OpenAI/Python 1.40.0", "openai-python"),
        ("OpenAI/JS 4.0", "openai-node"),
        ("Anthropic/Python 0.3", "anthropic-python"),
        ("llama_index", "llamaindex"),
        ("python-httpx/0.27", "httpx"),
        ("Python/3.11 aiohttp/3.10", "aiohttp"),
        ("axios/1.7", "node"),
        ("PostmanRuntime/7", "postman"),
        ("Mozilla/5.0 (X11)", "browser"),
        ("Mozilla/5.0 Cursor/0.40", "cursor"),
        ("a robot of mine", "other"),
        ("\ud800", "other"),
    ],
)
def test_known_clients_have_their_words(agent: str, word: str) -> None:
    assert client_type(agent) == word


def test_a_lone_surrogate_stops_no_rule() -> None:
    assert client_type("acme \ud800", [(compile_rule("acme"), "acme")]) == "acme"


def test_heavy_libraries_wait_until_they_are_needed() -> None:
    code = (
        "import sys; from hookway_plugins.sink_prometheus import PrometheusSink as P; P.Settings(); "
        "print(sorted({'re2', 'prometheus_client'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
