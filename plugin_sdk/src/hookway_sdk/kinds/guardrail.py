"""``guardrail_``: judges texts on their way in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec

from hookway_sdk import priorities
from hookway_sdk.kinds.base import RowKind, RowT
from hookway_sdk.resources import Registry, Scope

if TYPE_CHECKING:
    from hookway_sdk.exchange import Exchange
    from hookway_sdk.texts import Text, Verdict


class End(msgspec.Struct, frozen=True):
    """On a stream: judge the whole text at its end; held until then, up to ``cap`` bytes."""

    cap: int = 262_144


class Window(msgspec.Struct, frozen=True):
    """On a stream: judge windows of ``size`` characters, ``overlap`` of them twice; release what clears."""

    size: int = 2_000
    overlap: int = 128


class Buffer(msgspec.Struct, frozen=True):
    """On a stream: hold ``cap`` bytes; past it, ``close`` ends the stream, ``open`` lets go unjudged."""

    cap: int = 262_144
    on_overflow: str = "close"


class _GuardrailKind(RowKind[RowT]):
    """What local and remote guardrails share."""

    kind = "guardrail"
    stream: ClassVar[End | Window | Buffer] = End()

    @classmethod
    def register_resources(cls, registry: Registry) -> None:
        """Add the variant of ``guardrails`` that is named like the plugin."""
        registry.variant("guardrails", kind=registry.plugin.removeprefix("guardrail_"), row=cls.Row)

    def applies(self, scope: Scope) -> bool:
        """Say whether this row acts for a caller and model; asked once per (model, key, team)."""
        return True


class Guardrail(_GuardrailKind[RowT]):
    """Judges a text in this process: a plain function, inline, in order.

    Phases ``inspect_request`` and ``inspect_answer``, mode each. Fails closed. The host supplies
    extraction and write-back, direction, scope, monitor mode, streams and telemetry.
    """

    priority = priorities.GUARD_LOCAL

    def check(self, text: Text) -> Verdict | None:
        """Judge one text.

        Returns:
            ``None`` for no objection, ``Mask`` to replace stretches, ``Block`` to refuse.
        """
        raise NotImplementedError


class RemoteGuardrail(_GuardrailKind[RowT]):
    """Judges texts by asking another service: time-boxed, concurrent with others, merged in order.

    Phases ``inspect_request`` and ``inspect_answer``, mode each. Fails closed. The host supplies what it
    supplies to a :class:`Guardrail`, and the time box.

    Attributes:
        timeout: seconds that one :meth:`check` may take.
    """

    priority = priorities.GUARD_REMOTE
    timeout: ClassVar[float] = 5.0

    async def check(self, texts: Sequence[Text], exchange: Exchange) -> Sequence[Verdict | None]:
        """Judge texts; the answer has one verdict for each, in order.

        A :class:`Text` is a ``str`` of a class of its own, which msgspec does not encode: send ``str(text)``.
        """
        raise NotImplementedError
