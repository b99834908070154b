"""Every error knows its status, its words and its sentence, and tells callers no more than they may know."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator

import pytest

from hookway_sdk import Place, Problem, errors, nearest_name
from hookway_sdk.errors import (
    AllCandidatesUnavailable,
    BodyTooLarge,
    ConfigError,
    ContentBlocked,
    GatewayError,
    HookwayError,
    InvalidRequest,
    LimitExceeded,
    ModelNotFound,
    PluginError,
    PluginFailed,
    StartError,
    TransportFailed,
    Unauthenticated,
    UpstreamError,
    UpstreamInBand,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUndecodable,
)
from hookway_sdk.testing.contracts.one_of_each import one_of_each_error

STATUS_AND_TYPE = {
    "InvalidRequest": (400, "invalid_request_error", None),
    "Unauthenticated": (401, "invalid_api_key", None),
    "PermissionDenied": (403, "permission_denied", None),
    "ModelNotFound": (404, "model_not_found", None),
    "NotFound": (404, "not_found", None),
    "RequestTimeout": (408, "request_timeout", None),
    "BodyTooLarge": (413, "invalid_request_error", None),
    "ContentBlocked": (422, "content_filter", None),
    "LimitExceeded": (429, "rate_limit_exceeded", None),
    "BudgetExceeded": (429, "billing_error", "budget_exceeded"),
    "ClientDisconnected": (499, "client_disconnected", None),
    "ConfigBroken": (503, "config_error", None),
    "ProviderUnavailable": (503, "provider_unavailable", None),
    "AllCandidatesUnavailable": (503, "all_candidates_unavailable", None),
    "StateUnavailable": (503, "state_unavailable", None),
    "Overloaded": (503, "overloaded", None),
    "PluginFailed": (500, "internal_error", None),
    "UpstreamError": (502, "upstream_error", None),
    "UpstreamInBand": (502, "upstream_error", None),
    "UpstreamTimeout": (504, "timeout", None),
    "UpstreamUndecodable": (502, "upstream_decode_error", None),
    "UpstreamTooLarge": (502, "upstream_decode_error", None),
    "TransportFailed": (502, "transport_error", None),
    "StreamAborted": (502, "stream_aborted", None),
    "InvalidUpstreamConfig": (400, "invalid_request_error", None),
    "InvalidUpstreamCredential": (401, "authentication_error", None),
}


def below(root: type) -> Iterator[type]:
    """Yield every class below one, and itself."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from below(child)


def test_one_of_each_error_is_shown_to_dialects() -> None:
    assert {type(error) for error in one_of_each_error()} == set(below(GatewayError))


@pytest.mark.parametrize("error", one_of_each_error(), ids=lambda error: type(error).__name__)
def test_an_error_has_the_status_and_words_of_its_family(error: GatewayError) -> None:
    name = type(error).__name__
    if name in ("GatewayError", "UpstreamRefused"):
        return  # these two take theirs from what happened
    assert (error.status, error.type, error.code) == STATUS_AND_TYPE[name]


def test_the_table_misses_no_class() -> None:
    expected = {one.__name__ for one in below(GatewayError)} - {"GatewayError", "UpstreamRefused"}
    assert set(STATUS_AND_TYPE) == expected


@pytest.mark.parametrize("error", one_of_each_error(), ids=lambda error: type(error).__name__)
def test_a_sentence_begins_small_and_ends_without_a_full_stop(error: GatewayError) -> None:
    assert error.message == str(error)
    assert not error.message.endswith(".")
    assert not re.match(r"[A-Z][a-z]", error.message)


def test_every_error_stands_in_one_tree_with_a_docstring() -> None:
    classes = {one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, Exception)}
    assert classes == set(below(HookwayError))
    assert all(one.__doc__ for one in classes)
    assert not {one for one in below(StartError)} & set(below(GatewayError))


def test_the_tree_in_the_modules_docstring_is_complete() -> None:
    drawn = set(re.findall(r"[─ ] ([A-Z]\w+)", errors.__doc__ or "")) | {"HookwayError"}
    assert {one.__name__ for one in below(HookwayError)} - {"HookwayError"} <= drawn


def test_facts_of_one_error_do_not_stick_to_its_class() -> None:
    special = GatewayError("special", status=418, type="teapot", code="short", param="a.b", retry_after=3)
    plain = GatewayError("plain")
    assert (special.status, special.type, special.code) == (418, "teapot", "short")
    assert (special.param, special.retry_after) == ("a.b", 3)
    assert (plain.status, plain.type, plain.code, plain.param) == (500, "api_error", None, None)


@pytest.mark.parametrize(
    ("upstream", "status", "message"),
    [
        (400, 400, "the providers words"),
        (404, 404, "the providers words"),
        (429, 429, "the providers words"),
        (499, 499, "the providers words"),
        (500, 502, "upstream returned 500"),
        (503, 502, "upstream returned 503"),
        (302, 502, "upstream returned 302"),
    ],
)
def test_a_refusal_keeps_status_and_words_of_a_4xx_only(upstream: int, status: int, message: str) -> None:
    error = UpstreamRefused(upstream, "the providers words")
    assert (error.status, error.message, error.upstream_status) == (status, message, upstream)
    assert error.detail == "the providers words", "operators may read them in any case"


