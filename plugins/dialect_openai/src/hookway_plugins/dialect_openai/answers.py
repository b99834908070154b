"""From a canonical answer to OpenAI's ``chat.completion`` object.

Source: https://platform.openai.com/docs/api-reference/chat/object; ``reasoning_content`` is DeepSeek's word
(https://api-docs.deepseek.com/guides/thinking_mode), which most compatible servers and clients use.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hookway_plugins.dialect_openai.wire import WIRE
from hookway_sdk import (
    AudioPart,
    ChatAnswer,
    Choice,
    Citation,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    Usage,
)

_encode = msgspec.json.Encoder().encode

_FINISH_REASONS = {
    "stop": "stop",
    "stop_sequence": "stop",
    "pause": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}
_VENDOR_COUNTS = ("prompt_cache_hit_tokens", "prompt_cache_miss_tokens")
_PREDICTION_COUNTS = ("accepted_prediction_tokens", "rejected_prediction_tokens")


def answer_body(answer: ChatAnswer, *, model: str, fallback_id: str, now: int, legacy: bool) -> bytes:
    """Write a canonical answer.

    Args:
        model: the name the client asked for.
        fallback_id: id of the answer where the provider gave none.
        now: Unix seconds, for a provider that does not say when.
        legacy: the client uses ``functions``, so a call is its ``function_call``.
    """
    body: dict[str, Any] = {
        "id": answer.id or fallback_id,
        "object": "chat.completion",
        "created": answer.created or now,
        "model": model,
        "choices": [_choice(choice, legacy) for choice in answer.choices],
        "usage": usage_object(answer.usage),
    }
    if answer.service_tier:
        body["service_tier"] = answer.service_tier
    if answer.wire == WIRE:
        body |= {name: value for name, value in answer.extra.items() if name not in body}
    return _encode(body)


def finish_reason(stop_reason: str, stop_detail: str, legacy: bool) -> str:
    """Return OpenAI's word for why the model stopped; a word that only its own wire has passes through."""
    if legacy and stop_reason == "tool_calls":
        return "function_call"
    return _FINISH_REASONS.get(stop_reason) or stop_detail or "stop"


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return usage in OpenAI's words; details appear where they say something."""
    built: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    other = usage.other or {}
    read = {
        "cached_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "audio_tokens": usage.audio_input_tokens,
        "image_tokens": usage.image_input_tokens,
    }
    written = {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": usage.audio_output_tokens}
    written |= {name: other.get(name, 0) for name in _PREDICTION_COUNTS}
    for name, details in (("prompt_tokens_details", read), ("completion_tokens_details", written)):
        if said := {word: count for word, count in details.items() if count}:
            built[name] = said
    built |= {name: other[name] for name in _VENDOR_COUNTS if name in other}
    return built


def tool_call_object(call: ToolCallPart) -> dict[str, Any]:
    """Return a tool call in OpenAI's words."""
    extra = call.extra if call.wire == WIRE else {}
    kind = "custom" if call.kind == "custom" else "function"
    inner: dict[str, Any] = msgspec.json.decode(extra[kind]) if kind in extra else {}
    inner |= {"name": call.name, "input" if kind == "custom" else "arguments": call.arguments}
    return {**extra, "id": call.id, "type": kind, kind: inner}


def annotation(citation: Citation) -> dict[str, Any]:
    """Return a citation in OpenAI's words."""
    inner: dict[str, Any] = {"url": citation.url, "title": citation.title or citation.quote}
    if citation.start >= 0:
        inner["start_index"] = citation.start
    if citation.end >= 0:
        inner["end_index"] = citation.end
    if citation.wire == WIRE:
        inner |= {name: value for name, value in citation.extra.items() if name not in inner}
    return {"type": "url_citation", "url_citation": inner}


def _choice(choice: Choice, legacy: bool) -> dict[str, Any]:
    built: dict[str, Any] = {
        "index": choice.index,
        "message": _message(choice.message, legacy),
        "logprobs": choice.logprobs,
        "finish_reason": finish_reason(choice.stop_reason, choice.stop_detail, legacy),
    }
    if choice.wire == WIRE:
        built |= {name: value for name, value in choice.extra.items() if name not in built}
    return built


def _message(message: Message, legacy: bool) -> dict[str, Any]:
    texts: list[str] = []
    annotations: list[dict[str, Any]] = []
    calls: list[ToolCallPart] = []
    built: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    length = 0
    for part in message.parts:
        if isinstance(part, TextPart):
            annotations.extend(annotation(_moved(one, length)) for one in part.citations if one.url)
            texts.append(part.text)
            length += len(part.text)
        elif isinstance(part, ReasoningPart):
            if part.text:
                built["reasoning_content"] = built.get("reasoning_content", "") + part.text
        elif isinstance(part, RefusalPart):
            built["refusal"] = (built["refusal"] or "") + part.text
        elif isinstance(part, ToolCallPart):
            calls.append(part)
        elif isinstance(part, AudioPart):
            built["audio"] = audio_object(part)
    if texts:
        built["content"] = "".join(texts)
    if annotations:
        built["annotations"] = annotations
    if calls and legacy:
        built["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
    elif calls:
        built["tool_calls"] = [tool_call_object(call) for call in calls]
    if message.wire == WIRE:
        built |= {name: value for name, value in message.extra.items() if name not in built}
    return built


def _moved(citation: Citation, by: int) -> Citation:
    """Return a citation whose offsets count from the start of the joined text."""
    if not by:
        return citation
    return msgspec.structs.replace(
        citation,
        start=citation.start + by if citation.start >= 0 else -1,
        end=citation.end + by if citation.end >= 0 else -1,
    )


def audio_object(part: AudioPart) -> dict[str, Any]:
    extra = part.extra if part.wire == WIRE else {}
    return {"data": part.source.data, "transcript": part.transcript, **extra}
