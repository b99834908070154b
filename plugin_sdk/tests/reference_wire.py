"""The smallest honest dialect and provider; both speak a wire of this file alone.

A request is ``{"model", "stream", "messages": [{"role", "content"}]}``, an answer
``{"id", "model", "text", "stop", "usage": {"in", "out"}}``. A stream has the same members in several
events and ends with ``[DONE]``; an error is ``{"error": {"type", "message"}}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from hookway_sdk import (
    AnswerFacts,
    AnswerView,
    ChatAnswer,
    ChatRequest,
    Choice,
    Deployment,
    Dialect,
    Encoded,
    Endpoint,
    Envelope,
    Exchange,
    Frame,
    GatewayError,
    InvalidRequest,
    InvalidUpstreamConfig,
    InvalidUpstreamCredential,
    LocalAnswer,
    Message,
    NoSettings,
    Provider,
    Sample,
    StreamAborted,
    StreamEvent,
    StreamReader,
    StreamStart,
    StreamStop,
    StreamWriter,
    TextDelta,
    TextPart,
    TextSlot,
    UpstreamError,
    UpstreamInBand,
    UpstreamRefused,
    UpstreamTarget,
    UpstreamUndecodable,
    Usage,
    close_envelope,
    open_envelope,
    raw,
    read,
)
from hookway_sdk.testing import ChatEndpoint
from hookway_sdk.usage import count

WIRE = "plain.chat"
DONE = b"data: [DONE]\n\n"


def event(value: Any) -> bytes:
    """Return one server-sent event."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def text_of(value: Any) -> str:
    """Return what there is to read; nothing of anything that is no text."""
    return value if isinstance(value, str) else ""


# ── the dialect ─────────────────────────────────────────────────────────────────────────────


class PlainView(AnswerView):
    """A finished answer."""

    def __init__(self, body: bytes) -> None:
        try:
            self.envelope = open_envelope(body)
            self.slot = TextSlot("/text", msgspec.json.decode(self.envelope["text"], type=str), "content")
        except (KeyError, ValueError, RecursionError) as error:
            raise UpstreamUndecodable("no text") from error

    def texts(self) -> Sequence[TextSlot]:
        return [self.slot]

    def body(self) -> bytes:
        return close_envelope({**self.envelope, "text": raw(self.slot.text)})


class PlainWriter(StreamWriter):
    """A stream for a client."""

    copies_text = True

    def __init__(self, exchange: Exchange) -> None:
        self.name = exchange.model.requested
        self.ended = False

    def relay(self, frame: Frame) -> bytes:
        if frame.data == b"[DONE]":
            self.ended = True
            return DONE
        fields = dict(frame.fields)
        if "model" in fields:
            fields["model"] = raw(self.name)
        return b"data: " + close_envelope(fields) + b"\n\n"

    def end_relay(self) -> bytes:
        return b"" if self.ended else DONE

    def write(self, event_: StreamEvent) -> bytes:
        if isinstance(event_, StreamStart):
            return event({"id": event_.id, "model": self.name})
        if isinstance(event_, TextDelta):
            return event({"text": event_.text})
        if isinstance(event_, StreamStop):
            return event({"stop": event_.stop_reason})
        return b""

    def end(self, usage: Usage) -> bytes:
        return event({"usage": {"in": usage.input_tokens, "out": usage.output_tokens}}) + DONE

    def fail(self, error: GatewayError) -> bytes:
        return event({"error": {"type": error.type, "message": error.message}})


class PlainChat(ChatEndpoint):
    """Chat over the plain wire."""

    path = "/plain"
    wire = WIRE

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        message = error.message.encode(errors="replace").decode()
        return msgspec.json.encode({"error": {"type": error.type, "message": message}})

    def relay_answer(self, answer: Envelope, exchange: Exchange) -> Envelope:
        return {**answer, "model": raw(exchange.model.requested)}

    def encode_answer(self, answer: ChatAnswer, exchange: Exchange) -> bytes:
        parts = [part for choice in answer.choices for part in choice.message.parts]
        text = "".join(part.text for part in parts if isinstance(part, TextPart))
        return msgspec.json.encode({"id": answer.id, "model": exchange.model.requested, "text": text})

    def view_answer(self, body: bytes, exchange: Exchange) -> AnswerView:
        return PlainView(body)

    def writer(self, exchange: Exchange) -> StreamWriter:
        return PlainWriter(exchange)

    def samples(self) -> Sequence[Sample]:
        messages = [
            {"role": "system", "content": "{{system}}"},
            {"role": "user", "content": [{"type": "text", "text": "{{user}}"}]},
        ]
        body = {"model": "sample", "messages": messages}
        slots = ("/messages/0/content", "/messages/1/content/0/text")
        head, usage = {"id": "a-1", "model": "upstream-model"}, {"in": 3, "out": 1}
        return (
            Sample(body=body, slots=slots, upstream={**head, "text": "hi", "stop": "stop", "usage": usage}),
            Sample(
                body={**body, "stream": True},
                stream=True,
                slots=slots,
                upstream=[head, {"text": "hi"}, {"stop": "stop"}, {"usage": usage}, "[DONE]"],
            ),
        )


class PlainDialect(Dialect[NoSettings]):
    """Speak the plain wire to clients."""

    endpoint: type[Endpoint] = PlainChat

    def endpoints(self) -> Sequence[Endpoint]:
        return [self.endpoint()]


# ── the provider ────────────────────────────────────────────────────────────────────────────


def usage_of(value: Any) -> Usage:
    """Read counts."""
    value = value if isinstance(value, dict) else {}
    return Usage(count(value.get("in")), count(value.get("out")))


