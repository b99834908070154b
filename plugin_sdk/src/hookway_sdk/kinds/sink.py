"""``sink_``: takes note of what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hookway_sdk import priorities
from hookway_sdk.events import RequestEnded
from hookway_sdk.kinds.base import EntryKind, SettingsT

if TYPE_CHECKING:
    from hookway_sdk.attempts import Attempt
    from hookway_sdk.events import Event
    from hookway_sdk.exchange import Exchange


class Sink(EntryKind[SettingsT]):
    """Receives events: access log, metrics, exporters. Fails open.

    Phase ``record``, after the answer has left; a plain function that must not wait: put the event
    into a buffer and write it on a tick (``services.tasks.on_tick``).

    Attributes:
        events: the event types it wants.
    """

    kind = "sink"
    priority = priorities.LAST
    events: ClassVar[tuple[type, ...]] = (RequestEnded,)

    def attempt_ended(self, exchange: Exchange, attempt: Attempt) -> None:
        """Take note of an attempt when it is over, for a sink that only counts.

        Override it in place of asking for ``AttemptEnded``, whose making costs more than the counting. Called
        before the answer has left, so it must be quick.
        """

    def record(self, event: Event) -> None:
        """Take note of an event of one of the types in ``events``."""
        raise NotImplementedError
