"""What a ``limit_`` or ``budget_`` plugin promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from hookway_sdk.attempts import Attempt
from hookway_sdk.errors import BudgetExceeded, GatewayError, LimitExceeded, StateUnavailable
from hookway_sdk.exchange import Exchange
from hookway_sdk.kinds.limit import Budget, Limit
from hookway_sdk.reservations import Reservation
from hookway_sdk.resources import SnapshotView
from hookway_sdk.state import Op, PostOp, Result, State
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.testing.exchanges import make_exchange
from hookway_sdk.testing.services import RecordingServices, make_services
from hookway_sdk.usage import Usage


class DeadState:
    """A store that does not answer."""

    epoch = 1

    async def apply(self, ops: Sequence[Op]) -> tuple[Result, ...]:
        """Fail."""
        raise StateUnavailable("the store of this test is dead")

    def post(self, ops: Sequence[PostOp]) -> None:
        """Take it; a store keeps what is posted for later."""

    async def flush(self) -> None:
        """Wait for nothing."""

    async def ping(self) -> None:
        """Fail."""
        raise StateUnavailable("the store of this test is dead")

    def scope(self, name: str) -> State:
        """Return the same dead store."""
        return self


class LimitContract(PluginContract):
    """Promises of a limit or a budget. ``resources`` are the rows that hold the example's figures.

    Attributes:
        capacity: how many requests of :meth:`exchange` fit, one after another, none of them settled.
        dimension: what the refusal names (``requests``, ``tokens``, ``concurrency``); ``""`` for a budget.
        used_up_by: a usage whose settlement leaves no room for another request; ``None`` if usage is
            not what is counted.
        used_nothing_by: a usage whose settlement gives back what was reserved; ``None`` if that never
            happens (requests are counted, however much they used).
        outlives_store: admits while the store is dead, as its documentation says.
    """

    plugin: ClassVar[type[Limit[Any]]]
    capacity: ClassVar[int] = 0
    dimension: ClassVar[str] = ""
    used_up_by: ClassVar[Usage | None] = None
    used_nothing_by: ClassVar[Usage | None] = None
    outlives_store: ClassVar[bool] = False

    def exchange(self, snapshot: SnapshotView) -> Exchange:
        """Return an exchange that the example's limit applies to; each time one of the same caller."""
        return make_exchange(snapshot=snapshot)

    def other(self, snapshot: SnapshotView) -> Exchange | None:
        """Return one that another limit, of equal figures, applies to."""
        return None

    def unlimited(self, snapshot: SnapshotView) -> Exchange | None:
        """Return one that no limit applies to."""
        return None

    async def admit(self, limit: Any, exchange: Exchange) -> list[Reservation]:
        """Admit a request, or its attempt where the plugin limits those, and return what was reserved."""
        if type(limit).admit_request is not Limit.admit_request:
            await limit.admit_request(exchange)
            return exchange.reservations
        exchange.attempt = Attempt(0, "initial", exchange.plan.candidates[0], exchange.started)
        await limit.admit_attempt(exchange, exchange.attempt)
        return exchange.attempt.reservations

    async def fill(self, limit: Any, snapshot: SnapshotView) -> list[list[Reservation]]:
        """Admit as many as fit."""
        return [await self.admit(limit, self.exchange(snapshot)) for _ in range(self.capacity)]

    async def refused(self, limit: Any, exchange: Exchange) -> GatewayError:
        """Return the refusal of a request that must not be admitted; what it reserved is released."""
        wanted = BudgetExceeded if issubclass(self.plugin, Budget) else LimitExceeded
        with pytest.raises((LimitExceeded, BudgetExceeded)) as caught:
            await self.admit(limit, exchange)
        error: GatewayError = caught.value
        assert isinstance(error, wanted), f"it refuses with {type(error).__name__}, not {wanted.__name__}"
        for reservation in exchange.attempt.reservations if exchange.attempt else exchange.reservations:
            reservation.release()
        return error

    def test_it_is_shown_a_limit(self) -> None:
        assert self.capacity > 0, "give the contract a `capacity`, and rows with that limit"
        mine = self.plugin.admit_request is not Limit.admit_request
        assert mine or self.plugin.admit_attempt is not Limit.admit_attempt, "it admits neither"

    async def test_it_admits_as_many_as_fit_and_refuses_the_next(self) -> None:
        async with self.running() as limit:
            snapshot = self.compiled(limit)
            await self.fill(limit, snapshot)
            error = await self.refused(limit, self.exchange(snapshot))
            assert error.status == 429, f"a refusal has status {error.status}"
            named = getattr(error, "dimension", "")
            assert not self.dimension or named == self.dimension, f"the refusal names '{named}'"

    async def test_a_refusal_says_when_to_come_back_in_whole_seconds_or_not_at_all(self) -> None:
        async with self.running() as limit:
            snapshot = self.compiled(limit)
            await self.fill(limit, snapshot)
            after = (await self.refused(limit, self.exchange(snapshot))).retry_after
            assert after is None or (isinstance(after, int) and after >= 1), f"retry_after is {after!r}"

    async def test_what_is_released_can_be_had_again(self) -> None:
        async with self.running() as limit:
            snapshot = self.compiled(limit)
            for _ in range(3):
                for reserved in await self.fill(limit, snapshot):
                    for reservation in reserved:
                        reservation.release()

    async def test_a_refusal_leaves_nothing_behind(self) -> None:
        async with self.running() as limit:
            snapshot = self.compiled(limit)
            filled = await self.fill(limit, snapshot)
            for _ in range(self.capacity + 2):
                await self.refused(limit, self.exchange(snapshot))
            for reserved in filled:
                for reservation in reserved:
                    reservation.release()
            await self.fill(limit, snapshot)

    async def test_what_was_used_stays_counted(self) -> None:
        if self.used_up_by is None:
            pytest.skip("usage is not what it counts")
        async with self.running() as limit:
            snapshot = self.compiled(limit)
            for reservation in await self.admit(limit, self.exchange(snapshot)):
                reservation.settle(self.used_up_by)
            await self.refused(limit, self.exchange(snapshot))

    async def test_what_was_not_used_is_given_back(self) -> None:
        if self.used_nothing_by is None:
            pytest.skip("a request is counted, however much it used")
        async with self.running() as limit:
            snapshot = self.compiled(limit)
            for _ in range(3):
                for reserved in await self.fill(limit, snapshot):
                    for reservation in reserved:
                        reservation.settle(self.used_nothing_by)

    async def test_any_usage_can_be_settled(self) -> None:
        large, odd = Usage(10**9, 10**9), Usage(5, 0, other={"odd": 3}, estimated=True)
        for usage in (Usage(), Usage(1, 1), large, odd):
            async with self.running() as limit:
                for reservation in await self.admit(limit, self.exchange(self.compiled(limit))):
                    answer: object = reservation.settle(usage)
                    assert answer is None, "settle answers nothing, and is not waited for"

    async def test_callers_do_not_use_up_each_others_limits(self) -> None:
        async with self.running() as limit:
            snapshot = self.compiled(limit)
            if self.other(snapshot) is None:
                pytest.skip("there is one limit for all: `other` gives nobody else")
            await self.fill(limit, snapshot)
            for _ in range(self.capacity):
                other = self.other(snapshot)
                assert other is not None
                await self.admit(limit, other)

    async def test_who_has_no_limit_is_not_refused(self) -> None:
        async with self.running() as limit:
            snapshot = self.compiled(limit)
            if self.unlimited(snapshot) is None:
                pytest.skip("everyone is limited: `unlimited` gives nobody")
            for _ in range(self.capacity + 5):
                unlimited = self.unlimited(snapshot)
                assert unlimited is not None
                await self.admit(limit, unlimited)

    async def test_counts_outlive_a_reload(self) -> None:
        services = self.services()
        async with self.running(services) as limit:
            await self.fill(limit, self.compiled(limit))
            following = make_services(
                self.token(), state=services.state, clock=services.clock, provided=self.provided()
            )
            async with self.running(following) as next_limit:
                await self.refused(next_limit, self.exchange(self.compiled(next_limit)))

    async def test_a_dead_store_lets_nobody_through_unless_that_is_said(self) -> None:
        services = self.dead_services()
        async with self.running(services) as limit:
            admitted = await self._is_admitted(limit, self.exchange(self.compiled(limit)))
        if self.outlives_store:
            assert admitted, "it is said to outlive the store, and fails with it"
        else:
            assert not admitted, "it admits while nobody counts"

    async def _is_admitted(self, limit: Any, exchange: Exchange) -> bool:
        try:
            await self.admit(limit, exchange)
        except Exception:  # whatever it raises, the host closes
            return False
        return True

    def dead_services(self) -> RecordingServices:
        """Make services whose store does not answer."""
        return make_services(self.token(), state=DeadState(), provided=self.provided())