def test_a_refusal_without_words_has_a_sentence() -> None:
    error = UpstreamRefused(429)
    assert error.message == "upstream returned 429"
    assert error.detail is None


def test_an_error_inside_an_answer_keeps_its_words_only_with_a_4xx() -> None:
    assert UpstreamInBand("context too long", upstream_status=400).message == "context too long"
    hidden = UpstreamInBand("pod 7 crashed", upstream_status=500)
    assert (hidden.status, "pod 7" in hidden.message, hidden.detail) == (502, False, "pod 7 crashed")
    assert UpstreamInBand("pod 7 crashed").status == 502


def test_upstream_errors_say_their_kind_for_metrics() -> None:
    kinds = {
        type(error).__name__: error.kind for error in one_of_each_error() if isinstance(error, UpstreamError)
    }
    assert kinds["UpstreamTimeout"] == "timeout"
    assert kinds["TransportFailed"] == "transport"
    assert kinds["UpstreamTooLarge"] == kinds["UpstreamUndecodable"] == "upstream_decode"
    assert all(re.fullmatch(r"[a-z_]+", kind) for kind in kinds.values())


def test_errors_carry_their_facts() -> None:
    assert InvalidRequest("messages is missing").reason == "messages is missing"
    assert Unauthenticated("no key", reason="missing_credentials").reason == "missing_credentials"
    assert ModelNotFound("gpt").model == "gpt"
    assert BodyTooLarge(7).limit == UpstreamTooLarge(7).limit == 7
    assert (ContentBlocked("quiet", subject="response").guardrail, ContentBlocked(None).subject) == (
        "quiet",
        "request",
    )
    assert (LimitExceeded("tokens", policy="team").dimension, LimitExceeded("tokens").policy) == (
        "tokens",
        None,
    )
    assert (UpstreamTimeout(30_000, stage="head").milliseconds, UpstreamTimeout(1).stage) == (30_000, "total")
    assert TransportFailed("reset", sent=False).sent is False
    assert (PluginFailed("a_b", "judge").plugin, PluginFailed("a_b", "judge").phase) == ("a_b", "judge")
    assert AllCandidatesUnavailable().retry_after == 30
    assert AllCandidatesUnavailable(retry_after=5).retry_after == 5


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InvalidRequest("messages is missing"), "request payload is invalid: messages is missing"),
        (ModelNotFound("gpt"), 'model "gpt" not found'),
        (BodyTooLarge(10), "request body exceeds 10-byte limit"),
        (ContentBlocked("quiet"), "request blocked by content policy (guardrail 'quiet')"),
        (ContentBlocked(None, subject="response"), "response blocked by content policy"),
        (LimitExceeded("requests"), "request limit exceeded (requests)"),
        (LimitExceeded("tokens", policy="team"), "token limit exceeded (tokens) (policy 'team')"),
        (LimitExceeded("concurrency"), "concurrency limit exceeded"),
        (LimitExceeded("images"), "images limit exceeded"),
        (PluginFailed("guardrail_pii", "store"), "plugin 'guardrail_pii' failed in store"),
        (UpstreamTimeout(1_500), "upstream request timed out after 1500ms"),
        (UpstreamUndecodable("no JSON"), "upstream returned an unparseable body: no JSON"),
        (TransportFailed("connection reset"), "transport error: connection reset"),
        (PluginError("cache_redis", "is broken"), "plugin 'cache_redis': is broken"),
    ],
)
def test_sentences_are_those_that_clients_and_dashboards_know(error: Exception, sentence: str) -> None:
    assert str(error) == sentence


def test_problems_are_listed_one_a_line_with_place_expectation_and_nearest_name() -> None:
    error = ConfigError(
        [
            Problem("plugins.x", "is unknown", nearest="y", place=Place("conf.d/a.yaml", 3)),
            Problem("", "no mapping", expected="a mapping"),
        ]
    )
    assert str(error).splitlines() == [
        "2 problems in the configuration",
        "  conf.d/a.yaml:3: plugins.x: is unknown; did you mean 'y'?",
        "  no mapping; expected a mapping",
    ]
    assert str(ConfigError([Problem("a", "b", place=Place("env"))])).splitlines() == [
        "1 problem in the configuration",
        "  env: a: b",
    ]


def test_the_nearest_name_is_near_or_nothing() -> None:
    assert nearest_name("guardrial", ["guardrails", "models"]) == "guardrails"
    assert nearest_name("zzz", ["guardrails", "models"]) == ""


def test_a_plain_error_survives_pickling() -> None:
    # Workers tell the control of a failed start; what they raise has to arrive.
    assert str(pickle.loads(pickle.dumps(GatewayError("told")))) == "told"
