"""Heads of answers: what stands in them, and that nothing a caller or plugin says can break one."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway.live_exchange import LiveExchange
from hookway.models import CompiledModel
from hookway.server.answer_headers import own_lines
from hookway.server.answers import HeadWriter
from hookway.server.fallback_errors import fallback_body
from hookway_sdk import Attempt, Client, Headers, InvalidRequest, LimitExceeded, NotFound, native_brand
from hookway_sdk.testing import ChatEndpoint, HeaderLines, make_candidate, make_model

HEADS = HeadWriter("Hookway/1", "x-hookway-request-id")


def rendered(status: int = 200, content_type: str = "application/json", **options: Any) -> list[str]:
    """Return a head's lines: the status line, and the headers without the date."""
    given: dict[str, Any] = {"length": 2, "keep_alive": True, **options}
    head = HEADS.render(status, content_type, given.pop("id", "id-1"), **given)
    assert head.endswith(b"\r\n\r\n")
    lines = head[:-4].decode("latin-1").split("\r\n")
    return [line for line in lines if not line.startswith("date: ")]


def test_a_head_has_what_every_answer_has() -> None:
    assert rendered() == [
        "HTTP/1.1 200 OK",
        "server: Hookway/1",
        "content-type: application/json",
        "content-length: 2",
        "x-hookway-request-id: id-1",
    ]
    assert b"date: " in HEADS.render(200, "a/b", "id", length=0, keep_alive=True)


@pytest.mark.parametrize(
    ("options", "framing"),
    [
        ({"length": 0}, ["content-length: 0"]),
        ({"length": None}, ["transfer-encoding: chunked"]),
        (
            {"length": None, "old": True, "keep_alive": False},
            ["cache-control: no-store", "connection: close"],
        ),
        ({"length": 5, "old": True}, ["content-length: 5", "connection: keep-alive"]),
        ({"length": 5, "keep_alive": False}, ["content-length: 5", "connection: close"]),
    ],
)
def test_the_body_is_framed_for_the_clients_version(options: dict[str, Any], framing: list[str]) -> None:
    lines = rendered(**options)[3:]
    assert [line for line in lines if not line.startswith("x-hookway")] == framing


@pytest.mark.parametrize(
    ("status", "line"),
    [(429, "429 Too Many Requests"), (499, "499 Client Closed Request"), (599, "599 Unknown")],
)
def test_a_status_has_its_reason(status: int, line: str) -> None:
    assert rendered(status)[0] == f"HTTP/1.1 {line}"


def test_an_answer_without_a_type_has_none() -> None:
    assert not any(line.startswith("content-type") for line in rendered(405, "", length=0))


@pytest.mark.parametrize(
    "name", ["Content-Length", "TRANSFER-ENCODING", "connection", "Server", "date", "content-type"]
)
def test_nobody_sets_the_headers_that_are_the_gateways(name: str) -> None:
    assert rendered(headers=[(name, "evil"), ("x-ok", "1")])[5:] == ["x-ok: 1"]


BREAKS = ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\0b", "\r\n\r\n<body>"]


@pytest.mark.parametrize("broken", BREAKS)
def test_a_type_or_header_that_would_break_the_head_is_left_out(broken: str) -> None:
    assert rendered(headers=[("x-a", broken), (broken, "b"), ("x-c", "c")])[5:] == ["x-c: c"]
    lines = rendered(200, broken)
    assert lines == [
        "HTTP/1.1 200 OK",
        "server: Hookway/1",
        "content-length: 2",
        "x-hookway-request-id: id-1",
    ]


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=4), st.text(max_size=12))
def test_whatever_plugins_say_there_is_one_head(headers: list[tuple[str, str]], content_type: str) -> None:
    head = HEADS.render(200, content_type, "id", length=2, keep_alive=True, headers=headers)
    lines = head.split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    assert b"" not in lines[:-2]
    assert head.count(b"\n") == head.count(b"\r") == len(lines) - 1
    assert b"\0" not in head
    assert sum(line.lower().startswith(b"content-length:") for line in lines) == 1


def test_types_from_upstreams_do_not_fill_the_memory() -> None:
    heads = HeadWriter("s", "x-id")
    for number in range(5_000):
        heads.render(200, f"text/x-{number}", "id", length=0, keep_alive=True)
    assert len(heads._starts) <= 1024


# ── the gateway's own headers ───────────────────────────────────────────────────────────────


def exchange(target: str = "", shape: str = "routing") -> LiveExchange:
    made = LiveExchange(
        "id-1",
        ChatEndpoint(),
        cast("Any", None),
        native_brand("1"),
        method="POST",
        path="/",
        query="",
        headers=Headers(HeaderLines()),
        client=Client(),
        started=0.0,
        started_at=0.0,
    )
    made.compiled = CompiledModel(make_model(shape=shape), ())
    if target:
        made.attempt = Attempt(0, "initial", make_candidate(target), 0.0)
    return made


