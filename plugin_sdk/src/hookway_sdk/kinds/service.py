"""``service_``: shares a library with other plugins, behind an SDK protocol."""

from __future__ import annotations

from typing import ClassVar

from hookway_sdk.kinds.base import EntryKind, SettingsT


class Service(EntryKind[SettingsT]):
    """Provides a protocol of ``hookway_sdk.services``; the instance itself fills it.

    Attributes:
        provides: the protocol. Two enabled plugins that provide the same one are a start-up error.
    """

    kind = "service"
    provides: ClassVar[type]
