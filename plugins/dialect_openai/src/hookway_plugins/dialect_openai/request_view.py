"""A chat request as it came in: checked cheaply, its values left unparsed until somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hookway_plugins.dialect_openai.canonical_request import canonical_request
from hookway_plugins.dialect_openai.request_texts import TEXT_MEMBERS, is_text_member, request_slots
from hookway_plugins.dialect_openai.shapes import member, not_too_deep, wrong
from hookway_sdk import ChatRequest, Envelope, InvalidRequest, RequestView, TextSlot, open_envelope, raw

_decode_string = msgspec.json.Decoder(str).decode

_TRUE = msgspec.Raw(b"true")
_FALSE = msgspec.Raw(b"false")
_NULL = msgspec.Raw(b"null")
_ARRAY, _OBJECT = ord("["), ord("{")
_BLANKS_LOOKED_AT = 64
_LARGE = 16 * 1024
_BASE64_MARK = b";base64,"
_SEMICOLONS_LOOKED_AT = 256
_BYTES_OF_MEDIA = 4096
"""What an embedded image counts in estimates (about 1,000 tokens), however many bytes it is."""


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


_decode_stream_options = msgspec.json.Decoder(_StreamOptions).decode


def parse_chat(body: bytes) -> ChatView:
    """Check what every chat request has, without parsing its messages.

    Source: https://platform.openai.com/docs/api-reference/chat/create

    Raises:
        InvalidRequest: not a JSON object, or ``model``, ``messages``, ``stream`` or ``stream_options`` has
            the wrong shape.
    """
    try:
        envelope = open_envelope(body)
    except ValueError as error:  # msgspec's errors and UnicodeDecodeError are both ValueErrors
        raise InvalidRequest("invalid JSON request body") from error
    messages = envelope.get("messages")
    if messages is None or memoryview(messages)[0] != _ARRAY:
        raise wrong("messages", "an array")
    if _is_empty_array(messages):
        raise InvalidRequest("messages array must not be empty", param="messages")
    stream = envelope.get("stream")
    if not (stream is None or stream == _TRUE or stream == _FALSE or stream == _NULL):
        raise wrong("stream", "a boolean")
    options = envelope.get("stream_options")
    include_usage = options is not None and _asks_for_usage(options)
    return ChatView(_model(envelope), stream == _TRUE, envelope, include_usage)


def _model(envelope: Envelope) -> str:
    value = envelope.get("model")
    try:
        model = "" if value is None else _decode_string(value)
    except ValueError:
        model = ""
    if not model:
        raise wrong("model", "a non-empty string")
    return model


def _is_empty_array(value: msgspec.Raw) -> bool:
    view = memoryview(value)
    rest = bytes(view[1:_BLANKS_LOOKED_AT]).lstrip()
    if not rest and len(view) > _BLANKS_LOOKED_AT:
        rest = bytes(view[1:]).lstrip()
    return rest[:1] == b"]"


def _asks_for_usage(options: msgspec.Raw) -> bool:
    if options == _NULL:
        return False
    try:
        if memoryview(options)[0] == _OBJECT:
            return _decode_stream_options(options).include_usage is True
    except ValueError as error:
        raise wrong("stream_options.include_usage", "a boolean") from error
    raise wrong("stream_options", "an object")


class ChatView(RequestView):
    """A chat request.

    Attributes:
        include_usage: the client asked for usage inside its stream.
    """

    __slots__ = ("_opened", "include_usage")

    def __init__(self, model: str, stream: bool, envelope: Envelope, include_usage: bool) -> None:
        super().__init__(model, stream, envelope)
        self.include_usage = include_usage
        self._opened: dict[str, Any] = {}

    def texts(self) -> Sequence[TextSlot]:
        """Return every text of messages, tools, prediction, response format, and of members we do not know.

        Raises:
            InvalidRequest: a text-bearing member has a shape that its wire does not allow, so that it
                cannot be checked.
        """
        self.edited = True
        for name in self.envelope:
            if is_text_member(name):
                self._open(name)
        return not_too_deep(lambda: request_slots(self._opened))

    def sealed(self) -> Envelope:
        """Return the envelope to send on; where texts were read, their members are encoded anew."""
        if not self.edited:
            return self.envelope
        return not_too_deep(
            lambda: {**self.envelope, **{name: raw(value) for name, value in self._opened.items()}}
        )

    def canonical(self) -> ChatRequest:
        """Return the request in canonical form, masked texts included.

        Raises:
            InvalidRequest: a member has a shape that OpenAI's wire does not allow.
        """
        opened = {
            name: self._opened[name] if name in self._opened else member(self.envelope, name)
            for name in self.envelope
        }
        return not_too_deep(lambda: canonical_request(opened))

    def size(self) -> int:
        """Return the bytes of text-bearing members; embedded images count with a fixed size."""
        total = 0
        for name, value in self.envelope.items():
            if name in TEXT_MEMBERS:
                size = len(value)
                total += size if size < _LARGE else _size_without_media(value)
        return total

    def output_limit(self) -> int | None:
        """Return ``max_completion_tokens``, or the older ``max_tokens``, times the number of choices."""
        limit = self._number("max_completion_tokens")
        if limit is None:
            limit = self._number("max_tokens")
        return None if limit is None else limit * max(1, self._number("n") or 1)

    def _number(self, name: str) -> int | None:
        value = self.envelope.get(name)
        if value is None or len(value) > 20:
            return None
        text = bytes(value)
        return int(text) if text.isdigit() else None

    @property
    def legacy_functions(self) -> bool:
        """Whether the client uses ``functions``, so that calls are answered as ``function_call``."""
        return "functions" in self.envelope

    def _open(self, name: str) -> Any:
        if name not in self._opened:
            self._opened[name] = member(self.envelope, name)
        return self._opened[name]


def _size_without_media(value: msgspec.Raw) -> int:
    text = bytes(value)
    size = len(text)
    start = _find_media(text, 0)
    while start >= 0:
        end = text.find(b'"', start)
        if end < 0:
            break
        size -= max(0, end - start - _BYTES_OF_MEDIA)
        start = _find_media(text, end)
    return size


def _find_media(text: bytes, start: int) -> int:
    """Return where the next embedded file begins, -1 if there is none.

    One byte is found in a megabyte within 8 µs, eight of them take 300: prose has few semicolons to look at.
    """
    for _ in range(_SEMICOLONS_LOOKED_AT):
        start = text.find(b";", start)
        if start < 0 or text.startswith(_BASE64_MARK, start):
            return start
        start += 1
    return text.find(_BASE64_MARK, start)
