"""Undo a content encoding that was not asked for, piece by piece and within bounds.

We send ``accept-encoding: identity``, yet some providers and many proxies compress all the same.
"""

from __future__ import annotations

import zlib
from typing import Protocol

from hookway_sdk.errors import UpstreamUndecodable

# Output of one step. Between two steps the receiver can pause, so one read never expands without limit.
PIECE = 64 * 1024
# DEFLATE reaches about 1030:1. What a model wrote stays under 20:1, a repetitive event stream under 100:1.
MAX_RATIO = 250
RATIO_FREE = 16 * 1024 * 1024


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class Decoder:
    """Decompress one body: ``push`` what arrives, ``pull`` until nothing comes, ``close`` at the end.

    Args:
        coding: ``gzip`` or ``deflate`` (RFC 9110 8.4.1); the latter with or without its zlib wrapping, since
            servers send both.
    """

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._inflater: _Inflater | None = None
        self._input = b""
        self._taken = 0
        self._given = 0

    def push(self, data: bytes) -> None:
        """Add compressed bytes."""
        self._taken += len(data)
        self._input += data

    def pull(self) -> bytes:
        """Return the next piece of at most 64 KiB, or nothing when more input is needed.

        Raises:
            UpstreamUndecodable: the data is broken, or expands as no honest data does.
        """
        while self._input:
            if self._inflater is None:
                self._inflater = self._new_inflater()
            try:
                piece = self._inflater.decompress(self._input, PIECE)
            except zlib.error as error:
                raise UpstreamUndecodable(f"invalid {self._coding} data") from error
            self._input = self._inflater.unconsumed_tail
            if self._inflater.eof:
                self._after_member(self._inflater)
            if piece:
                return self._counted(piece)
        return self._rest()

    def close(self) -> None:
        """Check that nothing is missing.

        Raises:
            UpstreamUndecodable: the data ends early.
        """
        if self._inflater is not None and not self._inflater.eof:
            raise UpstreamUndecodable(f"the {self._coding} data ends early")

    def _rest(self) -> bytes:
        # All input is taken, but the inflater may hold more output than fitted into the last piece.
        if self._inflater is None or self._inflater.eof:
            return b""
        try:
            return self._counted(self._inflater.decompress(b"", PIECE))
        except zlib.error as error:
            raise UpstreamUndecodable(f"invalid {self._coding} data") from error

    def _after_member(self, inflater: _Inflater) -> None:
        # A gzip body may be several members (RFC 1952 2.2); zero bytes after one are padding. What follows
        # the end of deflate data is ignored, as browsers do.
        rest = inflater.unused_data.lstrip(b"\0") if self._coding == "gzip" else b""
        self._input = rest
        if rest:
            self._inflater = None

    def _counted(self, piece: bytes) -> bytes:
        self._given += len(piece)
        if self._given > RATIO_FREE and self._given > MAX_RATIO * self._taken:
            raise UpstreamUndecodable(f"a compressed body expands more than {MAX_RATIO} times")
        return piece

    def _new_inflater(self) -> _Inflater:
        if self._coding == "gzip":
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        # A zlib header has method 8 in its low bits (RFC 1950 2.2); no encoder begins raw data so.
        wrapped = self._input[0] & 0x0F == 8
        return zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


def decoder_for(coding: str) -> Decoder | None:
    """Return a decoder for a ``content-encoding``, or None where the bytes have to stay as they are."""
    coding = coding.strip().lower()
    if coding in ("gzip", "x-gzip"):
        return Decoder("gzip")
    return Decoder("deflate") if coding == "deflate" else None
