"""A finished canonical answer opened for guardrails, for streams that are held back until they are judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from hookway_sdk import (
    AnswerView,
    AudioPart,
    Channel,
    ChatAnswer,
    Choice,
    FilePart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TextSlot,
    ToolCallPart,
)
from hookway_sdk.messages import MediaSource

FIELDS: dict[type[Part], tuple[str, Channel]] = {
    TextPart: ("text", "content"),
    ReasoningPart: ("text", "reasoning"),
    RefusalPart: ("text", "refusal"),
    ToolCallPart: ("arguments", "tool_arguments"),
    AudioPart: ("transcript", "content"),
    FilePart: ("text", "content"),
}
"""Which field of a part holds text that is judged."""

CITED = ("title", "quote", "url")
"""Fields of a citation that hold text that is judged."""

REPEATS: dict[type[Part], dict[str, object]] = {
    AudioPart: {"source": MediaSource()},
    ReasoningPart: {"signature": ""},
}
"""What says a part's text a second time, or vouches for it; it goes with a text that was masked."""

Where = tuple[int, int, int, str]
"""Choice, part, citation (-1 for the part itself) and field."""


class PartSlot(TextSlot):
    """A slot that remembers what was read."""

    __slots__ = ("read",)

    def __init__(self, pointer: str, text: str, channel: Channel, role: str) -> None:
        super().__init__(pointer, text, channel, role)
        self.read = text


class CanonicalAnswerView(AnswerView):
    """Text slots over a :class:`ChatAnswer`; :meth:`answer` returns it with what was written back.

    Parts that only one wire understands cannot be judged here and are left out (``docs/decisions/0004``).
    """

    __slots__ = ("_answer", "_slots")

    def __init__(self, answer: ChatAnswer) -> None:
        self._answer = answer
        self._slots: dict[Where, PartSlot] = {}
        for c, choice in enumerate(answer.choices):
            for p, part in enumerate(choice.message.parts):
                for citation, field, text, channel in texts_of(part):
                    inside = f"citations/{citation}/{field}" if citation >= 0 else field
                    pointer = f"/choices/{c}/message/parts/{p}/{inside}"
                    slot = PartSlot(pointer, text, channel, choice.message.role)
                    self._slots[c, p, citation, field] = slot

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
        parts = tuple(
            self._part(c, p, part)
            for p, part in enumerate(choice.message.parts)
            if not isinstance(part, OpaquePart)
        )
        message = msgspec.structs.replace(choice.message, parts=parts)
        # Log probabilities spell the text out again, token by token.
        masked = any(slot.text != slot.read for where, slot in self._slots.items() if where[0] == c)
        logprobs = None if masked else choice.logprobs
        return msgspec.structs.replace(choice, message=message, logprobs=logprobs)

    def _part(self, c: int, p: int, part: Part) -> Part:
        if isinstance(part, TextPart) and part.citations:
            citations = tuple(
                msgspec.structs.replace(
                    one,
                    **{field: self._slots[c, p, at, field].text for field in CITED if getattr(one, field)},
                )
                for at, one in enumerate(part.citations)
            )
            part = msgspec.structs.replace(part, citations=citations)
        found = FIELDS.get(type(part))
        if found is None:
            return part
        slot = self._slots[c, p, -1, found[0]]
        repeats = REPEATS.get(type(part), {}) if slot.text != slot.read else {}
        return msgspec.structs.replace(part, **{found[0]: slot.text, **repeats})


def texts_of(part: Part) -> Iterator[tuple[int, str, str, Channel]]:
    """Yield citation (-1 for the part itself), field, text and channel of every text in a part."""
    found = FIELDS.get(type(part))
    if found is not None:
        yield -1, found[0], getattr(part, found[0]), found[1]
    if isinstance(part, TextPart):
        for at, citation in enumerate(part.citations):
            for field in CITED:
                if text := getattr(citation, field):
                    yield at, field, text, "other"
