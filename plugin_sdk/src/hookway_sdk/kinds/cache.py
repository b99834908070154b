"""``cache_``: answers from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookway_sdk.kinds.base import RowKind, RowT
from hookway_sdk.resources import Registry, Scope

if TYPE_CHECKING:
    from hookway_sdk.exchange import Exchange
    from hookway_sdk.views import Reply


class Cache(RowKind[RowT]):
    """Keeps answers and gives them again.

    Phases ``lookup`` (mode first: the first hit is delivered) and ``store`` (mode notify, after the
    answer has left). Fails open. A hit still passes ``inspect_answer``.
    """

    kind = "cache"

    @classmethod
    def register_resources(cls, registry: Registry) -> None:
        """Add the variant of ``cache_policies`` that is named like the plugin."""
        registry.variant("cache_policies", kind=registry.plugin.removeprefix("cache_"), row=cls.Row)

    def applies(self, scope: Scope) -> bool:
        """Say whether this row acts for a caller and model; asked once per (model, key, team)."""
        return True

    async def lookup(self, exchange: Exchange) -> Reply | None:
        """Return a kept answer in the client's format, with the usage it once cost, or ``None``."""
        raise NotImplementedError

    async def store(self, exchange: Exchange, reply: Reply) -> None:
        """Keep a good answer; called for status 200, after inspection, masked texts included."""
        raise NotImplementedError
