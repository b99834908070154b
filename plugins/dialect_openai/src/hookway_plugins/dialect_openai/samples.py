"""The requests that the policy matrix sends to the chat endpoint, and what must come of them."""

from __future__ import annotations

from typing import Any

from hookway_sdk import Sample, Usage

_MODEL = "sample"
_SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "description": "{{parameter}}"}}}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{{arguments}}"}}
_CUSTOM_CALL = {"id": "call_2", "type": "custom", "custom": {"name": "shell", "input": "{{input}}"}}
_IMAGE = {"type": "image_url", "image_url": {"url": "https://example.test/a.png"}}
_HEAD = {"id": "chatcmpl-sample", "created": 1_700_000_000, "model": "upstream-model"}
_USAGE = {
    "prompt_tokens": 21,
    "completion_tokens": 8,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def chat_samples() -> tuple[Sample, ...]:
    """Return a request with every kind of text slot, once to be answered whole and once streamed."""
    usage = Usage(input_tokens=21, output_tokens=8, cached_input_tokens=5, reasoning_tokens=3)
    return (
        Sample(body=_body(), slots=_SLOTS, usage=usage, upstream=_answer()),
        Sample(
            body=_body() | {"stream": True, "stream_options": {"include_usage": True}},
            stream=True,
            slots=_SLOTS,
            usage=usage.copy(),
            upstream=_frames(),
        ),
    )


def _body() -> dict[str, Any]:
    return {
        "model": _MODEL,
        "messages": [
            {"role": "system", "content": "{{system}}"},
            {"role": "developer", "content": [{"type": "text", "text": "{{developer}}"}]},
            {"role": "user", "content": [{"type": "text", "text": "{{user}}"}, _IMAGE], "name": "{{name}}"},
            {
                "role": "assistant",
                "content": "{{assistant}}",
                "reasoning_content": "{{reasoning}}",
                "refusal": "{{refusal}}",
                "tool_calls": [_CALL, _CUSTOM_CALL],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "{{result}}"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "{{part}}"}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "{{declined}}"}]},
            {"role": "user", "content": "{{question}}"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "weather", "description": "{{tool}}", "parameters": _SCHEMA},
            },
            {"type": "custom", "custom": {"name": "shell", "description": "{{custom}}"}},
        ],
        "prediction": {"type": "content", "content": "{{prediction}}"},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "description": "{{format}}", "schema": {"type": "object"}},
        },
    }


_SLOTS = (
    "/messages/0/content",
    "/messages/1/content/0/text",
    "/messages/2/content/0/text",
    "/messages/2/name",
    "/messages/3/content",
    "/messages/3/reasoning_content",
    "/messages/3/refusal",
    "/messages/3/tool_calls/0/function/arguments",
    "/messages/3/tool_calls/1/custom/input",
    "/messages/4/content",
    "/messages/5/content/0/text",
    "/messages/6/content/0/refusal",
    "/messages/7/content",
    "/tools/0/function/description",
    "/tools/0/function/parameters/properties/city/description",
    "/tools/1/custom/description",
    "/prediction/content",
    "/response_format/json_schema/description",
)


def _answer() -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "It is sunny.",
        "refusal": None,
        "annotations": [],
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}


def _frames() -> list[Any]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**_HEAD, "object": "chat.completion.chunk", "choices": [choice], "usage": None}

    return [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"content": "It is "}),
        chunk({"content": "sunny."}),
        chunk({}, "stop"),
        {**_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE},
        "[DONE]",
    ]
