"""A finished answer in OpenAI's wire, opened for guardrails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hookway_plugins.dialect_openai.request_texts import escaped, leaves
from hookway_sdk import (
    AnswerView,
    Envelope,
    TextSlot,
    UpstreamUndecodable,
    close_envelope,
    open_envelope,
    raw,
    read,
)

_ROLE = "assistant"
_PLAIN = frozenset({"role"})


class ChatAnswerView(AnswerView):
    """A ``chat.completion`` object."""

    __slots__ = ("_body", "_choices", "_envelope", "_seen")

    def __init__(self, body: bytes) -> None:
        self._body = body
        try:
            self._envelope: Envelope = open_envelope(body)
        except ValueError as error:  # msgspec's errors and UnicodeDecodeError are both ValueErrors
            raise UpstreamUndecodable("the answer is not a JSON object") from error
        self._choices: list[Any] | None = None
        self._seen: list[tuple[TextSlot, str, dict[str, Any]]] = []

    def texts(self) -> Sequence[TextSlot]:
        """Return every text of every choice: content, refusal, reasoning, calls, transcripts, the unknown.

        Raises:
            UpstreamUndecodable: a choice has a shape that cannot be checked.
        """
        try:
            if self._choices is None:
                self._choices = _array(read(self._envelope.get("choices")), "choices")
            found = list(_slots(self._choices))
        except (ValueError, RecursionError) as error:
            raise UpstreamUndecodable("its choices are not JSON that can be checked") from error
        self._seen.extend((slot, slot.text, choice) for slot, choice in found)
        return [slot for slot, _ in found]

    def body(self) -> bytes:
        """Return the bytes for the client; choices are encoded from what was read, if they were read."""
        if self._choices is None:
            return self._body
        for slot, text, choice in self._seen:
            if slot.text != text and choice.get("logprobs") is not None:
                choice["logprobs"] = None  # they spell the text that was masked, token by token
        try:
            return close_envelope({**self._envelope, "choices": raw(self._choices)})
        except RecursionError as error:
            raise UpstreamUndecodable("its choices are nested too deeply") from error


def _slots(choices: list[Any]) -> Iterator[tuple[TextSlot, dict[str, Any]]]:
    for index, item in enumerate(choices):
        choice = _object(item, f"choices[{index}]")
        message = choice.get("message")
        if message is not None:
            opened = _object(message, f"choices[{index}].message")
            for slot in _message(opened, f"/choices/{index}/message"):
                yield slot, choice


def _message(message: dict[str, Any], pointer: str) -> Iterator[TextSlot]:
    for name, value in message.items():
        below = f"{pointer}/{escaped(name)}"
        if name == "content":
            if not (value is None or isinstance(value, (str, list))):
                raise UpstreamUndecodable("the content of a message is neither text nor parts")
            yield from leaves(message, name, below, "content", _ROLE)
        elif name == "refusal":
            yield from leaves(message, name, below, "refusal", _ROLE)
        elif name in ("reasoning_content", "reasoning"):
            yield from leaves(message, name, below, "reasoning", _ROLE)
        elif name in ("tool_calls", "function_call"):
            skip = frozenset({"id", "type", "name"})
            yield from leaves(message, name, below, "tool_arguments", _ROLE, skip=skip)
        elif name == "audio":
            yield from leaves(message, name, below, "content", _ROLE, skip=frozenset({"id", "data"}))
        elif name not in _PLAIN:
            yield from leaves(message, name, below, "other", _ROLE)


def _array(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise UpstreamUndecodable(f"{name} is not an array")
    return value


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UpstreamUndecodable(f"{name} is not an object")
    return value
