"""Turn hook implementations and kinds into the call lists a request runs.

A chain is a tuple of steps, sorted once by (priority, the row's order, name). Nothing here goes
through pluggy while a request runs; ``docs/decisions`` has the measurement.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from hookway_sdk import (
    Exchange,
    GatewayError,
    OnError,
    Phase,
    PluginFailed,
    StateUnavailable,
    TraceEntry,
    UpstreamError,
)

AsyncCall = Callable[[Exchange], Awaitable[Any]]
PlainCall = Callable[[Any], Any]

FailureNote = Callable[[str, str, Exception, str], None]
"""Told of every failing step: plugin, phase, error, request id."""

FAULTS = (StateUnavailable, UpstreamError)
"""What a step raises when something it leans on failed (state, a service it asked); never a refusal."""


class Step(msgspec.Struct, frozen=True, eq=False):
    """One plugin's work in one phase, in its final place.

    Args:
        priority: place among plugins; lower runs earlier.
        order: place among rows of the plugin.
        name: plugin instance, or ``plugin:row``.
        plugin: the plugin instance that a failure is counted for.
        call: what is called with the exchange (with the event, in ``record``).
        on_error: what a failure means.
        origin: where the priority came from, for ``hookway hooks``.
        groups_only: it has nothing to do with models that are called by their own name.
        now: does the same as ``call`` at once; in a phase of mode *each* it may return what is left to await,
            in one of mode *first* it returns the answer.
    """

    priority: int
    order: int
    name: str
    plugin: str
    call: Callable[[Any], Any]
    on_error: OnError
    origin: str = "declared"
    groups_only: bool = False
    now: Callable[[Any], Any] | None = None


Chain = tuple[Step, ...]


def sorted_chain(steps: Iterable[Step]) -> Chain:
    """Put steps into their total order; registration order never matters."""
    return tuple(sorted(steps, key=lambda step: (step.priority, step.order, step.name)))


class ChainRunner:
    """Runs chains; knows where failures are noted."""

    __slots__ = ("_note",)

    def __init__(self, note: FailureNote) -> None:
        self._note = note

    async def each(self, phase: Phase, chain: Chain, exchange: Exchange) -> None:
        """Run every step in order; a refusal or a failure that closes ends the chain.

        Raises:
            GatewayError: a step refused.
            PluginFailed: a step failed and its policy is to close.
        """
        for step in chain:
            began = time.perf_counter_ns() if exchange.trace is not None else 0
            try:
                await step.call(exchange)
            except FAULTS as fault:
                self._fail(phase, step, fault, exchange)
                continue
            except GatewayError as refusal:
                if exchange.trace is not None:
                    note_trace(exchange, phase, step, f"refused: {refusal.type}", began)
                raise
            except Exception as error:
                self._fail(phase, step, error, exchange)
                continue
            if exchange.trace is not None:
                note_trace(exchange, phase, step, "passed", began)

    def each_now(self, phase: Phase, chain: Chain, exchange: Exchange) -> Awaitable[None] | None:
        """Run a chain like :meth:`each`, at once as far as it is one step that can; return what is left.

        Raises:
            GatewayError: the step refused.
            PluginFailed: the step failed and its policy is to close.
        """
        now = chain[0].now
        if now is None or len(chain) > 1 or exchange.trace is not None:
            return self.each(phase, chain, exchange)
        try:
            pending = now(exchange)
        except FAULTS as fault:
            self._fail(phase, chain[0], fault, exchange)
            return None
        except GatewayError:
            raise
        except Exception as error:
            self._fail(phase, chain[0], error, exchange)
            return None
        return None if pending is None else self._finish(phase, chain[0], pending, exchange)

    async def _finish(self, phase: Phase, step: Step, pending: Awaitable[None], exchange: Exchange) -> None:
        try:
            await pending
        except FAULTS as fault:
            self._fail(phase, step, fault, exchange)
        except GatewayError:
            raise
        except Exception as error:
            self._fail(phase, step, error, exchange)

    async def first(self, phase: Phase, chain: Chain, exchange: Exchange) -> Any:
        """Run steps until one answers something other than ``None``.

        Raises:
            GatewayError: a step refused.
            PluginFailed: a step failed and its policy is to close.
        """
        for step in chain:
            began = time.perf_counter_ns() if exchange.trace is not None else 0
            try:
                answer = await step.call(exchange)
            except FAULTS as fault:
                self._fail(phase, step, fault, exchange)
                continue
            except GatewayError as refusal:
                if exchange.trace is not None:
                    note_trace(exchange, phase, step, f"refused: {refusal.type}", began)
                raise
            except Exception as error:
                self._fail(phase, step, error, exchange)
                continue
            if exchange.trace is not None:
                note_trace(exchange, phase, step, "passed" if answer is None else "answered", began)
            if answer is not None:
                return answer
        return None

    def first_now(self, phase: Phase, step: Step, exchange: Exchange) -> Any:
        """Return the answer of the only step of a chain, which can give it at once (see :meth:`first`).

        Raises:
            GatewayError: the step refused.
            PluginFailed: the step failed and its policy is to close.
        """
        assert step.now is not None
        try:
            return step.now(exchange)
        except FAULTS as fault:
            self._fail(phase, step, fault, exchange)
        except GatewayError:
            raise
        except Exception as error:
            self._fail(phase, step, error, exchange)
        return None

    async def notify(self, phase: Phase, chain: Chain, exchange: Exchange) -> None:
        """Run every step; what one raises is noted and never reaches the client."""
        for step in chain:
            try:
                await step.call(exchange)
            except Exception as error:
                self._note(step.plugin, phase.value, error, exchange.id)

    def notify_now(self, phase: Phase, chain: Chain, subject: Any, request_id: str) -> None:
        """Run every plain step on an exchange or an event, like :meth:`notify`."""
        for step in chain:
            try:
                step.call(subject)
            except Exception as error:
                self._note(step.plugin, phase.value, error, request_id)

    def _fail(self, phase: Phase, step: Step, error: Exception, exchange: Exchange) -> None:
        """Note a failing step and apply its policy."""
        self._note(step.plugin, phase.value, error, exchange.id)
        if exchange.trace is not None:
            note_trace(exchange, phase, step, f"failed ({type(error).__name__}), {step.on_error.value}", 0)
        if step.on_error is OnError.CLOSED:
            if isinstance(error, StateUnavailable):
                raise error
            raise PluginFailed(step.plugin, phase.value, detail=f"{type(error).__name__}: {error}") from error


def note_trace(exchange: Exchange, phase: Phase, step: Step, effect: str, began: int) -> None:
    """Add what a step did to the exchange's trace."""
    assert exchange.trace is not None
    now = time.perf_counter_ns()
    at = int((time.monotonic() - exchange.started) * 1e6)
    micros = (now - began) // 1000 if began else -1
    exchange.trace.add(TraceEntry(at, phase.value, step.name, effect, micros))
