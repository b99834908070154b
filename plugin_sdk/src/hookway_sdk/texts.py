"""Texts that guardrails read, wherever they stand in a request or an answer, with a way to write back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

Channel: TypeAlias = Literal[
    "system", "content", "reasoning", "refusal", "tool_arguments", "tool_result", "tool_definition", "other"
]
"""What kind of place a text stands in."""

Direction: TypeAlias = Literal["input", "output"]


class TextSlot:
    """One place that holds text; :meth:`replace` writes a masked text back to it.

    A dialect subclasses this for the places of its own format. Whatever was listed as a slot is
    re-encoded from what was read when the request is sent on, so a checker and the upstream never
    see two readings of the same bytes.

    Attributes:
        pointer: JSON pointer into the client's body (``/messages/0/content``).
        text: what stands there now.
        channel: what kind of place it is.
        role: who speaks (``user``, ``assistant``, ``tool`` …), ``""`` where the format has none.
    """

    __slots__ = ("channel", "pointer", "role", "text")

    def __init__(self, pointer: str, text: str, channel: Channel, role: str = "") -> None:
        self.pointer = pointer
        self.text = text
        self.channel = channel
        self.role = role

    def replace(self, text: str) -> None:
        """Put another text in this place."""
        self.text = text


class Text(str):
    """A text to be judged: a ``str`` that knows where it stands.

    Attributes:
        direction: ``input`` (from the caller) or ``output`` (from the model).
        channel: what kind of place it stands in.
        role: who speaks.
        pointer: JSON pointer into the client's body, ``""`` on a stream.
    """

    __slots__ = ("channel", "direction", "pointer", "role")

    channel: Channel
    direction: Direction
    pointer: str
    role: str

    @classmethod
    def of(cls, slot: TextSlot, direction: Direction) -> Text:
        """Make the text of a slot."""
        text = cls(slot.text)
        text.channel = slot.channel
        text.direction = direction
        text.pointer = slot.pointer
        text.role = slot.role
        return text


class Span(msgspec.Struct, frozen=True):
    """A stretch of a text and what to put there; offsets in characters, ``end`` exclusive."""

    start: int
    end: int
    replacement: str


class Block(msgspec.Struct, frozen=True):
    """Refuse the whole request or answer.

    Args:
        reason: for telemetry and the operator's log; never shown to the caller, never the matched text.
    """

    reason: str = ""


class Mask(msgspec.Struct, frozen=True):
    """Replace stretches of this text and go on.

    Args:
        spans: what to replace; overlapping ones are merged, the earliest replacement stands.
        reason: for telemetry.
    """

    spans: tuple[Span, ...]
    reason: str = ""


Verdict: TypeAlias = Block | Mask
"""What a guardrail says of a text; ``None`` means it has no objection."""


def apply_mask(text: str, spans: Sequence[Span]) -> str:
    """Return the text with its spans replaced.

    Raises:
        ValueError: a span lies outside the text or ends before it starts.
    """
    pieces: list[str] = []
    position = 0
    for span in sorted(spans, key=lambda one: (one.start, one.end)):
        if not 0 <= span.start <= span.end <= len(text):
            raise ValueError(f"span {span.start}..{span.end} lies outside a text of {len(text)} characters")
        if span.start < position:
            position = max(position, span.end)
            continue
        pieces.append(text[position : span.start])
        pieces.append(span.replacement)
        position = span.end
    pieces.append(text[position:])
    return "".join(pieces)
