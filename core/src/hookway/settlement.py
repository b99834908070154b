"""The end of an exchange: reservations settled, the settlement journalled, the event for sinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hookway.attempts import error_text
from hookway.chains import Chain, ChainRunner
from hookway.live_exchange import LiveExchange
from hookway_sdk import (
    Attempt,
    AuthDenied,
    Clock,
    Event,
    Exchange,
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
        served = exchange.dispatched or exchange.reply is not None
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
    endpoint, client, error = exchange.endpoint, exchange.client, exchange.error
    first, started = exchange.first_byte, exchange.started
    # Assigned one by one: twice as fast as keywords to a Struct of forty fields.
    event = RequestEnded(request_id=exchange.id, usage=exchange.usage)
    event.kind = exchange.kind
    event.parent_id = exchange.parent_id
    event.at = clock.now()
    event.endpoint = endpoint.path
    event.method = exchange.method
    event.path = exchange.path
    event.protocol = endpoint.protocol
    event.status = exchange.status
    event.stop_reason = exchange.stop_reason
    event.latency_ms = (clock.monotonic() - started) * 1000
    if first:
        event.begun = True
        event.ttft_ms = (first - started) * 1000
    event.cache_status = exchange.cache_status
    event.dropped = exchange.dropped
    event.tags = exchange.tags
    event.client_address = client.address
    event.user_agent = client.user_agent
    event.revision = exchange.snapshot.revision
    if exchange.principal is not None:
        tell_caller(event, exchange.principal)
    if exchange.compiled is not None:
        view = exchange.compiled.view
        event.requested_model, event.model, event.model_id = view.requested, view.name, view.id
        event.stream = exchange.request.stream
    if exchange.attempt is not None:
        tell_target(event, exchange.attempt, exchange.attempts)
    if error is not None:
        event.error_type, event.error_code, event.error = error.type, error.code or "", error_text(error)
    return event


def tell_caller(event: RequestEnded, principal: Principal) -> None:
    """Write who a request ran as."""
    event.key_id = principal.key_id
    event.key_name = principal.key_name
    event.team_id = principal.team_id
    event.user_id = principal.user_id
    event.user_name = principal.user_name
    event.auth_method = principal.method


def tell_target(event: RequestEnded, attempt: Attempt, attempts: Sequence[Attempt]) -> None:
    """Write where a request went at last, and how often it was tried."""
    deployment = attempt.candidate.deployment
    key = deployment.key
    event.target, event.target_id = deployment.name, deployment.id
    event.provider = deployment.provider
    event.provider_key_id, event.provider_key_name = key.id, key.name
    event.upstream_id = attempt.upstream_id
    event.upstream_model = attempt.upstream_model or deployment.model
    event.target_model = deployment.model_as_written
    event.last_attempt = attempt.kind
    event.attempts = len(attempts)
    if event.attempts > 1:
        event.fallbacks = sum(one.kind == "fallback" for one in attempts)
