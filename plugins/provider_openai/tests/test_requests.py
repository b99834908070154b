"""Requests of other wires, written in OpenAI's: what is sent, and what is listed as lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookway_plugins.provider_openai import OpenAIProvider
from hookway_sdk import (
    AudioPart,
    ChatRequest,
    Citation,
    FilePart,
    ImagePart,
    InvalidRequest,
    MediaSource,
    Message,
    OpaquePart,
    Part,
    ReasoningOptions,
    ReasoningPart,
    Sampling,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
    raw,
)

FOREIGN = "anthropic.messages"


def user(*parts: Part) -> Message:
    return Message(role="user", parts=parts)


def encode(
    provider: OpenAIProvider, deployment: Any, *messages: Message, **others: Any
) -> tuple[Any, set[str]]:
    request = ChatRequest(model="fast", messages=messages or (user(TextPart(text="q")),), **others)
    encoded = provider.encode(request, deployment)
    assert len(set(encoded.dropped)) == len(encoded.dropped)
    return json.loads(encoded.body), set(encoded.dropped)


def test_a_conversation_of_blocks_becomes_strings(provider: OpenAIProvider, make_deployment: Any) -> None:
    body, dropped = encode(
        provider,
        make_deployment(),
        Message(role="system", parts=(TextPart(text="Be kind."), TextPart(text="Be brief."))),
        user(TextPart(text="Weather?")),
        Message(
            role="assistant",
            parts=(
                ReasoningPart(text="hm", signature="s", issuer="anthropic"),
                TextPart(text="I will "),
                TextPart(text="look.", citations=(Citation(url="https://s.test"),)),
                ToolCallPart(id="t1", name="weather", arguments='{"c":1}'),
            ),
        ),
        user(
            ToolResultPart(call_id="t1", content=(TextPart(text="21"), TextPart(text="C")), is_error=True),
            TextPart(text="So?"),
        ),
    )
    call = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"c":1}'}}
    assert body == {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "Be kind.\nBe brief."},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": "I will look.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "t1", "content": "21\nC"},
            {"role": "user", "content": "So?"},
        ],
    }
    assert dropped == {
        "/messages/2/parts/0",
        "/messages/2/parts/2/citations",
        "/messages/3/parts/0/is_error",
    }


def test_a_turn_of_calls_alone_has_no_content(provider: OpenAIProvider, make_deployment: Any) -> None:
    body, _ = encode(
        provider,
        make_deployment(),
        Message(role="assistant", parts=(ToolCallPart(id="t1", name="f"),)),
        user(ToolResultPart(call_id="t1")),
    )
    assert body["messages"][0]["content"] is None
    assert body["messages"][1:] == [{"role": "tool", "tool_call_id": "t1", "content": ""}]


def test_images_and_documents_are_sent_as_parts(provider: OpenAIProvider, make_deployment: Any) -> None:
    body, dropped = encode(
        provider,
        make_deployment(),
        user(
            TextPart(text="See", extra={"cache_control": raw({"type": "ephemeral"})}, wire=FOREIGN),
            ImagePart(source=MediaSource(data="AAAA", media_type="image/png"), detail="low"),
            ImagePart(source=MediaSource(url="https://h.test/a.png")),
            ImagePart(source=MediaSource(file_id="file_1")),
            FilePart(source=MediaSource(data="JVBE", media_type="application/pdf"), filename="a.pdf"),
            FilePart(source=MediaSource(), text="the text of a document", filename="a.txt", citations=True),
            FilePart(source=MediaSource(url="https://h.test/a.pdf")),
            AudioPart(source=MediaSource(data="AAAA", media_type="audio/mpeg"), transcript="la"),
            OpaquePart(kind="search_result", value=raw({}), wire=FOREIGN),
        ),
    )
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://h.test/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}},
        {"type": "text", "text": "the text of a document"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
    ]
    at = "/messages/0/parts"
    assert dropped == {
        f"{at}/0/extra/cache_control",
        f"{at}/3",
        f"{at}/5/filename",
        f"{at}/5/citations",
        f"{at}/6",
        f"{at}/7/transcript",
        f"{at}/8",
    }


def test_a_tool_result_may_hold_an_image(provider: OpenAIProvider, make_deployment: Any) -> None:
    picture = ImagePart(source=MediaSource(data="AAAA", media_type="image/png"))
    result = ToolResultPart(call_id="t1", content=(TextPart(text="seen"), picture))
    body, _ = encode(provider, make_deployment(), Message(role="tool", parts=(result,)))
    assert [part["type"] for part in body["messages"][0]["content"]] == ["text", "image_url"]


def test_settings_the_wire_lacks_are_dropped_and_listed(
    provider: OpenAIProvider, make_deployment: Any
) -> None:
    server_tool = Tool(name="web_search", kind="web_search_20250305", wire=FOREIGN)
    function = Tool(name="f", extra={"cache/control": raw(1)}, wire=FOREIGN)
    body, dropped = encode(
        provider,
        make_deployment(),
        tools=(server_tool, function),
        sampling=Sampling(top_k=5, temperature=0.5, max_tokens=9, stop=("a",)),
        reasoning=ReasoningOptions(budget=5000, summary="auto"),
        service_tier="standard_only",
        extra={"container": raw("c")},
        wire=FOREIGN,
    )
    assert body == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "q"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "temperature": 0.5,
        "max_tokens": 9,
        "stop": ["a"],
        "reasoning_effort": "high",
    }
    assert dropped == {
        "/tools/0",
        "/tools/1/extra/cache~1control",
        "/sampling/top_k",
        "/reasoning/budget",
        "/reasoning/summary",
        "/service_tier",
        "/extra/container",
    }


@pytest.mark.parametrize(
    ("budget", "effort"),
    [
        (4096, "high"),
        (4095, "medium"),
        (2048, "medium"),
        (1024, "low"),
        (1023, "minimal"),
        (1, "minimal"),
        (0, None),
    ],
)
def test_a_budget_of_reasoning_becomes_a_word(
    provider: OpenAIProvider, make_deployment: Any, budget: int, effort: str | None
) -> None:
    body, dropped = encode(provider, make_deployment(), reasoning=ReasoningOptions(budget=budget))
    assert body.get("reasoning_effort") == effort
    assert dropped == {"/reasoning/budget"}


def test_a_stream_asks_for_usage(provider: OpenAIProvider, make_deployment: Any) -> None:
    body, dropped = encode(provider, make_deployment(), stream=True)
    assert (body["stream"], body["stream_options"], dropped) == (True, {"include_usage": True}, set())


def test_the_reasoning_a_server_of_this_wire_gave_out_goes_back_to_it(
    provider: OpenAIProvider, make_deployment: Any
) -> None:
    answer = {"choices": [{"message": {"reasoning_content": "hm", "content": "4"}, "finish_reason": "stop"}]}
    message = provider.decode(json.dumps(answer).encode(), make_deployment()).choices[0].message
    body, dropped = encode(provider, make_deployment(), message)
    assert body["messages"] == [{"role": "assistant", "reasoning_content": "hm", "content": "4"}]
    assert dropped == set()


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (ToolResultPart(call_id=""), "messages.0.parts.0"),
        (ToolCallPart(id="", name="f"), "messages.0.parts.0"),
    ],
)
def test_a_call_or_a_result_without_an_id_cannot_be_said(
    provider: OpenAIProvider, make_deployment: Any, part: Part, param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        encode(provider, make_deployment(), Message(role="assistant", parts=(part,)))
    assert refused.value.param == param
