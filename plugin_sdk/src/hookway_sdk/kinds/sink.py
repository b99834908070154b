"""``sink_``: takes note of what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hookway_sdk import priorities
from hookway_sdk.events import RequestEnded
from hookway_sdk.kinds.base import EntryKind, SettingsT

if TYPE_CHECKING:
    from hookway_sdk.events import Event


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

    def record(self, event: Event) -> None:
        """Take note of an event of one of the types in ``events``."""
        raise NotImplementedError
