"""Bodies that are too large to be copied once more: written piece by piece, as they lie in memory."""

from __future__ import annotations

import msgspec

from hookway.upstream.request import Pieces
from hookway_sdk import Envelope

WHOLE = 64 * 1024
"""Bytes up to which one buffer is cheaper than several; a member up to a quarter of it is copied."""

_encode = msgspec.json.Encoder().encode


def close_large(envelope: Envelope) -> bytes | Pieces:
    """Write members as one JSON object; large ones are pieces of what was read, not copies.

    Encoding a 1 MB envelope into a new buffer costs as much as the rest of its relay (page faults of a
    megabyte of fresh memory), and a third megabyte at the peak.
    """
    if sum(map(len, envelope.values())) <= WHOLE:
        return _encode(envelope)
    pieces: list[bytes | memoryview] = []
    small = bytearray()
    for name, value in envelope.items():
        small += b"," if small or pieces else b"{"
        small += _encode(name) + b":"
        if len(value) > WHOLE // 4:
            pieces += (bytes(small), memoryview(value))
            small = bytearray()
        else:
            small += value
    small += b"}"
    pieces.append(bytes(small))
    return tuple(pieces)
