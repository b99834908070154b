"""Messages and their parts, from OpenAI's wire to the canonical form."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from hookway_plugins.dialect_openai.shapes import (
    Extra,
    a_string,
    an_array,
    an_object,
    maybe_string,
    others,
    wrong,
)
from hookway_plugins.dialect_openai.wire import WIRE
from hookway_sdk import (
    AudioPart,
    FilePart,
    ImagePart,
    InvalidRequest,
    MediaSource,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    raw,
)

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_WITH_FIELDS = frozenset({"role", "content", "name"})
_ASSISTANT = _WITH_FIELDS | {"refusal", "tool_calls", "function_call", "reasoning_content", "audio"}
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def canonical_messages(value: Any) -> tuple[Message, ...]:
    """Return the canonical form of ``messages``.

    Raises:
        InvalidRequest: a message has a shape that the wire does not allow.
    """
    legacy = _LegacyCalls()
    messages = an_array(value, "messages")
    if not messages:
        raise InvalidRequest("messages array must not be empty", param="messages")
    return tuple(
        _message(an_object(item, f"messages.{index}"), f"messages.{index}", legacy)
        for index, item in enumerate(messages)
    )


class _LegacyCalls:
    """Gives ids to the deprecated ``function_call``, which has none, and to the results that follow."""

    def __init__(self) -> None:
        self._count = 0
        self._open: dict[str, str] = {}

    def begin(self, name: str) -> str:
        """Return the id of a call of a function."""
        self._open[name] = call_id = f"function_call_{self._count}"
        self._count += 1
        return call_id

    def end(self, name: str) -> str:
        """Return the id of the call that a result of a function belongs to."""
        return self._open.pop(name, None) or self.begin(name)


def _message(given: dict[str, Any], path: str, legacy: _LegacyCalls) -> Message:
    role = a_string(given.get("role"), f"{path}.role")
    if role not in _ROLES:
        raise wrong(f"{path}.role", "system, developer, user, assistant, tool or function")
    name = maybe_string(given.get("name"), f"{path}.name")
    parts, plain = _content(given.get("content"), f"{path}.content")
    if role == "assistant":
        extra = others(given, _ASSISTANT)
        parts = _assistant(given, parts, path, extra, legacy)
    elif role == "tool":
        extra = others(given, _WITH_FIELDS | {"tool_call_id"})
        call_id = a_string(given.get("tool_call_id"), f"{path}.tool_call_id")
        parts = (ToolResultPart(call_id=call_id, content=parts),)
    elif role == "function":
        extra = others(given, _WITH_FIELDS)
        parts = (ToolResultPart(call_id=legacy.end(name), content=parts),)
        role, name = "tool", ""
    else:
        extra = others(given, _WITH_FIELDS)
    return Message(
        role=cast("Role", role),
        parts=parts,
        name=name,
        plain=plain,
        extra=extra,
        wire=WIRE if extra else "",
    )


def _content(content: Any, path: str) -> tuple[tuple[Part, ...], bool]:
    if content is None:
        return (), True
    if isinstance(content, str):
        return (TextPart(text=content),), True
    if not isinstance(content, list):
        raise wrong(path, "a string or an array of parts")
    return tuple(_part(item, f"{path}.{index}") for index, item in enumerate(content)), False


def _assistant(
    given: dict[str, Any], content: tuple[Part, ...], path: str, extra: Extra, legacy: _LegacyCalls
) -> tuple[Part, ...]:
    parts: list[Part] = []
    if thinking := maybe_string(given.get("reasoning_content"), f"{path}.reasoning_content"):
        parts.append(ReasoningPart(text=thinking, wire=WIRE))
    parts.extend(content)
    if refusal := maybe_string(given.get("refusal"), f"{path}.refusal"):
        parts.append(RefusalPart(text=refusal))
    audio = given.get("audio")
    if audio is not None:
        spoken = an_object(audio, f"{path}.audio")
        parts.append(AudioPart(source=MediaSource(file_id=a_string(spoken.get("id"), f"{path}.audio.id"))))
        if left := others(spoken, {"id"}):
            extra["audio"] = raw(left)
    for index, item in enumerate(an_array(given.get("tool_calls"), f"{path}.tool_calls")):
        parts.append(_tool_call(item, f"{path}.tool_calls.{index}"))
    call = given.get("function_call")
    if call is not None:
        where = f"{path}.function_call"
        called = an_object(call, where)
        name = a_string(called.get("name"), f"{where}.name")
        arguments = maybe_string(called.get("arguments"), f"{where}.arguments")
        parts.append(ToolCallPart(id=legacy.begin(name), name=name, arguments=arguments))
    return tuple(parts)


def _tool_call(value: Any, path: str) -> ToolCallPart:
    given = an_object(value, path)
    kind = maybe_string(given.get("type"), f"{path}.type") or "function"
    text = {"function": "arguments", "custom": "input"}.get(kind)
    if text is None:
        raise wrong(f"{path}.type", "function or custom")
    inner = an_object(given.get(kind), f"{path}.{kind}")
    extra = others(given, {"id", "type", kind})
    if left := others(inner, {"name", text}):
        extra[kind] = raw(left)
    return ToolCallPart(
        id=a_string(given.get("id"), f"{path}.id"),
        name=a_string(inner.get("name"), f"{path}.{kind}.name"),
        arguments=maybe_string(inner.get(text), f"{path}.{kind}.{text}"),
        kind=kind,
        extra=extra,
        wire=WIRE if extra else "",
    )


def _part(value: Any, path: str) -> Part:
    given = an_object(value, path)
    kind = a_string(given.get("type"), f"{path}.type")
    extra = others(given, {"type", kind})
    inner = given.get(kind)
    if kind == "text":
        part: Part = TextPart(text=a_string(inner, f"{path}.text"))
    elif kind == "refusal":
        part = RefusalPart(text=a_string(inner, f"{path}.refusal"))
    elif kind == "image_url":
        # Some clients write the address itself, as the Responses API has it.
        image = {"url": inner} if isinstance(inner, str) else an_object(inner, f"{path}.image_url")
        part = _image(image, path, extra)
    elif kind == "input_audio":
        part = _audio(an_object(inner, f"{path}.input_audio"), path, extra)
    elif kind == "file":
        part = _file(an_object(inner, f"{path}.file"), path, extra)
    else:
        return OpaquePart(kind=kind, value=raw(given), wire=WIRE)
    part.extra = extra
    part.wire = WIRE if extra else ""
    return part


def _image(inner: dict[str, Any], path: str, extra: Extra) -> ImagePart:
    _keep(extra, "image_url", inner, {"url", "detail"})
    return ImagePart(
        source=media_of_url(a_string(inner.get("url"), f"{path}.image_url.url")),
        detail=maybe_string(inner.get("detail"), f"{path}.image_url.detail"),
    )


def _audio(inner: dict[str, Any], path: str, extra: Extra) -> AudioPart:
    _keep(extra, "input_audio", inner, {"data", "format"})
    form = a_string(inner.get("format"), f"{path}.input_audio.format")
    data = a_string(inner.get("data"), f"{path}.input_audio.data")
    media_type = _AUDIO_TYPES.get(form, f"audio/{form}")
    return AudioPart(source=MediaSource(data=data, media_type=media_type), format=form)


def _file(inner: dict[str, Any], path: str, extra: Extra) -> FilePart:
    """Read a file part; its data is a data URL, or bare base64 on some servers.

    Source: https://developers.openai.com/api/docs/guides/file-inputs
    """
    _keep(extra, "file", inner, {"file_data", "file_id", "filename"})
    data = inner.get("file_data")
    if data is None:
        source = MediaSource(file_id=a_string(inner.get("file_id"), f"{path}.file.file_id"))
    else:
        text = a_string(data, f"{path}.file.file_data")
        url = _DATA_URL.fullmatch(text)
        source = MediaSource(data=url[2], media_type=url[1]) if url else MediaSource(data=text)
    return FilePart(source=source, filename=maybe_string(inner.get("filename"), f"{path}.file.filename"))


def media_of_url(url: str) -> MediaSource:
    """Return a source for an address: the data of a base64 data URL (RFC 2397), else the address itself."""
    match = _DATA_URL.fullmatch(url)
    return MediaSource(data=match[2], media_type=match[1]) if match else MediaSource(url=url)


def _keep(extra: Extra, name: str, inner: dict[str, Any], known: set[str]) -> None:
    left: dict[str, msgspec.Raw] = others(inner, known)
    if left:
        extra[name] = raw(left)
