"""A request's way through the gateway: the phases, in order.

::

    authenticate → read → resolve → authorize → admit_request → inspect_request
      → lookup ── hit ─────────────────────────────────────────┐
      → ask: filter, order, then per attempt admit_attempt,    │
             send, judge                                       │
      → inspect_answer ←───────────────────────────────────────┘
      → settle (exact, always) → deliver → record → store

An endpoint may run fewer phases, or the reorderable ones in another order (``Endpoint.order``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from hookway.attempts import AttemptLoop
from hookway.chains import Chain, ChainRunner
from hookway.client_side import ClientSide
from hookway.guardrails import write_back
from hookway.live_exchange import LiveExchange
from hookway.sending import canonical_request
from hookway.settlement import Settlement
from hookway.snapshot import CallerChains, refuse_if_closed
from hookway.streaming import write_as_stream
from hookway_sdk import (
    BodyKind,
    ClientDisconnected,
    Conductor,
    Endpoint,
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    PermissionDenied,
    Phase,
    PluginFailed,
    Principal,
    Reply,
    RequestView,
    Trace,
    Unauthenticated,
)

Stage = Callable[[LiveExchange, ClientSide], Awaitable[None] | None]
"""Does its work at once where it can, and returns what is to be awaited where it cannot: most stages of most
requests have nothing to wait for, and a coroutine for each is a tenth of what a request costs."""


class Lifecycle:
    """Runs exchanges through their stages; one per Runtime.

    Args:
        attempts: the attempt loop.
        settlement: settles and records.
        runner: runs chains.
        shared: chains that are the same for every caller, by phase.
    """

    def __init__(
        self, attempts: AttemptLoop, settlement: Settlement, runner: ChainRunner, shared: dict[Phase, Chain]
    ) -> None:
        self._attempts = attempts
        self._settlement = settlement
        self._runner = runner
        self._shared = shared

    @property
    def settlement(self) -> Settlement:
        """Who settles and records."""
        return self._settlement

    def nested_stages(self) -> tuple[Stage, ...]:
        """Return the stages of a nested call: its parent was authenticated, admitted and inspected."""
        return (self.resolve, self.take_chains, self.ask)

    def stages(self, endpoint: Endpoint) -> tuple[Stage, ...]:
        """Return an endpoint's stages, compiled once: its phases in its order, reading after the first."""
        stage_of: dict[Phase, Stage] = {
            Phase.AUTHENTICATE: self.authenticate,
            Phase.RESOLVE: self.resolve,
            Phase.AUTHORIZE: self.authorize,
            Phase.ADMIT_REQUEST: self.admit_request,
            Phase.INSPECT_REQUEST: self.inspect_request,
            Phase.LOOKUP: self.lookup,
            Phase.ORDER: self.ask if endpoint.wire else self.answer_by_itself,
            Phase.INSPECT_ANSWER: self.inspect_answer,
        }
        stages: list[Stage] = []
        for phase in endpoint.order if endpoint.wire else own_order(endpoint.order):
            if phase in stage_of:
                stages.append(stage_of[phase])
            if phase is Phase.AUTHENTICATE:
                stages.append(self.read)
        return tuple(stages)

    async def run(self, exchange: LiveExchange, stages: tuple[Stage, ...], client: ClientSide) -> None:
        """Take an exchange through its stages and settle it, whatever happens; its error stands on it.

        Raises:
            asyncio.CancelledError: the client left; everything is settled.
        """
        try:
            for stage in stages:
                pending = stage(exchange, client)
                if pending is not None:
                    await pending
        except GatewayError as error:
            exchange.error = error
            exchange.reply = None
        except asyncio.CancelledError:
            exchange.error = ClientDisconnected()
            raise
        except Exception as error:
            self._settlement.note_failure("core", "lifecycle", error, exchange.id)
            exchange.error = PluginFailed("core", "lifecycle", detail=f"{type(error).__name__}: {error}")
            exchange.reply = None
        finally:
            self._settlement.settle(exchange)

    # ── the stages ──────────────────────────────────────────────────────────────────────────

    def authenticate(self, exchange: LiveExchange, client: ClientSide) -> Awaitable[None] | None:
        """Find out who it is from; nobody answering means nobody is let in."""
        chain = self._shared[Phase.AUTHENTICATE]
        if len(chain) != 1 or chain[0].now is None:
            return self._authenticate_with(chain, exchange, client)
        exchange.credential = client.credential()
        try:
            principal: Principal | None = self._runner.first_now(Phase.AUTHENTICATE, chain[0], exchange)
        finally:
            exchange.credential = None
        enter(exchange, principal)
        return None

    async def _authenticate_with(self, chain: Chain, exchange: LiveExchange, client: ClientSide) -> None:
        principal: Principal | None = None
        if chain:
            exchange.credential = client.credential()
            try:
                principal = await self._runner.first(Phase.AUTHENTICATE, chain, exchange)
            finally:
                exchange.credential = None
        enter(exchange, principal)

    def read(self, exchange: LiveExchange, client: ClientSide) -> Awaitable[None] | None:
        """Read the body and let the dialect check it."""
        endpoint = exchange.endpoint
        if endpoint.body is BodyKind.NONE:
            exchange.request = RequestView("", False, {})
            return None
        body = client.arrived_body()
        if body is None:
            return self._read_on(exchange, client)
        exchange.request = endpoint.parse(body, exchange)
        return None

    async def _read_on(self, exchange: LiveExchange, client: ClientSide) -> None:
        exchange.request = exchange.endpoint.parse(await client.read_body(), exchange)

    def resolve(self, exchange: LiveExchange, client: ClientSide) -> Awaitable[None] | None:
        """Find the model the name stands for."""
        chain = self._shared[Phase.RESOLVE]
        if chain:
            return self._resolve_with(chain, exchange)
        self._take_model(exchange, exchange.request.model)
        return None

    async def _resolve_with(self, chain: Chain, exchange: LiveExchange) -> None:
        name = await self._runner.first(Phase.RESOLVE, chain, exchange)
        self._take_model(exchange, name or exchange.request.model)

    def _take_model(self, exchange: LiveExchange, name: str) -> None:
        model = exchange.snapshot.model(name)
        if model is None:
            raise ModelNotFound(exchange.request.model)
        exchange.compiled = model
        exchange.model = model.view

    def authorize(self, exchange: LiveExchange, client: ClientSide) -> Awaitable[None] | None:
        """Check that this caller may use this model from where it is."""
        model = exchange.compiled
        chains = self._chains(exchange)
        if model is not None:
            if not chains.allowed:
                raise PermissionDenied(f'API key is not allowed to use model "{exchange.request.model}"')
            if model.networks is not None and not model.reachable_from(exchange.client.address):
                raise PermissionDenied(
                    "Access denied: your client IP is not allowed to access this model", code="ip_restricted"
                )
        chain = self._shared[Phase.AUTHORIZE]
        return self._runner.each(Phase.AUTHORIZE, chain, exchange) if chain else None

    def take_chains(self, exchange: LiveExchange, client: ClientSide) -> None:
        """Take the chains of a nested call; access was decided by the name its parent used."""
        exchange.nested = True
        self._chains(exchange)

    def admit_request(self, exchange: LiveExchange, client: ClientSide) -> Awaitable[None] | None:
        """Let limits and budgets of the caller reserve."""
        chain = (exchange.chains or self._chains(exchange)).admit_request
        return self._runner.each_now(Phase.ADMIT_REQUEST, chain, exchange) if chain else None

    def inspect_request(self, exchange: LiveExchange, client: ClientSide) -> Awaitable[None] | None:
        """Let guardrails judge what the caller wrote."""
        chain = (exchange.chains or self._chains(exchange)).inspect_request
        if chain and exchange.endpoint.body is not BodyKind.NONE:
            return self._runner.each(Phase.INSPECT_REQUEST, chain, exchange)
        return None

    def lookup(self, exchange: LiveExchange, client: ClientSide) -> Awaitable[None] | None:
        """Let caches answer."""
        chain = (exchange.chains or self._chains(exchange)).lookup
        return self._look_up(chain, exchange) if chain else None

    async def _look_up(self, chain: Chain, exchange: LiveExchange) -> None:
        hit: Reply | None = await self._runner.first(Phase.LOOKUP, chain, exchange)
        if hit is not None and (hit.canonical is not None or not exchange.request.stream):
            exchange.cache_status = "hit"
            # A copy: what a guardrail masks for this caller stays as it was in the cache.
            exchange.reply = msgspec.structs.replace(hit)
            if hit.canonical is not None and not hit.body and not exchange.request.stream:
                exchange.reply.body = exchange.endpoint.encode_answer(hit.canonical, exchange)
        elif not exchange.cache_status:
            exchange.cache_status = "miss"

    def ask(self, exchange: LiveExchange, client: ClientSide) -> Awaitable[None] | None:
        """Ask providers, unless a cache has answered."""
        if exchange.reply is not None:
            return None
        model = exchange.compiled
        assert model is not None
        if model.conductor is not None:
            return self._conduct(exchange, model.conductor)
        chains = exchange.chains or self._chains(exchange)
        held = exchange.request.stream and bool(chains.inspect_answer)
        return self._attempts.run(exchange, model, chains, client, held)

    async def answer_by_itself(self, exchange: LiveExchange, client: ClientSide) -> None:
        """Let an endpoint without upstream answer."""
        exchange.reply = await exchange.endpoint.answer(exchange)

    def inspect_answer(self, exchange: LiveExchange, client: ClientSide) -> Awaitable[None] | None:
        """Let guardrails judge a finished answer, and write a held one to the client's stream."""
        reply = exchange.reply
        if reply is None:
            return None
        chain = (exchange.chains or self._chains(exchange)).inspect_answer
        if exchange.request.stream:
            return self._deliver_held(exchange, reply, chain, client)
        return self._judge_answer(chain, exchange) if chain else None

    async def _judge_answer(self, chain: Chain, exchange: LiveExchange) -> None:
        await self._runner.each(Phase.INSPECT_ANSWER, chain, exchange)
        write_back(exchange)

    # ── what some stages share ──────────────────────────────────────────────────────────────

    def _chains(self, exchange: LiveExchange) -> CallerChains:
        """Return the chains of this caller and model; an endpoint need not authorize to have them."""
        chains = exchange.chains
        if chains is None:
            assert exchange.principal is not None
            model, snapshot = exchange.compiled, exchange.snapshot
            if model is None:
                chains = snapshot.any_chains(exchange.principal)
            else:
                chains = snapshot.chains(model, exchange.principal, nested=exchange.nested)
            refuse_if_closed(chains)
            exchange.chains = chains
            exchange.caller = chains.kept
        return chains

    async def _conduct(self, exchange: LiveExchange, conductor: Conductor[Any]) -> None:
        """Let a model shape answer by nested calls."""
        try:
            answer = await conductor.run(exchange, canonical_request(exchange))
        except (GatewayError, asyncio.CancelledError):
            raise
        except Exception as error:
            self._settlement.note_failure(conductor.name, "run", error, exchange.id)
            raise PluginFailed(conductor.name, "run", detail=f"{type(error).__name__}: {error}") from error
        endpoint = exchange.endpoint
        # A nested call is given the canonical answer, a stream is written from it.
        raw = exchange.request.stream or not endpoint.wire
        body = b"" if raw else endpoint.encode_answer(answer, exchange)
        exchange.reply = Reply(body=body, usage=answer.usage, canonical=answer)

    async def _deliver_held(
        self, exchange: LiveExchange, reply: Reply, chain: Chain, client: ClientSide
    ) -> None:
        """Judge an answer that was held back, then write it as a stream."""
        if reply.canonical is None:
            raise InvalidRequest("this answer cannot be streamed")
        if chain:
            await self._judge_answer(chain, exchange)
        # What is shown is what the upstream said; what was filled in is ours.
        write_as_stream(exchange, client, reply.canonical, reply.canonical.usage)


def enter(exchange: LiveExchange, principal: Principal | None) -> None:
    """Let somebody in, and nobody else.

    Raises:
        Unauthenticated: there is nobody.
    """
    if principal is None:
        raise Unauthenticated(
            "missing or malformed Authorization header", reason="missing_credentials", method="none"
        )
    exchange.principal = principal
    if principal.trace:
        exchange.trace = Trace()


def own_order(order: Sequence[Phase]) -> tuple[Phase, ...]:
    """Return the order of an endpoint that answers by itself, which it does where others ask providers."""
    own = [phase for phase in order if phase not in (Phase.RESOLVE, Phase.LOOKUP)]
    if Phase.ORDER not in own:
        last = own.index(Phase.INSPECT_ANSWER) if Phase.INSPECT_ANSWER in own else len(own)
        own.insert(last, Phase.ORDER)
    return tuple(own)
