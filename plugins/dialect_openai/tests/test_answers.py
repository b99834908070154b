"""Answers: relayed with the client's model name, written from the canonical form, opened for guardrails."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from hookway_plugins.dialect_openai.chat_endpoint import ChatCompletions
from hookway_sdk import (
    AudioPart,
    ChatAnswer,
    Choice,
    Citation,
    ImagePart,
    MediaSource,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    UpstreamUndecodable,
    Usage,
    close_envelope,
    open_envelope,
    raw,
)

endpoint = ChatCompletions()


def test_a_relayed_answer_shows_the_name_the_client_asked_for_and_keeps_the_rest(make_exchange: Any) -> None:
    answer = open_envelope(b'{"id":"1","model":"gpt-4o-2024","choices":[ 1 ],"new":{"a" : 1}}')
    told = close_envelope(endpoint.relay_answer(answer, make_exchange(model="fast")))
    assert told == b'{"id":"1","model":"fast","choices":[ 1 ],"new":{"a" : 1}}'


def test_a_relayed_answer_without_a_model_gets_one(make_exchange: Any) -> None:
    told = endpoint.relay_answer(open_envelope(b'{"choices":[]}'), make_exchange(model="fast"))
    assert told["model"] == raw("fast")


def told(answer: ChatAnswer, exchange: Any) -> Any:
    return json.loads(endpoint.encode_answer(answer, exchange))


def test_a_canonical_answer_is_written_with_all_its_choices_and_parts(make_exchange: Any) -> None:
    parts = (
        ReasoningPart(text="hm"),
        TextPart(text="See "),
        TextPart(text="this", citations=(Citation(url="https://s.test", title="S", start=0, end=4),)),
        RefusalPart(text="not that"),
        ToolCallPart(id="c1", name="f", arguments="{}"),
        ToolCallPart(id="c2", name="sh", arguments="ls", kind="custom"),
        ImagePart(source=MediaSource(data="A")),
    )
    answer = ChatAnswer(
        id="msg_1",
        model="claude",
        created=5,
        choices=(
            Choice(message=Message(role="assistant", parts=parts), stop_reason="tool_calls"),
            Choice(
                index=1,
                message=Message(role="assistant"),
                stop_reason="length",
                logprobs=raw({"content": []}),
            ),
        ),
        usage=Usage(input_tokens=10, output_tokens=4, cached_input_tokens=3, reasoning_tokens=2),
        service_tier="default",
        extra={"system_fingerprint": raw("fp")},
        wire="openai.chat",
    )
    assert told(answer, make_exchange(model="fast")) == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 5,
        "model": "fast",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "See this",
                    "refusal": "not that",
                    "reasoning_content": "hm",
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {
                                "url": "https://s.test",
                                "title": "S",
                                "start_index": 4,
                                "end_index": 8,
                            },
                        }
                    ],
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                        {"id": "c2", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            },
            {
                "index": 1,
                "message": {"role": "assistant", "content": None, "refusal": None},
                "logprobs": {"content": []},
                "finish_reason": "length",
            },
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 4,
            "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
        "service_tier": "default",
        "system_fingerprint": "fp",
    }


def test_an_answer_without_id_or_time_gets_the_gateways(make_exchange: Any) -> None:
    body = told(ChatAnswer(), make_exchange())
    assert (body["id"], body["created"], body["choices"]) == ("chatcmpl-req-1", 1_700_000_000, [])


def test_members_of_another_wire_do_not_reach_the_client(make_exchange: Any) -> None:
    body = told(ChatAnswer(extra={"stop_sequence": raw("x")}, wire="anthropic.messages"), make_exchange())
    assert "stop_sequence" not in body


@pytest.mark.parametrize(
    ("reason", "detail", "word"),
    [
        ("stop", "", "stop"),
        ("stop_sequence", "", "stop"),
        ("pause", "", "stop"),
        ("length", "", "length"),
        ("tool_calls", "", "tool_calls"),
        ("content_filter", "", "content_filter"),
        ("refusal", "", "content_filter"),
        ("other", "eos", "eos"),
        ("other", "", "stop"),
    ],
)
def test_why_the_model_stopped_is_said_in_openais_words(
    make_exchange: Any, reason: Any, detail: str, word: str
) -> None:
    choice = Choice(message=Message(role="assistant"), stop_reason=reason, stop_detail=detail)
    assert told(ChatAnswer(choices=(choice,)), make_exchange())["choices"][0]["finish_reason"] == word


def test_a_client_that_uses_functions_is_answered_with_a_function_call(make_exchange: Any) -> None:
    request = b'{"model":"fast","messages":[{"role":"user","content":"q"}],"functions":[{"name":"f"}]}'
    call = ToolCallPart(id="c1", name="f", arguments="{}")
    choice = Choice(message=Message(role="assistant", parts=(call,)), stop_reason="tool_calls")
    body = told(ChatAnswer(choices=(choice,)), make_exchange(body=request))
    assert body["choices"][0]["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in body["choices"][0]["message"]
    assert body["choices"][0]["finish_reason"] == "function_call"


def test_a_spoken_answer_keeps_its_audio(make_exchange: Any) -> None:
    spoken = AudioPart(
        source=MediaSource(data="AAAA"),
        transcript="hello",
        extra={"id": raw("audio_1"), "expires_at": raw(9)},
        wire="openai.chat",
    )
    body = told(
        ChatAnswer(choices=(Choice(message=Message(role="assistant", parts=(spoken,))),)), make_exchange()
    )
    assert body["choices"][0]["message"]["audio"] == {
        "id": "audio_1",
        "expires_at": 9,
        "data": "AAAA",
        "transcript": "hello",
    }


ANSWER = {
    "id": "1",
    "model": "fast",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "text",
                "refusal": "declined",
                "reasoning_content": "thought",
                "audio": {"id": "a", "data": "AAAA", "transcript": "spoken"},
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "args"}}
                ],
                "annotations": [
                    {"type": "url_citation", "url_citation": {"url": "https://s.test", "title": "T"}}
                ],
            },
            "logprobs": {"content": [{"token": "text", "logprob": -0.1}]},
            "finish_reason": "stop",
        },
        {
            "index": 1,
            "message": {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "f", "arguments": "old"},
            },
        },
        {"index": 2, "message": {"role": "assistant", "content": [{"type": "text", "text": "part"}]}},
    ],
}


def test_guardrails_see_every_text_of_every_choice(make_exchange: Any) -> None:
    view = endpoint.view_answer(json.dumps(ANSWER).encode(), make_exchange())
    assert {slot.pointer: (slot.text, slot.channel) for slot in view.texts()} == {
        "/choices/0/message/content": ("text", "content"),
        "/choices/0/message/refusal": ("declined", "refusal"),
        "/choices/0/message/reasoning_content": ("thought", "reasoning"),
        "/choices/0/message/audio/transcript": ("spoken", "content"),
        "/choices/0/message/tool_calls/0/function/arguments": ("args", "tool_arguments"),
        "/choices/0/message/annotations/0/url_citation/url": ("https://s.test", "other"),
        "/choices/0/message/annotations/0/url_citation/title": ("T", "other"),
        "/choices/1/message/function_call/arguments": ("old", "tool_arguments"),
        "/choices/2/message/content/0/text": ("part", "content"),
    }


def test_a_masked_answer_is_delivered_masked_and_without_the_log_probabilities_of_the_old_text(
    make_exchange: Any,
) -> None:
    view = endpoint.view_answer(json.dumps(ANSWER).encode(), make_exchange())
    slots = {slot.pointer: slot for slot in view.texts()}
    slots["/choices/0/message/content"].replace("****")
    body = msgspec.json.decode(view.body())
    assert body["choices"][0]["message"]["content"] == "****"
    assert body["choices"][0]["logprobs"] is None
    assert body["choices"][1:] == ANSWER["choices"][1:]


def test_an_answer_nobody_read_is_delivered_as_it_came(make_exchange: Any) -> None:
    body = b'{ "choices" : [ {"message":{"content":"x"}} ] }'
    assert endpoint.view_answer(body, make_exchange()).body() is body


def test_an_answer_that_was_read_and_not_masked_keeps_its_values(make_exchange: Any) -> None:
    view = endpoint.view_answer(json.dumps(ANSWER).encode(), make_exchange())
    view.texts()
    assert json.loads(view.body()) == ANSWER


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"\xff",
        b"{}",
        b'{"choices":{}}',
        b'{"choices":["text"]}',
        b'{"choices":[{"message":"text"}]}',
        b'{"choices":[{"message":{"content":{"text":"x"}}}]}',
        b'{"choices":[{"message":{"content":"\xff"}}]}',
        b'{"choices":' + b"[" * 900 + b"]" * 900 + b"}",
    ],
)
def test_an_answer_that_cannot_be_checked_is_not_delivered(make_exchange: Any, body: bytes) -> None:
    with pytest.raises(UpstreamUndecodable):
        endpoint.view_answer(body, make_exchange()).texts()
