"""The provider on its own wire: recorded traffic, what is lost in translation, and errors."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from hookway_plugins.provider_echo import EchoProvider
from hookway_sdk import (
    ChatRequest,
    Frame,
    ImagePart,
    MediaSource,
    Message,
    NoSettings,
    ReasoningDelta,
    ReasoningPart,
    RefusalDelta,
    RefusalPart,
    ResponseFormat,
    Sampling,
    StreamStart,
    StreamStop,
    StreamUsage,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
    UpstreamInBand,
    UpstreamRefused,
    Usage,
    raw,
)
from hookway_sdk.testing.contracts.provider import ProviderContract
from hookway_sdk.testing.contracts.provider_trial import Answered
from hookway_sdk.testing.exchanges import make_deployment
from hookway_sdk.testing.services import make_services

WIRE = "echo.v1"
REQUEST = (
    b'{"model": "an-alias", "messages": [{"role": "user", "parts": [{"kind": "text", "text": "two words"}]}]}'
)
ANSWER = (
    b'{"id": "echo-1", "model": "upstream-model-1", "usage": {"input": 2, "output": 3}, '
    b'"choices": [{"parts": [{"kind": "text", "text": "and now three"}], "stop": "stop"}]}'
)
STREAM = (
    b'event: start\ndata: {"id": "echo-1", "model": "upstream-model-1"}\n\n'
    b'event: piece\ndata: {"piece": {"kind": "text", "text": "and"}}\n\n'
    b'event: piece\ndata: {"piece": {"kind": "text", "text": " now"}}\n\n'
    b'event: stop\ndata: {"stop": "length"}\n\n'
    b'event: end\ndata: {"usage": {"input": 2, "output": 2}}\n\n'
)
ERROR = b'{"error": {"status": 429, "message": "too many words"}}'


class TestContract(ProviderContract):
    plugin = EchoProvider
    requests: ClassVar = {WIRE: [REQUEST]}
    answers: ClassVar = {WIRE: [Answered(ANSWER, Usage(2, 3), "and now three")]}
    streams: ClassVar = {WIRE: [Answered(STREAM, Usage(2, 2), "and now")]}
    errors: ClassVar = [(429, ERROR, "too many words"), (500, ERROR, "too many words")]
    local_body = REQUEST


@pytest.fixture
def provider() -> EchoProvider:
    return EchoProvider("provider_echo", NoSettings(), make_services())


DEPLOYMENT = make_deployment("target", model="small")


def said(provider: EchoProvider, **facts: Any) -> dict[str, Any]:
    """Return what is sent for a request, as plain data."""
    facts.setdefault("messages", ())
    body: dict[str, Any] = json.loads(provider.encode(ChatRequest(model="alias", **facts), DEPLOYMENT).body)
    return body


def lost(provider: EchoProvider, **facts: Any) -> list[str]:
    """Return what is dropped of a request."""
    facts.setdefault("messages", ())
    return sorted(provider.encode(ChatRequest(model="alias", **facts), DEPLOYMENT).dropped)


# ── requests ────────────────────────────────────────────────────────────────────────────────


def test_every_part_that_the_wire_knows_is_written(provider: EchoProvider) -> None:
    messages = (
        Message(role="system", parts=(TextPart(text="Be brief."),)),
        Message(
            role="assistant",
            parts=(
                ReasoningPart(text="Hm."),
                ToolCallPart(id="call-1", name="add", arguments="{}"),
                RefusalPart(text="No."),
            ),
        ),
        Message(
            role="tool",
            parts=(ToolResultPart(call_id="call-1", content=(TextPart(text="4"), TextPart(text="2"))),),
        ),
    )
    assert said(provider, messages=messages)["messages"] == [
        {"role": "system", "parts": [{"kind": "text", "text": "Be brief."}]},
        {
            "role": "assistant",
            "parts": [
                {"kind": "thought", "text": "Hm."},
                {"kind": "call", "text": "{}", "id": "call-1", "name": "add"},
                {"kind": "refusal", "text": "No."},
            ],
        },
        {"role": "tool", "parts": [{"kind": "result", "text": "42", "id": "call-1"}]},
    ]
    assert lost(provider, messages=messages) == []


def test_what_is_not_asked_for_is_not_written(provider: EchoProvider) -> None:
    assert said(provider) == {"model": "small", "messages": []}


def test_options_that_the_wire_knows_are_written(provider: EchoProvider) -> None:
    facts: dict[str, Any] = {
        "tools": (Tool(name="add", description="Adds", parameters=raw({"type": "object"})),),
        "response_format": ResponseFormat(kind="json_object"),
        "sampling": Sampling(n=2, max_tokens=9),
        "stream": True,
        "include_usage": True,
    }
    assert said(provider, **facts) == {
        "model": "small",
        "messages": [],
        "tools": [{"name": "add", "description": "Adds", "parameters": {"type": "object"}}],
        "json": True,
        "choices": 2,
        "max_words": 9,
        "stream": True,
    }
    assert lost(provider, **facts) == []


@pytest.mark.parametrize(
    ("choice", "must_call"),
    [
        (None, ""),
        (ToolChoice(mode="auto"), ""),
        (ToolChoice(mode="none"), ""),
        (ToolChoice(mode="required"), "add"),
        (ToolChoice(mode="tool", name="sub"), "sub"),
    ],
)
def test_a_choice_of_tools_becomes_the_tool_that_must_be_called(
    provider: EchoProvider, choice: ToolChoice | None, must_call: str
) -> None:
    tools = (Tool(name="add"), Tool(name="sub"))
    assert said(provider, tools=tools, tool_choice=choice).get("must_call", "") == must_call
    assert lost(provider, tools=tools, tool_choice=choice) == []


def test_what_the_wire_has_no_word_for_is_listed_and_nothing_else(provider: EchoProvider) -> None:
    image = ImagePart(source=MediaSource(url="https://example.com/image.png"))
    facts: dict[str, Any] = {
        "messages": (
            Message(role="user", name="ann", parts=(TextPart(text="Look:"), image)),
            Message(
                role="tool",
                parts=(
                    ToolResultPart(call_id="c", content=(TextPart(text="a"), image), is_error=True),
                    ReasoningPart(text="b", signature="c2ln", issuer="acme"),
                ),
            ),
        ),
        "tools": (Tool(name="add", strict=True),),
        "response_format": ResponseFormat(kind="json_schema", name="sum", schema=raw({})),
        "sampling": Sampling(temperature=0.0, n=1, stop=("END",)),
        "user": "user-1",
        "extra": {"x": raw(1)},
    }
    assert lost(provider, **facts) == [
        "/extra",
        "/messages/0/name",
        "/messages/0/parts/1",
        "/messages/1/parts/0/content/1",
        "/messages/1/parts/0/is_error",
        "/messages/1/parts/1/issuer",
        "/messages/1/parts/1/signature",
        "/response_format/name",
        "/response_format/schema",
        "/sampling/stop",
        "/sampling/temperature",
        "/tools/0/strict",
        "/user",
    ]
    assert [len(message["parts"]) for message in said(provider, **facts)["messages"]] == [1, 2]


# ── answers ─────────────────────────────────────────────────────────────────────────────────


def test_an_answer_is_read_part_by_part(provider: EchoProvider) -> None:
    body = json.dumps(
        {
            "id": "echo-1",
            "model": "small",
            "choices": [
                {
                    "parts": [
                        {"kind": "thought", "text": "Hm."},
                        {"kind": "call", "id": "call-1", "name": "add", "text": "{}"},
                    ],
                    "stop": "tool_calls",
                },
                {"parts": [{"kind": "refusal", "text": "No."}], "stop": "refusal"},
                {"parts": [{"kind": "text", "text": "Yes."}], "stop": "a word of tomorrow"},
            ],
            "usage": {"input": 5, "output": 7},
        }
    ).encode()
    answer = provider.decode(body, DEPLOYMENT)
    assert (answer.id, answer.model, answer.usage) == ("echo-1", "small", Usage(5, 7))
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert [choice.stop_reason for choice in answer.choices] == ["tool_calls", "refusal", "other"]
    assert [choice.message.parts for choice in answer.choices] == [
        (ReasoningPart(text="Hm."), ToolCallPart(id="call-1", name="add", arguments="{}")),
        (RefusalPart(text="No."),),
        (TextPart(text="Yes."),),
    ]


def test_an_error_inside_a_success_is_an_error(provider: EchoProvider) -> None:
    with pytest.raises(UpstreamInBand, match="too many words") as caught:
        provider.decode(ERROR, DEPLOYMENT)
    assert (caught.value.status, caught.value.upstream_status) == (429, 429)


def test_an_error_answer_has_its_message_and_its_wait(provider: EchoProvider) -> None:
    error = provider.error(429, {"retry-after": "3"}, ERROR)
    assert isinstance(error, UpstreamRefused)
    assert (error.status, error.message, error.retry_after) == (429, "too many words", 3)
    assert provider.error(404, {}, b"<html>").message == "upstream returned 404"


# ── streams ─────────────────────────────────────────────────────────────────────────────────


def test_events_are_read_one_by_one(provider: EchoProvider) -> None:
    reader = provider.reader(DEPLOYMENT, WIRE)
    frames = [
        ("start", {"id": "echo-1", "model": "small"}),
        ("piece", {"piece": {"kind": "thought", "text": "Hm."}}),
        ("piece", {"part": 1, "piece": {"kind": "call", "id": "call-1", "name": "add"}}),
        ("piece", {"part": 1, "piece": {"kind": "call", "text": "{}"}}),
        ("piece", {"part": 2, "piece": {"kind": "call", "id": "call-2", "name": "sub"}}),
        ("piece", {"choice": 1, "part": 4, "piece": {"kind": "call", "id": "call-3", "name": "mul"}}),
        ("piece", {"choice": 1, "part": 5, "piece": {"kind": "refusal", "text": "No."}}),
        ("piece", {"choice": 2, "piece": {"kind": "text", "text": "Yes."}}),
        ("news", {"id": "of-tomorrow"}),
        ("stop", {"choice": 2, "stop": "length"}),
        ("end", {"usage": {"input": 5, "output": 7}}),
    ]
    read = [reader.decode(Frame(json.dumps(data).encode(), name)) for name, data in frames]
    events = [event for several in read for event in several]
    assert events == [
        StreamStart(id="echo-1", model="small"),
        ReasoningDelta(text="Hm."),
        ToolCallDelta(call=0, id="call-1", name="add", part=1),
        ToolCallDelta(call=0, arguments="{}", part=1),
        ToolCallDelta(call=1, id="call-2", name="sub", part=2),
        ToolCallDelta(call=0, id="call-3", name="mul", choice=1, part=4),
        RefusalDelta(text="No.", choice=1, part=5),
        TextDelta(text="Yes.", choice=2),
        StreamStop(choice=2, stop_reason="length"),
        StreamUsage(usage=Usage(5, 7)),
    ]
    assert reader.close() == ()
    assert (reader.upstream_id, reader.upstream_model, reader.stop_reason) == ("echo-1", "small", "length")


@pytest.mark.parametrize("read", ["observe", "decode"])
def test_an_error_event_is_an_error(provider: EchoProvider, read: str) -> None:
    with pytest.raises(UpstreamInBand, match="too many words"):
        getattr(provider.reader(DEPLOYMENT, WIRE), read)(Frame(ERROR, "error"))