def own(exchange: LiveExchange) -> list[str]:
    """Return the gateway's own lines of an answer."""
    first, *lines = own_lines(exchange, unexpected).split("\r\n")
    assert first == ""
    return lines


def test_an_answer_names_its_call_and_the_target_of_a_group() -> None:
    assert own(exchange("a")) == ["x-hookway-call-id: id-1", "x-hookway-served-by: a"]
    assert own(exchange("a", shape="direct")) == ["x-hookway-call-id: id-1"]


@pytest.mark.parametrize("name", ["größe", "模型", *BREAKS])
def test_a_target_whose_name_is_no_header_value_is_not_named(name: str) -> None:
    assert own(exchange(name)) == ["x-hookway-call-id: id-1"]


def test_cache_and_losses_are_said() -> None:
    made = exchange()
    made.cache_status = "miss"
    made.dropped = ("/a", "/b/0")
    assert own(made) == [
        "x-hookway-call-id: id-1",
        "x-hookway-dropped: /a, /b/0",
        "x-hookway-cache: miss",
    ]


@pytest.mark.parametrize("broken", BREAKS)
def test_what_would_break_the_head_is_not_said(broken: str) -> None:
    made = exchange()
    made.cache_status = broken
    made.dropped = ("/a", broken)
    assert own(made) == ["x-hookway-call-id: id-1"]


def unexpected(*failure: Any) -> None:
    raise AssertionError(failure)


def test_lines_are_written_when_the_head_is() -> None:
    made, left = exchange(), [5]
    made.at_head(lambda: f"\r\nx-left: {left[0]}")
    left[0] = 4
    assert own(made)[-1] == "x-left: 4"
    assert made.answer_headers() == [("x-left", "4")]


def test_a_step_that_fails_to_write_its_lines_costs_no_answer() -> None:
    made, failures = exchange(), []
    made.at_head(lambda: str(1 // 0))
    made.at_head(lambda: "\r\nx-b: 2")
    assert own_lines(made, lambda *failure: failures.append(failure)).endswith("\r\nx-b: 2")
    assert [(plugin, phase, type(error)) for plugin, phase, error, _ in failures] == [
        ("headers", "head", ZeroDivisionError)
    ]


def test_own_lines_follow_those_of_steps() -> None:
    assert rendered(headers=[("x-team", "red")], own="\r\nx-b: 1")[5:] == ["x-team: red", "x-b: 1"]


@pytest.mark.parametrize("broken", BREAKS)
def test_steps_cannot_add_a_header_that_would_break_the_head(broken: str) -> None:
    made = exchange()
    with pytest.raises(ValueError, match="would break the answer's head"):
        made.add_header("x-a", broken)
    with pytest.raises(ValueError, match="would break the answer's head"):
        made.add_header(broken, "a")


@pytest.mark.parametrize(
    ("dropped", "ending"),
    [
        ([f"/messages/{number}/extra" for number in range(10_000)], "/messages/49/extra, and 9950 more"),
        (["/" + "x" * 100_000], "xxx"),
        (["/" + "x" * 100_000] * 51, "xxx, and 1 more"),
    ],
)
def test_a_list_of_losses_is_bounded(dropped: list[str], ending: str) -> None:
    made = exchange()
    made.dropped = tuple(dropped)
    _, line = own(made)
    value = line.removeprefix("x-hookway-dropped: ")
    assert len(value) < 2100
    assert value.startswith(dropped[0][:1000])
    assert value.endswith(ending)


# ── errors of no dialect ────────────────────────────────────────────────────────────────────


def test_an_error_of_no_dialect_has_the_shape_most_clients_know() -> None:
    assert msgspec.json.decode(fallback_body(NotFound("nothing"), "id")) == {
        "error": {"message": "nothing", "type": "not_found"}
    }
    odd = InvalidRequest("bad", param="model", code="oops", detail="for the operator", members={"limit": 5})
    assert msgspec.json.decode(fallback_body(odd, "id")) == {
        "error": {
            "message": "request payload is invalid: bad",
            "type": "invalid_request_error",
            "param": "model",
            "code": "oops",
            "limit": 5,
        }
    }
    assert b"secret" not in fallback_body(LimitExceeded("requests", detail="secret"), "id")


@given(st.text())
def test_any_message_makes_an_envelope(message: str) -> None:
    assert msgspec.json.decode(fallback_body(NotFound(message), "id"))["error"]["type"] == "not_found"
