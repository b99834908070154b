"""``source_``: where resources come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from hookway_sdk.kinds.base import EntryKind, SettingsT
from hookway_sdk.problems import Place, Problem

Path = tuple[str | int, ...]


class SourceRow(msgspec.Struct):
    """One row as a source has it, before anything was checked.

    Args:
        value: the row's fields as plain data; native shorthands are allowed.
        places: where its keys stand, by path below the row.
        place: where the row itself stands.
        id: row id, where the source has ids of its own; ``""`` to derive one from the name.
    """

    value: Mapping[str, Any]
    places: Mapping[Path, Place] = {}
    place: Place | None = None
    id: str = ""


class SourceDocument(msgspec.Struct):
    """Everything a source has at one moment.

    Args:
        rows: rows by collection.
        places: where the collections themselves stand, for messages about unknown ones.
        revision: the source's own word for this state (a hash, a counter).
        problems: what is wrong with its form, where the rows that could be read are offered all the
            same, so that all mistakes are reported together; a strict source is refused for any.
    """

    rows: Mapping[str, Sequence[SourceRow]]
    places: Mapping[str, Place] = {}
    revision: str = ""
    problems: tuple[Problem, ...] = ()


class Source(EntryKind[SettingsT]):
    """Brings rows. Runs in the control role.

    Attributes:
        strict: all or nothing: one bad row refuses the whole document (files). Otherwise a bad row
            alone is refused and its last good value goes on serving (etcd, databases).
        yields: gives way to any other source that has rows (the environment's vendor keys).
    """

    kind = "source"
    strict: ClassVar[bool] = True
    yields: ClassVar[bool] = False

    async def load(self) -> SourceDocument:
        """Read everything.

        Raises:
            ConfigError: it can be reached and is wrong.
            StartError: it cannot be reached.
        """
        raise NotImplementedError

    async def watch(self, changed: Callable[[], None]) -> None:
        """Begin to watch for changes and call ``changed`` after each; return once watching is set up."""
