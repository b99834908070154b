"""The attempt loop: try candidates in order until one answers, or none is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from hookway.chains import ChainRunner
from hookway.client_side import ClientSide
from hookway.eligibility import eligible_routes
from hookway.judging import judge_failure
from hookway.live_exchange import LiveExchange
from hookway.models import CompiledModel, Route
from hookway.redaction import without_secret
from hookway.sending import Sender
from hookway.snapshot import CallerChains
from hookway.usage_estimates import UsageEstimator
from hookway_sdk import (
    AllCandidatesUnavailable,
    Attempt,
    AttemptEnded,
    Candidate,
    ClientDisconnected,
    Decision,
    Event,
    Exchange,
    GatewayError,
    Phase,
    Plan,
    PluginFailed,
    Retry,
    Stop,
    Strategy,
    TraceEntry,
    UpstreamError,
    UpstreamTimeout,
)
from hookway_sdk.attempts import AttemptKind

LONGEST_ERROR = 2048

CLOSE = 0.05
"""Seconds by which two clocks' readings of one deadline may differ."""


class AttemptLoop:
    """Runs the attempts of exchanges.

    Args:
        sender: sends one attempt and takes its answer.
        runner: runs chains.
        strategies: strategies by name.
        ended: told of each attempt that is over, in order, for resilience plugins.
        emit: sends an event to sinks, ``None`` while no sink wants attempts.
        estimates: fills in the usage that upstreams do not report.
        clock: monotonic seconds and epoch seconds.
    """

    def __init__(
        self,
        sender: Sender,
        runner: ChainRunner,
        strategies: dict[str, Strategy[Any]],
        ended: Sequence[tuple[str, Callable[[Exchange, Attempt], None]]],
        emit: Callable[[Event], None] | None,
        note_failure: Callable[[str, str, Exception, str], None],
        estimates: UsageEstimator,
    ) -> None:
        self._estimates = estimates
        self._sender = sender
        self._runner = runner
        self._strategies = strategies
        self._ended = ended
        self._emit = emit
        self._note_failure = note_failure
        self._clock = sender.clock
        self._random = sender.random

    async def run(
        self,
        exchange: LiveExchange,
        model: CompiledModel,
        chains: CallerChains,
        client: ClientSide,
        held: bool,
    ) -> None:
        """Answer an exchange: set its reply, or stream to the client.

        Args:
            held: the answer has to be complete before anything leaves, though the client streams.

        Raises:
            GatewayError: the last attempt's error, or why there was none.
        """
        if model.selective or chains.filter or len(model.routes) > 1:
            candidates = await self.plan(exchange, model, chains)
        else:
            candidates = model.routes
            exchange.plan = Plan(candidates)
        kind: AttemptKind = "initial"
        last: GatewayError | None = None
        if model.total_timeout is not None:
            exchange.deadline = exchange.started + model.total_timeout
        for position, candidate in enumerate(candidates):
            route = cast("Route", candidate)
            tries = 0
            while True:
                attempt = Attempt(len(exchange.attempts), kind, route, self._clock.monotonic())
                exchange.attempt = attempt
                exchange.attempts.append(attempt)
                attempt.remaining = len(candidates) - position - 1
                last = await self._try(exchange, attempt, route, chains, client, held)
                if last is None:
                    return
                decision = await self._judge(exchange, attempt, model, chains, route, tries)
                pause = decision.after if isinstance(decision, Retry) else 0.0
                if exchange.deadline and self._clock.monotonic() + pause >= exchange.deadline:
                    decision = Stop()
                if not isinstance(decision, Retry):
                    break
                tries += 1
                kind = "retry"
                if pause > 0:
                    await asyncio.sleep(pause)
            if isinstance(decision, Stop):
                break
            kind = "fallback"
        raise last if last is not None else AllCandidatesUnavailable()

    async def plan(
        self, exchange: LiveExchange, model: CompiledModel, chains: CallerChains
    ) -> Sequence[Candidate]:
        """Return the candidates in the order in which they are tried.

        Raises:
            AllCandidatesUnavailable: filters excluded every one.
            InvalidRequest: no candidate has the tags that the request asks for.
            PermissionDenied: no candidate may be called from where the request comes.
        """
        routes = eligible_routes(exchange, model) if model.selective else model.routes
        plan = exchange.plan = Plan(routes)
        if chains.filter:
            await self._runner.each(Phase.FILTER, chains.filter, exchange)
        if exchange.trace is not None:
            for candidate, why in plan.excluded:
                trace(exchange, Phase.FILTER, candidate.name, f"excluded: {why}")
            for candidate, why in plan.deferred:
                trace(exchange, Phase.FILTER, candidate.name, f"put off: {why}")
        last_resorts = [one for one, _ in plan.deferred] if plan.deferred else []
        if not plan.candidates:
            plan.candidates, last_resorts = last_resorts, []
        if not plan.candidates:
            reasons = "; ".join(f"{one.name}: {why}" for one, why in plan.excluded)
            raise AllCandidatesUnavailable(detail=reasons or None)
        if len(plan.candidates) > 1:
            ordered = await self._runner.first(Phase.ORDER, chains.order, exchange) if chains.order else None
            plan.candidates = await self._in_order(exchange, model) if ordered is None else ordered
        if last_resorts:
            plan.candidates = [*plan.candidates, *last_resorts]
            plan.last_resorts = len(last_resorts)
        if model.max_fallbacks is not None:
            cut = max(0, len(plan.candidates) - model.max_fallbacks - 1)
            plan.candidates = plan.candidates[: model.max_fallbacks + 1]
            plan.last_resorts = max(0, plan.last_resorts - cut)
        return plan.candidates

    async def _in_order(self, exchange: LiveExchange, model: CompiledModel) -> Sequence[Candidate]:
        """Let the group's strategy order each tier; tiers come higher priority first."""
        strategy = self._strategies[model.view.strategy]
        ordered: list[Candidate] = []
        tier: list[Candidate] = []
        for candidate in exchange.plan.candidates:
            if tier and candidate.priority != tier[0].priority:
                ordered += await order_tier(strategy, exchange, model.view.id, tier)
                tier = []
            tier.append(candidate)
        ordered += await order_tier(strategy, exchange, model.view.id, tier)
        return ordered

    async def _try(
        self,
        exchange: LiveExchange,
        attempt: Attempt,
        route: Route,
        chains: CallerChains,
        client: ClientSide,
        held: bool,
    ) -> GatewayError | None:
        """Make one attempt; return its error, or ``None`` when the exchange is answered."""
        failed: GatewayError | None = None
        exchange.produced = None
        try:
            if chains.admit_attempt:
                await self._runner.each(Phase.ADMIT_ATTEMPT, chains.admit_attempt, exchange)
            if exchange.request.stream and not held:
                await self._sender.stream(exchange, attempt, route, client)
            else:
                await self._sender.call(exchange, attempt, route)
            if attempt.error is None and (pending := self._estimates.after_answer(exchange, attempt)):
                await pending
        except GatewayError as error:
            if exchange.deadline and isinstance(error, UpstreamTimeout):
                self._name_stage(exchange, error)
            attempt.error = failed = without_secret(error, route.deployment.key.secret)
        except asyncio.CancelledError:
            attempt.error = ClientDisconnected()
            raise
        except Exception as error:
            name = route.provider.name if route.provider is not None else "core"
            self._note_failure(name, "attempt", error, exchange.id)
            attempt.error = failed = PluginFailed(name, "attempt", detail=f"{type(error).__name__}: {error}")
        finally:
            self._finish(exchange, attempt)
        return failed

    async def _judge(
        self,
        exchange: LiveExchange,
        attempt: Attempt,
        model: CompiledModel,
        chains: CallerChains,
        route: Route,
        tries: int,
    ) -> Decision:
        """Form the core's own judgement, show it to the ``judge`` steps, and let them overrule it."""
        if isinstance(attempt.error, PluginFailed):
            return Stop()
        budget = route.retries
        if budget is None:
            # Another target is better than the same one again, unless all others have just failed.
            last = attempt.remaining == exchange.plan.last_resorts
            budget = self._sender.defaults.retries if last else 0
        explicit = self._sender.explicit_timeout(exchange, route)
        proposed = judge_failure(
            attempt,
            model,
            tries=tries,
            budget=budget,
            explicit_timeout=explicit,
            elsewhere=self._sender.defaults.fallback_on_statuses,
            random=self._random,
        )
        if chains.judge:
            attempt.proposed = proposed
            decision: Decision | None = await self._runner.first(Phase.JUDGE, chains.judge, exchange)
            if decision is not None:
                return decision
        return proposed

    def _finish(self, exchange: LiveExchange, attempt: Attempt) -> None:
        """Settle an attempt and tell who wants to know; never raises."""
        attempt.ended = self._clock.monotonic()
        if attempt.error is not None:
            self._estimate(exchange, attempt)
        if exchange.trace is not None:
            outcome = "answered" if attempt.error is None else f"failed: {error_text(attempt.error)}"
            micros = int((attempt.ended - attempt.started) * 1e6)
            trace(exchange, Phase.ADMIT_ATTEMPT, attempt.candidate.name, f"{attempt.kind}, {outcome}", micros)
        if len(exchange.attempts) == 1 and not exchange.charged:
            exchange.usage = attempt.usage
        else:
            total = exchange.usage.copy()
            total.add(attempt.usage)
            exchange.usage = total
        for reservation in attempt.reservations:
            try:
                if attempt.dispatched:
                    reservation.settle(attempt.usage)
                else:
                    reservation.release()
            except Exception as error:
                self._note_failure("reservation", Phase.SETTLE.value, error, exchange.id)
        for name, tell in self._ended:
            try:
                tell(exchange, attempt)
            except Exception as error:
                self._note_failure(name, "ended", error, exchange.id)
        if self._emit is not None:
            self._emit(attempt_event(exchange, attempt, self._clock.now()))

    def _name_stage(self, exchange: LiveExchange, error: UpstreamTimeout) -> None:
        """Tell the end of the request's time from a target's own slowness."""
        if error.stage == "total" and self._clock.monotonic() >= exchange.deadline - CLOSE:
            error.stage = "request"

    def _estimate(self, exchange: LiveExchange, attempt: Attempt) -> None:
        try:
            self._estimates.after_failure(exchange, attempt)
        except Exception as error:
            self._note_failure("core", "estimate", error, exchange.id)


