"""Server-sent events, cut from bytes and checked: the framing a test of a stream needs.

Source: WHATWG HTML, section 9.2.6 (interpreting an event stream).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from hookway_sdk.frames import Frame
from hookway_sdk.kinds.provider import Framer

_LINE_END = re.compile(rb"\r\n|\n|\r")


class SseFramer(Framer):
    """Cuts server-sent events wherever their bytes are split."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the events that are complete with this chunk."""
        frames: list[Frame] = []
        rest = self._rest + chunk
        while found := _LINE_END.search(rest):
            if found.group() == b"\r" and found.end() == len(rest):
                break  # its \n may be in the next chunk
            line, rest = rest[: found.start()], rest[found.end() :]
            if line:
                self._lines.append(line)
            else:
                frames += self._event()
        self._rest = rest
        return frames

    def close(self) -> list[Frame]:
        """Return nothing: an event without its empty line does not count."""
        return self.feed(b"\n") if self._rest == b"\r" else []

    @property
    def unfinished(self) -> bytes:
        """What was fed and is no complete event yet."""
        return b"\n".join([*self._lines, self._rest]).strip(b"\r\n")

    def _event(self) -> list[Frame]:
        data: list[bytes] = []
        fields = {b"event": b"", b"id": b""}
        for line in self._lines:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name in fields:
                fields[name] = value
        self._lines = []
        if not data:
            return []
        return [Frame(b"\n".join(data), fields[b"event"].decode(), fields[b"id"].decode())]


def cut(stream: bytes) -> list[Frame]:
    """Return the events of a whole stream.

    Raises:
        AssertionError: it ends within an event.
    """
    framer = SseFramer()
    frames = framer.feed(stream) + framer.close()
    assert not framer.unfinished, f"the stream ends within an event: {framer.unfinished[-200:]!r}"
    return frames


def frames_of(upstream: Any) -> list[Frame]:
    """Return a sample's stream as frames.

    Args:
        upstream: the whole stream as bytes or text, or a list whose items are events as text, as JSON
            (plain data), or as a pair of event name and JSON.
    """
    if isinstance(upstream, bytes | str):
        return cut(_as_bytes(upstream))
    return [frame for item in upstream for frame in _frames_of_item(item)]


def _frames_of_item(item: Any) -> list[Frame]:
    if isinstance(item, Frame):
        return [item]
    if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str):
        return [Frame(_as_bytes(item[1]), item[0])]
    if isinstance(item, bytes | str) and re.match(rb"(data|event|id|:)", _as_bytes(item)):
        return cut(_as_bytes(item).rstrip(b"\r\n") + b"\n\n")
    return [Frame(_as_bytes(item))]


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)
