"""The end of an exchange: reservations settled, the settlement journalled, the event for sinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hookway.attempts import error_text
from hookway.chains import Chain, ChainRunner
from hookway.live_exchange import LiveExchange
from hookway_sdk import (
    Attempt,
    AuthDenied,
    Candidate,
    Clock,
    Deployment,
    Endpoint,
    Event,
    Exchange,
    ExchangeKind,
    Phase,
    Principal,
    RequestEnded,
    Unauthenticated,
)

Journalise = Callable[[str, Any], None]


class Settlement:
    """Settles and records exchanges; one per Runtime.

    Args:
        runner: runs chains.
        chains: the ``settle`` and ``record`` chains and the event types each sink wants.
        journal: takes a settlement; returns at once.
        clock: time.
        touch: says that there is something to flush at the next tick.
        note_failure: told of failing steps.
        tell_trace: told of finished exchanges whose key asks for traces.
    """

    def __init__(
        self,
        runner: ChainRunner,
        settle_chain: Chain,
        record_chains: Mapping[type, Chain],
        journal: Journalise,
        clock: Clock,
        touch: Callable[[], None],
        note_failure: Callable[[str, str, Exception, str], None],
        tell_trace: Callable[[LiveExchange], None],
    ) -> None:
        self._tell_trace = tell_trace
        self._runner = runner
        self._settle_chain = settle_chain
        self._record_chains = record_chains
        self._journal = journal
        self._clock = clock
        self._touch = touch
        self.note_failure = note_failure
        self._ended = record_chains.get(RequestEnded, ())

    def wants(self, event: type) -> bool:
        """Say whether any sink wants events of a type."""
        return bool(self._record_chains.get(event))

    def settle(self, exchange: LiveExchange) -> None:
        """Settle or release everything the exchange reserved; exactly once, never raises, never waits."""
        if exchange.settled:
            return
        exchange.settled = True
        # A cache hit and an endpoint's own answer are answers too: one request, no tokens.
        served = exchange.reply is not None or exchange.dispatched
        for reservation in exchange.reservations:
            try:
                if served:
                    reservation.settle(exchange.usage)
                else:
                    reservation.release()
            except Exception as error:
                self.note_failure("reservation", Phase.SETTLE.value, error, exchange.id)
        if self._settle_chain:
            self._runner.notify_now(Phase.SETTLE, self._settle_chain, exchange, exchange.id)

    def close(self, exchange: LiveExchange, status: int) -> RequestEnded:
        """Journal the settlement; called before the last byte of the answer is written."""
        exchange.status = status
        event = request_event(exchange, self._clock)
        self._journal("request_ended", event)
        if exchange.trace is not None:
            self._tell_trace(exchange)
        return event

    def record(self, event: RequestEnded) -> None:
        """Tell sinks; called when the answer has been written."""
        self._touch()
        if self._ended:
            self._runner.notify_now(Phase.RECORD, self._ended, event, event.request_id)

    def emit(self, event: Event) -> None:
        """Tell sinks an event."""
        self._touch()
        chain = self._record_chains.get(type(event), ())
        if chain:
            self._runner.notify_now(Phase.RECORD, chain, event, getattr(event, "request_id", ""))

    def denied(self, exchange: Exchange, error: Unauthenticated) -> None:
        """Tell sinks that a request was turned away before anyone knew who it was from."""
        self.emit(
            AuthDenied(
                request_id=exchange.id,
                at=self._clock.now(),
                reason=error.reason,
                method=error.method,
                key_id=error.key_id,
                endpoint=exchange.endpoint.path,
                http_method=exchange.method,
                path=exchange.path,
                client_address=exchange.client.address,
            )
        )


def request_event(exchange: LiveExchange, clock: Clock) -> RequestEnded:
    """Return the event of an exchange that is over."""
    error, attempt, attempts = exchange.error, exchange.attempt, exchange.attempts
    client, started = exchange.client, exchange.started
    event = msgspec.structs.replace(
        beginning(exchange, attempt),
        request_id=exchange.id,
        usage=exchange.usage,
        at=clock.now(),
        method=exchange.method,
        path=exchange.path,
        status=exchange.status,
        stop_reason=exchange.stop_reason,
        latency_ms=(clock.monotonic() - started) * 1000,
        client_address=client.address,
        user_agent=client.user_agent,
    )
    # The rest is as in the beginning, or as in most requests: it is written only where it is not.
    if exchange.compiled is not None and exchange.request.stream:
        event.stream = True
    if attempt is not None:
        event.upstream_id = attempt.upstream_id
        if attempt.upstream_model:
            event.upstream_model = attempt.upstream_model
        event.last_attempt = attempt.kind
        event.attempts = len(attempts)
        if len(attempts) > 1:
            event.fallbacks = sum(one.kind == "fallback" for one in attempts)
    if exchange.first_byte:
        event.begun = True
        event.ttft_ms = (exchange.first_byte - started) * 1000
    if exchange.cache_status:
        event.cache_status = exchange.cache_status
    if exchange.dropped:
        event.dropped = exchange.dropped
    if exchange.tags is not None:
        event.tags = exchange.tags
    if exchange.parent_id:
        event.parent_id = exchange.parent_id
    if error is not None:
        event.error_type, event.error_code, event.error = error.type, error.code or "", error_text(error)
    return event


class Beginning(msgspec.Struct, frozen=True, eq=False):
    """What the events of one caller's requests to one target have in common, and when it holds."""

    principal: Principal
    endpoint: Endpoint
    kind: ExchangeKind
    event: RequestEnded


