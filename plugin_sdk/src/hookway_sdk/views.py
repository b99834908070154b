"""A client's request and a provider's answer as plugins see them, whatever the dialect."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec

from hookway_sdk.envelope import Envelope
from hookway_sdk.messages import ChatAnswer, ChatRequest
from hookway_sdk.texts import TextSlot
from hookway_sdk.usage import Usage


class RequestView:
    """A parsed request. A dialect subclasses it for each of its endpoints.

    Attributes:
        model: the model name the client asked for, ``""`` where the endpoint needs none.
        stream: the client wants a stream.
        envelope: the top level of a JSON body; values are unparsed.
        edited: a member was read for an enforcing check or changed, so it is re-encoded when sent on.
    """

    __slots__ = ("edited", "envelope", "model", "stream")

    def __init__(self, model: str, stream: bool, envelope: Envelope) -> None:
        self.model = model
        self.stream = stream
        self.envelope = envelope
        self.edited = False

    def texts(self) -> Sequence[TextSlot]:
        """Return every place in which a caller can put text, in the order of the body.

        Reading counts as an edit: what is sent on is encoded from what was read here.
        """
        return ()

    def sealed(self) -> Envelope:
        """Return the envelope to send on; where texts were read or masked, their members are re-encoded."""
        return self.envelope

    def canonical(self) -> ChatRequest:
        """Return the request in canonical form, masked texts included.

        Raises:
            InvalidRequest: a member has a shape that its wire does not allow, or the endpoint has no
                canonical form (it is only ever relayed).
        """
        raise NotImplementedError(f"{type(self).__name__} has no canonical form")

    def size(self) -> int:
        """Return the bytes of text-bearing members, for estimates (about four a token)."""
        return sum(len(value) for value in self.envelope.values())

    def output_limit(self) -> int | None:
        """Return the most tokens the caller lets the answer have, ``None`` where it does not say."""
        return None


class AnswerView(ABC):
    """A finished answer in the client's format."""

    __slots__ = ()

    @abstractmethod
    def texts(self) -> Sequence[TextSlot]:
        """Return every place in which the model put text."""

    @abstractmethod
    def body(self) -> bytes:
        """Return the bytes for the client, masked texts included."""


class Reply(msgspec.Struct):
    """A finished answer, ready to be delivered, stored or inspected.

    Args:
        status: HTTP status.
        body: bytes for the client.
        content_type: MIME type.
        usage: what it consumed.
        headers: further headers of the answer.
        canonical: the canonical form where the answer was translated or asked for.
    """

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    usage: Usage = msgspec.field(default_factory=Usage)
    headers: tuple[tuple[str, str], ...] = ()
    canonical: ChatAnswer | None = None
