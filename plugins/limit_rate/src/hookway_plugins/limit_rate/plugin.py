"""Requests, tokens and concurrency by key, model and policy, in windows that hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import cast
from weakref import WeakSet

from hookway_plugins.limit_rate.headers import HeaderLines, drop_older
from hookway_plugins.limit_rate.limits import LimitFields, Limits
from hookway_plugins.limit_rate.meters import Meters
from hookway_plugins.limit_rate.plan import Counting, Plan
from hookway_plugins.limit_rate.policy_compiler import COLLECTION, PolicyCompiler
from hookway_plugins.limit_rate.policy_row import PolicyRow
from hookway_plugins.limit_rate.refusals import refusal
from hookway_plugins.limit_rate.rules import Rules
from hookway_plugins.limit_rate.settings import RateSettings
from hookway_sdk import Attempt, Compiled, Compiler, Exchange, Limit, Registry, Services, SnapshotView
from hookway_sdk.meters import Grant, Meter
from hookway_sdk.state import Shape

_AT_ONCE = 500
"""Meters whose slots are renewed before others get their turn."""


class RateLimit(Limit[RateSettings]):
    """Requests, tokens and concurrency by key, model and policy, in windows that hold.

    All limits of a gate are one batch for the shared state, so that a refusal takes nothing.
    """

    attempts_direct = False

    def __init__(self, name: str, settings: RateSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        # A key of its own for each instance: another may count in another way.
        self._rules: Compiled[Rules] = Compiled(f"{name}.rules")
        self._now = services.clock.now
        self._tells = settings.headers
        self._ttl = settings.lease_ttl
        self._counting = Counting(
            services.state,
            Shape(settings.window),
            settings.overshoot,
            settings.lease_ttl,
            settings.reserve_output,
        )
        self._policies = PolicyCompiler(services.log)
        self._meters = Meters(services.metrics)
        # Weak: a meter is kept by its plan, and by what was granted and is not over.
        self._slots: WeakSet[Meter] = WeakSet()

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
        compiler.put(
            self._rules, Rules(keys, models, policies, self._counting, self._made, self._meters.show)
        )

    async def admit_request(self, exchange: Exchange) -> None:
        """Count a request in every bucket of its caller and model, or in none.

        Raises:
            LimitExceeded: it is over a limit.
        """
        pending = self.admit_request_now(exchange)
        if pending is not None:
            await pending

    def admit_request_now(self, exchange: Exchange) -> Awaitable[None] | None:
        """Do the same at once, where the state can."""
        kept = exchange.caller
        plan: Plan | None = None if kept is None else kept.get(self)
        if plan is None:
            plan = self._plan_of(exchange)
        if plan.timetable is not None:
            plan = plan.timetable.at(self._now())
        meter = plan.meter
        if meter is None:
            return None
        tokens = plan.estimate(exchange.request) if plan.tokens else 0
        granted = meter.take(tokens, exchange.uid if plan.slots else "")
        if plan.waits:
            return self._admit_later(exchange, plan, granted)  # type: ignore[arg-type]  # it has to be awaited
        self._admit(exchange, plan, granted)  # type: ignore[arg-type]  # it is there
        return None

    def _plan_of(self, exchange: Exchange) -> Plan:
        """Return the plan of a request, and keep it for the next one of its caller and model."""
        assert exchange.principal is not None
        rules = exchange.snapshot.compiled(self._rules)
        plan = rules.request_plan(exchange.principal, getattr(exchange, "model", None))
        if exchange.caller is not None:
            exchange.caller[self] = plan
        return plan

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
        meter = plan.meter
        if meter is None:
            return
        tokens = plan.estimate(exchange.request) if plan.tokens else 0
        granted = meter.take(tokens, f"{exchange.uid}:{attempt.index}" if plan.slots else "")
        grant = cast("Grant", await cast("Awaitable[Grant]", granted) if plan.waits else granted)
        if grant.refused:
            raise self._refusal(plan, grant)
        attempt.reserve(grant)

    def _made(self, plan: Plan) -> None:
        if plan.slots and plan.meter is not None:
            self._slots.add(plan.meter)

    async def _admit_later(self, exchange: Exchange, plan: Plan, granted: Awaitable[Grant]) -> None:
        self._admit(exchange, plan, await granted)

    def _admit(self, exchange: Exchange, plan: Plan, grant: Grant) -> None:
        """Let headers tell what is left, and hold what was granted."""
        if self._tells:
            if exchange.head_writers or exchange.reply_headers:
                drop_older(exchange)
            exchange.at_head(HeaderLines(plan.shown, grant))
        if grant.refused:
            raise self._refusal(plan, grant)
        exchange.reserve(grant)

    def _refusal(self, plan: Plan, grant: Grant) -> Exception:
        bounds = [plan.bounds[place] for place in grant.refused]
        self._meters.refused(bounds[0])
        return refusal(bounds, grant.wait)

    async def _renew(self) -> None:
        """Renew the slots of everything that runs."""
        meters = list(self._slots)
        for number, meter in enumerate(meters, 1):
            meter.renew()
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)


def limited(snapshot: SnapshotView, collection: str) -> dict[str, Limits]:
    """Return the limits of a collection's rows by row id."""
    rows = ((one.id, one.row.rate_limit) for one in snapshot.rows(collection))
    return {id: limits for id, limits in rows if limits is not None}
