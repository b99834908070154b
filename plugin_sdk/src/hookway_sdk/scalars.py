"""What a bare word means: YAML 1.2's core schema, for configuration files and environment variables.

Source: YAML 1.2.2, section 10.3.2 (core schema, tag resolution).
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_NAN = frozenset({".nan", ".NaN", ".NAN"})
_FIRST = frozenset("0123456789+-.~nNtTfF")
"""What a scalar that is not text can begin with; everything else needs no closer look."""
_MAX_DIGITS = 300


class VariableText(str):
    """Text that holds the value of an environment variable; no error message quotes it."""

    __slots__ = ()


class LooseText(VariableText):
    """Text that is wholly a variable's value, so that the type it is read into decides what it means.

    ``port: ${PORT}`` is a number where a number is expected, and ``key: ${KEY}`` stays the text
    ``0123`` where text is. Where anything may stand it means what the bare word means in YAML.
    """

    __slots__ = ()

    def meaning(self) -> Any:
        """Return the JSON list or object it spells, or else what the bare word means in YAML."""
        text = str(self)
        try:
            if text.lstrip()[:1] in ("[", "{"):
                return msgspec.json.decode(text)
            return resolve(text)
        except (ValueError, RecursionError):
            return text


def resolve(text: str) -> Any:
    """Return what a plain scalar means: ``None``, a bool, an int, a float, or the text itself.

    ``yes``, ``on``, dates and ``12:30`` are text; ``007`` is 7, ``0o17`` is 15, ``0x1F`` is 31.

    Raises:
        ValueError: a number that is too long, or too large for a float.
    """
    if text and text[0] not in _FIRST:
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    return _number(text)


def _number(text: str) -> int | float | str:
    if len(text) > _MAX_DIGITS and _FLOAT.fullmatch(text):
        raise ValueError(f"a number of {len(text)} characters is too long")
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise ValueError("the number is too large")
        return number
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEX.fullmatch(text):
        return int(text[2:], 16)
    if _INFINITY.fullmatch(text):
        return -math.inf if text[0] == "-" else math.inf
    return math.nan if text in _NAN else text
