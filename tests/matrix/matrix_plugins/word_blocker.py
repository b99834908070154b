"""A guardrail that knows one word."""

from __future__ import annotations

from typing import Any

from hookway_sdk import Block, Guardrail, Mask, Row, Span, Text, Verdict
from matrix_plugins.controls import BOOM, Controls

WORD = "forbidden"
MASK = "[masked]"


class WordRow(Row):
    """Fields of a ``guardrails`` row with ``kind: word``.

    Args:
        action: ``block`` or ``mask``.
    """

    action: str = "block"


def word_blocker(controls: Controls) -> type[Guardrail[Any]]:
    """Return the guardrail."""

    class WordBlocker(Guardrail[WordRow]):
        """Block or mask one word."""

        def check(self, text: Text) -> Verdict | None:
            """Look for the word."""
            if controls.word == "raises":
                raise RuntimeError(BOOM)
            at = text.find(WORD)
            if at < 0 or controls.word == "sleeps":
                return None
            if self.row.action == "block":
                return Block(f"it says {WORD}")
            return Mask((Span(at, at + len(WORD), MASK),))

    return WordBlocker
