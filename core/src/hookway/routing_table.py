"""Which endpoint a method and a path lead to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from hookway_sdk import PluginError, nearest_name

T = TypeVar("T")

ANY = "{}"
"""Stands in a shape for a segment that may be anything but empty."""


class RoutingTable(Generic[T]):
    """Exact paths by dictionary, paths with ``{name}`` segments by their shape; a GET also serves HEAD."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[str, T]] = {}
        self._patterns: list[tuple[tuple[str, ...], dict[str, T]]] = []
        self._owners: dict[tuple[str, str], str] = {}
        self._taken: dict[tuple[str, tuple[str, ...]], str] = {}

    def add(self, method: str, path: str, target: T, owner: str) -> None:
        """Add a route.

        Raises:
            PluginError: another plugin serves this method and path.
        """
        other = self._taken.get((method, shape_of(path)))
        if other is not None:
            raise PluginError(owner, f"serves {method} {path}, as {other} does; disable one of them")
        self._taken[method, shape_of(path)] = self._owners[method, path] = owner
        methods = self._methods(path)
        methods[method] = target
        if method == "GET":
            methods.setdefault("HEAD", target)

    def find(self, method: str, path: str) -> T | None:
        """Return the target, ``None`` if nobody serves this method and path."""
        methods = self._exact.get(path)
        found = None if methods is None else methods.get(method)
        return self._match(path).get(method) if found is None else found

    def allowed(self, path: str) -> list[str]:
        """Return the methods a path serves, empty if it is none."""
        return sorted({**self._exact.get(path, {}), **self._match(path)})

    def nearest(self, path: str) -> str:
        """Return the served path closest to one that is not served."""
        return nearest_name(path, [known for _, known in self._owners])

    def items(self) -> Iterable[tuple[str, str, str]]:
        """Return method, path and owner of every route."""
        return [(method, path, owner) for (method, path), owner in self._owners.items()]

    def _methods(self, path: str) -> dict[str, T]:
        if "{" not in path:
            return self._exact.setdefault(path, {})
        shape = shape_of(path)
        for known, methods in self._patterns:
            if known == shape:
                return methods
        self._patterns.append((shape, {}))
        return self._patterns[-1][1]

    def _match(self, path: str) -> Mapping[str, T]:
        """Return the targets of the patterns that fit a path; the first of a method stands."""
        segments = path.split("/")
        found: dict[str, T] = {}
        for shape, methods in self._patterns:
            if len(shape) == len(segments) and all(
                known == segment or (known == ANY and segment)
                for known, segment in zip(shape, segments, strict=True)
            ):
                found = {**methods, **found}
        return found


def shape_of(path: str) -> tuple[str, ...]:
    """Return the segments of a path; how a variable one is called makes no other path."""
    return tuple(ANY if segment.startswith("{") else segment for segment in path.split("/"))
