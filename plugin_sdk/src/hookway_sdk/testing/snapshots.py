"""Snapshots, and what writes to them, over plain lists of rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec

from hookway_sdk.errors import PluginError
from hookway_sdk.resources import Compiled, Resource
from hookway_sdk.settings import Row
from hookway_sdk.shared_resources import SHARED, SharedCollection

T = TypeVar("T")


def make_resource(
    collection: str, row: Any, *, name: str = "", id: str = "", source: str = "test"
) -> Resource:
    """Make an accepted row.

    Args:
        collection: its collection.
        row: a Struct, or any object with the fields that the plugin reads.
        name: its identity; by default read from the row.
        id: by default a UUIDv5 of collection and identity.
    """
    identity = SHARED[collection].identity if collection in SHARED else "name"
    name = name or getattr(row, identity, None) or "unnamed"
    return Resource(
        collection, id or str(uuid.uuid5(uuid.NAMESPACE_URL, f"{collection}/{name}")), name, row, source
    )


class ListedSnapshot:
    """A snapshot over lists; nothing is checked or composed.

    Attributes:
        revision: as given.
        values: what was compiled, by key.
    """

    def __init__(
        self,
        rows: Mapping[str, Sequence[Resource]],
        values: Mapping[Compiled[Any], Any],
        models: Iterable[tuple[str, str]],
        revision: int,
    ) -> None:
        self.revision = revision
        self.values = dict(values)
        self._rows = rows
        self._models = sorted(models)

    def rows(self, collection: str) -> Sequence[Resource]:
        """Return a collection's rows, in the order they were given."""
        return self._rows.get(collection, ())

    def find(self, collection: str, name: str) -> Resource | None:
        """Return a row by its identity."""
        return next((one for one in self.rows(collection) if one.name == name), None)

    def by_id(self, collection: str, id: str) -> Resource | None:
        """Return a row by its id."""
        return next((one for one in self.rows(collection) if one.id == id), None)

    def compiled(self, key: Compiled[T]) -> T:
        """Return what was compiled under a key."""
        if key not in self.values:
            raise KeyError(f"nothing was compiled under '{key.name}'")
        return cast("T", self.values[key])

    def model_names(self) -> Sequence[tuple[str, str]]:
        """Return name and owner of every model, sorted by name."""
        return self._models


def make_snapshot(
    rows: Mapping[str, Sequence[Resource]] | Iterable[Resource] = (),
    *,
    compiled: Mapping[Compiled[Any], Any] | None = None,
    models: Iterable[tuple[str, str]] = (),
    revision: int = 1,
) -> ListedSnapshot:
    """Make a snapshot.

    Args:
        rows: by collection, or in one list; :func:`make_resource` makes them.
        compiled: what plugins compiled.
        models: name and owner of models that callers may list.
        revision: counts snapshots from 1.
    """
    if not isinstance(rows, Mapping):
        by_collection: dict[str, list[Resource]] = {}
        for resource in rows:
            by_collection.setdefault(resource.collection, []).append(resource)
        rows = by_collection
    return ListedSnapshot(rows, compiled or {}, models, revision)


class ListedCompiler:
    """What ``compile`` writes to.

    Attributes:
        snapshot: the snapshot that is being made.
        rejected: the rows that were refused, with the reason.
    """

    def __init__(self, snapshot: ListedSnapshot | None = None) -> None:
        self.snapshot: ListedSnapshot = snapshot or make_snapshot()
        self.rejected: list[tuple[Resource, str]] = []

    def put(self, key: Compiled[T], value: T) -> None:
        """Keep something in the snapshot."""
        self.snapshot.values[key] = value

    def reject(self, resource: Resource, reason: str, *, guards: bool = True) -> None:
        """Note a refused row."""
        self.rejected.append((resource, reason))


class ListedRegistry:
    """What ``register_resources`` writes to; refuses what a gateway would refuse.

    Attributes:
        plugin: name of the plugin that is registering.
        collections: row and identity of its own collections, by name.
        variants: rows by collection and kind.
        shapes: rows by collection and key.
        contributed: rows by collection.
    """

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        self.collections: dict[str, tuple[type[Row], str]] = {}
        self.variants: dict[tuple[str, str], type[Row]] = {}
        self.shapes: dict[tuple[str, str], type[Row]] = {}
        self.contributed: dict[str, type[Row]] = {}

    def collection(self, name: str, row: type[Row], *, identity: str = "name") -> None:
        """Note a collection."""
        if name in SHARED or name in self.collections:
            raise PluginError(self.plugin, f"collection '{name}' has an owner already")
        self._expect_fields(row, (identity,))
        self.collections[name] = (row, identity)

    def variant(self, collection: str, *, kind: str, row: type[Row]) -> None:
        """Note a kind of row."""
        if not self._shared(collection).variant_field:
            raise PluginError(self.plugin, f"rows of '{collection}' have no kinds")
        if not kind or (collection, kind) in self.variants:
            raise PluginError(self.plugin, f"kind '{kind}' of '{collection}' is empty or taken")
        self._refuse_taken(collection, row)
        self.variants[collection, kind] = row

    def shape(self, collection: str, *, key: str, row: type[Row]) -> None:
        """Note a shape."""
        taken = msgspec.structs.fields(self._shared(collection).row)
        if not key or (collection, key) in self.shapes or key in {one.name for one in taken}:
            raise PluginError(self.plugin, f"shape '{key}' of '{collection}' is empty or taken")
        self.shapes[collection, key] = row

    def fields(self, collection: str, fields: type[Row]) -> None:
        """Note further fields."""
        self._shared(collection.partition(".")[0])
        if required := [one.name for one in msgspec.structs.fields(fields) if one.required]:
            raise PluginError(self.plugin, f"fields of '{collection}' need defaults: {', '.join(required)}")
        if "." not in collection:
            self._refuse_taken(collection, fields)
        self.contributed[collection] = fields

    def _shared(self, collection: str) -> SharedCollection:
        if collection in self.collections:
            row, identity = self.collections[collection]
            return SharedCollection(row, identity)
        if collection not in SHARED:
            raise PluginError(self.plugin, f"there is no collection '{collection}'")
        return SHARED[collection]

    def _refuse_taken(self, collection: str, row: type[Row]) -> None:
        taken = {one.name for one in msgspec.structs.fields(self._shared(collection).row)}
        if both := sorted(taken & {one.name for one in msgspec.structs.fields(row)}):
            raise PluginError(self.plugin, f"'{collection}' has these fields already: {', '.join(both)}")

    def _expect_fields(self, row: type[Row], names: tuple[str, ...]) -> None:
        if missing := set(names) - {one.name for one in msgspec.structs.fields(row)}:
            raise PluginError(self.plugin, f"rows of {row.__name__} lack {', '.join(sorted(missing))}")
