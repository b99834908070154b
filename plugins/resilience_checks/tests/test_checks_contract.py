"""What every resilience plugin promises; only checks take a target out, so failed requests do not."""

from __future__ import annotations

from checking_workers import checked

from hookway_plugins.resilience_checks import BackgroundChecks
from hookway_sdk import Candidate, Exchange, Resource, SnapshotView
from hookway_sdk.testing import ResilienceContract, make_exchange, make_model


class TestContract(ResilienceContract):
    plugin = BackgroundChecks

    def resources(self) -> list[Resource]:
        return [checked("failing"), checked("healthy")]

    def exchange(self, snapshot: SnapshotView, *candidates: Candidate) -> Exchange:
        """Candidates stand in a group: a model called by its own name is always tried."""
        return make_exchange(snapshot=snapshot, candidates=candidates, model=make_model(shape="routing"))
