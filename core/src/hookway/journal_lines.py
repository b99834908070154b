"""The journal's format: one line of JSON per record, with a checksum of all that stands before it.

::

    {"seq":7,"kind":"request_ended","at":1700000000.25,"data":{…},"crc":"9ae0daaf"}

``seq`` counts records from 1 and never repeats in a directory; ``at`` is when the record was handed over, in
epoch seconds; ``crc`` is the CRC-32 of the line up to, and without, ``,"crc"``, in hex.
"""

from __future__ import annotations

import zlib
from typing import TypeVar

import msgspec

from hookway_sdk.secrets import Secret

ModelT = TypeVar("ModelT")

DROPPED_KIND = "journal.dropped"
"""Kind of the record that stands where records were dropped; its data say how many: ``{"count": 12}``."""

_SEAL = b',"crc":"%08x"}\n'
_SEAL_LENGTH = len(_SEAL % 0)


class Record(msgspec.Struct, frozen=True):
    """A record as it is read back.

    Args:
        seq: its number; hand it to ``JournalReader.commit`` when it is dealt with.
        kind: what the writer called it.
        at: epoch seconds at which it was handed over.
        data: its JSON.
    """

    seq: int
    kind: str
    at: float
    data: msgspec.Raw

    def decode(self, model: type[ModelT]) -> ModelT:
        """Return the data as a Struct, or another type that msgspec decodes.

        Raises:
            msgspec.ValidationError: they are not of that type.
        """
        return msgspec.json.decode(self.data, type=model)


class Dropped(msgspec.Struct, frozen=True):
    """Data of a record of kind ``journal.dropped``."""

    count: int


def _mask(value: object) -> str:
    if isinstance(value, Secret):
        return "***"
    raise TypeError(f"{type(value).__name__} cannot be written to the journal")


_encode = msgspec.json.Encoder(enc_hook=_mask).encode
_decode = msgspec.json.Decoder(Record).decode


def encode_data(record: object) -> bytes:
    """Return a record's JSON, on one line.

    Raises:
        TypeError, ValueError: it cannot be said in JSON.
    """
    data = _encode(record)
    # JSON that a record brought along as it was (msgspec.Raw) may be laid out over several lines.
    return msgspec.json.format(data, indent=-1) if b"\n" in data else data


def encode_line(seq: int, kind: str, at: float, data: bytes) -> bytes:
    """Return a record's line.

    Args:
        data: what :func:`encode_data` made of it.
    """
    body = b'{"seq":%d,"kind":%b,"at":%b,"data":%b' % (seq, _encode(kind), _encode(at), data)
    return body + _SEAL % zlib.crc32(body)


def decode_line(line: bytes) -> Record | None:
    """Return a line's record, or ``None`` if the line is not whole."""
    body = line[:-_SEAL_LENGTH]
    if not body or line[-_SEAL_LENGTH:] != _SEAL % zlib.crc32(body):
        return None
    try:
        return _decode(line)
    except msgspec.MsgspecError:
        return None
