"""What stands under ``plugins``: reserved words that are the core's, and settings that are the plugin's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from hookway_sdk.durations import Seconds
from hookway_sdk.phases import OnError, Phase
from hookway_sdk.problems import Place, Problem
from hookway_sdk.scalars import LooseText
from hookway_sdk.settings import Settings
from hookway_sdk.walker import Path, as_problems, check, convert, dotted, place_of

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*(?:\.[a-z0-9][a-z0-9_-]*)?")
_NOT_YET = ("only", "except", "percent")


class PluginWords(Settings):
    """The reserved words beside every plugin's own settings.

    Args:
        enabled: whether the plugin is loaded; one that is off is not even imported.
        priority: its place among plugins, lower runs earlier; one number, or one for each phase.
        on_error: what happens when it fails: closed ends the request, open goes on without it; by
            default what its phase says.
        timeout: longest time one of its steps may take; by default what the plugin says.
        dormant: what happens to rows and fields of a plugin that is off: refuse answers 503 in their
            scope, ignore goes on as if they were not there.
        default_row: adds one row for the whole gateway, with the plugin's defaults.
    """

    enabled: bool = True
    priority: int | dict[Phase, int] | None = None
    on_error: OnError | None = None
    timeout: Seconds | None = None
    dormant: Literal["refuse", "ignore"] = "refuse"
    default_row: bool = False


class PluginEntry(PluginWords, kw_only=True):
    """One entry under ``plugins``.

    Args:
        name: its key; ``provider_openai``, or ``provider_openai.eu`` for a further instance.
        settings: the plugin's own settings as plain data, to be converted to its ``Settings``.
    """

    name: str
    settings: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def plugin(self) -> str:
        """Name of the entry point: the key up to its dot."""
        return self.name.partition(".")[0]

    @property
    def instance(self) -> str:
        """What follows the dot, ``""`` for the first instance."""
        return self.name.partition(".")[2]

    @property
    def path(self) -> Path:
        """Where the entry stands, for problems with its settings."""
        return ("plugins", self.name)


WORDS = frozenset(PluginWords.__struct_fields__)


def read_entries(value: Any, places: Mapping[Path, Place]) -> tuple[dict[str, PluginEntry], list[Problem]]:
    """Split the entries under ``plugins`` into reserved words and settings.

    Args:
        value: what stands under ``plugins``.
        places: file and line by path from the root.

    Returns:
        The entries by key, in order, and the problems; an entry with problems is left out.
    """
    plain = value.meaning() if isinstance(value, LooseText) else value
    if not isinstance(plain, dict):
        return {}, as_problems(check(value, dict[str, Any], path=("plugins",)), places)
    entries: dict[str, PluginEntry] = {}
    problems: list[Problem] = []
    for name, item in plain.items():
        entry, found = _entry(name, item, places)
        problems += found
        if entry is not None and not found:
            entries[name] = entry
    return entries, problems


def _entry(name: str, item: Any, places: Mapping[Path, Place]) -> tuple[PluginEntry | None, list[Problem]]:
    path: Path = ("plugins", name)
    if not _NAME.fullmatch(name):
        expected = "a name such as guardrail_keyword, or guardrail_keyword.strict for a second one"
        return None, [_problem(path, "is no name of a plugin", expected, places)]
    plain = item.meaning() if isinstance(item, LooseText) else item
    if plain is None:  # a key with nothing behind it: on, with defaults
        plain = {}
    if isinstance(plain, bool):
        expected = f"{{enabled: {'true' if plain else 'false'}}}"
        return None, [_problem(path, f"found {'true' if plain else 'false'}", expected, places)]
    if not isinstance(plain, dict):
        return None, as_problems(check(item, dict[str, Any], path=path), places)
    words = {key: value for key, value in plain.items() if key in WORDS}
    problems = as_problems(check(words, PluginWords, path=path), places)
    problems += [
        _problem((*path, word), "is not supported yet", "", places) for word in _NOT_YET if word in plain
    ]
    if "instances" in plain:
        expected = f"a second entry such as '{name.partition('.')[0]}.eu'"
        problems.append(_problem((*path, "instances"), "is not supported", expected, places))
    if problems:
        return None, problems
    read = convert(words, PluginWords)
    settings = {key: value for key, value in plain.items() if key not in WORDS}
    return PluginEntry(name=name, settings=settings, **msgspec.structs.asdict(read)), []


def _problem(path: Path, message: str, expected: str, places: Mapping[Path, Place]) -> Problem:
    return Problem(dotted(path), message, expected, place=place_of(places, path))
