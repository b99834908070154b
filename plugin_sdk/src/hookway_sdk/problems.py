"""One mistake in a configuration: where it is, what was expected, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec


class Place(msgspec.Struct, frozen=True):
    """A spot in a configuration source.

    Args:
        file: path, or the name of another source (``environment``, ``etcd``).
        line: 1-based, 0 where the source has no lines.
    """

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong.

    Args:
        key: dotted path of the value at fault (``plugins.limit_rate.priority``), ``""`` for the whole.
        message: what is wrong; never holds the value of a secret.
        expected: what would be right, if it can be said in a few words.
        nearest: the known name that is closest to an unknown one.
        place: where it stands.
    """

    key: str
    message: str
    expected: str = ""
    nearest: str = ""
    place: Place | None = None

    def __str__(self) -> str:
        parts = [f"{self.place}: " if self.place else "", f"{self.key}: " if self.key else "", self.message]
        if self.expected:
            parts.append(f"; expected {self.expected}")
        if self.nearest:
            parts.append(f"; did you mean '{self.nearest}'?")
        return "".join(parts)


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return the known name closest to ``name``, or ``""`` when none is close."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else ""
