"""YAML 1.2 with its core schema, the place of every value, and bounds on everything.

PyYAML speaks YAML 1.1, where ``no`` is false, ``12:30`` is 750 and ``010`` is 8. So only its parser is
used (libyaml's where it is built in); values are resolved by :func:`hookway_sdk.scalars.resolve`.
What configuration does not need is refused with a sentence: tags, merge keys, keys that are not text,
duplicate keys, further documents. Anchors and aliases are allowed, within a bound.

Source: YAML 1.2.2; JSON documents are read as JSON (``json_events``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import Any

import yaml

from hookway.config.json_events import is_json, json_events
from hookway_sdk.errors import ConfigError
from hookway_sdk.problems import Place, Problem
from hookway_sdk.scalars import resolve
from hookway_sdk.services import Document
from hookway_sdk.walker import Path, dotted

SIZE_LIMIT = 1024 * 1024
"""Largest file in bytes, unless the caller allows more."""
MAX_DEPTH = 64
"""How deep maps and lists may nest."""
MAX_EXPANSION = 100_000
"""How many values all aliases together may stand for."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STARTS = (yaml.StreamStartEvent, yaml.DocumentStartEvent)
_ENDS = (yaml.SequenceEndEvent, yaml.MappingEndEvent)
_HINTS = {
    "mapping values are not allowed": "a ':' where none can be; mend the indentation, or quote the text",
    "cannot start any token": "a character that begins nothing; indent with spaces, not with tabs, and "
    "quote text that begins with '@', '%' or '`'",
    "exceeded maximum nesting depth": f"nested more than {MAX_DEPTH} levels deep",
}