def trace(exchange: LiveExchange, phase: Phase, step: str, effect: str, micros: int = -1) -> None:
    """Add to the trace of an exchange that has one."""
    assert exchange.trace is not None
    at = int((time.monotonic() - exchange.started) * 1e6)
    exchange.trace.add(TraceEntry(at, phase.value, step, effect, micros))


async def order_tier(
    strategy: Strategy[Any], exchange: LiveExchange, group: str, tier: Sequence[Candidate]
) -> Sequence[Candidate]:
    """Let a strategy order a tier; one candidate needs no order."""
    return await strategy.order(exchange, group, tier) if len(tier) > 1 else tier


def attempt_event(exchange: LiveExchange, attempt: Attempt, at: float) -> AttemptEnded:
    """Return the event of an attempt that is over."""
    deployment = attempt.candidate.deployment
    error = attempt.error
    kind = ""
    if error is not None:
        kind = error.kind if isinstance(error, UpstreamError) else error.type
    first = attempt.first_byte
    return AttemptEnded(
        request_id=exchange.id,
        index=attempt.index,
        kind=attempt.kind,
        at=at,
        model=exchange.model.name,
        target=deployment.name,
        target_id=deployment.id,
        provider=deployment.provider,
        provider_key_id=deployment.key.id,
        provider_key_name=deployment.key.name,
        upstream_model=attempt.upstream_model or deployment.model,
        target_model=deployment.model_as_written,
        upstream_id=attempt.upstream_id,
        dispatched=attempt.dispatched,
        status=attempt.status,
        error_kind=kind,
        error=error_text(error),
        latency_ms=(attempt.ended - attempt.started) * 1000,
        ttft_ms=(first - attempt.started) * 1000 if first else 0.0,
        usage=attempt.usage,
    )


def error_text(error: GatewayError | None) -> str:
    """Return an error for operators: detail included, one line, bounded."""
    if error is None:
        return ""
    told = error.detail and error.detail != error.message
    text = f"{error.message}: {error.detail}" if told else error.message
    return "".join(one if one.isprintable() else " " for one in text[:LONGEST_ERROR])
