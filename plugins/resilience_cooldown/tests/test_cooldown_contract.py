"""What every resilience plugin promises."""

from __future__ import annotations

from cooling_workers import model_row

from hookway_plugins.resilience_cooldown import Cooldown
from hookway_sdk import Candidate, Exchange, Resource, SnapshotView
from hookway_sdk.testing import ResilienceContract, make_exchange, make_model


class TestContract(ResilienceContract):
    plugin = Cooldown
    failures = 1
    recovery = 30.0

    def resources(self) -> list[Resource]:
        return [model_row("failing"), model_row("healthy", cooldown={"default_seconds": 5})]

    def exchange(self, snapshot: SnapshotView, *candidates: Candidate) -> Exchange:
        """Candidates stand in a group: a model called by its own name is always tried."""
        return make_exchange(snapshot=snapshot, candidates=candidates, model=make_model(shape="routing"))
