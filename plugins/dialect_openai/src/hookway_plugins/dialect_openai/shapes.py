"""Checks that a member has the shape its wire gives it; what fails names the member as a dotted path."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import msgspec

from hookway_sdk import Envelope, InvalidRequest, raw, read

T = TypeVar("T")
Extra = dict[str, msgspec.Raw]

TOO_DEEP = "JSON is nested too deeply"


def wrong(path: str, expected: str) -> InvalidRequest:
    """Return the refusal of a member, to be raised."""
    return InvalidRequest(f"{path} must be {expected}", param=path)


def member(envelope: Envelope, name: str) -> Any:
    """Decode a top-level member, ``None`` where it is absent.

    Raises:
        InvalidRequest: it is not JSON after all; a relay would not have looked.
    """
    try:
        return read(envelope.get(name))
    except ValueError as error:  # msgspec's errors and UnicodeDecodeError are both ValueErrors
        raise InvalidRequest("invalid JSON request body", param=name) from error


def not_too_deep(work: Callable[[], T]) -> T:
    """Do something recursive with what a client sent.

    Raises:
        InvalidRequest: the recursion went deeper than the interpreter bears.
    """
    try:
        return work()
    except RecursionError as error:
        raise InvalidRequest(TOO_DEEP) from error


def an_object(value: Any, path: str) -> dict[str, Any]:
    """Return a JSON object, or refuse it."""
    if not isinstance(value, dict):
        raise wrong(path, "an object")
    return value


def an_array(value: Any, path: str) -> list[Any]:
    """Return a JSON array, ``null`` and absence as an empty one, or refuse it."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(path, "an array")
    return value


def a_string(value: Any, path: str) -> str:
    """Return a string, or refuse it."""
    if not isinstance(value, str):
        raise wrong(path, "a string")
    return value


def maybe_string(value: Any, path: str) -> str:
    """Return a string, ``null`` and absence as ``""``, or refuse it."""
    return "" if value is None else a_string(value, path)


def maybe_number(value: Any, path: str) -> float | None:
    """Return a number, ``null`` and absence as ``None``, or refuse it."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong(path, "a number")
    try:
        return float(value)
    except OverflowError as error:
        raise wrong(path, "a number of ordinary size") from error


def maybe_integer(value: Any, path: str) -> int | None:
    """Return a whole number (``1.0`` is one), ``null`` and absence as ``None``, or refuse it."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(path, "an integer")
    return value


def maybe_boolean(value: Any, path: str) -> bool | None:
    """Return a boolean, ``null`` and absence as ``None``, or refuse it."""
    if value is not None and not isinstance(value, bool):
        raise wrong(path, "a boolean")
    return value


def others(value: dict[str, Any], known: Collection[str]) -> Extra:
    """Return the members that have no field of their own, unparsed again."""
    return {name: raw(item) for name, item in value.items() if name not in known}
