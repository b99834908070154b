"""What a line holds, in which order, and that no text can break it."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import pytest

from hookway_plugins.sink_access_log.access_line import FIELDS, LONGEST, LineWriter
from hookway_sdk import RequestEnded, Usage

FULL = RequestEnded(
    request_id="request-1",
    kind="turn",
    parent_id="request-0",
    at=1_769_860_800.1234,
    endpoint="/v1/chat/completions",
    method="POST",
    path="/v1/chat/completions",
    protocol="openai",
    status=502,
    stream=True,
    error_type="upstream_error",
    error="upstream returned HTTP 500: oh",
    key_id="key-1",
    key_name="ci",
    team_id="team-1",
    requested_model="fast",
    model="f*",
    target="small",
    provider="acme",
    upstream_id="answer-1",
    usage=Usage(11, 4),
    attempts=2,
    fallbacks=1,
    latency_ms=812.4,
    ttft_ms=99.6,
    cache_status="miss",
    client_address="192.0.2.7",
    user_agent="agent",
)


def lines(*events: RequestEnded, fields: list[str] | None = None) -> list[dict[str, Any]]:
    writer = LineWriter(fields)
    written = b"".join([writer.encode(event) + b"\n" for event in events])
    assert written.endswith(b"\n")
    assert written.count(b"\n") == len(events), "one line for each event"
    return [json.loads(line, object_pairs_hook=OrderedDict) for line in written.splitlines()]


def test_a_line_has_the_fields_of_the_contract_in_its_order_and_then_our_own() -> None:
    (line,) = lines(FULL)
    assert list(line.items()) == [
        ("message", "proxy request completed"),
        ("method", "POST"),
        ("path", "/v1/chat/completions"),
        ("status", 502),
        ("latency_ms", 812),
        ("provider", "acme"),
        ("model", "fast"),
        ("api_key_id", "key-1"),
        ("prompt_tokens", 11),
        ("completion_tokens", 4),
        ("total_tokens", 15),
        ("request_id", "request-1"),
        ("provider_request_id", "answer-1"),
        ("served_by_model", "small"),
        ("routing_attempt_count", 2),
        ("routing_fallback_count", 1),
        ("error_kind", "upstream_error"),
        ("error", "upstream returned HTTP 500: oh"),
        ("time", "2026-01-31T12:00:00.123Z"),
        ("stream", True),
        ("ttft_ms", 100),
        ("cache", "miss"),
        ("client", "192.0.2.7"),
        ("api_key_name", "ci"),
        ("team_id", "team-1"),
        ("kind", "turn"),
        ("parent_request_id", "request-0"),
    ]
    assert list(line)[1:] == list(FIELDS)


def test_what_is_unknown_is_absent() -> None:
    (line,) = lines(RequestEnded(request_id="request-1"))
    assert line == {"message": "proxy request completed", "latency_ms": 0, "request_id": "request-1"}


def test_no_fallback_is_known_once_there_was_an_attempt() -> None:
    (line,) = lines(RequestEnded(request_id="request-1", attempts=1))
    assert (line["routing_attempt_count"], line["routing_fallback_count"]) == (1, 0)


def test_the_row_stands_in_for_a_model_that_was_not_asked_for_by_name() -> None:
    (line,) = lines(RequestEnded(request_id="request-1", model="default"))
    assert line["model"] == "default"


def test_chosen_fields_keep_the_order_and_the_message() -> None:
    (line,) = lines(FULL, fields=["status", "time", "method"])
    assert list(line) == ["message", "method", "status", "time"]


def test_every_field_can_be_chosen_alone() -> None:
    for field in FIELDS:
        (line,) = lines(FULL, fields=[field])
        assert list(line) == ["message", field]


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (1_769_860_800.0, "2026-01-31T12:00:00.000Z"),
        (1_769_860_800.9996, "2026-01-31T12:00:01.000Z"),
        (1_769_860_799.9994, "2026-01-31T11:59:59.999Z"),
        (1_700_000_000.123, "2023-11-14T22:13:20.123Z"),
    ],
)
def test_times_are_written_to_the_millisecond(at: float, written: str) -> None:
    (line,) = lines(RequestEnded(request_id="request-1", at=at))
    assert line["time"] == written


def test_times_that_jump_back_and_forth_stay_right() -> None:
    moments = [1_769_860_800.0, 1_769_860_860.5, 1_769_860_800.25]
    found = lines(*(RequestEnded(request_id="r", at=at) for at in moments))
    assert [line["time"][17:] for line in found] == ["00.000Z", "00.500Z", "00.250Z"]


FORGERY = 'x\n{"message":"proxy request completed","status":200}\r\n\x1b[2K"},{"'


@pytest.mark.parametrize("field", ["path", "error", "requested_model", "upstream_id", "key_name", "method"])
@pytest.mark.parametrize("text", [FORGERY, "\x00\x07", "\ud800 lone", "caf\udce9", "\u2028\x85"])
def test_no_text_ends_its_line_or_stops_the_others(field: str, text: str) -> None:
    odd = RequestEnded(request_id="odd", **{field: text})
    found = lines(RequestEnded(request_id="before"), odd, RequestEnded(request_id="after"))
    assert [line["request_id"] for line in found] == ["before", "odd", "after"]
    name = {"requested_model": "model", "upstream_id": "provider_request_id", "key_name": "api_key_name"}
    assert found[1][name.get(field, field)] == text.encode(errors="replace").decode()


def test_texts_of_the_callers_choice_are_cut() -> None:
    long = "x" * (LONGEST + 1)
    (line,) = lines(RequestEnded(request_id="r", path=long, requested_model=long, upstream_id=long))
    assert {len(line[name]) for name in ("path", "model", "provider_request_id")} == {LONGEST}
