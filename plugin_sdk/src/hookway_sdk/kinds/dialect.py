"""``dialect_`` and ``op_``: what clients speak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hookway_sdk.kinds.base import EntryKind, SettingsT

if TYPE_CHECKING:
    from hookway_sdk.endpoint import Endpoint


class Dialect(EntryKind[SettingsT]):
    """A client's wire: a set of endpoints that share an error envelope.

    Acts between phases ``authenticate`` and ``resolve`` (an endpoint reads the request) and after phase
    ``settle`` (it writes the answer).
    """

    kind = "dialect"

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the endpoints; asked once after :meth:`start`. A path served twice is a start-up error."""
        raise NotImplementedError


class Op(Dialect[SettingsT]):
    """Endpoints that are not a chat dialect (files, batches, realtime, passthrough)."""

    kind = "op"
