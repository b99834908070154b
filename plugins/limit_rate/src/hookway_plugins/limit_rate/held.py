"""What a request or an attempt took from its limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hookway_plugins.limit_rate.headers import correct
from hookway_plugins.limit_rate.plan import Plan
from hookway_sdk import Exchange, Reservation, Usage
from hookway_sdk.state import MAX_COUNT, Hit, PostOp, Renew, State


class Held(Reservation):
    """Counted requests, reserved tokens and slots.

    Args:
        state: where they are.
        plan: the limits.
        operations: what was applied.
        results: what it came to.
        slots: the reservations whose slots are renewed; it is among them while it has any.
        exchange: whose answer says what is left, ``None`` for nobody's.
    """

    __slots__ = ("_exchange", "_operations", "_plan", "_results", "_slots", "_state")

    def __init__(
        self,
        state: State,
        plan: Plan,
        operations: Sequence[Any],
        results: Sequence[Any],
        slots: set[Held],
        exchange: Exchange | None,
    ) -> None:
        self._state = state
        self._plan: Plan | None = plan
        self._operations = operations
        self._results = results
        self._slots = slots
        self._exchange = exchange
        if plan.slots:
            slots.add(self)

    def settle(self, usage: Usage) -> None:
        """Charge the tokens that were used and free the slots; the request stays counted.

        What was reserved too much goes back to when it was reserved. What was used beyond it counts from now
        on: its reservation may have left the window long ago, as after a long stream, and nobody knew of it
        before.
        """
        plan = self._plan
        if plan is None:
            return
        posts = self._end(plan)
        if plan.tokens:
            operations = self._operations
            used = min(usage.input_tokens + usage.output_tokens, MAX_COUNT)
            for place in plan.tokens:
                hit = operations[place]
                beyond = used - hit.amount
                if beyond > 0:
                    posts.append(Hit(hit.key, hit.limit, hit.window_seconds, beyond, hit.shape))
                elif beyond < 0:
                    posts.append(hit.settle(self._results[place], used))
            self._tell(plan, used)
        if posts:
            self._state.post(posts)
        self._exchange = None  # it holds this reservation; two that hold each other wait for the collector

    def release(self) -> None:
        """Give everything back, the request too."""
        plan = self._plan
        if plan is None:
            return
        posts = self._end(plan)
        for place in (*plan.tokens, *plan.requests):
            hit = self._operations[place]
            if hit.amount:
                posts.append(hit.settle(self._results[place], 0))
        if posts:
            self._state.post(posts)
        if self._exchange is not None:
            for one in plan.shown:
                correct(one, self._results, self._operations, 0, self._exchange)
        self._exchange = None

    def renewals(self, ttl: float) -> list[PostOp]:
        """Return what keeps its slots for another ``ttl`` seconds; nothing once it is over."""
        plan = self._plan
        if plan is None:
            return []
        slots = [self._operations[place] for place in plan.slots]
        return [Renew(slot.key, slot.holder, ttl) for slot in slots]

    def _end(self, plan: Plan) -> list[PostOp]:
        """Note that it is over, and return what frees its slots."""
        self._plan = None
        if not plan.slots:
            return []
        self._slots.discard(self)
        operations = self._operations
        return [operations[place].release() for place in plan.slots]

    def _tell(self, plan: Plan, used: int) -> None:
        """Say how many tokens are left now that the usage is known."""
        if self._exchange is not None and plan.shown_tokens is not None:
            correct(plan.shown_tokens, self._results, self._operations, used, self._exchange)
        if plan.gauges is not None and plan.gauges.tokens is not None:
            result, hit = self._results[plan.minute_tokens], self._operations[plan.minute_tokens]
            plan.gauges.tokens.set(max(0, result.limit - result.used + hit.amount - used))
