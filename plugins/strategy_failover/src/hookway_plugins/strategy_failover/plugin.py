"""The strategy of groups that name none."""

from __future__ import annotations

from collections.abc import Sequence

from hookway_sdk import Candidate, Exchange, NoSettings, Strategy


class FailoverStrategy(Strategy[NoSettings]):
    """Try the targets of a tier in the order of the row: the first one, and the next when it fails."""

    async def order(self, exchange: Exchange, group: str, tier: Sequence[Candidate]) -> Sequence[Candidate]:
        """Return the tier as it is."""
        return tier