def load(path: FilePath, *, limit: int = SIZE_LIMIT) -> Document:
    """Read a file that holds one document.

    Args:
        path: the file; its name stands in the places.
        limit: largest size in bytes.

    Raises:
        ConfigError: it cannot be read, is too large, or is not what :func:`parse` reads.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise _refusal(str(path), 0, f"cannot be read: {error.strerror}") from error
    return parse(data, str(path), limit=limit)


def parse(data: bytes, file: str, *, limit: int = SIZE_LIMIT) -> Document:
    """Read one document of YAML or JSON; an empty one is ``None``.

    What an alias stands for has no places of its own, so :func:`~hookway_sdk.walker.place_of` finds the
    alias's.

    Args:
        data: UTF-8, with or without a byte order mark.
        file: name for the places.
        limit: largest size in bytes.

    Raises:
        ConfigError: with every problem that could be found; after a syntax error there is only that one.
    """
    if len(data) > limit:
        raise _refusal(file, 0, f"is larger than {limit} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refusal(file, data.count(b"\n", 0, error.start) + 1, "is not UTF-8 text") from error
    builder = _Builder(file)
    if is_json(text):
        return builder.document(json_events(text))
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        line = text.count("\n", 0, unprintable.start()) + 1
        raise _refusal(file, line, f"holds the control character U+{ord(unprintable[0]):04X}")
    try:
        return builder.document(yaml.parse(text, Loader=_LOADER))
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ConfigError([*builder.problems, _syntax(error, file)]) from error


def _refusal(file: str, line: int, message: str) -> ConfigError:
    return ConfigError([Problem("", message, place=Place(file, line))])


def _syntax(error: Exception, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    place = Place(file, mark.line + 1 if mark is not None else 0)
    said = getattr(error, "problem", None) or "it cannot be read"
    for words, hint in _HINTS.items():
        if words in said:
            return Problem("", f"is no YAML: {hint}", place=place)
    context = getattr(error, "context", None)
    return Problem("", f"is no YAML: {said}{f' {context}' if context else ''}", place=place)


class _TooMuch(Exception):
    """Ends a reading that must not go on."""


class _Builder:
    """Makes one document out of events."""

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._places: dict[Path, Place] = {}
        self._by_line: dict[int, Place] = {}
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: list[str] = []
        self._count = 0
        self._expanded = 0
        self._events: Iterator[Any] = iter(())

    def document(self, events: Iterable[Any]) -> Document:
        """Return the document.

        Raises:
            ConfigError: with the problems of the whole document.
            yaml.YAMLError: a syntax error.
        """
        self._events = iter(events)
        first = next((event for event in self._events if not isinstance(event, _STARTS)), None)
        self._places[()] = Place(self._file, 1)
        value = None
        try:
            if first is not None and not isinstance(first, yaml.StreamEndEvent):
                self._places[()] = self._place(first)
                value = self._node(first, ())
                self._end()
        except _TooMuch:
            pass  # the reason stands among the problems
        if self.problems:
            raise ConfigError(self.problems)
        return Document(value, self._places)

    def _end(self) -> None:
        for event in self._events:
            if not isinstance(event, yaml.DocumentEndEvent | yaml.StreamEndEvent):
                self._problem((), event, "a second document begins here; a file holds one")
                raise _TooMuch

    def _place(self, event: Any) -> Place:
        line = event.start_mark.line + 1
        place = self._by_line.get(line)
        if place is None:
            place = self._by_line[line] = Place(self._file, line)
        return place

    def _problem(self, path: Path, event: Any, message: str, expected: str = "") -> None:
        self.problems.append(Problem(dotted(path), message, expected, place=self._place(event)))

    def _node(self, event: Any, path: Path) -> Any:
        """Return the value that an event begins, and remember it under its anchor."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if event.tag is not None:
            self._problem(path, event, f"the tag {event.tag!r} is not supported", "a plain value")
        before = self._count + self._expanded
        self._count += 1
        if event.anchor is not None:
            self._open.append(event.anchor)
        value = self._value(event, path)
        if event.anchor is not None:
            self._open.pop()
            self._anchors[event.anchor] = (value, self._count + self._expanded - before)
        return value

    def _value(self, event: Any, path: Path) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if len(path) >= MAX_DEPTH:
            self._problem(path, event, f"nested more than {MAX_DEPTH} levels deep")
            raise _TooMuch
        return self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._sequence(path)

    def _scalar(self, event: Any, path: Path) -> Any:
        if not event.implicit[0]:
            return event.value
        try:
            return resolve(event.value)
        except ValueError as error:
            self._problem(path, event, str(error), "a smaller number, or text in quotes")
            return event.value

    def _alias(self, event: Any, path: Path) -> Any:
        if event.anchor in self._open:
            self._problem(path, event, f"the alias '*{event.anchor}' stands for what it is a part of")
            return None
        if event.anchor not in self._anchors:
            self._problem(path, event, f"the alias '*{event.anchor}' has no anchor before it")
            return None
        value, size = self._anchors[event.anchor]
        self._expanded += size
        if self._expanded > MAX_EXPANSION:
            self._problem(path, event, f"the aliases stand for more than {MAX_EXPANSION} values")
            raise _TooMuch
        return value

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        for event in self._events:
            if isinstance(event, _ENDS):
                break
            here = (*path, len(items))
            self._places[here] = self._place(event)
            items.append(self._node(event, here))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        items: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, _ENDS):
                break
            key = self._key(event, path)
            here = (*path, key if key is not None else "?")
            first = self._places.get(here) if key in items else None
            self._places[here] = self._place(event)
            value = self._node(next(self._events), here)
            if first is not None:
                self._problem(here, event, f"duplicate key; it stands in line {first.line} already")
            elif key is not None:
                items[key] = value
        return items

    def _key(self, event: Any, path: Path) -> str | None:
        """Return a key, or ``None`` when it is none, which then stands among the problems."""
        if not isinstance(event, yaml.ScalarEvent):
            kind = "an alias" if isinstance(event, yaml.AliasEvent) else "a map or list"
            self._problem(path, event, f"{kind} cannot be a key", "text")
            if not isinstance(event, yaml.AliasEvent):
                self._node(event, (*path, "?"))
            return None
        key = self._node(event, (*path, event.value))
        if isinstance(key, str) and not (key == "<<" and event.implicit[0]):
            return key
        if key == "<<":
            self._problem(path, event, "merge keys (<<) are not supported", "the keys written out")
        elif event.value == "":
            self._problem(path, event, "a value without a key")
        else:
            self._problem(path, event, f"the key {event.value} is not text", f"'{event.value}' in quotes")
        return None
