"""From a ``chat.completion`` object to the canonical answer.

Source: https://platform.openai.com/docs/api-reference/chat/object. Compatible servers' ``reasoning_content``
(DeepSeek, vLLM) and ``reasoning`` (OpenRouter) are both reasoning.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hookway_plugins.provider_openai.answer_facts import choices_of
from hookway_plugins.provider_openai.citations import citation_of
from hookway_plugins.provider_openai.usage_counts import read_usage
from hookway_plugins.provider_openai.wire import (
    WIRE,
    member,
    object_of,
    objects_of,
    stop_reason,
    text_of,
)
from hookway_sdk import (
    AudioPart,
    ChatAnswer,
    Choice,
    Citation,
    MediaSource,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    UpstreamUndecodable,
    open_envelope,
    raw,
)
from hookway_sdk.usage import count

_ANSWER = frozenset({"id", "object", "created", "model", "choices", "usage", "service_tier"})
_CHOICE = frozenset({"index", "message", "logprobs", "finish_reason"})
_MESSAGE = frozenset({"role", "content", "refusal", "tool_calls", "function_call", "audio", "annotations"})
Extra = dict[str, msgspec.Raw]


def decode_answer(body: bytes) -> ChatAnswer:
    """Read a finished answer.

    Raises:
        UpstreamInBand: the answer is an error in spite of its status.
        UpstreamUndecodable: it is not a ``chat.completion`` object.
    """
    try:
        answer = open_envelope(body)
    except ValueError as error:  # msgspec's errors and UnicodeDecodeError are both ValueErrors
        what = "an HTML page" if body.lstrip()[:1] == b"<" else "no JSON object"
        raise UpstreamUndecodable(f"it is {what}") from error
    choices_of(answer)
    choices = objects_of(member(answer, "choices"))
    extra = {name: value for name, value in answer.items() if name not in _ANSWER}
    try:
        return ChatAnswer(
            id=text_of(member(answer, "id")),
            model=text_of(member(answer, "model")),
            created=count(member(answer, "created")),
            choices=tuple(_choice(choice, place) for place, choice in enumerate(choices)),
            usage=read_usage(answer),
            service_tier=text_of(member(answer, "service_tier")),
            extra=extra,
            wire=WIRE if extra else "",
        )
    except RecursionError as error:
        raise UpstreamUndecodable("it is nested too deeply") from error


def _choice(given: dict[str, Any], place: int) -> Choice:
    extra = _others(given, _CHOICE)
    reason, detail = stop_reason(given.get("finish_reason"))
    logprobs = given.get("logprobs")
    return Choice(
        index=count(given["index"]) if "index" in given else place,
        message=_message(object_of(given.get("message"))),
        stop_reason=reason,
        stop_detail=detail,
        logprobs=None if logprobs is None else raw(logprobs),
        extra=extra,
        wire=WIRE if extra else "",
    )


def _message(given: dict[str, Any]) -> Message:
    extra = _others(given, _MESSAGE)
    # The one that is read is not kept; a second spelling beside it is.
    thought = next((name for name in ("reasoning_content", "reasoning") if text_of(given.get(name))), "")
    extra.pop(thought, None)
    parts: list[Part] = [ReasoningPart(text=given[thought], wire=WIRE)] if thought else []
    parts.extend(_content(given.get("content"), _citations(given.get("annotations"), extra)))
    if refusal := text_of(given.get("refusal")):
        parts.append(RefusalPart(text=refusal))
    if isinstance(audio := given.get("audio"), dict):
        parts.append(_audio(audio))
    parts.extend(_call(call, place) for place, call in enumerate(objects_of(given.get("tool_calls"))))
    if isinstance(called := given.get("function_call"), dict):
        name, arguments = text_of(called.get("name")), text_of(called.get("arguments"))
        parts.append(ToolCallPart(id="function_call_0", name=name, arguments=arguments))
    return Message(
        role="assistant",
        parts=tuple(parts),
        plain=not isinstance(given.get("content"), list),
        extra=extra,
        wire=WIRE if extra else "",
    )


def _others(given: dict[str, Any], known: frozenset[str]) -> Extra:
    return {name: raw(value) for name, value in given.items() if name not in known and value is not None}


def _citations(annotations: Any, extra: Extra) -> tuple[Citation, ...]:
    """Return what is cited; annotations with a member of another kind stay whole in ``extra``."""
    if not isinstance(annotations, list):
        return ()
    found = tuple(one for item in objects_of(annotations) if (one := citation_of(item)) is not None)
    if not annotations or len(found) < len(annotations):
        extra["annotations"] = raw(annotations)
        return ()
    return found


def _content(content: Any, citations: tuple[Citation, ...]) -> list[Part]:
    if isinstance(content, str):
        return [TextPart(text=content, citations=citations)]
    return [_part(item) for item in objects_of(content)]


def _part(given: dict[str, Any]) -> Part:
    """Read one of the parts in which some servers answer.

    Source: https://docs.mistral.ai/capabilities/reasoning (content as ``thinking`` and ``text`` chunks)
    """
    kind = text_of(given.get("type"))
    if kind == "text":
        return TextPart(text=text_of(given.get("text")))
    if kind == "thinking":
        thought = given.get("thinking")
        pieces = [text_of(piece.get("text")) for piece in objects_of(thought)]
        return ReasoningPart(text=text_of(thought) or "".join(pieces), wire=WIRE)
    return OpaquePart(kind=kind, value=raw(given), wire=WIRE)


def _audio(given: dict[str, Any]) -> AudioPart:
    extra = _others(given, frozenset({"data", "transcript"}))
    return AudioPart(
        source=MediaSource(data=text_of(given.get("data"))),
        transcript=text_of(given.get("transcript")),
        extra=extra,
        wire=WIRE if extra else "",
    )


def _call(given: dict[str, Any], place: int) -> ToolCallPart:
    kind = "custom" if given.get("type") == "custom" else "function"
    text = "input" if kind == "custom" else "arguments"
    inner = object_of(given.get(kind))
    # Some servers number the calls of a finished answer as if it were a stream.
    extra = _others(given, frozenset({"id", "type", "index", kind}))
    if left := _others(inner, frozenset({"name", text})):
        extra[kind] = raw(left)
    return ToolCallPart(
        id=text_of(given.get("id")) or f"call_{place}",
        name=text_of(inner.get("name")),
        arguments=text_of(inner.get(text)),
        kind=kind,
        extra=extra,
        wire=WIRE if extra else "",
    )
