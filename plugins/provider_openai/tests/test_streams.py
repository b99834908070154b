"""Streams: what is noted of relayed frames, and the events that chunks become."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookway_plugins.provider_openai import OpenAIProvider
from hookway_sdk import (
    Citation,
    CitationDelta,
    Frame,
    LogprobsDelta,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    StreamAborted,
    StreamReader,
    StreamStart,
    StreamStop,
    StreamUsage,
    TextDelta,
    ToolCallDelta,
    UpstreamInBand,
    UpstreamUndecodable,
    Usage,
    raw,
)


@pytest.fixture
def reader(provider: OpenAIProvider, make_deployment: Any) -> StreamReader:
    return provider.reader(make_deployment(), "openai.chat")


def frame(**fields: Any) -> Frame:
    return Frame(json.dumps({"id": "chatcmpl-1", "model": "gpt-4o-2024", **fields}).encode())


def chunk(delta: Any, finish: str | None = None, index: int = 0, **others: Any) -> Frame:
    return frame(choices=[{"index": index, "delta": delta, "finish_reason": finish}], **others)


DONE = Frame(b"[DONE]")


def test_a_relayed_stream_says_who_made_it_what_it_used_and_why_it_stopped(reader: StreamReader) -> None:
    for one in (
        chunk({"role": "assistant", "content": ""}, usage=None),
        chunk({"content": 'a "finish_reason":"length" b'}),
        chunk({}, "tool_calls"),
        frame(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 2}),
    ):
        reader.observe(one)
    assert (reader.upstream_id, reader.upstream_model) == ("chatcmpl-1", "gpt-4o-2024")
    assert (reader.stop_reason, reader.usage) == ("tool_calls", Usage(input_tokens=3, output_tokens=2))
    assert not reader.done
    reader.observe(DONE)
    assert reader.done
    assert reader.close() == ()


def test_usage_that_grows_with_every_chunk_keeps_its_largest_counts(reader: StreamReader) -> None:
    for read, written in ((5, 1), (5, 9), (0, 4)):
        reader.observe(chunk({}, usage={"prompt_tokens": read, "completion_tokens": written}))
    assert reader.usage == Usage(input_tokens=5, output_tokens=9)


@pytest.mark.parametrize("space", ["", " "])
def test_a_finish_reason_is_seen_however_servers_space_their_json(reader: StreamReader, space: str) -> None:
    data = f'{{"choices":[{{"finish_reason":null}},{{"finish_reason":{space}"stop","index":1}}]}}'
    reader.observe(Frame(data.encode()))
    assert reader.stop_reason == "stop"


def test_a_body_that_ends_after_the_finish_reason_is_whole(reader: StreamReader) -> None:
    reader.observe(chunk({}, "stop"))
    assert reader.close() == ()


def test_a_body_that_ends_before_it_was_cut(reader: StreamReader) -> None:
    reader.observe(chunk({"content": "half a"}))
    with pytest.raises(StreamAborted):
        reader.close()


def test_an_empty_stream_was_cut(reader: StreamReader) -> None:
    with pytest.raises(StreamAborted):
        reader.close()


@pytest.mark.parametrize("method", ["observe", "decode"])
def test_what_follows_the_end_marker_and_empty_events_say_nothing(reader: StreamReader, method: str) -> None:
    getattr(reader, method)(Frame(b""))
    getattr(reader, method)(DONE)
    getattr(reader, method)(Frame(b"<not json>"))
    assert reader.done


@pytest.mark.parametrize("method", ["observe", "decode"])
@pytest.mark.parametrize("data", [b"<html>", b"[]", b'"x"', b'{"\xff":1}', b"{", b'{"id":"\xff"}'])
def test_a_frame_that_is_no_json_object_is_undecodable(
    reader: StreamReader, method: str, data: bytes
) -> None:
    with pytest.raises(UpstreamUndecodable):
        getattr(reader, method)(Frame(data))


@pytest.mark.parametrize("method", ["observe", "decode"])
def test_an_error_frame_is_an_error(reader: StreamReader, method: str) -> None:
    with pytest.raises(UpstreamInBand) as failed:
        getattr(reader, method)(Frame(b'{"error":{"message":"slow down","code":429}}'))
    assert (failed.value.status, failed.value.message) == (429, "slow down")


def test_a_frame_whose_error_is_null_is_no_error(reader: StreamReader) -> None:
    reader.observe(Frame(b'{"error":null,"choices":[]}'))


def events(reader: StreamReader, *frames: Frame) -> list[Any]:
    return [event for one in frames for event in reader.decode(one)]


def test_chunks_become_events_with_their_parts_numbered(reader: StreamReader) -> None:
    def call(index: int, **others: Any) -> dict[str, Any]:
        return {"tool_calls": [{"index": index, **others}]}

    told = events(
        reader,
        chunk({"role": "assistant", "content": "", "refusal": None}, created=5, service_tier="default"),
        chunk({"reasoning_content": "h"}),
        chunk({"reasoning": "m"}),
        chunk({"content": "Hi"}),
        chunk({"content": "!"}),
        chunk(call(0, id="c1", type="function", function={"name": "f", "arguments": ""})),
        chunk(call(1, id="c2", type="custom", custom={"name": "sh", "input": "l"})),
        chunk(call(0, function={"arguments": "{}"})),
        chunk(call(1, custom={"input": "s"})),
        chunk({"content": "Bye"}),
        chunk({"refusal": "no"}),
        chunk({"content": "two"}, index=1),
        chunk({}, "tool_calls"),
        chunk({}, "eos", index=1),
        frame(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 2}),
        DONE,
    )
    assert told == [
        StreamStart(id="chatcmpl-1", model="gpt-4o-2024", created=5, service_tier="default"),
        ReasoningDelta(text="h", part=0),
        ReasoningDelta(text="m", part=0),
        TextDelta(text="Hi", part=1),
        TextDelta(text="!", part=1),
        ToolCallDelta(call=0, id="c1", name="f", part=2),
        ToolCallDelta(call=1, id="c2", name="sh", arguments="l", kind="custom", part=3),
        ToolCallDelta(call=0, arguments="{}", part=2),
        ToolCallDelta(call=1, arguments="s", kind="custom", part=3),
        TextDelta(text="Bye", part=4),
        RefusalDelta(text="no", part=5),
        TextDelta(text="two", choice=1, part=0),
        StreamStop(stop_reason="tool_calls"),
        StreamStop(choice=1, stop_reason="other", stop_detail="eos"),
        StreamUsage(usage=Usage(input_tokens=3, output_tokens=2)),
    ]
    assert (reader.usage, reader.stop_reason, reader.done) == (
        Usage(input_tokens=3, output_tokens=2),
        "eos",
        True,
    )


def test_log_probabilities_citations_and_the_unknown_are_events_of_their_own(reader: StreamReader) -> None:
    inner = {"url": "https://s.test", "title": "S", "start_index": 1, "end_index": 2}
    told = events(
        reader,
        frame(choices=[{"index": 0, "delta": {"content": "x"}, "logprobs": {"content": []}}]),
        chunk({"annotations": [{"type": "url_citation", "url_citation": inner}, {"type": "other"}]}),
        chunk({"audio": {"id": "a"}, "new": None}),
    )
    assert told[1:] == [
        TextDelta(text="x"),
        LogprobsDelta(logprobs=raw({"content": []})),
        CitationDelta(citation=Citation(url="https://s.test", title="S", start=1, end=2)),
        OpaqueDelta(wire="openai.chat", value=raw({"audio": {"id": "a"}})),
    ]


def test_the_deprecated_function_call_is_a_tool_call(reader: StreamReader) -> None:
    told = events(
        reader,
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
    )
    assert told[1:] == [
        ToolCallDelta(call=0, id="function_call_0", name="f"),
        ToolCallDelta(call=0, arguments="{}"),
        StreamStop(stop_reason="tool_calls"),
    ]


def test_calls_without_an_index_are_counted_by_their_place(reader: StreamReader) -> None:
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "function": {"name": "g"}},
    ]
    told = events(reader, chunk({"tool_calls": calls}))
    assert [(event.call, event.id, event.part) for event in told[1:]] == [(0, "a", 0), (1, "b", 1)]


@pytest.mark.parametrize(
    "fields",
    [
        {"choices": None, "usage": {"prompt_tokens": 1}},
        {"usage": {"prompt_tokens": 1}},
        {"choices": [None, "x", {"delta": None}, {"delta": "x", "index": "y"}]},
        {
            "choices": [
                {"delta": {"tool_calls": [None, {}, {"function": "x"}], "content": 7, "function_call": 1}}
            ]
        },
        {"choices": [{"finish_reason": 7, "logprobs": 3}], "id": 7, "model": None, "created": "now"},
    ],
)
def test_oddly_shaped_chunks_are_borne(reader: StreamReader, fields: Any) -> None:
    told = reader.decode(Frame(json.dumps(fields).encode()))
    assert isinstance(told[0], StreamStart)


def test_a_chunk_nested_too_deeply_is_undecodable(reader: StreamReader) -> None:
    with pytest.raises(UpstreamUndecodable):
        reader.decode(Frame(b'{"choices":' + b"[" * 990 + b"]" * 990 + b"}"))
