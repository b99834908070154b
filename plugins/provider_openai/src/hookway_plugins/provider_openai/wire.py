"""The wire's id, its words for why a model stopped, and a tolerant reading of its members."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from hookway_sdk import Envelope, StopReason, UpstreamUndecodable, read

WIRE = "openai.chat"

_decode_text = msgspec.json.Decoder(str).decode

_STOP_REASONS: dict[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def stop_reason(word: Any) -> tuple[StopReason, str]:
    """Return the canonical reason, and the wire's own word where that says more.

    Source: https://platform.openai.com/docs/api-reference/chat/object (``finish_reason``). No word at all
    means ``stop``.
    """
    if not isinstance(word, str) or not word:
        return "stop", ""
    known = _STOP_REASONS.get(word)
    return (known, "") if known else ("other", word)


def member(envelope: Envelope, name: str) -> Any:
    """Decode a member of an answer, ``None`` where it is absent.

    Raises:
        UpstreamUndecodable: it is not JSON after all.
    """
    try:
        return read(envelope.get(name))
    except ValueError as error:  # msgspec's errors and UnicodeDecodeError are both ValueErrors
        raise UpstreamUndecodable(f"its member {name} is not JSON") from error


def text(envelope: Envelope, name: str) -> str:
    """Decode a member that should be a string, ``""`` where it is absent or something else.

    Raises:
        UpstreamUndecodable: it is not JSON after all.
    """
    value = envelope.get(name)
    if value is None:
        return ""
    try:
        return _decode_text(value)
    except ValueError:
        return text_of(member(envelope, name))


def text_of(value: Any) -> str:
    """Return a string, ``""`` for anything else."""
    return value if isinstance(value, str) else ""


def objects_of(value: Any) -> list[dict[str, Any]]:
    """Return the objects of an array, none for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def object_of(value: Any) -> dict[str, Any]:
    """Return an object, an empty one for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


NULL = msgspec.Raw(b"null")
