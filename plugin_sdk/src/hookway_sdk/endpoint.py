"""A path that a plugin serves: to callers (:class:`Endpoint`) or to operators (:class:`OperatorRoute`)."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from hookway_sdk.phases import DEFAULT_ORDER, Phase

if TYPE_CHECKING:
    from hookway_sdk.envelope import Envelope
    from hookway_sdk.errors import GatewayError
    from hookway_sdk.exchange import Exchange
    from hookway_sdk.messages import ChatAnswer
    from hookway_sdk.streams import StreamWriter
    from hookway_sdk.usage import Usage
    from hookway_sdk.views import AnswerView, Reply, RequestView


class BodyKind(enum.StrEnum):
    """How an endpoint's request body arrives."""

    NONE = "none"
    """No body is read."""
    BUFFERED = "buffered"
    """Read whole into memory, within ``proxy.request_body_limit``."""
    SPOOLED = "spooled"
    """Multipart and raw uploads: over 1 MiB they go to disk."""
    STREAMING = "streaming"
    """Handed on as it arrives."""


class Sample(msgspec.Struct, kw_only=True):
    """A request the matrix sends to an endpoint, and what must come of it.

    Args:
        body: the request; every string ``{{word}}`` in it is a text slot that guardrails must see,
            each under the pointer in ``slots``.
        stream: the answer streams.
        slots: JSON pointers of its text slots.
        usage: the usage that the scripted upstream reports and that settlement must see.
        upstream: the scripted upstream's answer (status 200, JSON), or its SSE frames.
    """

    body: dict[str, Any]
    stream: bool = False
    slots: tuple[str, ...] = ()
    usage: Usage | None = None
    upstream: Any = None


class Endpoint(ABC):
    """A path for callers. Everything that comes in here runs the lifecycle; there are no side doors.

    Subclass it once per path; set the class attributes and implement what the path needs:

    * a chat endpoint names a ``wire`` and implements :meth:`parse`, :meth:`relay_answer`,
      :meth:`encode_answer`, :meth:`view_answer` and :meth:`writer`;
    * an endpoint that answers by itself (a list of models) implements :meth:`answer`.

    Attributes:
        method: HTTP method; ``HEAD`` is served on ``GET`` endpoints.
        path: exact path; ``{name}`` segments match one segment. It is also the metric label.
        protocol: inbound protocol label (``openai``, ``anthropic``).
        wire: wire id of request and answer (``openai.chat``); ``""`` for an endpoint without upstream.
        body: how the request body arrives.
        order: the phases it runs, in its order.
    """

    method: ClassVar[str] = "POST"
    path: ClassVar[str]
    protocol: ClassVar[str]
    wire: ClassVar[str] = ""
    body: ClassVar[BodyKind] = BodyKind.BUFFERED
    order: ClassVar[tuple[Phase, ...]] = DEFAULT_ORDER

    @abstractmethod
    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        """Return the JSON body of an error answer in this dialect's envelope."""

    def parse(self, body: bytes, exchange: Exchange) -> RequestView:
        """Check a request and give it a view.

        Raises:
            InvalidRequest: the body is not a request of this endpoint.
        """
        raise NotImplementedError(f"{type(self).__name__} takes no body")

    async def answer(self, exchange: Exchange) -> Reply:
        """Answer without an upstream; for endpoints whose ``wire`` is empty."""
        raise NotImplementedError(f"{type(self).__name__} does not answer by itself")

    def relay_answer(self, answer: Envelope, exchange: Exchange) -> Envelope:
        """Put what is the client's back into a relayed answer: the model name it asked for."""
        raise NotImplementedError(f"{type(self).__name__} relays nothing")

    def encode_answer(self, answer: ChatAnswer, exchange: Exchange) -> bytes:
        """Write a canonical answer in this dialect."""
        raise NotImplementedError(f"{type(self).__name__} has no canonical answer")

    def view_answer(self, body: bytes, exchange: Exchange) -> AnswerView:
        """Open an answer in this dialect for guardrails.

        Raises:
            UpstreamUndecodable: the answer has a shape the wire does not allow, so it cannot be checked.
        """
        raise NotImplementedError(f"{type(self).__name__} has no answer to inspect")

    def writer(self, exchange: Exchange) -> StreamWriter:
        """Return the writer of this exchange's stream."""
        raise NotImplementedError(f"{type(self).__name__} does not stream")

    def samples(self) -> Sequence[Sample]:
        """Return the requests that the matrix sends through every policy."""
        return ()


class OperatorRequest(msgspec.Struct, frozen=True):
    """A request on an operator's listener."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    client: str


class OperatorReply(msgspec.Struct):
    """An answer on an operator's listener.

    Args:
        body: the body; a large one is better given in pieces, which are written one after the other without
            being joined.
        status: HTTP status.
        content_type: MIME type.
        headers: further headers.
    """

    body: bytes | Sequence[bytes]
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Guard(enum.StrEnum):
    """Who may call an operator's route."""

    NONE = "none"
    """Anyone who reaches the listener (probes, scrapers); bind it to loopback or a private network."""
    ADMIN = "admin"
    """Holders of an admin key."""


class OperatorRoute(msgspec.Struct, frozen=True):
    """A path for operators; it does not run the lifecycle and names its listener and its guard instead.

    Args:
        listener: ``admin`` or ``metrics``.
        method: HTTP method.
        path: exact path; ``{name}`` segments match one segment.
        handler: called with the request.
        guard: who may call it.
    """

    listener: str
    method: str
    path: str
    handler: Callable[[OperatorRequest], Awaitable[OperatorReply]]
    guard: Guard = Guard.ADMIN
