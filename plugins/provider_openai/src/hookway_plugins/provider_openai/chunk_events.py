"""From chunks of OpenAI's wire to canonical events, with the numbering of parts that other wires need."""

from __future__ import annotations

from typing import Any

from hookway_plugins.provider_openai.citations import citation_of
from hookway_plugins.provider_openai.wire import WIRE, member, object_of, objects_of, stop_reason, text_of
from hookway_sdk import (
    CitationDelta,
    Envelope,
    LogprobsDelta,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    StreamEvent,
    StreamStart,
    StreamStop,
    TextDelta,
    ToolCallDelta,
    raw,
)
from hookway_sdk.usage import count

_KNOWN = frozenset(
    {"role", "content", "refusal", "reasoning_content", "reasoning", "tool_calls", "function_call"}
    | {"annotations"}
)


class ChunkEvents:
    """Turns the chunks of one stream into events, in order."""

    def __init__(self) -> None:
        self._started = False
        self._parts: dict[int, _Parts] = {}

    def of(self, fields: Envelope) -> list[StreamEvent]:
        """Return the events of a chunk.

        Raises:
            UpstreamUndecodable: a member is not JSON after all.
        """
        events: list[StreamEvent] = []
        if not self._started:
            self._started = True
            events.append(
                StreamStart(
                    id=text_of(member(fields, "id")),
                    model=text_of(member(fields, "model")),
                    created=count(member(fields, "created")),
                    service_tier=text_of(member(fields, "service_tier")),
                )
            )
        for choice in objects_of(member(fields, "choices")):
            self._choice(choice, events)
        return events

    def _choice(self, choice: dict[str, Any], events: list[StreamEvent]) -> None:
        index = count(choice.get("index"))
        parts = self._parts.get(index)
        if parts is None:
            parts = self._parts[index] = _Parts()
        _delta_events(object_of(choice.get("delta")), index, parts, events)
        if (logprobs := choice.get("logprobs")) is not None:
            events.append(LogprobsDelta(logprobs=raw(logprobs), choice=index))
        if choice.get("finish_reason"):
            reason, detail = stop_reason(choice["finish_reason"])
            events.append(StreamStop(choice=index, stop_reason=reason, stop_detail=detail))


class _Parts:
    """Counts the parts of a choice.

    Text, reasoning and refusal begin a new part after something else; a call that goes on keeps its own.
    """

    def __init__(self) -> None:
        self._last = ""
        self._count = 0
        self._calls: dict[int, int] = {}

    def of(self, kind: str) -> int:
        """Return the number of the part that text of a kind belongs to."""
        if kind != self._last:
            self._last = kind
            self._count += 1
        return self._count - 1

    def of_call(self, call: int) -> int:
        """Return the number of a tool call's part."""
        if call not in self._calls:
            self._calls[call] = self.of(f"call {call}")
        self._last = f"call {call}"
        return self._calls[call]


def _delta_events(delta: dict[str, Any], choice: int, parts: _Parts, events: list[StreamEvent]) -> None:
    thinking = text_of(delta.get("reasoning_content")) or text_of(delta.get("reasoning"))
    if thinking:
        events.append(ReasoningDelta(text=thinking, choice=choice, part=parts.of("reasoning")))
    if text := text_of(delta.get("content")):
        events.append(TextDelta(text=text, choice=choice, part=parts.of("text")))
    for annotation in objects_of(delta.get("annotations")):
        if (citation := citation_of(annotation)) is not None:
            events.append(CitationDelta(citation=citation, choice=choice, part=parts.of("text")))
    if refusal := text_of(delta.get("refusal")):
        events.append(RefusalDelta(text=refusal, choice=choice, part=parts.of("refusal")))
    for place, call in enumerate(objects_of(delta.get("tool_calls"))):
        events.append(_call_event(call, place, choice, parts))
    if isinstance(called := delta.get("function_call"), dict):
        name = text_of(called.get("name"))
        arguments = text_of(called.get("arguments"))
        # The deprecated form has one call and no id.
        call_id = "function_call_0" if name else ""
        part = parts.of_call(0)
        events.append(
            ToolCallDelta(call=0, id=call_id, name=name, arguments=arguments, choice=choice, part=part)
        )
    unknown = {name: value for name, value in delta.items() if name not in _KNOWN and value is not None}
    if unknown:
        events.append(OpaqueDelta(wire=WIRE, value=raw(unknown), choice=choice))


def _call_event(given: dict[str, Any], place: int, choice: int, parts: _Parts) -> ToolCallDelta:
    # Some servers leave the index out where there is one call only.
    call = count(given["index"]) if "index" in given else place
    kind = "custom" if "custom" in given else "function"
    inner = object_of(given.get(kind))
    return ToolCallDelta(
        call=call,
        id=text_of(given.get("id")),
        name=text_of(inner.get("name")),
        arguments=text_of(inner.get("input" if kind == "custom" else "arguments")),
        kind=kind,
        choice=choice,
        part=parts.of_call(call),
    )
