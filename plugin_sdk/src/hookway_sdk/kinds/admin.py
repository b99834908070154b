"""``admin_``: serves operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hookway_sdk.kinds.base import EntryKind, SettingsT

if TYPE_CHECKING:
    from hookway_sdk.endpoint import OperatorRoute


class Admin(EntryKind[SettingsT]):
    """Contributes routes to the operators' listeners (``admin`` :3001, ``metrics`` :3002)."""

    kind = "admin"

    def routes(self) -> Sequence[OperatorRoute]:
        """Return the routes; asked once after :meth:`start`."""
        raise NotImplementedError
