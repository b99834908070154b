"""Pieces of a streamed answer, as the framer cuts them from an upstream's bytes."""

from __future__ import annotations

import msgspec

from hookway_sdk.envelope import Envelope
from hookway_sdk.errors import UpstreamUndecodable

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Frame:
    """One event of an upstream's stream.

    Attributes:
        data: the payload: an SSE event's joined ``data:`` lines, or a binary event's body.
        event: the event's name, ``""`` where it has none.
        id: the SSE event's id, ``""`` where it has none.

    ``fields`` opens the payload's top level on first use and is then shared by every stage.
    """

    __slots__ = ("_fields", "data", "event", "id")

    def __init__(self, data: bytes, event: str = "", id: str = "") -> None:
        self.data = data
        self.event = event
        self.id = id
        self._fields: Envelope | None = None

    @property
    def fields(self) -> Envelope:
        """Members of the payload's JSON object.

        Raises:
            UpstreamUndecodable: the payload is not a JSON object.
        """
        fields = self._fields
        if fields is None:
            try:
                fields = self._fields = _decode_fields(self.data)
            except (
                ValueError,
                RecursionError,
            ) as error:
                raise UpstreamUndecodable("a stream frame is not a JSON object") from error
        return fields
