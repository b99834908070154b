"""Cut server-sent events into frames (WHATWG HTML, "Server-sent events", 9.2.6)."""

from __future__ import annotations

from hookway_sdk import Frame, Framer, UpstreamUndecodable

LARGEST_FRAME = 8 * 1024 * 1024
"""Bytes of one event that are held; an upstream that sends more without an end is refused."""


class SseFramer(Framer):
    """Frames of one stream.

    An event ends at two line ends in a row, in any mix of LF, CRLF and CR. Comments and ``retry``
    are dropped; an event without data is none.
    """

    __slots__ = ("_carriage", "_pending")

    @property
    def pending(self) -> bool:
        """Whether the beginning of an event waits for its end."""
        return bool(self._pending) or self._carriage

    def __init__(self) -> None:
        self._pending = b""
        self._carriage = False

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that are complete with this chunk.

        Raises:
            UpstreamUndecodable: one event is larger than the bound.
        """
        if chunk.startswith(b"data: ") and not self._pending and not self._carriage:
            # One event of one line in one read: what nearly every vendor sends nearly always.
            end = chunk.find(b"\n")
            if end == len(chunk) - 2 and chunk.endswith(b"\n") and chunk.find(b"\r") < 0:
                return [Frame(chunk[6:end])]
        if self._carriage or b"\r" in chunk:
            chunk = self._with_plain_line_ends(chunk)
        if self._pending:
            chunk = self._pending + chunk
        pieces = chunk.split(b"\n\n")
        self._pending = pieces.pop()
        if len(self._pending) > LARGEST_FRAME:
            raise UpstreamUndecodable(f"a stream event is larger than {LARGEST_FRAME} bytes")
        frames = []
        for piece in pieces:
            if piece.startswith(b"data: ") and b"\n" not in piece:
                frames.append(Frame(piece[6:]))
            else:
                frame = parse_event(piece)
                if frame is not None:
                    frames.append(frame)
        return frames

    def close(self) -> list[Frame]:
        """Return the event that the end of the stream completes, if there is one."""
        frame = parse_event(self._pending)
        self._pending = b""
        return [] if frame is None else [frame]

    def _with_plain_line_ends(self, chunk: bytes) -> bytes:
        """Turn CRLF and CR into LF; a CR at the end waits for what follows it."""
        if self._carriage:
            chunk = b"\r" + chunk
        self._carriage = chunk.endswith(b"\r")
        if self._carriage:
            chunk = chunk[:-1]
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def parse_event(block: bytes) -> Frame | None:
    """Read the lines of one event; ``None`` when they carry no data."""
    data: list[bytes] = []
    event = id_ = ""
    for line in block.split(b"\n"):
        name, colon, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            data.append(value)
        elif name == b"event" and colon:
            event = value.decode("utf-8", "replace")
        elif name == b"id" and colon:
            id_ = value.decode("utf-8", "replace")
    return Frame(b"\n".join(data), event, id_) if data else None
