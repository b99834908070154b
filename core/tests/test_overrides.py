"""What a provider key changes in requests (aisix-ops.md 3.1 and 5.3, aisix-proxy.md 3.4 and 3.5)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway.overrides import (
    NEVER_FORWARDED,
    RESERVED,
    HeaderOverride,
    body_override,
    header_variables,
    matches,
    render,
)
from hookway.resources.core_fields import RequestOverrides
from hookway.upstream.request import _RESERVED as FRAMING_HEADERS
from hookway_sdk import Attempt, Envelope, InvalidRequest, open_envelope, raw, read
from hookway_sdk.testing import (
    make_candidate,
    make_deployment,
    make_exchange,
    make_principal,
    make_provider_key,
)
from hookway_sdk.walker import convert

VALUES = {
    "request.id": "id-1",
    "request.api_key.name": "alice",
    "request.api_key.team_id": "",
    "model.name": "gpt",
}


def overrides(**value: Any) -> RequestOverrides:
    return convert(value, RequestOverrides)


def changed(body: dict[str, Any], **value: Any) -> dict[str, Any]:
    """Return a body as it is after the changes of a provider key."""
    envelope: Envelope = {name: raw(one) for name, one in body.items()}
    change = body_override(overrides(**value))
    if change is not None:
        change(envelope)
    return {name: read(one) for name, one in envelope.items()}


def lines(headers: dict[str, str] | list[tuple[str, str]] | None = None, **value: Any) -> dict[str, str]:
    """Return the header lines that a provider key adds to a request with these client headers."""
    change = HeaderOverride(overrides(**value), "x-hookway-")
    found = change.lines(make_exchange(headers=headers or {}), lambda: VALUES)
    assert len(dict(found)) == len(found)
    return dict(found)


# ── the body ────────────────────────────────────────────────────────────────────────────────


def test_a_key_that_changes_nothing_costs_nothing() -> None:
    assert body_override(overrides()) is None
    assert not HeaderOverride(overrides(), "x-hookway-")


def test_members_are_renamed_and_the_source_wins() -> None:
    renames = {"max_tokens": "max_completion_tokens"}
    assert changed({"max_tokens": 5}, param_renames=renames) == {"max_completion_tokens": 5}
    both = {"max_completion_tokens": 9, "max_tokens": 5}
    assert changed(both, param_renames=renames) == {"max_completion_tokens": 5}
    assert changed({"other": 1}, param_renames=renames) == {"other": 1}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (0.5, 0.5),
        (1.5, 1.0),
        (-1, 0.1),
        (0, 0.1),
        (1, 1),
        (1e308, 1.0),
        ("warm", "warm"),
        (True, True),
        (None, None),
        ([2], [2]),
    ],
)
def test_a_temperature_is_moved_to_the_bound(given: Any, sent: Any) -> None:
    bounds = {"temperature_min": 0.1, "temperature_max": 1.0}
    after = changed({"temperature": given}, param_constraints=bounds)["temperature"]
    assert after == sent
    assert type(after) is type(sent)


def test_one_bound_alone_bounds_that_side_only() -> None:
    assert changed({"temperature": 9}, param_constraints={"temperature_min": 0.1}) == {"temperature": 9}
    assert changed({"temperature": -9}, param_constraints={"temperature_max": 1.0}) == {"temperature": -9}
    assert changed({}, param_constraints={"temperature_max": 1.0}) == {}


def test_the_minimum_has_the_last_word() -> None:
    bounds = {"temperature_min": 2.0, "temperature_max": 1.0}
    assert changed({"temperature": 5}, param_constraints=bounds) == {"temperature": 2.0}


def test_a_temperature_within_bounds_stays_byte_exact() -> None:
    change = body_override(overrides(param_constraints={"temperature_max": 1.0}))
    envelope = open_envelope(b'{"temperature": 1.0e-1, "x":  [1,2 ]}')
    assert change is not None
    change(envelope)
    assert bytes(envelope["temperature"]) == b"1.0e-1"
    assert bytes(envelope["x"]) == b"[1,2 ]"


def test_a_temperature_that_is_no_json_is_the_callers_fault() -> None:
    change = body_override(overrides(param_constraints={"temperature_max": 1.0}))
    assert change is not None
    with pytest.raises(InvalidRequest) as caught:
        change({"temperature": raw(0).__class__(b"[" * 100_000)})
    assert caught.value.param == "temperature"


def test_defaults_are_added_only_where_the_body_lacks_them() -> None:
    defaults = {"user": "gateway", "nested": {"a": [1]}}
    assert changed({}, default_body_fields=defaults) == defaults
    assert changed({"user": None}, default_body_fields=defaults) == {"user": None, "nested": {"a": [1]}}


def test_renames_come_before_bounds_and_bounds_before_defaults() -> None:
    everything: dict[str, Any] = {
        "param_renames": {"temp": "temperature"},
        "param_constraints": {"temperature_max": 1.0},
        "default_body_fields": {"temperature": 7, "temp": 8},
    }
    assert changed({"temp": 5}, **everything) == {"temperature": 1.0, "temp": 8}
    assert changed({}, **everything) == {"temperature": 7, "temp": 8}


# ── templates ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("plain", "plain"),
        ("${request.id}", "id-1"),
        ("${ request.id }", "id-1"),
        ("a ${model.name}/${request.api_key.name} z", "a gpt/alice z"),
        ("${request.id}${request.id}", "id-1id-1"),
        ("${request.api_key.team_id}", ""),
        ("team ${request.api_key.team_id}", ""),
        ("${request.api_key.secret}", ""),
        ("${}", ""),
        ("${request.id} ${unknown}", ""),
        ("$request.id", "$request.id"),
        ("", ""),
    ],
)
def test_a_template_is_filled_or_dropped_as_a_whole(template: str, rendered: str) -> None:
    assert render(template, VALUES) == rendered


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\0b"])
def test_a_value_that_would_break_the_head_drops_the_header(value: str) -> None:
    assert render("${v}", {"v": value}) == ""
    assert lines(default_headers={"x-a": value, "x-b": "kept"}) == {"x-b": "kept"}


@pytest.mark.parametrize(
    "template", ["${REQUEST.ID}", "${request.id", "a ${model.name} ${9}", "${request-id}"]
)
def test_what_is_no_variable_is_never_sent_literally(template: str) -> None:
    assert lines(default_headers={"x-a": template}) == {}


@given(st.text(max_size=20), st.text(max_size=20))
def test_whatever_a_variable_holds_the_head_stays_whole(before: str, value: str) -> None:
    assert not set(render(before + "${v}", {"v": value})) & set("\r\n\0")


def test_the_variables_are_a_closed_set() -> None:
    exchange = make_exchange(
        id="the-id", principal=make_principal("key-7", key_name="alice", team_id="red", user_id="u")
    )
    key = make_provider_key("account", secret="sk-hidden")
    exchange.attempt = Attempt(0, "initial", make_candidate(deployment=make_deployment("gpt", key=key)), 0.0)
    variables = header_variables(exchange)
    assert variables == {
        "request.id": "the-id",
        "request.api_key.id": "key-7",
        "request.api_key.name": "alice",
        "request.api_key.team_id": "red",
        "request.api_key.user_id": "u",
        "model.id": "id-of-gpt",
        "model.name": "gpt",
        "provider_key.id": "id-of-account",
        "provider_key.name": "account",
    }
    assert "sk-hidden" not in "".join(variables.values())


# ── headers ─────────────────────────────────────────────────────────────────────────────────


def test_names_are_lower_case_and_the_first_of_equal_ones_stands() -> None:
    assert lines(default_headers={"X-Team": "one", "x-team": "two"}) == {"x-team": "one"}


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_reserved_name_is_never_set(name: str) -> None:
    both = {name: "x", name.upper(): "${request.id}", "x-kept": "1"}
    assert lines(default_headers=both) == {"x-kept": "1"}


def test_the_reserved_names_are_those_of_the_contract() -> None:
    assert sorted(RESERVED) == [
        "api-key",
        "authorization",
        "cookie",
        "host",
        "proxy-authorization",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
        "x-api-key",
        "x-goog-api-key",
    ]


def test_no_client_header_is_forwarded_by_itself() -> None:
    assert lines({"x-tenant": "a", "user-agent": "b"}) == {}


@pytest.mark.parametrize(
    ("patterns", "forwarded"),
    [
        (["x-tenant"], {"x-tenant": "acme"}),
        (["X-TENANT"], {"x-tenant": "acme"}),
        (["x-*"], {"x-tenant": "acme", "x-trace-id": "t"}),
        (["*-id"], {"x-trace-id": "t"}),
        (["x-*-id"], {"x-trace-id": "t"}),
        (["*"], {"x-tenant": "acme", "x-trace-id": "t", "openai-beta": "v2"}),
        (["x-*-*"], {}),
        (["x-tenan"], {}),
        ([""], {}),
    ],
)
def test_admitted_client_headers_are_forwarded(patterns: list[str], forwarded: dict[str, str]) -> None:
    headers = {"X-Tenant": "acme", "X-Trace-Id": "t", "OpenAI-Beta": "v2"}
    assert lines(headers, forward_client_headers=patterns) == forwarded


@pytest.mark.parametrize(
    "name",
    [*sorted(NEVER_FORWARDED), "x-hookway-request-id", "x-hookway-anything", "x-stainless-lang"],
)
def test_some_client_headers_are_never_forwarded(name: str) -> None:
    headers = {name.title(): "value", "x-kept": "1"}
    assert lines(headers, forward_client_headers=["*", name]) == {"x-kept": "1"}


def test_no_header_that_the_transport_sets_is_forwarded() -> None:
    assert FRAMING_HEADERS - NEVER_FORWARDED == set()


def test_only_the_first_of_repeated_client_headers_is_forwarded() -> None:
    assert lines([("X-A", "one"), ("x-a", "two")], forward_client_headers=["x-a"]) == {"x-a": "one"}


def test_a_template_stands_before_a_client_header_of_its_name() -> None:
    said = {"default_headers": {"x-a": "${request.id}", "x-b": "set"}, "forward_client_headers": ["x-*"]}
    assert lines({"x-a": "theirs", "x-b": "theirs", "x-c": "c"}, **said) == {
        "x-a": "id-1",
        "x-b": "set",
        "x-c": "c",
    }


def test_a_client_header_fills_in_for_a_template_that_was_dropped() -> None:
    said = {"default_headers": {"x-a": "${unknown}"}, "forward_client_headers": ["x-a"]}
    assert lines({"x-a": "theirs"}, **said) == {"x-a": "theirs"}


def test_variables_are_asked_for_only_where_there_is_a_template() -> None:
    def never() -> dict[str, str]:
        raise AssertionError("nobody needs them")

    change = HeaderOverride(
        overrides(default_headers={"x-a": "1"}, forward_client_headers=["x-b"]), "x-hookway-"
    )
    assert dict(change.lines(make_exchange(headers={"x-b": "2"}), never)) == {"x-a": "1", "x-b": "2"}


@given(st.text("ab*", max_size=5), st.text("ab", max_size=6))
def test_a_pattern_has_one_star_at_most(pattern: str, name: str) -> None:
    head, star, tail = pattern.partition("*")
    if "*" in tail:
        wanted = False
    elif star:
        wanted = any(name == head + name[len(head) : end] + tail for end in range(len(head), len(name) + 1))
    else:
        wanted = name == pattern
    assert matches(pattern, name) is wanted