BEGINNINGS = "core.request_events"
"""Where they are kept in ``Exchange.caller``: by target, as long as the configuration stands."""

MOST_TARGETS = 64
"""Beginnings that are kept of one caller and model."""


def beginning(exchange: LiveExchange, attempt: Attempt | None) -> RequestEnded:
    """Return an event with all that does not change from one request to the next, to be copied.

    A copy costs a tenth of writing its twenty fields.
    """
    kept, principal = exchange.caller, exchange.principal
    if kept is None or principal is None or attempt is None:
        return begun_anew(exchange, attempt)
    known: dict[Candidate, Beginning] | None = kept.get(BEGINNINGS)
    if known is None:
        known = kept[BEGINNINGS] = {}
    found = known.get(attempt.candidate)
    if (
        found is None
        or found.principal is not principal
        or found.endpoint is not exchange.endpoint
        or found.kind is not exchange.kind
    ):
        if len(known) >= MOST_TARGETS:
            known.clear()
        made = begun_anew(exchange, attempt)
        found = known[attempt.candidate] = Beginning(principal, exchange.endpoint, exchange.kind, made)
    return found.event


def begun_anew(exchange: LiveExchange, attempt: Attempt | None) -> RequestEnded:
    """Write into an event where a request came in, who it ran as, what it asked for, and where it went."""
    endpoint = exchange.endpoint
    event = RequestEnded(request_id=exchange.id, usage=exchange.usage, kind=exchange.kind)
    event.endpoint = endpoint.path
    event.protocol = endpoint.protocol
    event.revision = exchange.snapshot.revision
    if exchange.principal is not None:
        tell_caller(event, exchange.principal)
    if exchange.compiled is not None:
        view = exchange.compiled.view
        event.requested_model, event.model, event.model_id = view.requested, view.name, view.id
    if attempt is not None:
        tell_target(event, attempt.candidate.deployment)
    return event


def tell_caller(event: RequestEnded, principal: Principal) -> None:
    """Write who a request ran as."""
    event.key_id = principal.key_id
    event.key_name = principal.key_name
    event.team_id = principal.team_id
    event.user_id = principal.user_id
    event.user_name = principal.user_name
    event.auth_method = principal.method


def tell_target(event: RequestEnded, deployment: Deployment) -> None:
    """Write where a request went at last."""
    key = deployment.key
    event.target, event.target_id = deployment.name, deployment.id
    event.provider = deployment.provider
    event.provider_key_id, event.provider_key_name = key.id, key.name
    event.upstream_model = deployment.model
    event.target_model = deployment.model_as_written
