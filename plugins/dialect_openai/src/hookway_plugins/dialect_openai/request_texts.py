"""Every place of a chat request in which a caller can put text, with a way to write back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from hookway_plugins.dialect_openai.shapes import a_string, an_array, an_object, wrong
from hookway_sdk import Channel, TextSlot

Container: TypeAlias = "dict[str, Any] | list[Any]"

TEXT_MEMBERS = ("messages", "tools", "functions", "prediction", "response_format")
"""Members of OpenAI's own that hold text for the model."""

_NO_TEXT = frozenset(
    "model stream stream_options audio frequency_penalty function_call logit_bias logprobs "
    "max_completion_tokens max_tokens metadata modalities moderation n parallel_tool_calls "
    "presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort "
    "safety_identifier seed service_tier stop store temperature tool_choice top_logprobs top_p user "
    "verbosity web_search_options".split()
)
"""Members of OpenAI's own that are settings, not text for the model."""

_ROLE_CHANNELS: dict[str, Channel] = {"system": "system", "developer": "system", "tool": "tool_result"}
_ROLE_CHANNELS["function"] = "tool_result"
_MESSAGE_IDS = frozenset({"role", "tool_call_id", "audio"})
_MEDIA = frozenset({"image_url", "input_audio", "file"})
_SCHEMA_WORDS = frozenset({"name", "type", "format", "pattern", "required", "$schema", "$id", "$ref"})
"""The name of a tool or schema, and keywords of JSON Schema whose strings are not prose."""


class MemberSlot(TextSlot):
    """A string that stands in a parsed object or array."""

    __slots__ = ("_container", "_key")

    def __init__(
        self, container: Container, key: str | int, pointer: str, channel: Channel, role: str = ""
    ) -> None:
        super().__init__(pointer, container[key], channel, role)  # type: ignore[index]  # key fits container
        self._container = container
        self._key = key

    def replace(self, text: str) -> None:
        """Write another text into the object the request is encoded from."""
        super().replace(text)
        self._container[self._key] = text  # type: ignore[index]  # key fits container


def is_text_member(name: str) -> bool:
    """Say whether a top-level member may hold text for the model.

    Members we do not know count: a compatible server may put them into its prompt.
    """
    return name not in _NO_TEXT


def request_slots(opened: dict[str, Any]) -> list[TextSlot]:
    """Return the slots of parsed top-level members, in the order of the body.

    Raises:
        InvalidRequest: a message, a part or a tool has a shape that cannot be checked.
    """
    slots: list[TextSlot] = []
    for name, value in opened.items():
        if name == "messages":
            slots.extend(_messages(value))
        elif name in ("tools", "functions"):
            slots.extend(_tools(name, value))
        elif name == "response_format":
            slots.extend(leaves(opened, name, "/response_format", "other", skip=_SCHEMA_WORDS))
        else:
            slots.extend(leaves(opened, name, f"/{escaped(name)}", "other"))
    return slots


def escaped(name: str) -> str:
    """Return a member's name as a token of a JSON pointer (RFC 6901, section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def leaves(
    container: Container,
    key: str | int,
    pointer: str,
    channel: Channel,
    role: str = "",
    *,
    skip: frozenset[str] = frozenset({"type"}),
) -> Iterator[TextSlot]:
    """Yield a slot for every string below a member of which only the shape is known.

    Args:
        container: object or array that holds the member.
        key: where it stands there.
        pointer: JSON pointer of the member.
        skip: names of members whose values are words of the wire, not text.
    """
    value: Any = container[key]  # type: ignore[index]  # key fits container
    if isinstance(value, str):
        if value:
            yield MemberSlot(container, key, pointer, channel, role)
    elif isinstance(value, dict):
        for name, inner in value.items():
            # A schema may well have a property called "type" or "name": then its value is an object.
            if name not in skip or isinstance(inner, dict):
                yield from leaves(value, name, f"{pointer}/{escaped(name)}", channel, role, skip=skip)
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from leaves(value, index, f"{pointer}/{index}", channel, role, skip=skip)


def _messages(value: Any) -> Iterator[TextSlot]:
    for index, item in enumerate(an_array(value, "messages")):
        path = f"messages.{index}"
        message = an_object(item, path)
        role = a_string(message.get("role"), f"{path}.role")
        channel = _ROLE_CHANNELS.get(role, "content")
        pointer = f"/messages/{index}"
        for name in message:
            below = f"{pointer}/{escaped(name)}"
            if name == "content":
                yield from _content(message, below, f"{path}.content", channel, role)
            elif name == "tool_calls":
                yield from _tool_calls(message, below, f"{path}.tool_calls", role)
            elif name == "function_call":
                yield from _call(message, name, below, role)
            elif name == "refusal":
                yield from leaves(message, name, below, "refusal", role)
            elif name in ("reasoning_content", "reasoning"):
                yield from leaves(message, name, below, "reasoning", role)
            elif name not in _MESSAGE_IDS:
                yield from leaves(message, name, below, "other", role)


def _content(
    message: dict[str, Any], pointer: str, path: str, channel: Channel, role: str
) -> Iterator[TextSlot]:
    content = message["content"]
    if isinstance(content, str):
        if content:
            yield MemberSlot(message, "content", pointer, channel, role)
    elif isinstance(content, list):
        for index, item in enumerate(content):
            part = an_object(item, f"{path}.{index}")
            yield from _part(part, f"{pointer}/{index}", channel, role)
    elif content is not None:
        raise wrong(path, "a string or an array of parts")


def _part(part: dict[str, Any], pointer: str, channel: Channel, role: str) -> Iterator[TextSlot]:
    kind = part.get("type")
    for name in part:
        if name == "type" or (name == kind and kind in _MEDIA):
            continue
        inside: Channel = "refusal" if name == "refusal" else channel
        yield from leaves(part, name, f"{pointer}/{escaped(name)}", inside, role)


def _tool_calls(message: dict[str, Any], pointer: str, path: str, role: str) -> Iterator[TextSlot]:
    for index, item in enumerate(an_array(message["tool_calls"], path)):
        call = an_object(item, f"{path}.{index}")
        for name in call:
            if name not in ("id", "type", "index"):
                yield from _call(call, name, f"{pointer}/{index}/{escaped(name)}", role)


def _call(holder: dict[str, Any], name: str, pointer: str, role: str) -> Iterator[TextSlot]:
    skip = frozenset({"type", "name"})
    yield from leaves(holder, name, pointer, "tool_arguments", role, skip=skip)


def _tools(member: str, value: Any) -> Iterator[TextSlot]:
    for index, item in enumerate(an_array(value, member)):
        an_object(item, f"{member}.{index}")
    yield from leaves({member: value}, member, f"/{member}", "tool_definition", skip=_SCHEMA_WORDS)
