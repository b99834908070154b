"""Durations and sizes as operators write them: ``30s``, ``250ms``, ``64MiB``, or a bare number.

The walker refuses negative and infinite ones; a field may set bounds of its own, in the same unit:
``Annotated[Seconds, msgspec.Meta(le=60)]``.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

import msgspec

UNIT = "unit"
"""Key in a field's metadata: ``"seconds"``, ``"milliseconds"`` or ``"bytes"``."""

Seconds = Annotated[float, msgspec.Meta(extra={UNIT: "seconds"})]
"""A duration, in seconds: ``30s``, ``250ms``, ``5m``, ``2h``, ``1d``; a bare number is seconds."""

Milliseconds = Annotated[int, msgspec.Meta(extra={UNIT: "milliseconds"})]
"""A duration, in whole milliseconds: written like :data:`Seconds`; a bare number is milliseconds."""

Size = Annotated[int, msgspec.Meta(extra={UNIT: "bytes"})]
"""A size, in bytes: ``64MiB`` (1024s), ``1MB`` (1000s), ``512B``; a bare number is bytes."""

_TIMES = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_BYTES = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate(("k", "M", "G", "T"), start=1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate(("K", "M", "G", "T"), start=1)},
    "KB": 1000,
}
_WRITTEN = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([A-Za-z]*)")


def parse_seconds(text: str) -> float:
    """Return a duration in seconds.

    Raises:
        ValueError: it is none; the message goes on where the quoted text ends.
    """
    number, unit = _split(text)
    return float(number * _TIMES[_known(unit or "s", tuple(_TIMES))])


def parse_milliseconds(text: str) -> int:
    """Return a duration in whole milliseconds.

    Raises:
        ValueError: it is none, or no whole number of milliseconds.
    """
    number, unit = _split(text)
    milliseconds = number * _TIMES[_known(unit or "ms", tuple(_TIMES))] * 1000
    if milliseconds != int(milliseconds):
        raise ValueError("is no whole number of milliseconds")
    return int(milliseconds)


def parse_size(text: str) -> int:
    """Return a size in bytes.

    Raises:
        ValueError: it is none, or no whole number of bytes.
    """
    number, unit = _split(text)
    known = ("B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB")
    size = number * _BYTES[unit if unit in _BYTES else _known(unit or "B", known)]
    if size != int(size):
        raise ValueError("is no whole number of bytes")
    return int(size)


def _split(text: str) -> tuple[Decimal, str]:
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError("is no number with a unit")
    return Decimal(found[1]), found[2]


def _known(unit: str, known: tuple[str, ...]) -> str:
    if unit not in known:
        raise ValueError(f"has an unknown unit; the units are {', '.join(known)}")
    return unit
