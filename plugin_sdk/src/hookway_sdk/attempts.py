"""One try at one candidate, and what to do after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from hookway_sdk.usage import Usage

if TYPE_CHECKING:
    from hookway_sdk.errors import GatewayError
    from hookway_sdk.reservations import Reservation
    from hookway_sdk.targets import Candidate

AttemptKind: TypeAlias = Literal["initial", "retry", "fallback"]


class Attempt:
    """A request on its way to one candidate.

    Attributes:
        index: 0 for the first try of the exchange.
        kind: ``initial``, ``retry`` (same target as before) or ``fallback`` (another one).
        candidate: where it goes.
        headers: further headers for the upstream; ``admit_attempt`` steps may add some.
        started: monotonic seconds.
        ended: monotonic seconds, 0.0 while it runs.
        first_byte: monotonic seconds of the first piece of the answer, 0.0 if none came.
        dispatched: something was sent; False where ``admit_attempt`` refused it.
        status: the upstream's HTTP status, 0 if none came.
        error: why it failed, ``ClientDisconnected`` where the client left, ``None`` for a success.
        usage: what it consumed, as far as the upstream said.
        upstream_id: the upstream's id of the answer or request.
        upstream_model: the model name the upstream says it used.
        reservations: what ``admit_attempt`` steps reserved; settled or released when the attempt ends.
        remaining: how many further candidates there are.
        proposed: after a failure, what the core will do unless a ``judge`` step says otherwise.
    """

    __slots__ = (
        "candidate",
        "dispatched",
        "ended",
        "error",
        "first_byte",
        "headers",
        "index",
        "kind",
        "proposed",
        "remaining",
        "reservations",
        "started",
        "status",
        "upstream_id",
        "upstream_model",
        "usage",
    )

    def __init__(self, index: int, kind: AttemptKind, candidate: Candidate, started: float) -> None:
        self.index = index
        self.kind: AttemptKind = kind
        self.candidate = candidate
        self.headers: list[tuple[str, str]] = []
        self.started = started
        self.ended = 0.0
        self.first_byte = 0.0
        self.dispatched = False
        self.status = 0
        self.error: GatewayError | None = None
        self.usage = Usage()
        self.upstream_id = ""
        self.upstream_model = ""
        self.reservations: list[Reservation] = []
        self.remaining = 0
        self.proposed: Decision | None = None

    def reserve(self, reservation: Reservation) -> None:
        """Hold something for the length of this attempt."""
        self.reservations.append(reservation)


class Retry(msgspec.Struct, frozen=True):
    """Try the same candidate again after ``after`` seconds."""

    after: float = 0.0


class Next(msgspec.Struct, frozen=True):
    """Go on with the next candidate; the error stands if there is none."""


class Stop(msgspec.Struct, frozen=True):
    """End here with the attempt's error."""


Decision: TypeAlias = Retry | Next | Stop
"""What a ``judge`` step says of a failed attempt; ``None`` leaves it to the next step, at last the core's."""
