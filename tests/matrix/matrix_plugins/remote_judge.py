"""A guardrail that asks elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hookway_sdk import (
    Block,
    Exchange,
    Mask,
    RemoteGuardrail,
    Row,
    Span,
    Text,
    TransportFailed,
    Verdict,
)
from matrix_plugins.controls import BOOM, Controls
from matrix_plugins.word_blocker import MASK, WORD

DEADLINE = 0.15


def remote_judge(controls: Controls) -> type[RemoteGuardrail[Any]]:
    """Return the guardrail."""

    class RemoteJudge(RemoteGuardrail[Row]):
        """Judge as the switch says."""

        timeout = DEADLINE

        async def check(self, texts: Sequence[Text], exchange: Exchange) -> Sequence[Verdict | None]:
            """Judge the word, late, wrongly or not at all."""
            await asyncio.sleep(0)
            if controls.remote == "hangs":
                controls.waiting.set()
                await asyncio.sleep(30)
            if controls.remote == "raises":
                raise RuntimeError(BOOM)
            if controls.remote == "upstream":
                raise TransportFailed("connection refused", detail=BOOM)
            return [self._verdict(one) for one in texts]

        def _verdict(self, text: Text) -> Verdict | None:
            at = text.find(WORD)
            if at < 0 or controls.remote == "passes":
                return None
            if controls.remote == "masks":
                return Mask((Span(at, at + len(WORD), MASK),))
            return Block()

    return RemoteJudge
