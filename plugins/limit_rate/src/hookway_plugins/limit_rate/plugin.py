"""Requests, tokens and concurrency by key, model and policy, in windows that hold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hookway_plugins.limit_rate import headers
from hookway_plugins.limit_rate.held import Held
from hookway_plugins.limit_rate.limits import LimitFields, Limits
from hookway_plugins.limit_rate.meters import Meters
from hookway_plugins.limit_rate.plan import Counting, Gauges, Plan
from hookway_plugins.limit_rate.policy_compiler import COLLECTION, PolicyCompiler
from hookway_plugins.limit_rate.policy_row import PolicyRow
from hookway_plugins.limit_rate.refusals import refusal, refused_bound
from hookway_plugins.limit_rate.rules import Rules
from hookway_plugins.limit_rate.settings import RateSettings
from hookway_sdk import Attempt, Compiled, Compiler, Exchange, Limit, Registry, Services, SnapshotView
from hookway_sdk.state import Op, Result, Shape

_AT_ONCE = 500
"""Reservations whose slots are renewed before others get their turn."""


class RateLimit(Limit[RateSettings]):
    """Requests, tokens and concurrency by key, model and policy, in windows that hold.

    All limits of a gate are one batch for the shared state, so that a refusal takes nothing.
    """

    def __init__(self, name: str, settings: RateSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        # A key of its own for each instance: another may count in another way.
        self._rules: Compiled[Rules] = Compiled(f"{name}.rules")
        self._state = services.state
        self._now = services.clock.now
        self._tells = settings.headers
        self._ttl = settings.lease_ttl
        self._counting = Counting(
            Shape(settings.window), settings.overshoot, settings.lease_ttl, settings.reserve_output
        )
        self._policies = PolicyCompiler(services.log)
        self._meters = Meters(services.metrics)
        self._slots: set[Held] = set()

    @classmethod
    def register_resources(cls, registry: Registry) -> None:
        """Add the limits of keys and models, and policies."""
        registry.fields("api_keys", LimitFields)
        registry.fields("models", LimitFields)
        registry.collection(COLLECTION, PolicyRow, identity="name")

    async def start(self) -> None:
        """Begin to renew the slots of requests that run."""
        self.services.tasks.every("renew_slots", self.settings.lease_ttl / 3, self._renew)

    def compile(self, compiler: Compiler) -> None:
        """Collect the limits; plans are made of them when somebody meets them."""
        snapshot = compiler.snapshot
        keys, models = limited(snapshot, "api_keys"), limited(snapshot, "models")
        policies = self._policies.compile(compiler)
        compiler.put(self._rules, Rules(keys, models, policies, self._counting, self._meters.gauges))

    async def admit_request(self, exchange: Exchange) -> None:
        """Count a request in every bucket of its caller and model, or in none.

        Raises:
            LimitExceeded: it is over a limit.
        """
        principal = exchange.principal
        assert principal is not None
        rules = exchange.snapshot.compiled(self._rules)
        plan = rules.request_plan(principal, getattr(exchange, "model", None))
        if plan.timetable is not None:
            plan = plan.timetable.at(self._now())
        if plan.idle:
            return
        operations = plan.operations(exchange.request, exchange.uid if plan.slots else "")
        results = await self._state.apply(operations)
        told = exchange if self._tells else None
        if told is not None:
            headers.write(plan.shown, results, told)
        if plan.gauges is not None:
            show(plan.gauges, plan, results)
        for result in results:
            if not result.allowed:
                raise self._refusal(plan, results)
        exchange.reserve(Held(self._state, plan, operations, results, self._slots, told))

    async def admit_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
        """Count an attempt in the buckets of its target, or in none.

        A direct model was known, and counted, when its request was admitted.

        Raises:
            LimitExceeded: the target is over a limit.
        """
        model = exchange.model
        if exchange.depth == 0 and model.shape == "direct":
            return
        rules = exchange.snapshot.compiled(self._rules)
        if not rules.limits_attempts:
            return
        principal = exchange.principal
        assert principal is not None
        plan = rules.attempt_plan(principal, model, attempt.candidate.deployment)
        if plan.timetable is not None:
            plan = plan.timetable.at(self._now())
        if plan.idle:
            return
        holder = f"{exchange.uid}:{attempt.index}" if plan.slots else ""
        operations: list[Op] = plan.operations(exchange.request, holder)
        results = await self._state.apply(operations)
        for result in results:
            if not result.allowed:
                raise self._refusal(plan, results)
        attempt.reserve(Held(self._state, plan, operations, results, self._slots, None))

    def _refusal(self, plan: Plan, results: tuple[Result, ...]) -> Exception:
        bound = refused_bound(plan.bounds, results)
        self._meters.refused(bound)
        return refusal(bound, results)

    async def _renew(self) -> None:
        """Renew the slots of everything that runs."""
        held = list(self._slots)
        for first in range(0, len(held), _AT_ONCE):
            some = held[first : first + _AT_ONCE]
            posts = [post for one in some for post in one.renewals(self._ttl)]
            if posts:
                self._state.post(posts)
            await asyncio.sleep(0)


def limited(snapshot: SnapshotView, collection: str) -> dict[str, Limits]:
    """Return the limits of a collection's rows by row id."""
    rows = ((one.id, one.row.rate_limit) for one in snapshot.rows(collection))
    return {id: limits for id, limits in rows if limits is not None}


def show(gauges: Gauges, plan: Plan, results: Sequence[Any]) -> None:
    """Show what is left of a key's minute."""
    if gauges.requests is not None:
        gauges.requests.set(results[plan.minute_requests].remaining)
    if gauges.tokens is not None:
        gauges.tokens.set(results[plan.minute_tokens].remaining)