class PlainReader(StreamReader):
    """A stream from upstream."""

    def observe(self, frame: Frame) -> None:
        self.decode(frame)

    def free_text(self, frame: Frame) -> Sequence[tuple[int, int]]:
        if frame.data.startswith(b'{"text":"') and frame.data.count(b'"') == 4:
            return [(len(b'{"text":"'), frame.data.rindex(b'"'))]
        return ()

    def decode(self, frame: Frame) -> Sequence[StreamEvent]:
        if frame.data == b"[DONE]":
            self.done = True
            return []
        try:
            fields = {name: read(value) for name, value in frame.fields.items()}
        except (ValueError, RecursionError) as error:
            raise UpstreamUndecodable("a frame is no JSON") from error
        if fields.get("error"):
            raise UpstreamInBand("an error")
        return self.events(fields)

    def events(self, fields: dict[str, Any]) -> list[StreamEvent]:
        """Return what a frame says, and note the rest."""
        events: list[StreamEvent] = []
        if "id" in fields:
            self.upstream_id, self.upstream_model = text_of(fields["id"]), text_of(fields.get("model"))
            events.append(StreamStart(id=self.upstream_id, model=self.upstream_model))
        if text_of(fields.get("text")):
            events.append(TextDelta(text=fields["text"]))
        if text_of(fields.get("stop")):
            self.stop_reason = fields["stop"]
            events.append(StreamStop())
        self.usage.observe(usage_of(fields.get("usage")))
        return events

    def close(self) -> Sequence[StreamEvent]:
        if not self.done:
            raise StreamAborted()
        return ()


class PlainProvider(Provider[NoSettings]):
    """Speak the plain wire to upstreams."""

    adapters = ("plain",)
    wires = (WIRE,)
    reading: type[StreamReader] = PlainReader

    def target(self, deployment: Deployment, wire: str, stream: bool) -> UpstreamTarget:
        secret = deployment.key.secret.reveal()
        if not secret.isascii() or not secret.isprintable():
            raise InvalidUpstreamCredential("it cannot stand in a header")
        base = deployment.key.api_base
        scheme, _, rest = base.partition("://")
        host = rest.partition("/")[0]
        if scheme not in ("http", "https") or not host or not base.isprintable() or " " in base:
            raise InvalidUpstreamConfig("api_base is no URL")
        url = f"{base.rstrip('/')}/chat/{quote(deployment.model, safe='')}"
        return UpstreamTarget(
            url, (("authorization", f"Bearer {secret}"), ("content-type", "application/json"))
        )

    def relay_request(self, request: Envelope, deployment: Deployment, wire: str, stream: bool) -> Envelope:
        request["model"] = raw(deployment.model)
        return request

    def facts(self, answer: Envelope, wire: str) -> AnswerFacts:
        try:
            fields = {name: read(value) for name, value in answer.items()}
        except (ValueError, RecursionError) as error:
            raise UpstreamUndecodable("a member is no JSON") from error
        if fields.get("error"):
            raise UpstreamInBand("an error")
        return AnswerFacts(usage_of(fields.get("usage")), text_of(fields.get("id")))

    def encode(self, request: ChatRequest, deployment: Deployment) -> Encoded:
        dropped: list[str] = []
        messages = []
        for index, message in enumerate(request.messages):
            texts = []
            for number, part in enumerate(message.parts):
                if isinstance(part, TextPart):
                    texts.append(part.text)
                else:
                    dropped.append(f"/messages/{index}/parts/{number}")
            messages.append({"role": message.role, "content": "".join(texts)})
        if request.extra:
            dropped.append("/extra")
        for name in ("tools", "tool_choice", "response_format", "reasoning", "metadata"):
            if getattr(request, name):
                dropped.append(f"/{name}")
        body = {"model": deployment.model, "stream": request.stream, "messages": messages}
        return Encoded(body=msgspec.json.encode(body), dropped=tuple(dropped))

    def decode(self, body: bytes, deployment: Deployment) -> ChatAnswer:
        try:
            fields = msgspec.json.decode(body, type=dict)
        except (ValueError, RecursionError) as error:
            raise UpstreamUndecodable("no JSON object") from error
        if fields.get("error"):
            raise UpstreamInBand("an error")
        message = Message(role="assistant", parts=(TextPart(text=text_of(fields.get("text"))),))
        return ChatAnswer(choices=(Choice(message=message),), usage=usage_of(fields.get("usage")))

    def reader(self, deployment: Deployment, wire: str) -> StreamReader:
        return self.reading()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        try:
            message = text_of(msgspec.json.decode(body)["error"]["message"])
        except (ValueError, RecursionError, LookupError, TypeError):
            message = ""
        wait = headers.get("retry-after", "")
        after = int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 9 else None
        return UpstreamRefused(status, message[:1_000], retry_after=after)


class PlainLocal(PlainProvider):
    """Answer in the plain wire without an upstream."""

    local = True

    async def answer(self, deployment: Deployment, body: bytes, stream: bool) -> LocalAnswer:
        if stream:
            head = event({"id": "a-1", "model": deployment.model, "text": "hi", "stop": "stop"})
            return LocalAnswer(head + event({"usage": {"in": 1, "out": 1}}) + DONE)
        return LocalAnswer(msgspec.json.encode({"id": "a-1", "text": "hi", "usage": {"in": 1, "out": 1}}))


class RelayOnly(PlainProvider):
    """Relay the plain wire and translate nothing."""

    def encode(self, request: ChatRequest, deployment: Deployment) -> Encoded:
        raise InvalidRequest("this endpoint cannot be served")
