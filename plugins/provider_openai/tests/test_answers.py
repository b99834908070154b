"""Finished answers, read into the canonical form; OpenAI's own and what compatible servers make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookway_plugins.provider_openai import OpenAIProvider
from hookway_sdk import (
    AudioPart,
    Citation,
    MediaSource,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    UpstreamInBand,
    UpstreamUndecodable,
    Usage,
    raw,
)


def decode(provider: OpenAIProvider, deployment: Any, message: Any, **others: Any) -> Any:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    body = {"id": "1", "model": "gpt", "created": 5, "choices": [choice], **others}
    return provider.decode(json.dumps(body).encode(), deployment)


def parts(provider: OpenAIProvider, deployment: Any, **message: Any) -> Any:
    return decode(provider, deployment, message).choices[0].message.parts


def test_an_answers_head_is_read_and_the_unknown_kept(provider: OpenAIProvider, make_deployment: Any) -> None:
    answer = decode(
        provider,
        make_deployment(),
        {"content": "hi", "new": 1},
        usage={"prompt_tokens": 1},
        service_tier="flex",
        system_fingerprint="fp",
    )
    assert (answer.id, answer.model, answer.created, answer.service_tier) == ("1", "gpt", 5, "flex")
    assert answer.usage == Usage(input_tokens=1)
    assert (answer.extra, answer.wire) == ({"system_fingerprint": raw("fp")}, "openai.chat")
    message = answer.choices[0].message
    assert (message.extra, message.wire, message.plain) == ({"new": raw(1)}, "openai.chat", True)


def test_a_message_is_read_in_parts(provider: OpenAIProvider, make_deployment: Any) -> None:
    citation = {"url": "https://s.test", "title": "S", "start_index": 0, "end_index": 2}
    found = parts(
        provider,
        make_deployment(),
        reasoning_content="hm",
        content="hi",
        annotations=[{"type": "url_citation", "url_citation": citation}],
        refusal="no",
        audio={"id": "a", "data": "AAAA", "transcript": "spoken", "expires_at": 9},
        tool_calls=[
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
                "extra_content": 1,
            },
            {"id": "c2", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
        ],
    )
    assert found == (
        ReasoningPart(text="hm", wire="openai.chat"),
        TextPart(text="hi", citations=(Citation(url="https://s.test", title="S", start=0, end=2),)),
        RefusalPart(text="no"),
        AudioPart(
            source=MediaSource(data="AAAA"),
            transcript="spoken",
            extra={"id": raw("a"), "expires_at": raw(9)},
            wire="openai.chat",
        ),
        ToolCallPart(id="c1", name="f", arguments="{}", extra={"extra_content": raw(1)}, wire="openai.chat"),
        ToolCallPart(id="c2", name="sh", arguments="ls", kind="custom"),
    )


def test_reasoning_is_read_under_either_name(provider: OpenAIProvider, make_deployment: Any) -> None:
    thought = ReasoningPart(text="hm", wire="openai.chat")
    assert parts(provider, make_deployment(), reasoning="hm", content=None) == (thought,)
    assert parts(provider, make_deployment(), reasoning_content="hm", reasoning="hm2") == (thought,)


def test_content_in_pieces_is_read_in_pieces(provider: OpenAIProvider, make_deployment: Any) -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "hi"},
        {"type": "reference", "reference_ids": [1]},
    ]
    assert parts(provider, make_deployment(), content=content) == (
        ReasoningPart(text="hm", wire="openai.chat"),
        TextPart(text="hi"),
        OpaquePart(kind="reference", value=raw(content[2]), wire="openai.chat"),
    )


def test_a_deprecated_function_call_is_a_tool_call(provider: OpenAIProvider, make_deployment: Any) -> None:
    found = parts(provider, make_deployment(), content=None, function_call={"name": "f", "arguments": "{}"})
    assert found == (ToolCallPart(id="function_call_0", name="f", arguments="{}"),)


@pytest.mark.parametrize(
    ("word", "reason", "detail"),
    [
        ("stop", "stop", ""),
        (None, "stop", ""),
        ("length", "length", ""),
        ("tool_calls", "tool_calls", ""),
        ("function_call", "tool_calls", ""),
        ("content_filter", "content_filter", ""),
        ("eos", "other", "eos"),
        (7, "stop", ""),
    ],
)
def test_why_the_model_stopped(
    provider: OpenAIProvider, make_deployment: Any, word: Any, reason: str, detail: str
) -> None:
    body = json.dumps({"choices": [{"message": {}, "finish_reason": word}]}).encode()
    choice = provider.decode(body, make_deployment()).choices[0]
    assert (choice.stop_reason, choice.stop_detail) == (reason, detail)


def test_every_choice_is_read(provider: OpenAIProvider, make_deployment: Any) -> None:
    choices = [
        {"message": {"content": "a"}, "logprobs": {"content": []}, "content_filter_results": {}},
        {"message": {"content": "b"}},
        {"index": 7, "message": {"content": "c"}},
    ]
    answer = provider.decode(json.dumps({"choices": choices}).encode(), make_deployment())
    assert [choice.index for choice in answer.choices] == [0, 1, 7]
    assert answer.choices[0].logprobs == raw({"content": []})
    assert answer.choices[0].extra == {"content_filter_results": raw({})}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"[]",
        b"\xff",
        b"{}",
        b'{"choices":{}}',
        b'{"choices":[{"message":"\xff"}]}',
        b'{"choices":' + b"[" * 990 + b"]" * 990 + b"}",
    ],
)
def test_what_is_no_answer_is_undecodable(
    provider: OpenAIProvider, make_deployment: Any, body: bytes
) -> None:
    with pytest.raises(UpstreamUndecodable):
        provider.decode(body, make_deployment())


def test_an_error_in_place_of_an_answer_is_an_error(provider: OpenAIProvider, make_deployment: Any) -> None:
    with pytest.raises(UpstreamInBand) as failed:
        provider.decode(b'{"error":{"message":"no credit","code":402}}', make_deployment())
    assert (failed.value.status, failed.value.message) == (402, "no credit")


@pytest.mark.parametrize(
    "message", [None, "x", {"content": 7}, {"tool_calls": [None, {}]}, {"annotations": 1}]
)
def test_oddly_shaped_messages_are_borne(
    provider: OpenAIProvider, make_deployment: Any, message: Any
) -> None:
    body = json.dumps({"choices": [{"message": message}, "x"]}).encode()
    assert len(provider.decode(body, make_deployment()).choices) == 1
