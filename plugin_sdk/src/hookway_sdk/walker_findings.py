"""What the walker found, in words: the value that stands there, and what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from hookway_sdk.durations import UNIT
from hookway_sdk.secrets import Secret
from hookway_sdk.settings import FromText
from hookway_sdk.walker_types import extra

Path = tuple[str | int, ...]
"""A way through plain data: keys of maps and indexes of lists."""

_LONGEST = 40
_MOST_CHOICES = 16


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong with plain data.

    Args:
        path: the value at fault; for a missing key, the path it should have.
        message: what is wrong; never quotes a secret.
        expected: what would be right, ``""`` if the message says it all.
        nearest: the known name that is closest to an unknown one, ``""`` for none.
    """

    path: Path
    message: str
    expected: str = ""
    nearest: str = ""


def quoted(text: str) -> str:
    """Return text in quotes, on one line, cut when it is long."""
    return repr(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def named(value: Any, *, veiled: bool) -> str:
    """Return words for a value that is of the right sort and still wrong.

    Args:
        value: the value.
        veiled: whether it must not be quoted.
    """
    if isinstance(value, str):
        return "the text" if veiled else quoted(value)
    return found(value, veiled=veiled)


def found(value: Any, *, veiled: bool) -> str:
    """Return words for what stands there.

    Args:
        value: the value.
        veiled: whether text and numbers must not be quoted.
    """
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number" if veiled else f"the number {_short(value)}"
    if isinstance(value, str):
        return "text" if veiled else f"the text {quoted(value)}"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list | tuple):
        return f"a list of {_items(len(value))}"
    return f"a {type(value).__name__}"


def _short(number: float) -> float:
    """Return a number that can be written out: a huge int as a float, which is infinite at worst."""
    if isinstance(number, int) and number.bit_length() > 256:
        return float("inf") if number > 0 else float("-inf")
    return number


def wanted(kind: inspect.Type) -> str:
    """Return words for what a type accepts."""
    if isinstance(kind, inspect.Metadata):
        return _measures(kind) if UNIT in extra(kind) else wanted(kind.type)
    if isinstance(kind, inspect.UnionType):
        return " or ".join(dict.fromkeys(wanted(member) for member in kind.types))
    if isinstance(kind, inspect.LiteralType):
        return choices(kind.values)
    if isinstance(kind, inspect.EnumType):
        return choices([member.value for member in kind.cls])
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        words = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
        return words + _bounds(kind)
    if isinstance(kind, inspect.StrType):
        return "text" + _length(kind, "characters") + (f" like {kind.pattern}" if kind.pattern else "")
    if isinstance(kind, inspect.CustomType):
        return _custom(kind)
    if isinstance(kind, inspect.TupleType):
        return f"a list of {_items(len(kind.item_types))}"
    if isinstance(kind, inspect.CollectionType):
        return "a list" + _length(kind, "items")
    if isinstance(kind, inspect.DictType):
        return "a map" + _length(kind, "keys")
    return _PLAIN.get(type(kind), "another kind of value")


_PLAIN: dict[type[inspect.Type], str] = {
    inspect.AnyType: "anything",
    inspect.NoneType: "null",
    inspect.BoolType: "true or false",
    inspect.StructType: "a map",
    inspect.TypedDictType: "a map",
    inspect.DataclassType: "a map",
    inspect.NamedTupleType: "a list",
    inspect.DateTimeType: "a date and time such as 2026-01-31T12:00:00Z",
    inspect.DateType: "a date such as 2026-01-31",
    inspect.TimeType: "a time such as 12:30:00",
    inspect.TimeDeltaType: "a duration such as PT30S",
    inspect.UUIDType: "a UUID",
    inspect.DecimalType: "a decimal number",
    inspect.BytesType: "base64 text",
    inspect.ByteArrayType: "base64 text",
    inspect.MemoryViewType: "base64 text",
}


def choices(values: Iterable[Any]) -> str:
    """Return words for a choice of values."""
    words = ["null" if value is None else str(value) for value in values]
    if len(words) > _MOST_CHOICES:
        return f"one of {', '.join(words[:_MOST_CHOICES])} and {len(words) - _MOST_CHOICES} more"
    return join(words)


def join(words: Sequence[str]) -> str:
    """Return words as an enumeration: ``a, b or c``."""
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _custom(kind: inspect.CustomType) -> str:
    if kind.cls is Secret:
        return "text"
    if isinstance(kind.cls, type) and issubclass(kind.cls, FromText):
        return kind.cls.expected
    return "a value that cannot be written in a configuration"


_UNITS = {
    "seconds": "a duration such as 30s, 250ms or 5m",
    "milliseconds": "a duration such as 250ms, 30s or 5m",
    "bytes": "a size such as 512KiB, 64MiB or 1GB",
}


def _measures(kind: inspect.Metadata) -> str:
    """Return words for a duration or a size."""
    unit = extra(kind)[UNIT]
    number = kind.type
    limits = _bounds(number) if isinstance(number, inspect.IntType | inspect.FloatType) else ""
    return _UNITS[unit] + (f",{limits} {unit}" if limits else "")


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        words = f" from {kind.ge} to {kind.le}"
    else:
        sides = [("of at least", kind.ge), ("over", kind.gt), ("of at most", kind.le), ("below", kind.lt)]
        words = "".join(
            f" {'and ' if index else ''}{side} {bound}"
            for index, (side, bound) in enumerate(pair for pair in sides if pair[1] is not None)
        )
    return words + (f", a multiple of {kind.multiple_of}" if kind.multiple_of is not None else "")


def _length(kind: Any, things: str) -> str:
    least, most = kind.min_length, kind.max_length
    if least == 1 and most is None:
        return " that is not empty"
    if least is not None and most is not None:
        return f" of {least} to {most} {things}"
    if least is not None:
        return f" of at least {least} {things}"
    return f" of at most {most} {things}" if most is not None else ""


def _items(count: int) -> str:
    return f"{count} item{'' if count == 1 else 's'}"
