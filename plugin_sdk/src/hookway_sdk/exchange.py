"""One request on its way through the gateway, from accept to record."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from hookway_sdk.incoming import safe_header
from hookway_sdk.unique_names import unique_name
from hookway_sdk.usage import Usage

if TYPE_CHECKING:
    from hookway_sdk.attempts import Attempt
    from hookway_sdk.brand import Brand
    from hookway_sdk.endpoint import Endpoint
    from hookway_sdk.errors import GatewayError
    from hookway_sdk.incoming import Client, Headers, Principal
    from hookway_sdk.reservations import Reservation
    from hookway_sdk.resources import SnapshotView
    from hookway_sdk.targets import ModelView, Plan
    from hookway_sdk.trace import Trace
    from hookway_sdk.views import Reply, RequestView

T = TypeVar("T")


class ExchangeKind(enum.StrEnum):
    """How long an exchange lives and what it settles."""

    CALL = "call"
    """One request, one answer (a stream is one answer)."""
    SESSION = "session"
    """A connection that stays (WebSocket, MCP session): handshake and slot; its turns settle."""
    TURN = "turn"
    """One admitted and settled piece of a session."""


class Slot(Generic[T]):
    """A plugin's typed place for scratch data on an exchange.

    Make one at module level (``SEEN = Slot[int]("my_plugin.seen")``); names are unique by plugin prefix.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Exchange:
    """Everything about one request. The core creates it; steps read it and change what their phase allows.

    Attributes:
        id: request id, as the client and the upstream see it.
        kind: call, session or turn.
        endpoint: what was matched.
        brand: names of headers.
        method: HTTP method.
        path: path after rewriting, without query.
        query: the raw query string.
        headers: the client's headers without credentials.
        client: who is on the other end.
        principal: who it runs as; set by ``authenticate``.
        request: the parsed request; set after the body was read.
        model: what the name resolved to; set by ``resolve``.
        snapshot: the configuration this request began with and ends with.
        plan: candidates; set before ``filter``.
        attempt: the attempt that runs, or ran last.
        attempts: all of them.
        reply: the finished answer; ``None`` for a stream, or before there is one.
        usage: what the whole exchange consumed.
        error: why it failed.
        status: HTTP status of the answer, 0 before it is known, 499 if the client left.
        tags: labels that steps may add and read.
        dropped: JSON pointers that a translation could not say.
        caller: what plugins keep of this caller and model while the configuration stands, by whatever they
            like (themselves); ``None`` before the model is known. It holds what is made of the configuration,
            never counts.
        cache_status: ``hit``, ``miss``, ``bypass``, or ``""`` where no cache applies.
        stop_reason: why the model stopped, in the wire's own word.
        started: monotonic seconds of accept.
        started_at: the same in epoch seconds.
        first_byte: monotonic seconds when the first piece of the answer left, 0.0 before.
        depth: 0 for a client's request, +1 for each nested call.
        parent_id: id of the exchange a nested call belongs to.
        trace: the explanation, where one is kept.
    """

    __slots__ = (
        "_uid",
        "attempt",
        "attempts",
        "brand",
        "cache_status",
        "caller",
        "client",
        "depth",
        "dropped",
        "endpoint",
        "error",
        "first_byte",
        "head_writers",
        "headers",
        "id",
        "kind",
        "method",
        "model",
        "parent_id",
        "path",
        "plan",
        "principal",
        "query",
        "reply",
        "reply_headers",
        "request",
        "reservations",
        "scratch",
        "snapshot",
        "started",
        "started_at",
        "status",
        "stop_reason",
        "tags",
        "trace",
        "usage",
    )

    request: RequestView
    model: ModelView
    plan: Plan

    def __init__(
        self,
        id: str,
        endpoint: Endpoint,
        snapshot: SnapshotView,
        brand: Brand,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        client: Client,
        started: float,
        started_at: float,
        kind: ExchangeKind = ExchangeKind.CALL,
    ) -> None:
        self.id = id
        self.kind = kind
        self.endpoint = endpoint
        self.snapshot = snapshot
        self.brand = brand
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.client = client
        self.started = started
        self.started_at = started_at
        self.principal: Principal | None = None
        self.attempt: Attempt | None = None
        self.attempts: list[Attempt] = []
        self.reply: Reply | None = None
        self.reply_headers: list[tuple[str, str]] = []
        self.head_writers: tuple[Callable[[], str], ...] = ()
        self.reservations: list[Reservation] = []
        self.usage = Usage()
        self.error: GatewayError | None = None
        self.status = 0
        self.tags: Mapping[str, str] | None = None
        self.dropped: tuple[str, ...] = ()
        self.cache_status = ""
        self.caller: dict[Any, Any] | None = None
        self.stop_reason = ""
        self.first_byte = 0.0
        self.depth = 0
        self.parent_id = ""
        self.trace: Trace | None = None
        self.scratch: dict[str, Any] | None = None
        self._uid = ""

    @property
    def uid(self) -> str:
        """A name that no other exchange has, here or in another process, made on first use.

        ``id`` may be the caller's own and come twice; what is held for one exchange (leases, records that
        must not be written twice) is named by this.
        """
        if not self._uid:
            self._uid = unique_name()
        return self._uid

    def tag(self, name: str, value: str) -> None:
        """Label this exchange; labels reach events and may steer later steps."""
        self.tags = {**(self.tags or {}), name: value}

    def add_header(self, name: str, value: str) -> None:
        """Add a header to the answer; no effect once its head has left.

        Raises:
            ValueError: name or value cannot stand in a header (line ends, NUL).
        """
        if not (safe_header(name) and safe_header(value)):
            raise ValueError(f"header {name!r} has a character that would break the answer's head")
        self.reply_headers.append((name, value))

    def set_header(self, name: str, value: str) -> None:
        """Put a header of the answer in place of any that has its name (in whatever case).

        Reservations may do so as well while they are settled: a buffered answer has not left yet.

        Raises:
            ValueError: name or value cannot stand in a header (line ends, NUL).
        """
        lines = self.reply_headers
        if lines:
            lower = name.lower()
            for line in lines:
                if line[0].lower() == lower:
                    self.reply_headers = [one for one in lines if one[0].lower() != lower]
                    break
        self.add_header(name, value)

    def at_head(self, lines: Callable[[], str]) -> None:
        """Let header lines be written when the head of the answer is, of a good one or of an error.

        For figures that change until then: a buffered answer is settled before its head is written. It is
        also the cheapest way to add several lines.

        Args:
            lines: returns the lines, each beginning with a line end (``"\\r\\nx-left: 5"``); nothing in them
                may come from a caller or a provider unchecked (:func:`safe_header`).
        """
        self.head_writers += (lines,)

    def answer_headers(self) -> list[tuple[str, str]]:
        """Return the headers that steps have added so far, as they would be written now."""
        late = "".join([write() for write in self.head_writers])
        pairs = [line.partition(": ") for line in late.split("\r\n") if line]
        return [*self.reply_headers, *((name, value) for name, _, value in pairs)]

    def reserve(self, reservation: Reservation) -> None:
        """Hold something for the length of this exchange; settled or released exactly once."""
        self.reservations.append(reservation)

    def get(self, slot: Slot[T]) -> T | None:
        """Return what a plugin put into its slot, or ``None``."""
        return None if self.scratch is None else cast("T | None", self.scratch.get(slot.name))

    def put(self, slot: Slot[T], value: T) -> None:
        """Put something into a plugin's slot."""
        if self.scratch is None:
            self.scratch = {}
        self.scratch[slot.name] = value

    @property
    def dispatched(self) -> bool:
        """Whether anything was sent to a provider on behalf of this exchange."""
        return any(attempt.dispatched for attempt in self.attempts)
