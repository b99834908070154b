"""``strategy_``: decides in which order the targets of a model group are tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hookway_sdk.kinds.base import EntryKind, SettingsT

if TYPE_CHECKING:
    from hookway_sdk.exchange import Exchange
    from hookway_sdk.targets import Candidate


class Strategy(EntryKind[SettingsT]):
    """Orders candidates. A group names it in ``routing.strategy``, without the ``strategy_`` prefix.

    Phase ``order``. The core has already grouped candidates into tiers by target
    priority (the higher first) and calls :meth:`order` once per tier that has more than one.
    """

    kind = "strategy"

    async def order(self, exchange: Exchange, group: str, tier: Sequence[Candidate]) -> Sequence[Candidate]:
        """Return the candidates of a tier, first the one to try first.

        Args:
            group: row id of the model group, the key under which state is kept.
            tier: candidates of one priority, in row order.

        Returns:
            A permutation, or a part, of ``tier``.
        """
        raise NotImplementedError
