"""From a parsed resources file to rows: its shape, its version, and the shorthands of its own.

What a row means is not known here: names of accounts (``provider_key: openai``), the short form of models
and every field are the core's to resolve and to check. Only what belongs to the file itself is dealt
with: ``_format_version``, ``key_env``, and that rows have no ``id``, because ids are made from names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from hookway_sdk import Document, Place, Problem, SourceRow

FORMAT_VERSION = "_format_version"

Places = dict[tuple[str | int, ...], Place]


class FileRows:
    """Takes a document apart and collects everything that is wrong with it.

    Args:
        document: the file as parsed.
        file: its name, for messages about what has no place.
        environment: where ``key_env`` looks.

    Attributes:
        rows: rows by collection.
        places: where the collections stand.
        problems: what is wrong with the form of the file and its rows.
    """

    def __init__(self, document: Document, file: str, environment: Mapping[str, str]) -> None:
        self.rows: dict[str, list[SourceRow]] = {}
        self.places: dict[str, Place] = {}
        self._places = document.places
        self._file = Place(file)
        self._environment = environment
        self.problems: list[Problem] = []
        self._below = places_by_row(document.places)
        self._take_document(document.value)

    def _take_document(self, value: Any) -> None:
        if value is None:
            return
        if not isinstance(value, dict):
            self._find("", f"found {kind_of(value)}", "a map of collections such as models", ())
            return
        for name, content in value.items():
            if not isinstance(name, str):
                self._find(str(name), f"the key {name!r} is not text", "the name of a collection", (name,))
            elif name == FORMAT_VERSION:
                if not isinstance(content, str) or content != "1":
                    self._find(name, f"found {kind_of(content)}", 'the text "1", in quotes', (name,))
            else:
                self._take_collection(name, content)

    def _take_collection(self, name: str, content: Any) -> None:
        self.places[name] = self._place((name,))
        if content is None:
            self.rows[name] = []
        elif not isinstance(content, list):
            self._find(name, f"found {kind_of(content)}", "a list of rows", (name,))
        else:
            rows = self.rows[name] = []
            for index, value in enumerate(content):
                if isinstance(value, dict):
                    rows.append(self._row(name, index, value))
                else:
                    self._find(f"{name}[{index}]", f"found {kind_of(value)}", "a row: a map", (name, index))

    def _row(self, collection: str, index: int, value: dict[str, Any]) -> SourceRow:
        places = self._below.get((collection, index), {})
        place = places.pop((), None) or self._place((collection, index))
        if "id" in value:
            where = places.get(("id",), place)
            key = f"{label(collection, index, value)}.id"
            self.problems.append(
                Problem(key, "ids are made from names here", "a row without it", place=where)
            )
        if collection == "api_keys" and "key_env" in value:
            value = self._with_hash(label(collection, index, value), value, places, place)
        return SourceRow(value, places, place)

    def _with_hash(self, row: str, value: dict[str, Any], places: Places, place: Place) -> dict[str, Any]:
        """Put the hash of a variable's value in place of ``key_env``."""
        where = places.pop(("key_env",), place)
        variable = value["key_env"]
        written = {name: one for name, one in value.items() if name != "key_env"}
        beside = [name for name in ("key_hash", "key") if name in value]
        message = ""
        if beside:
            message = f"is given beside {' and '.join(beside)}; one of them is enough"
        elif not isinstance(variable, str) or not variable:
            message = f"found {kind_of(variable)} instead of the name of an environment variable"
        else:
            message = self._wrong_with(variable)
        if message:
            self.problems.append(Problem(f"{row}.key_env", message, place=where))
            return written
        key = self._environment[variable]
        written["key_hash"] = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
        places[("key_hash",)] = where
        return written

    def _wrong_with(self, variable: str) -> str:
        """Return what keeps a variable from being a key, ``""`` for nothing."""
        key = self._environment.get(variable, "")
        if not key:
            return f"the environment variable '{variable}' is not set, or empty"
        if "${" in key:
            return f"the environment variable '{variable}' still holds a ${{…}} to be replaced"
        if key != key.strip():
            return f"the environment variable '{variable}' has blanks around the key"
        return ""

    def _find(self, key: str, message: str, expected: str, path: tuple[Any, ...]) -> None:
        self.problems.append(Problem(key, message, expected, place=self._place(path)))

    def _place(self, path: tuple[Any, ...]) -> Place:
        """Return where a path stands, or what holds it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self._places:
                return self._places[path[:length]]
        return self._file


def places_by_row(places: Mapping[tuple[str | int, ...], Place]) -> dict[tuple[str | int, ...], Places]:
    """Sort the places of a document by row, each under its path below the row."""
    sorted_places: dict[tuple[str | int, ...], Places] = {}
    for path, place in places.items():
        if len(path) >= 2:
            sorted_places.setdefault(path[:2], {})[path[2:]] = place
    return sorted_places


def label(collection: str, index: int, value: Mapping[str, Any]) -> str:
    """Return how messages name a row: collection, index and, where it has one, its name."""
    names = (value.get(key) for key in ("display_name", "name"))
    name = next((one for one in names if isinstance(one, str) and one), "")
    return f"{collection}[{index}]" + (f' ("{name}")' if name else "")


def kind_of(value: Any) -> str:
    """Return words for what stands somewhere, without quoting it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _KINDS.get(type(value)) or ("text" if isinstance(value, str) else f"a {type(value).__name__}")


_KINDS: dict[type, str] = {int: "a number", float: "a number", dict: "a map", list: "a list"}
