"""Streams: relayed frames, translated events, and the ends of both."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookway_plugins.dialect_openai.chat_endpoint import ChatCompletions
from hookway_plugins.dialect_openai.stream_writer import ChatStreamWriter
from hookway_sdk import (
    Citation,
    CitationDelta,
    Frame,
    LogprobsDelta,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    StreamStart,
    StreamStop,
    StreamUsage,
    TextDelta,
    ToolCallDelta,
    UpstreamInBand,
    UpstreamTimeout,
    UpstreamUndecodable,
    Usage,
    raw,
)

DONE = b"data: [DONE]\n\n"


def make(include_usage: bool = False, legacy: bool = False) -> ChatStreamWriter:
    return ChatStreamWriter(
        model="fast", fallback_id="chatcmpl-req-1", now=7, include_usage=include_usage, legacy=legacy
    )


def test_a_relayed_frame_shows_the_clients_model_and_keeps_every_other_byte() -> None:
    frame = Frame(b'{"id":"1","model":"gpt-4o-2024","choices":[{"delta":{"content":"\\u00e9" }}],"x": 1e2}')
    assert make().relay(frame) == (
        b'data: {"id":"1","model":"fast","choices":[{"delta":{"content":"\\u00e9" }}],"x":1e2}\n\n'
    )
    assert frame.fields["model"] == raw("gpt-4o-2024")


def test_the_end_marker_is_relayed() -> None:
    assert make().relay(Frame(b"[DONE]")) == DONE


def test_nothing_follows_the_end_marker() -> None:
    writer = make()
    writer.relay(Frame(b"[DONE]"))
    assert writer.relay(Frame(b'{"choices":[]}')) == b""
    assert writer.relay(Frame(b"[DONE]")) == DONE


def test_an_empty_event_is_hidden() -> None:
    assert make().relay(Frame(b"")) == b""


@pytest.mark.parametrize("choices", [b'"choices":[],', b'"choices":[ ],', b'"choices":null,', b""])
def test_the_usage_frame_is_for_those_who_asked(choices: bytes) -> None:
    data = b'{"model":"m",' + choices + b'"usage":{"prompt_tokens":1}}'
    assert make().relay(Frame(data)) == b""
    assert b'"usage":{"prompt_tokens":1}' in make(include_usage=True).relay(Frame(data))


def test_usage_beside_text_is_always_relayed() -> None:
    frame = Frame(b'{"model":"m","choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":1}}')
    assert b'"usage":{"prompt_tokens":1}' in make().relay(frame)


def test_usage_null_is_hidden_from_those_who_did_not_ask() -> None:
    frame = Frame(b'{"model":"m","choices":[{"delta":{}}],"usage":null}')
    assert make().relay(frame) == b'data: {"model":"fast","choices":[{"delta":{}}]}\n\n'
    assert b'"usage":null' in make(include_usage=True).relay(frame)


def test_a_frame_without_choices_and_usage_is_relayed() -> None:
    frame = Frame(b'{"choices":[],"prompt_filter_results":[{}]}')
    assert make().relay(frame) == b'data: {"choices":[],"prompt_filter_results":[{}],"model":"fast"}\n\n'


def test_a_pretty_printed_frame_stays_one_event() -> None:
    relayed = make().relay(Frame(b'{"choices": [\n  {"delta": {}}\n]}', event="chunk", id="3"))
    assert relayed == (
        b'event: chunk\nid: 3\ndata: {"choices":[\ndata:   {"delta": {}}\ndata: ],"model":"fast"}\n\n'
    )


def test_a_frame_that_is_not_json_is_refused() -> None:
    with pytest.raises(UpstreamUndecodable):
        make().relay(Frame(b"<html>"))


def chunks(written: bytes) -> list[Any]:
    events = written.decode().split("\n\n")
    assert events.pop() == ""
    assert all(event.startswith("data: ") for event in events)
    return [data if (data := event[6:]) == "[DONE]" else json.loads(data) for event in events]


def chunk(delta: Any, finish: str | None = None, index: int = 0, **others: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "fast",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish, **others}],
    }


ROLE = {"role": "assistant", "content": ""}
START = StreamStart(id="msg_1", model="claude", created=5)


def test_events_become_chunks() -> None:
    writer = make()
    events = [
        START,
        ReasoningDelta(text="hm"),
        ReasoningDelta(signature="sig"),
        TextDelta(text="Hi", part=1),
        LogprobsDelta(logprobs=raw({"content": []})),
        CitationDelta(citation=Citation(url="https://s.test", title="S")),
        RefusalDelta(text="no"),
        ToolCallDelta(call=0, id="c1", name="f"),
        ToolCallDelta(call=0, arguments="{}"),
        ToolCallDelta(call=1, id="c2", name="sh", kind="custom"),
        ToolCallDelta(call=1, arguments="ls"),
        OpaqueDelta(wire="openai.chat", value=raw({"audio": {"id": "a"}})),
        OpaqueDelta(wire="other", value=raw({"x": 1})),
        OpaqueDelta(wire="openai.chat", value=raw({"type": "reference", "reference_ids": [1]})),
        TextDelta(text="Ho", choice=1),
        StreamUsage(usage=Usage(input_tokens=1)),
        StreamStop(stop_reason="tool_calls"),
        StreamStop(choice=1, stop_reason="length"),
    ]
    written = b"".join(writer.write(event) for event in events) + writer.end(Usage(input_tokens=1))
    url = {"type": "url_citation", "url_citation": {"url": "https://s.test", "title": "S"}}
    call, shell = {"name": "f", "arguments": ""}, {"name": "sh", "input": ""}
    assert chunks(written) == [
        chunk(ROLE),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "Hi"}),
        chunk({}, logprobs={"content": []}),
        chunk({"annotations": [url]}),
        chunk({"refusal": "no"}),
        chunk({"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": call}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        chunk({"tool_calls": [{"index": 1, "id": "c2", "type": "custom", "custom": shell}]}),
        chunk({"tool_calls": [{"index": 1, "custom": {"input": "ls"}}]}),
        chunk({"audio": {"id": "a"}}),
        chunk(ROLE, index=1),
        chunk({"content": "Ho"}, index=1),
        chunk({}, "tool_calls"),
        chunk({}, "length", index=1),
        "[DONE]",
    ]


def test_usage_is_written_at_the_end_for_those_who_asked() -> None:
    writer = make(include_usage=True)
    written = writer.write(START) + writer.write(TextDelta(text="Hi")) + writer.end(Usage(input_tokens=2))
    usage = {"prompt_tokens": 2, "completion_tokens": 0, "total_tokens": 2}
    assert chunks(written) == [
        {**chunk(ROLE), "usage": None},
        {**chunk({"content": "Hi"}), "usage": None},
        {**chunk({}), "choices": [], "usage": usage},
        "[DONE]",
    ]


def test_a_stream_without_events_still_ends_properly() -> None:
    assert make().end(Usage()) == DONE
    first, last = chunks(make(include_usage=True).end(Usage()))
    assert (first["id"], first["created"], first["choices"], last) == ("chatcmpl-req-1", 7, [], "[DONE]")


def test_a_client_that_uses_functions_is_streamed_a_function_call() -> None:
    writer = make(legacy=True)
    writer.write(START)
    written = writer.write(ToolCallDelta(call=0, id="c1", name="f"))
    written += writer.write(ToolCallDelta(call=0, arguments="{}"))
    written += writer.write(ToolCallDelta(call=1, id="c2", name="g"))
    written += writer.write(StreamStop(stop_reason="tool_calls"))
    assert chunks(written) == [
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
    ]


def test_a_broken_stream_ends_with_an_error_event_and_no_end_marker() -> None:
    assert make().fail(UpstreamTimeout(500)) == (
        b'event: error\ndata: {"error":'
        b'{"message":"upstream request timed out after 500ms","type":"timeout"}}\n\n'
    )


def test_an_error_inside_the_upstreams_stream_has_a_type_of_its_own() -> None:
    failed = make().fail(UpstreamInBand("quota", upstream_status=429, code="insufficient_quota"))
    data = json.loads(failed.partition(b"data: ")[2])
    assert data["error"]["type"] == "upstream_in_band_error"
    assert data["error"]["code"] == "insufficient_quota"
    hidden = make().fail(UpstreamInBand("host-17 died", upstream_status=500))
    assert b"host-17" not in hidden


def test_the_writer_of_an_exchange_knows_what_its_request_asked_for(make_exchange: Any) -> None:
    endpoint = ChatCompletions()
    request = b'{"model":"fast","messages":[1],"stream":true,"stream_options":{"include_usage":true}}'
    written = endpoint.writer(make_exchange(body=request)).end(Usage())
    assert b'"model":"fast"' in written
    assert b'"usage":{' in written
