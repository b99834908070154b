"""What a ``resilience_`` plugin promises."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

import pytest

from hookway_sdk.attempts import Attempt, Decision
from hookway_sdk.errors import GatewayError, StreamAborted, TransportFailed, UpstreamRefused, UpstreamTimeout
from hookway_sdk.exchange import Exchange
from hookway_sdk.kinds.resilience import Resilience
from hookway_sdk.resources import SnapshotView
from hookway_sdk.targets import Candidate
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.testing.exchanges import make_candidate, make_exchange
from hookway_sdk.testing.services import RecordingServices, make_services

_DECISIONS: tuple[type, ...] = get_args(Decision)


class ResilienceContract(PluginContract):
    """Promises of a resilience plugin. ``resources`` are the rows that hold the example's figures.

    Attributes:
        failures: how many failed attempts in a row take a target out; 0 if it never takes one out.
        recovery: seconds after which such a target is tried again; 0.0 if not by itself.
    """

    plugin: ClassVar[type[Resilience[Any]]]
    failures: ClassVar[int] = 0
    recovery: ClassVar[float] = 0.0

    def exchange(self, snapshot: SnapshotView, *candidates: Candidate) -> Exchange:
        """Return an exchange with a plan of some candidates."""
        return make_exchange(snapshot=snapshot, candidates=candidates)

    def candidates(self) -> tuple[Candidate, Candidate]:
        """Return the target that fails, and another one."""
        return make_candidate("failing"), make_candidate("healthy", position=1)

    def failure(self) -> GatewayError:
        """Return the error of a failed attempt."""
        return UpstreamRefused(503, "overloaded")

    def attempt(
        self, exchange: Exchange, candidate: Candidate, error: GatewayError | None, index: int = 0
    ) -> Attempt:
        """Return an attempt that is over."""
        attempt = Attempt(index, "initial" if index == 0 else "retry", candidate, exchange.started)
        attempt.dispatched = True
        attempt.ended = exchange.started + 0.1
        attempt.error = error
        attempt.status = 200 if error is None else getattr(error, "upstream_status", None) or 0
        exchange.attempt = attempt
        exchange.attempts.append(attempt)
        return attempt

    async def _settled(self, services: RecordingServices) -> None:
        """Let everything happen that happens within a second, here and in other workers."""
        for one in (services, *self.__dict__.get("_others", ())):
            await one.state.flush()
            one.tasks.run_ticks()
            await one.tasks.run_every()
            await one.state.flush()

    def _sharing(self, services: RecordingServices) -> RecordingServices:
        """Make services of another instance that stands on the same state."""
        return make_services(
            self.token(), state=services.state, clock=services.clock, provided=self.provided()
        )

    async def _fail(
        self, plugin: Any, services: RecordingServices, snapshot: SnapshotView, times: int
    ) -> None:
        candidate = self.candidates()[0]
        for _ in range(times):
            exchange = self.exchange(snapshot, candidate)
            attempt = self.attempt(exchange, candidate, self.failure())
            await plugin.judge(exchange, attempt)
            plugin.ended(exchange, attempt)
            await self._settled(services)

    async def _left(self, plugin: Any, snapshot: SnapshotView, *candidates: Candidate) -> list[Candidate]:
        exchange = self.exchange(snapshot, *candidates)
        await plugin.filter(exchange, exchange.plan)
        left = list(exchange.plan.candidates)
        out = [*exchange.plan.excluded, *exchange.plan.deferred]
        assert len(left) + len(out) == len(candidates), (
            "a candidate has vanished without being excluded or deferred"
        )
        assert all(any(one is known for known in candidates) for one in left), "it adds candidates"
        for candidate, reason in out:
            assert reason.strip(), f"{candidate.name} is put off without a reason"
        return left

    async def test_healthy_targets_stay_in_the_plan(self) -> None:
        services = self.services()
        async with self.running(services) as plugin:
            snapshot, both = self.compiled(plugin), self.candidates()
            assert await self._left(plugin, snapshot, *both) == list(both), (
                "it takes out a target nobody tried"
            )
            for _ in range(20):
                exchange = self.exchange(snapshot, *both)
                plugin.ended(exchange, self.attempt(exchange, both[0], None))
                await self._settled(services)
            assert await self._left(plugin, snapshot, *both) == list(both), "it takes out a target that works"

    async def test_a_target_that_keeps_failing_is_taken_out_with_a_reason(self) -> None:
        if not self.failures:
            pytest.skip("it takes no target out")
        services = self.services()
        async with self.running(services) as plugin:
            snapshot, (failing, healthy) = self.compiled(plugin), self.candidates()
            await self._fail(plugin, services, snapshot, self.failures)
            left = await self._left(plugin, snapshot, failing, healthy)
            assert left == [healthy], f"after {self.failures} failures the plan has {left}"

    async def test_fewer_failures_take_nothing_out(self) -> None:
        if self.failures < 2:
            pytest.skip("it takes no target out, or the first failure does")
        services = self.services()
        async with self.running(services) as plugin:
            snapshot, both = self.compiled(plugin), self.candidates()
            await self._fail(plugin, services, snapshot, self.failures - 1)
            left = await self._left(plugin, snapshot, *both)
            assert left == list(both), f"after {self.failures - 1} failures the plan has {left}"

    async def test_a_target_comes_back_in_time(self) -> None:
        if not self.recovery:
            pytest.skip("no target comes back by itself")
        services = self.services()
        async with self.running(services) as plugin:
            snapshot, (failing, healthy) = self.compiled(plugin), self.candidates()
            await self._fail(plugin, services, snapshot, self.failures)
            services.clock.advance(self.recovery * 0.8)
            await self._settled(services)
            assert await self._left(plugin, snapshot, failing, healthy) == [healthy], "it is back too early"
            services.clock.advance(self.recovery * 0.4)
            await self._settled(services)
            assert await self._left(plugin, snapshot, failing, healthy) == [failing, healthy], "it stays away"

    async def test_what_it_learnt_outlives_a_reload(self) -> None:
        if not self.failures:
            pytest.skip("it takes no target out")
        services = self.services()
        async with self.running(services) as plugin:
            snapshot, (failing, healthy) = self.compiled(plugin), self.candidates()
            await self._fail(plugin, services, snapshot, self.failures)
            async with self.running(self._sharing(services)) as next_plugin:
                # No tick in between: requests come at once.
                left = await self._left(next_plugin, self.compiled(next_plugin), failing, healthy)
                assert left == [healthy], f"after a reload the plan has {left} again"

    async def test_what_one_worker_learns_the_others_know(self) -> None:
        if not self.failures:
            pytest.skip("it takes no target out")
        services = self.services()
        theirs = self._sharing(services)
        self._others = [theirs]
        async with self.running(services) as plugin, self.running(theirs) as other:
            snapshot, (failing, healthy) = self.compiled(plugin), self.candidates()
            others = self.compiled(other)
            assert await self._left(other, others, failing, healthy) == [failing, healthy]
            await self._fail(plugin, services, snapshot, self.failures)
            left = await self._left(other, others, failing, healthy)
            assert left == [healthy], (
                f"the plan of another worker has {left}; read services.state each second"
            )

    async def test_any_failure_gets_a_decision_or_is_left_to_others(self) -> None:
        services = self.services()
        errors = (
            self.failure(),
            UpstreamRefused(429, "slow down", retry_after=7),
            UpstreamRefused(401, "no"),
            UpstreamTimeout(1_000),
            TransportFailed("connection reset"),
            StreamAborted(),
            GatewayError("something else"),
        )
        async with self.running(services) as plugin:
            snapshot, (failing, healthy) = self.compiled(plugin), self.candidates()
            for error in errors:
                exchange = self.exchange(snapshot, failing, healthy)
                for index in range(3):
                    attempt = self.attempt(exchange, failing, error, index)
                    decision = await plugin.judge(exchange, attempt)
                    assert decision is None or isinstance(decision, _DECISIONS), f"it decides {decision!r}"
                    assert getattr(decision, "after", 0.0) >= 0, "nobody can wait a negative time"
                    assert plugin.ended(exchange, attempt) is None
                await self._settled(services)

    async def test_a_dead_target_is_not_tried_for_ever(self) -> None:
        services = self.services()
        async with self.running(services) as plugin:
            failing, healthy = self.candidates()
            exchange = self.exchange(self.compiled(plugin), failing, healthy)
            for index in range(200):
                attempt = self.attempt(exchange, failing, self.failure(), index)
                decision = await plugin.judge(exchange, attempt)
                plugin.ended(exchange, attempt)
                if type(decision).__name__ != "Retry":
                    return
        raise AssertionError("it retried one target 200 times in one request")
