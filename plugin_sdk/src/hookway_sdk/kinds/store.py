"""``store_``: where state lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookway_sdk.kinds.base import EntryKind, SettingsT

if TYPE_CHECKING:
    from hookway_sdk.state import State


class Store(EntryKind[SettingsT]):
    """Keeps windows, leases and values for every plugin. Exactly one store is enabled."""

    kind = "store"

    def state(self) -> State:
        """Return the state; called after :meth:`start`."""
        raise NotImplementedError
