"""A finished canonical answer opened for guardrails, for streams that are held back until they are judged."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hookway_sdk import (
    AnswerView,
    Channel,
    ChatAnswer,
    Choice,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TextSlot,
    ToolCallPart,
)

FIELDS: dict[type[Part], tuple[str, Channel]] = {
    TextPart: ("text", "content"),
    ReasoningPart: ("text", "reasoning"),
    RefusalPart: ("text", "refusal"),
    ToolCallPart: ("arguments", "tool_arguments"),
}
"""Which field of a part holds text that is judged."""


class PartSlot(TextSlot):
    """A slot that remembers what was read."""

    __slots__ = ("read",)

    def __init__(self, pointer: str, text: str, channel: Channel, role: str) -> None:
        super().__init__(pointer, text, channel, role)
        self.read = text


class CanonicalAnswerView(AnswerView):
    """Text slots over a :class:`ChatAnswer`; :meth:`answer` returns it with what was written back."""

    __slots__ = ("_answer", "_slots")

    def __init__(self, answer: ChatAnswer) -> None:
        self._answer = answer
        self._slots: dict[tuple[int, int], PartSlot] = {}
        for c, choice in enumerate(answer.choices):
            for p, part in enumerate(choice.message.parts):
                found = FIELDS.get(type(part))
                if found is not None:
                    field, channel = found
                    pointer = f"/choices/{c}/message/parts/{p}/{field}"
                    slot = PartSlot(pointer, getattr(part, field), channel, choice.message.role)
                    self._slots[c, p] = slot

    def texts(self) -> Sequence[TextSlot]:
        """Return every place in which the model put text."""
        return tuple(self._slots.values())

    def answer(self) -> ChatAnswer:
        """Return the answer, masked texts included."""
        choices = tuple(self._choice(c, choice) for c, choice in enumerate(self._answer.choices))
        return msgspec.structs.replace(self._answer, choices=choices)

    def body(self) -> bytes:
        """Return nothing: a held answer is written as a stream, from :meth:`answer`."""
        return b""

    def _choice(self, c: int, choice: Choice) -> Choice:
        parts = tuple(self._part(c, p, part) for p, part in enumerate(choice.message.parts))
        message = msgspec.structs.replace(choice.message, parts=parts)
        # Log probabilities spell the text out again, token by token.
        masked = any(slot.text != slot.read for (at, _), slot in self._slots.items() if at == c)
        logprobs = None if masked else choice.logprobs
        return msgspec.structs.replace(choice, message=message, logprobs=logprobs)

    def _part(self, c: int, p: int, part: Part) -> Part:
        slot = self._slots.get((c, p))
        if slot is None:
            return part
        field, _ = FIELDS[type(part)]
        return msgspec.structs.replace(part, **{field: slot.text})
