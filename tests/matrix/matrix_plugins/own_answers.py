"""Endpoints that answer by themselves, with every phase: what files, batches and the like will be.

They stand for endpoints that no installed plugin has yet, and prove that a new one joins the matrix by
being installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hookway_sdk import (
    AnswerView,
    BodyKind,
    Dialect,
    Endpoint,
    Exchange,
    GatewayError,
    InvalidRequest,
    NoSettings,
    Reply,
    RequestView,
    Sample,
    TextSlot,
    UpstreamUndecodable,
    close_envelope,
    open_envelope,
    raw,
)


class ItemSlot(TextSlot):
    """A string in a list of notes."""

    __slots__ = ("_index", "_notes")

    def __init__(self, notes: list[Any], index: int) -> None:
        super().__init__(f"/notes/{index}", notes[index], "content", "user")
        self._notes = notes
        self._index = index

    def replace(self, text: str) -> None:
        """Write it back."""
        super().replace(text)
        self._notes[self._index] = text


class NotesRequest(RequestView):
    """A list of notes."""

    __slots__ = ("notes",)

    def __init__(self, envelope: dict[str, msgspec.Raw], notes: list[Any]) -> None:
        super().__init__("", False, envelope)
        self.notes = notes

    def texts(self) -> Sequence[TextSlot]:
        """Return every note."""
        self.edited = True
        return [ItemSlot(self.notes, index) for index in range(len(self.notes))]


class NotesAnswer(AnswerView):
    """The list as it is given back."""

    def __init__(self, body: bytes) -> None:
        try:
            self._envelope = open_envelope(body)
            self._notes: list[Any] = msgspec.json.decode(self._envelope["notes"], type=list[str])
        except (KeyError, ValueError) as error:
            raise UpstreamUndecodable("these are no notes") from error

    def texts(self) -> Sequence[TextSlot]:
        """Return every note."""
        return [ItemSlot(self._notes, index) for index in range(len(self._notes))]

    def body(self) -> bytes:
        """Write them."""
        return close_envelope({**self._envelope, "notes": raw(self._notes)})


class NotesEndpoint(Endpoint):
    """What both endpoints share."""

    protocol = "matrix"

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        """Return an envelope that no other dialect has."""
        return msgspec.json.encode({"fault": error.type, "said": error.message, "request": request_id})

    def view_answer(self, body: bytes, exchange: Exchange) -> AnswerView:
        """Open the answer."""
        return NotesAnswer(body)


class KeepNotes(NotesEndpoint):
    """Take notes and give them back."""

    path = "/matrix/notes"

    def parse(self, body: bytes, exchange: Exchange) -> RequestView:
        """Check that they are notes."""
        try:
            envelope = open_envelope(body)
            return NotesRequest(envelope, msgspec.json.decode(envelope["notes"], type=list[str]))
        except (KeyError, ValueError) as error:
            raise InvalidRequest("these are no notes") from error

    async def answer(self, exchange: Exchange) -> Reply:
        """Give them back."""
        request = exchange.request
        assert isinstance(request, NotesRequest)
        return Reply(msgspec.json.encode({"notes": request.notes, "kept": True}))

    def samples(self) -> Sequence[Sample]:
        """Return two notes."""
        return [Sample(body={"notes": ["{{first}}", "{{second}}"]}, slots=("/notes/0", "/notes/1"))]


class ReadNotes(NotesEndpoint):
    """Give notes that nobody sent, from a path with a variable segment."""

    method = "GET"
    path = "/matrix/notes/{owner}"
    body = BodyKind.NONE

    async def answer(self, exchange: Exchange) -> Reply:
        """Give one."""
        return Reply(msgspec.json.encode({"notes": ["nothing to see"]}))


class OwnAnswers(Dialect[NoSettings]):
    """Notes."""

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [KeepNotes(), ReadNotes()]
