"""Exchanges, requests and targets for unit tests: sensible as they are, cut to size in one line."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from hookway_sdk.brand import Brand, native_brand
from hookway_sdk.endpoint import Endpoint
from hookway_sdk.envelope import Envelope, open_envelope, raw
from hookway_sdk.errors import GatewayError, InvalidRequest
from hookway_sdk.exchange import Exchange, ExchangeKind
from hookway_sdk.incoming import Client, Headers, Principal
from hookway_sdk.messages import ChatRequest, Message, Role, TextPart
from hookway_sdk.resources import SnapshotView
from hookway_sdk.secrets import Secret
from hookway_sdk.targets import Candidate, Deployment, ModelView, Plan, ProviderKey
from hookway_sdk.testing.snapshots import make_snapshot
from hookway_sdk.texts import Channel, TextSlot
from hookway_sdk.views import RequestView

MODEL = "gpt-test"
"""The model of requests that name none."""


class HeaderLines:
    """Headers as a list of lines, in place of a server's multi-map; names are case-insensitive."""

    def __init__(self, lines: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self._lines = list(lines.items() if isinstance(lines, Mapping) else lines)

    def get(self, key: str, /) -> str | None:
        """Return the first value, or ``None``."""
        return next(iter(self.getall(key, [])), None)

    def getall(self, key: str, default: list[str], /) -> list[str]:
        """Return every value in order, or the default."""
        return [value for name, value in self._lines if name.lower() == key.lower()] or default

    def items(self) -> list[tuple[str, str]]:
        """Return every line in order."""
        return list(self._lines)


class ChatEndpoint(Endpoint):
    """Where test requests come in: parses with :func:`make_request`, and renders errors as plain JSON."""

    path = "/v1/chat/completions"
    protocol = "openai"
    wire = "openai.chat"

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        """Return the error as one JSON object."""
        return msgspec.json.encode({"error": {"type": error.type, "message": error.message}})

    def parse(self, body: bytes, exchange: Exchange) -> RequestView:
        """Open the body."""
        try:
            return PlainRequest(open_envelope(body))
        except ValueError as error:
            raise InvalidRequest(str(error)) from error


class PlainRequest(RequestView):
    """A chat request of which every string in ``messages`` is a text.

    It stands in for a dialect's own view: texts can be read and masked, and ``canonical`` knows roles
    and plain contents.
    """

    __slots__ = ("_messages", "_slots")

    def __init__(self, envelope: Envelope) -> None:
        try:
            model = msgspec.json.decode(envelope.get("model", raw("")), type=str)
            stream = msgspec.json.decode(envelope.get("stream", raw(False)), type=bool)
            self._messages: Any = msgspec.json.decode(envelope.get("messages", raw([])), type=list)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(str(error)) from error
        super().__init__(model, stream, envelope)
        self._slots: list[TextSlot] | None = None

    def texts(self) -> Sequence[TextSlot]:
        """Return every string in the messages except roles and types, in order."""
        if self._slots is None:
            self.edited = True
            self._slots = []
            for index, message in enumerate(self._messages):
                role = message.get("role", "") if isinstance(message, dict) else ""
                self._collect(self._messages, index, f"/messages/{index}", role)
        return self._slots

    def sealed(self) -> Envelope:
        """Return the envelope, its messages re-encoded once they were read."""
        return {**self.envelope, "messages": raw(self._messages)} if self.edited else self.envelope

    def canonical(self) -> ChatRequest:
        """Return roles and texts."""
        messages = tuple(_message(message) for message in self._messages)
        return ChatRequest(model=self.model, stream=self.stream, messages=messages)

    def _collect(self, holder: Any, key: Any, pointer: str, role: str) -> None:
        value = holder[key]
        if isinstance(value, str) and key not in ("role", "type"):
            assert self._slots is not None
            channel: Channel = "system" if role == "system" else "content"
            self._slots.append(_HeldText(pointer, value, channel, role, holder, key))
        elif isinstance(value, dict):
            for name in value:
                self._collect(value, name, f"{pointer}/{escape(name)}", role)
        elif isinstance(value, list):
            for index in range(len(value)):
                self._collect(value, index, f"{pointer}/{index}", role)


class _HeldText(TextSlot):
    __slots__ = ("_holder", "_key")

    def __init__(self, pointer: str, text: str, channel: Channel, role: str, holder: Any, key: Any) -> None:
        super().__init__(pointer, text, channel, role)
        self._holder = holder
        self._key = key

    def replace(self, text: str) -> None:
        super().replace(text)
        self._holder[self._key] = text


def escape(name: str) -> str:
    """Return a member's name as a step of a JSON pointer (RFC 6901, section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def _message(value: Any) -> Message:
    try:
        role: Role = msgspec.convert(value["role"], Role)
        content = value["content"]
        texts = [content] if isinstance(content, str) else [part["text"] for part in content]
        msgspec.convert(texts, list[str])
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise InvalidRequest(f"a message of this shape has no canonical form: {error}") from error
    parts = tuple(TextPart(text=text) for text in texts)
    return Message(role=role, parts=parts, plain=isinstance(content, str))


def make_request(*texts: str, model: str = MODEL, stream: bool = False, **members: Any) -> PlainRequest:
    """Make a chat request with one user message for each text.

    Args:
        members: further members of the body; ``messages`` replaces the texts.
    """
    messages = [{"role": "user", "content": text} for text in texts or ("Hello",)]
    body = {"model": model, "messages": messages, "stream": stream, **members}
    return PlainRequest({name: raw(value) for name, value in body.items()})


def make_principal(key_id: str = "key-1", **facts: Any) -> Principal:
    """Make a caller that may use every model; ``facts`` are fields of :class:`Principal`."""
    return Principal(**{"key_id": key_id, "key_name": key_id, "allowed_models": ("*",), **facts})


def make_provider_key(name: str = "account", secret: str = "test-credential", **facts: Any) -> ProviderKey:
    """Make an account; ``facts`` are fields of :class:`ProviderKey`."""
    given = {"id": f"id-of-{name}", "name": name, "provider": "", "adapter": "", "api_base": "", **facts}
    return ProviderKey(secret=Secret(secret), **given)


def make_deployment(
    name: str = "target", *, model: str = MODEL, key: ProviderKey | None = None, **facts: Any
) -> Deployment:
    """Make a deployment; ``facts`` are fields of :class:`Deployment`."""
    key = key or make_provider_key()
    given = {"id": f"id-of-{name}", "name": name, "model": model, "provider": key.provider, **facts}
    return Deployment(key=key, **given)


def make_candidate(name: str = "target", *, deployment: Deployment | None = None, **place: Any) -> Candidate:
    """Make a candidate; ``place`` are further arguments of :class:`Candidate`, its ``weight`` for one."""
    return Candidate(deployment or make_deployment(name), **place)


def make_model(name: str = MODEL, **facts: Any) -> ModelView:
    """Make a resolved model; ``facts`` are fields of :class:`ModelView`."""
    return ModelView(**{"id": f"id-of-{name}", "name": name, "requested": name, **facts})


_serial = itertools.count(1)


def make_exchange(
    *texts: str,
    request: RequestView | None = None,
    principal: Principal | None = None,
    anonymous: bool = False,
    model: ModelView | None = None,
    candidates: Sequence[Candidate] = (),
    endpoint: Endpoint | None = None,
    snapshot: SnapshotView | None = None,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    client: Client | None = None,
    brand: Brand | None = None,
    id: str = "",
    kind: ExchangeKind = ExchangeKind.CALL,
    started: float = 1_000.0,
    started_at: float = 1_700_000_000.0,
) -> Exchange:
    """Make an exchange that has come as far as its arguments say, by default up to the plan.

    Args:
        texts: of the user messages, where ``request`` is not given.
        principal: who it is from, by default :func:`make_principal`.
        anonymous: nobody was authenticated yet.
        model: by default the one that the request names.
        candidates: the plan; without any, one candidate.
        id: by default a new one each time.
        started: monotonic seconds of accept, by default when a :class:`FakeClock` begins.
        started_at: the same in epoch seconds.
    """
    endpoint = endpoint or ChatEndpoint()
    exchange = Exchange(
        id or f"test-{next(_serial)}",
        endpoint,
        make_snapshot() if snapshot is None else snapshot,
        brand or native_brand("test"),
        method=endpoint.method,
        path=endpoint.path,
        query="",
        headers=Headers(HeaderLines(headers)),
        client=client or Client("192.0.2.7", "test-client/1"),
        started=started,
        started_at=started_at,
        kind=kind,
    )
    exchange.principal = None if anonymous else principal or make_principal()
    exchange.request = make_request(*texts) if request is None else request
    exchange.model = model or make_model(exchange.request.model or MODEL)
    exchange.plan = Plan(candidates or [make_candidate()])
    return exchange
