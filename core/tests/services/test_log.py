"""The operator's log: one line an event, in two forms, and never a secret."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway.services.log import OperatorLog, PluginLog, redacted
from hookway_sdk import Secret

MOMENT = 1_700_000_000.125


def logged(*, level: str = "debug", readable: bool = False, **fields: Any) -> str:
    stream = io.StringIO()
    log = OperatorLog(level, stream, readable, now=lambda: MOMENT)
    PluginLog(log, "limit_rate").info("refused", **fields)
    return stream.getvalue()


def test_a_line_is_json_with_time_level_logger_event_and_fields() -> None:
    line = logged(count=3, key="alice")
    assert line.endswith("\n")
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.125Z",
        "level": "info",
        "logger": "limit_rate",
        "event": "refused",
        "count": 3,
        "key": "alice",
    }


def test_a_readable_line_says_the_same() -> None:
    assert logged(readable=True, count=3, key="a b") == (
        '2023-11-14T22:13:20.125Z info    limit_rate: refused count=3 key="a b"\n'
    )


@pytest.mark.parametrize(
    ("level", "written"),
    [("debug", "debug info warning error"), ("warning", "warning error"), ("error", "error")],
)
def test_lines_below_the_level_are_not_written(level: str, written: str) -> None:
    stream = io.StringIO()
    log = PluginLog(OperatorLog(level, stream, False), "core")
    for method in (log.debug, log.info, log.warning, log.error):
        method("event")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == written.split()


class Account(msgspec.Struct):
    api_key: Secret
    name: str = "account"


@pytest.mark.parametrize(
    "fields",
    [
        {"value": Secret("sk-hidden")},
        {"values": [Secret("sk-hidden")]},
        {"nested": {"deep": [{"x": Secret("sk-hidden")}]}},
        {"account": Account(Secret("sk-hidden"))},
        {"Authorization": "Bearer sk-hidden"},
        {"api_key": "sk-hidden"},
        {"apikey": "sk-hidden"},
        {"access_token": "sk-hidden"},
        {"client_secret": "sk-hidden"},
        {"DB_PASSWORD": "sk-hidden"},
        {"credential": "sk-hidden"},
        {"set-cookie": "sk-hidden"},
        {"headers": {"authorization": "Bearer sk-hidden"}},
        {"headers": [("x", {"Cookie": "sk-hidden"})]},
        {"rows": [{"api_key": "sk-hidden"}]},
        {"api_keys": ["sk-hidden"]},
        {"secret": {"value": "sk-hidden"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("readable", [False, True])
def test_secrets_are_masked_by_type_and_by_name_however_deep(fields: dict[str, Any], readable: bool) -> None:
    line = logged(readable=readable, **fields)
    assert "sk-hidden" not in line
    assert "***" in line


def test_counts_and_names_beside_secrets_are_shown() -> None:
    safe = redacted(
        {"total_tokens": 7, "has_token": True, "key_name": "alice", "model": "gpt", "token": None}
    )
    assert safe == {"total_tokens": 7, "has_token": True, "key_name": "alice", "model": "gpt", "token": None}


def test_what_the_caller_logs_is_not_changed() -> None:
    fields = {"headers": {"authorization": "Bearer sk"}}
    redacted(fields)
    assert fields == {"headers": {"authorization": "Bearer sk"}}


RESERVED = {"time", "level", "logger", "event"}


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(lambda name: name not in RESERVED),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text(max_size=8)
            | st.binary(max_size=4),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_whatever_is_logged_makes_one_line(fields: dict[str, Any], readable: bool) -> None:
    stream = io.StringIO()
    OperatorLog("debug", stream, readable).write("info", "core", "event", fields)
    assert stream.getvalue().count("\n") == 1
    if not readable:
        assert json.loads(stream.getvalue())["event"] == "event"


@pytest.mark.parametrize("odd", ["\udcff", "a\ud800b", object(), {1: 2}, {"a": {3.5: b"x"}}, ValueError("x")])
@pytest.mark.parametrize("readable", [False, True])
def test_what_is_no_json_is_logged_all_the_same(odd: Any, readable: bool) -> None:
    line = logged(readable=readable, odd=odd)
    assert "refused" in line
    assert line.count("\n") == 1
    line.encode()


@pytest.mark.parametrize("readable", [False, True])
def test_what_would_act_on_a_terminal_or_break_a_line_is_escaped(readable: bool) -> None:
    odd = "a\x9b31m\x1b[31m\x85b\u2028c\u202ed\U000e0001\r\n\x7f"
    line = logged(readable=readable, name=odd)
    assert line[:-1].isprintable()
    assert line.splitlines() == [line[:-1]]
    if not readable:
        assert json.loads(line)["name"] == odd


class Gone(io.StringIO):
    """A stream whose reader has left."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        raise BrokenPipeError


def test_a_stream_that_is_gone_ends_nothing() -> None:
    stream = Gone()
    log = OperatorLog("info", stream, False)
    for _ in range(3):
        log.write("error", "core", "event", {})
    assert stream.writes == 1


def test_a_closed_stream_ends_nothing() -> None:
    stream = io.StringIO()
    log = OperatorLog("info", stream, False)
    stream.close()
    log.write("error", "core", "event", {})
