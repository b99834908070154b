"""What the witnesses of the matrix write down: reservations and their ends, settlements, events."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hookway_sdk import (
    Attempt,
    AttemptEnded,
    Event,
    Exchange,
    Limit,
    Plugin,
    RequestEnded,
    Reservation,
    Usage,
    hookimpl,
    priorities,
)


class Held(Reservation):
    """A reservation that counts how it ended.

    Attributes:
        exchange: id of the exchange it was made for.
        what: ``request`` or ``attempt``.
        settled: usage of each settlement.
        released: how often it was given back.
    """

    def __init__(self, exchange: str, what: str) -> None:
        self.exchange = exchange
        self.what = what
        self.settled: list[Usage] = []
        self.released = 0

    def settle(self, usage: Usage) -> None:
        """Count it."""
        self.settled.append(usage.copy())

    def release(self) -> None:
        """Count it."""
        self.released += 1

    def __repr__(self) -> str:
        return f"{self.what} of {self.exchange}: settled {len(self.settled)}, released {self.released}"


class Book:
    """Everything that was witnessed since the last :meth:`clear`."""

    def __init__(self) -> None:
        self.held: list[Held] = []
        self.settles: list[str] = []
        self.events: list[Event] = []
        self.ended: list[str] = []
        self.stored: list[str] = []

    def clear(self) -> None:
        """Forget everything."""
        for pages in (self.held, self.settles, self.events, self.ended, self.stored):
            pages.clear()

    def hold(self, exchange: str, what: str) -> Held:
        """Note a reservation."""
        held = Held(exchange, what)
        self.held.append(held)
        return held

    def of(self, what: str) -> list[Held]:
        """Return the reservations of requests or of attempts."""
        return [one for one in self.held if one.what == what]

    def check(self) -> None:
        """Fail unless every reservation ended exactly once and every exchange settled exactly once.

        Raises:
            AssertionError: something was lost, or counted twice.
        """
        wrong = [one for one in self.held if len(one.settled) + one.released != 1]
        assert not wrong, f"reservations that did not end exactly once: {wrong}"
        twice = {one: count for one, count in Counter(self.settles).items() if count != 1}
        assert not twice, f"exchanges that settled more than once: {twice}"
        recorded = Counter(one.request_id for one in self.events if isinstance(one, RequestEnded))
        assert all(count == 1 for count in recorded.values()), f"recorded more than once: {recorded}"
        unsettled = recorded.keys() - set(self.settles)
        assert not unsettled, f"recorded and never settled: {unsettled}"
        attempts = Counter(
            (one.request_id, one.index) for one in self.events if isinstance(one, AttemptEnded)
        )
        assert all(count == 1 for count in attempts.values()), f"attempts told more than once: {attempts}"


def witness(book: Book) -> type[Plugin[Any]]:
    """Return a plugin that holds a reservation for each request and attempt, and notes what comes of it."""

    class WitnessLimit(Limit[Any]):
        """Reserve for everything, before anyone else."""

        priority = priorities.FIRST

        async def admit_request(self, exchange: Exchange) -> None:
            """Hold something for the request."""
            exchange.reserve(book.hold(exchange.id, "request"))

        async def admit_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
            """Hold something for the attempt."""
            attempt.reserve(book.hold(exchange.id, "attempt"))

    class Witness(Plugin[Any]):
        """Note settlements and events."""

        kinds = (WitnessLimit,)

        @hookimpl
        def settle(self, exchange: Exchange) -> None:
            """Note that an exchange settles."""
            book.settles.append(exchange.id)

        @hookimpl
        def record(self, event: Event) -> None:
            """Note an event."""
            book.events.append(event)

    return Witness
