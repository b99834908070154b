"""One client stream in OpenAI's wire: relayed frames with the client's model name, or events spelt as chunks.

Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from typing import Any

import msgspec

from hookway_plugins.dialect_openai.answers import annotation, audio_object, finish_reason, usage_object
from hookway_plugins.dialect_openai.errors import error_frame
from hookway_plugins.dialect_openai.wire import WIRE
from hookway_sdk import (
    AudioPart,
    CitationDelta,
    Frame,
    GatewayError,
    LogprobsDelta,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    StreamEvent,
    StreamStart,
    StreamStop,
    StreamUsage,
    StreamWriter,
    TextDelta,
    ToolCallDelta,
    Usage,
    WholePart,
    open_envelope,
    raw,
)

_encode = msgspec.json.Encoder().encode
_NULL = msgspec.Raw(b"null")
_DONE = b"data: [DONE]\n\n"
_DONE_DATA = b"[DONE]"


class ChatStreamWriter(StreamWriter):
    """Write one chat's stream.

    Args:
        model: the name the client asked for.
        fallback_id: id of the answer where the provider gives none.
        now: Unix seconds, for a provider that does not say when.
        include_usage: the client asked for usage inside its stream.
        legacy: the client uses ``functions``, so a call is its ``function_call``.
    """

    copies_text = True

    def __init__(
        self, *, model: str, fallback_id: str, now: int, include_usage: bool, legacy: bool = False
    ) -> None:
        self._model = raw(model)
        self._fallback_id = fallback_id
        self._now = now
        self._include_usage = include_usage
        self._legacy = legacy
        self._ended = False
        self._head = b""
        self._tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._spoken: set[int] = set()
        self._kinds: dict[tuple[int, int], str] = {}

    def relay(self, frame: Frame) -> bytes:
        """Return a frame of OpenAI's wire with the client's model name.

        Usage is always asked for upstream. From a client that did not ask for it, the frame that carries
        nothing else is hidden, and so is the ``usage: null`` of the others.
        """
        data = frame.data
        if data == _DONE_DATA:
            self._ended = True
            return _DONE
        if not data or self._ended:
            return b""
        # A copy: every stage of the pipeline sees the same fields.
        fields = frame.fields.copy()
        fields["model"] = self._model
        if not self._include_usage and "usage" in fields:
            if fields["usage"] == _NULL:
                del fields["usage"]
            elif _is_empty(fields.get("choices")):
                return b""
        body = _encode(fields)
        if b"\n" in body:
            body = body.replace(b"\n", b"\ndata: ")
        if frame.event or frame.id:
            return _named(frame) + b"data: " + body + b"\n\n"
        return b"data: %b\n\n" % body

    def end_relay(self) -> bytes:
        """Return ``[DONE]`` where the upstream ended without it, as some compatible servers do."""
        return b"" if self._ended else _DONE

    def write(self, event: StreamEvent) -> bytes:
        """Return the chunk for an event; each choice begins with a chunk that names the role."""
        if isinstance(event, TextDelta):
            return self._chunk(event.choice, {"content": event.text})
        if isinstance(event, StreamStart):
            return self._start(event)
        if isinstance(event, StreamUsage):
            return b""  # end() is given the totals
        if isinstance(event, StreamStop):
            reason = finish_reason(event.stop_reason, event.stop_detail, self._legacy)
            return self._chunk(event.choice, {}, finish=_encode(reason))
        if isinstance(event, LogprobsDelta):
            return self._chunk(event.choice, {}, logprobs=bytes(event.logprobs))
        if isinstance(event, OpaqueDelta):
            # What has a type is a part of a finished answer that was held back; a chunk has no place for it.
            fits = event.wire == WIRE and "type" not in open_envelope(event.value)
            return self._chunk(event.choice, event.value) if fits else b""
        if isinstance(event, WholePart):
            if not isinstance(event.part, AudioPart):
                return b""  # a chunk has no place for an image or a file
            return self._chunk(event.choice, {"audio": audio_object(event.part)})
        delta = self._delta(event)
        return self._chunk(event.choice, delta) if delta else b""

    def end(self, usage: Usage) -> bytes:
        """Return the usage chunk, if the client asked for one, and ``[DONE]``."""
        if not self._include_usage:
            return _DONE
        if not self._head:
            self._open(StreamStart())
        head = self._head.removesuffix(b"{")
        return head + b'],"usage":' + _encode(usage_object(usage)) + b"}\n\n" + _DONE

    def fail(self, error: GatewayError) -> bytes:
        """Return the error event; OpenAI's SDKs raise ``APIError`` on it."""
        return error_frame(error)

    def _start(self, event: StreamStart) -> bytes:
        if self._head:
            return b""
        self._open(event)
        return self._role(0)

    def _open(self, event: StreamStart) -> None:
        head: dict[str, Any] = {
            "id": event.id or self._fallback_id,
            "object": "chat.completion.chunk",
            "created": event.created or self._now,
            "model": self._model,
        }
        if event.service_tier:
            head["service_tier"] = event.service_tier
        self._head = b"data: " + _encode(head)[:-1] + b',"choices":[{'

    def _role(self, choice: int) -> bytes:
        self._spoken.add(choice)
        return self._bytes(choice, {"role": "assistant", "content": ""}, b"null", b"")

    def _chunk(self, choice: int, delta: Any, *, finish: bytes = b"null", logprobs: bytes = b"") -> bytes:
        if not self._head:
            self._open(StreamStart())
        body = self._bytes(choice, delta, finish, logprobs)
        return body if choice in self._spoken else self._role(choice) + body

    def _bytes(self, choice: int, delta: Any, finish: bytes, logprobs: bytes) -> bytes:
        said = b',"logprobs":' + logprobs if logprobs else b""
        return b'%b"index":%d,"delta":%b%b,"finish_reason":%b}]%b' % (
            self._head,
            choice,
            _encode(delta),
            said,
            finish,
            self._tail,
        )

    def _delta(self, event: ReasoningDelta | RefusalDelta | ToolCallDelta | CitationDelta) -> dict[str, Any]:
        if isinstance(event, ReasoningDelta):
            # A signature or redacted reasoning has no word in this wire.
            return {"reasoning_content": event.text} if event.text else {}
        if isinstance(event, RefusalDelta):
            return {"refusal": event.text}
        if isinstance(event, CitationDelta):
            return {"annotations": [annotation(event.citation)]} if event.citation.url else {}
        return self._function_call(event) if self._legacy else self._tool_call(event)

    def _tool_call(self, event: ToolCallDelta) -> dict[str, Any]:
        place = (event.choice, event.call)
        begins = place not in self._kinds
        kind = self._kinds.setdefault(place, "custom" if event.kind == "custom" else "function")
        inner: dict[str, Any] = {"name": event.name} if event.name else {}
        inner["input" if kind == "custom" else "arguments"] = event.arguments
        call: dict[str, Any] = {"index": event.call}
        if event.id:
            call["id"] = event.id
        if begins:
            call["type"] = kind
        call[kind] = inner
        return {"tool_calls": [call]}

    def _function_call(self, event: ToolCallDelta) -> dict[str, Any]:
        if event.call:
            return {}  # the deprecated form has room for one call
        inner: dict[str, Any] = {"name": event.name} if event.name else {}
        inner["arguments"] = event.arguments
        return {"function_call": inner}


def _is_empty(choices: msgspec.Raw | None) -> bool:
    """Whether a frame has no choices: ``[]``, ``null`` (some servers) or no such member."""
    return choices is None or choices == _NULL or not bytes(choices)[1:-1].strip()


def _named(frame: Frame) -> bytes:
    """Return the lines of a frame's event name and id."""
    lines = f"event: {frame.event}\n" if frame.event else ""
    if frame.id:
        lines += f"id: {frame.id}\n"
    return lines.encode()
