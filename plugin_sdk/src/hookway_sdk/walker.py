"""One walker over plain data and the type it should have: every mistake at once, then conversion.

msgspec converts well and stops at the first mistake, which is not enough for an operator with a file
to mend. So :func:`check` walks plain data (what YAML, JSON, etcd and environment variables give) along
the types that :mod:`msgspec.inspect` reports, and msgspec converts only what the walk found clean.
Beyond msgspec's types it knows secrets, durations, sizes, :class:`~hookway_sdk.settings.FromText`,
:func:`~hookway_sdk.settings.also`, :func:`~hookway_sdk.settings.checked` and text from variables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar, overload

import msgspec

from hookway_sdk.errors import ConfigError
from hookway_sdk.problems import Place, Problem
from hookway_sdk.secrets import Secret
from hookway_sdk.walker_pass import Finding, Path, Walk
from hookway_sdk.walker_schema import schema
from hookway_sdk.walker_types import type_of
from hookway_sdk.walker_unions import is_text_type

__all__ = ["Finding", "Path", "as_problems", "check", "convert", "dec_hook", "dotted", "place_of", "schema"]

T = TypeVar("T")


def check(value: Any, type: Any, *, path: Path = (), hidden: Collection[Path] = ()) -> list[Finding]:
    """Find everything that is wrong with plain data.

    Args:
        value: dicts with string keys, lists, strings, numbers, bools and ``None``.
        type: the type it should have: a Struct, or anything msgspec can convert to.
        path: where the value stands; findings carry it in front of their own path.
        hidden: paths whose values must not be quoted (text from variables hides itself).

    Returns:
        The findings in the order of the data; empty exactly when :func:`convert` succeeds.
    """
    return _examine(value, type, path, hidden)[0]


@overload
def convert(
    value: Any,
    type: type[T],
    *,
    path: Path = ...,
    places: Mapping[Path, Place] | None = ...,
    hidden: Collection[Path] = ...,
) -> T: ...
@overload
def convert(
    value: Any,
    type: Any,
    *,
    path: Path = ...,
    places: Mapping[Path, Place] | None = ...,
    hidden: Collection[Path] = ...,
) -> Any: ...
def convert(
    value: Any,
    type: Any,
    *,
    path: Path = (),
    places: Mapping[Path, Place] | None = None,
    hidden: Collection[Path] = (),
) -> Any:
    """Return plain data as the type it was written for.

    Args:
        value: as in :func:`check`.
        type: as in :func:`check`.
        path: as in :func:`check`.
        places: where keys and items stand in their files, for the problems.
        hidden: as in :func:`check`.

    Raises:
        ConfigError: with every finding as a problem.
    """
    findings, converted = _examine(value, type, path, hidden)
    if findings:
        raise ConfigError(as_problems(findings, places))
    return converted


def as_problems(findings: Iterable[Finding], places: Mapping[Path, Place] | None = None) -> list[Problem]:
    """Return findings as problems, each with the place that set the value at fault."""
    return [
        Problem(
            key=dotted(found.path),
            message=found.message,
            expected=found.expected,
            nearest=found.nearest,
            place=place_of(places, found.path) if places else None,
        )
        for found in findings
    ]


def place_of(places: Mapping[Path, Place], path: Path) -> Place | None:
    """Return where a path stands, or else what holds it, up to the whole document."""
    for length in range(len(path), -1, -1):
        place = places.get(path[:length])
        if place is not None:
            return place
    return None


def dotted(path: Path) -> str:
    """Return a path as people write it: ``models[2].routing.targets``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def dec_hook(type: Any, value: Any) -> Any:
    """Convert what msgspec does not know: secrets and :class:`~hookway_sdk.settings.FromText`.

    Raises:
        ValueError: the value cannot be read.
        NotImplementedError: the type is of neither sort.
    """
    if type is Secret and isinstance(value, str):
        return Secret(value)
    if is_text_type(type) and isinstance(value, str):
        return type.parse(value)
    raise NotImplementedError(f"{type!r} cannot be read from configuration")


def _examine(value: Any, type: Any, path: Path, hidden: Collection[Path]) -> tuple[list[Finding], Any]:
    """Walk, and convert when the walk found nothing; what msgspec still refuses becomes a finding."""
    walk = Walk(dec_hook, frozenset(hidden))
    prepared = walk.visit(value, type_of(type), path)
    if walk.findings:
        return walk.findings, None
    try:
        return [], msgspec.convert(prepared, type, dec_hook=dec_hook, str_keys=True)
    except (ValueError, TypeError, RecursionError) as error:
        return [Finding(path, f"cannot be used: {error}")], None
