"""The promises of every limit, for each thing that is limited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from limited_worker import SizedRequest, group, key_row, model_row, policy_row

from hookway_plugins.limit_rate import RateLimit
from hookway_sdk import Attempt, Exchange, Reservation, Resource, SnapshotView, Usage
from hookway_sdk.testing.contracts.limit import LimitContract
from hookway_sdk.testing.exchanges import make_exchange, make_principal


def asked_by(snapshot: SnapshotView, name: str, tokens: int = 100, **facts: Any) -> Exchange:
    principal = make_principal(f"id-of-{name}", key_name=name, **facts)
    return make_exchange(snapshot=snapshot, principal=principal, request=SizedRequest(tokens))


class OfKeys(LimitContract):
    """Two keys with the same limits, and one with none."""

    __test__ = False
    plugin = RateLimit
    limits: ClassVar[Mapping[str, Any]]

    def resources(self) -> Sequence[Resource]:
        return [key_row("mine", **self.limits), key_row("other", **self.limits), key_row("free")]

    def exchange(self, snapshot: SnapshotView) -> Exchange:
        return asked_by(snapshot, "mine")

    def other(self, snapshot: SnapshotView) -> Exchange:
        return asked_by(snapshot, "other")

    def unlimited(self, snapshot: SnapshotView) -> Exchange:
        return asked_by(snapshot, "free")


class TestRequests(OfKeys):
    __test__ = True
    limits: ClassVar = {"rpm": 3}
    capacity = 3
    dimension = "requests"


class TestTokens(OfKeys):
    __test__ = True
    limits: ClassVar = {"tpm": 350}
    capacity = 3
    dimension = "tokens"
    used_up_by = Usage(300, 40)
    used_nothing_by = Usage()


class TestConcurrency(OfKeys):
    __test__ = True
    limits: ClassVar = {"concurrency": 2}
    capacity = 2
    dimension = "concurrency"
    used_nothing_by = Usage(1000, 1000)


class TestAllAtOnce(OfKeys):
    __test__ = True
    limits: ClassVar = {"concurrency": 4, "tpd": 1000, "tpm": 200, "rps": 5, "rpm": 10}
    capacity = 2
    dimension = "tokens"
    used_up_by = Usage(100, 1)


class TestAligned(OfKeys):
    __test__ = True
    settings: ClassVar = {"window": "aligned"}
    limits: ClassVar = {"rpd": 2}
    capacity = 2
    dimension = "requests"


class TestPolicyOfATeam(LimitContract):
    plugin = RateLimit
    capacity = 2
    dimension = "requests"

    def resources(self) -> Sequence[Resource]:
        grouped: dict[str, Any] = {"group_by": ["team"], "limits": {"rph": 2}}
        return [key_row("mine", team="red"), key_row("other", team="blue"), policy_row(**grouped)]

    def exchange(self, snapshot: SnapshotView) -> Exchange:
        return asked_by(snapshot, "mine", team_id="red")

    def other(self, snapshot: SnapshotView) -> Exchange:
        return asked_by(snapshot, "other", team_id="blue")

    def unlimited(self, snapshot: SnapshotView) -> Exchange:
        return asked_by(snapshot, "alone")


class TestTargets(LimitContract):
    """A group's target, at the gate of its attempts."""

    plugin = RateLimit
    capacity = 2
    dimension = "requests"

    def resources(self) -> Sequence[Resource]:
        return [key_row("mine"), model_row("target", rpm=2), model_row("pool")]

    def exchange(self, snapshot: SnapshotView) -> Exchange:
        exchange = asked_by(snapshot, "mine")
        exchange.model = group("pool")
        return exchange

    async def admit(self, limit: Any, exchange: Exchange) -> list[Reservation]:
        exchange.attempt = Attempt(0, "initial", exchange.plan.candidates[0], exchange.started)
        await limit.admit_attempt(exchange, exchange.attempt)
        return exchange.attempt.reservations
