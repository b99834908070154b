"""What the walker reads off types: msgspec's description of them, and the names a Struct's keys have."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect

from hookway_sdk.settings import ALSO


class Spelling(msgspec.Struct, frozen=True, eq=False):
    """One name under which a field may be written.

    Args:
        name: the field's proper name in configuration.
        type: its type.
        scale: factor that brings a bare number under this name into the field's unit.
    """

    name: str
    type: inspect.Type
    scale: float = 1


class Shape(msgspec.Struct, frozen=True, eq=False):
    """The keys of a Struct.

    Args:
        spellings: by every name they may have.
        required: proper names that need a value.
        finishes: whether the Struct has conditions of its own (``__post_init__``).
    """

    spellings: dict[str, Spelling]
    required: tuple[str, ...]
    finishes: bool


def type_of(type: Any) -> inspect.Type:
    """Return msgspec's description of a type.

    Raises:
        TypeError: msgspec does not support it.
    """
    try:
        return _type_of(type)
    except TypeError:  # not hashable, or not supported: the second raises again
        return inspect.type_info(type)


@lru_cache(maxsize=512)
def _type_of(type: Any) -> inspect.Type:
    return inspect.type_info(type)


@lru_cache(maxsize=512)
def shape_of(cls: Any) -> Shape:
    """Return the keys of a Struct class."""
    described = _type_of(cls)
    assert isinstance(described, inspect.StructType)
    spellings: dict[str, Spelling] = {}
    for field in described.fields:
        spellings[field.encode_name] = Spelling(field.encode_name, field.type)
    for field in described.fields:
        for name, scale in extra(field.type).get(ALSO, {}).items():
            if name in spellings:
                raise TypeError(f"{cls.__name__}: '{name}' names two fields")
            spellings[name] = Spelling(field.encode_name, field.type, scale)
    required = tuple(field.encode_name for field in described.fields if field.required)
    return Shape(spellings, required, hasattr(cls, "__post_init__"))


def bare(kind: inspect.Type) -> inspect.Type:
    """Return a type without the metadata around it."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def extra(kind: inspect.Type) -> dict[str, Any]:
    """Return the metadata that stands around a type."""
    found: dict[str, Any] = {}
    while isinstance(kind, inspect.Metadata):
        found = {**(kind.extra or {}), **found}
        kind = kind.type
    return found
