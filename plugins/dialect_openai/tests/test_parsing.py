"""Which bodies are chat requests, and that no bytes whatever make the dialect fail otherwise."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookway_plugins.dialect_openai.request_view import parse_chat
from hookway_sdk import GatewayError, InvalidRequest, close_envelope

HELLO = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}


def body(**changes: Any) -> bytes:
    return json.dumps({**HELLO, **changes}).encode()


def test_a_request_is_read_at_its_top_level() -> None:
    view = parse_chat(body(stream=True, stream_options={"include_usage": True}))
    assert (view.model, view.stream, view.include_usage) == ("fast", True, True)


def test_a_relayed_request_keeps_every_byte_of_its_values() -> None:
    messages = b'[ {"role":"user" , "content":"\\u00e9" } ]'
    view = parse_chat(b'{"model":"fast","messages":' + messages + b',"x":1e2}')
    assert close_envelope(view.sealed()) == b'{"model":"fast","messages":' + messages + b',"x":1e2}'


def test_a_repeated_model_counts_once_and_its_last_value_is_sent() -> None:
    view = parse_chat(b'{"model":"cheap","messages":[{}],"model":"dear"}')
    assert view.model == "dear"
    assert close_envelope(view.sealed()) == b'{"model":"dear","messages":[{}]}'


@pytest.mark.parametrize(
    ("sent", "reason", "param"),
    [
        (b"", "invalid JSON request body", None),
        (b"{", "invalid JSON request body", None),
        (b"[]", "invalid JSON request body", None),
        (b'"text"', "invalid JSON request body", None),
        (b"\xff\xfe", "invalid JSON request body", None),
        (b'{"\xff":1}', "invalid JSON request body", None),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid JSON request body", None),
        (body(messages=[]), "messages array must not be empty", "messages"),
        (b'{"model":"m","messages":[' + b" " * 200 + b"]}", "messages array must not be empty", "messages"),
        (b'{"model":"m"}', "messages must be an array", "messages"),
        (body(messages=None), "messages must be an array", "messages"),
        (body(messages="hi"), "messages must be an array", "messages"),
        (body(model=""), "model must be a non-empty string", "model"),
        (body(model=None), "model must be a non-empty string", "model"),
        (body(model=7), "model must be a non-empty string", "model"),
        (b'{"messages":[{}]}', "model must be a non-empty string", "model"),
        (b'{"model":"\xff","messages":[{}]}', "model must be a non-empty string", "model"),
        (body(stream="yes"), "stream must be a boolean", "stream"),
        (body(stream=1), "stream must be a boolean", "stream"),
        (body(stream_options=[]), "stream_options must be an object", "stream_options"),
        (
            body(stream_options={"include_usage": "yes"}),
            "stream_options.include_usage must be a boolean",
            "stream_options.include_usage",
        ),
    ],
)
def test_what_is_no_chat_request_is_refused_by_name(sent: bytes, reason: str, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_chat(sent)
    assert (refused.value.reason, refused.value.param, refused.value.status) == (reason, param, 400)


def test_null_means_the_default() -> None:
    view = parse_chat(body(stream=None, stream_options=None))
    assert (view.stream, view.include_usage) == (False, False)


@pytest.mark.parametrize("letters", ["x" * 10, "x;" * 5, ";base64xx;"], ids=["prose", "code", "like a file"])
def test_the_size_counts_text_and_not_the_bytes_of_an_image(letters: str) -> None:
    said = letters * 3_000
    text = [{"role": "user", "content": said}]
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    seen = [{"role": "user", "content": [image, {"type": "text", "text": said}, image]}]
    assert 30_000 <= parse_chat(body(messages=text, temperature=0.5)).size() <= 30_100
    assert 30_000 <= parse_chat(body(messages=seen)).size() <= 40_000


def everything_a_plugin_may_ask(data: bytes) -> None:
    """Parse, read, mask, seal and translate; only the gateway's own errors may come out."""
    try:
        view = parse_chat(data)
        view.size()
        view.canonical()
        for slot in view.texts():
            slot.replace("***")
        msgspec.json.decode(close_envelope(view.sealed()))
        view.canonical()
    except GatewayError:
        pass


EXAMPLES = 150


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_dialect_fail_in_any_other_way(data: bytes) -> None:
    everything_a_plugin_may_ask(data)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
words = st.sampled_from(
    "type text function custom name arguments input id content role image_url url detail file file_data "
    "refusal input_audio data format json_schema schema strict include_usage mode parameters".split()
)
names = words | st.text(max_size=5)
anything = st.recursive(
    scalars | st.sampled_from(["user", "assistant", "tool", "function", "custom", "text", "json_schema"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "robot"])
parts = st.dictionaries(names, anything, max_size=3).map(
    lambda part: {"type": "text", **part} if len(part) % 2 else part
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": roles | anything},
        optional={
            "content": anything | st.lists(parts, max_size=2),
            "tool_calls": anything | st.lists(parts, max_size=2),
            "function_call": anything,
            "audio": anything,
            "tool_call_id": anything,
            "name": anything,
            "refusal": anything,
            "reasoning_content": anything,
        },
    ),
    min_size=1,
    max_size=3,
)
settings_of_requests = st.fixed_dictionaries(
    {"model": st.text(min_size=1, max_size=5), "messages": messages | st.lists(anything, min_size=1)},
    optional={
        name: anything
        for name in (
            "tools functions tool_choice function_call response_format stop stream_options metadata user "
            "seed temperature max_tokens max_completion_tokens n logprobs prediction documents "
            "reasoning_effort"
        ).split()
    },
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(settings_of_requests)
def test_no_json_makes_the_dialect_fail_in_any_other_way(request: dict[str, Any]) -> None:
    everything_a_plugin_may_ask(json.dumps(request).encode(errors="surrogatepass"))


@pytest.mark.parametrize(
    "messages",
    [
        b"[" * 900 + b"]" * 900,
        b'[{"role":"user","x":' + b"[" * 800 + b"]" * 800 + b"}]",
        b'[{"role":"user","content":"\\ud800"}]',
        b'[{"role":"user","content":"\xff"}]',
        b'[{"role":"user","content":1e999}]',
        b'[{"role":"user","content":"x","n":123456789012345678901234567890}]',
    ],
)
def test_json_at_the_edge_of_what_can_be_read_is_refused_or_read(messages: bytes) -> None:
    everything_a_plugin_may_ask(b'{"model":"m","messages":' + messages + b"}")


@pytest.mark.parametrize(
    ("members", "limit"),
    [
        ({}, None),
        ({"max_tokens": 50}, 50),
        ({"max_completion_tokens": 60, "max_tokens": 50}, 60),
        ({"max_tokens": 50, "n": 3}, 150),
        ({"max_tokens": None}, None),
        ({"max_tokens": -1}, None),
        ({"max_tokens": "many"}, None),
        ({"max_tokens": 10**40}, None),
        ({"max_tokens": 50, "n": 0}, 50),
    ],
)
def test_the_callers_own_limit_of_the_answer_is_known(members: dict[str, Any], limit: int | None) -> None:
    assert parse_chat(body(**members)).output_limit() == limit
