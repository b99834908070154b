"""One closed Struct per collection, composed from what the SDK, the core and plugins contribute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

import msgspec

from hookway.resources.core_fields import CORE_FIELDS
from hookway_sdk import Manifest, PluginError, Row
from hookway_sdk.shared_resources import SHARED, SharedCollection

CORE = "the core"
SDK = "the SDK"


class CollectionParts:
    """What was contributed to one collection so far."""

    def __init__(self, name: str, shared: SharedCollection, owner: str) -> None:
        self.name = name
        self.identity = shared.identity
        self.variant_field = shared.variant_field
        self.base = shared.row
        self.owners: dict[str, str] = dict.fromkeys(shared.row.__struct_fields__, owner)
        self.fields: list[type[Row]] = []
        self.nested: dict[str, list[type[Row]]] = {}
        self.nested_owners: dict[tuple[str, str], str] = {}
        self.variants: dict[str, tuple[type[Row], str]] = {}
        self.shapes: dict[str, tuple[type[Row], str]] = {}
        self.off_fields: dict[str, str] = {}
        self.off_variants: dict[str, str] = {}


class Collection(msgspec.Struct, frozen=True):
    """A composed collection.

    Args:
        name: its name.
        identity: the field that names a row.
        variant_field: the field that tells kinds of row apart, ``""`` for none.
        types: the row's Struct by variant; key ``""`` where there are none.
        shapes: field and owner of every shape a plugin added.
        off_fields: fields of plugins that are installed and off, with the plugin's name.
        off_variants: kinds of plugins that are installed and off, with the plugin's name.
        owners: owner of every field.
    """

    name: str
    identity: str
    variant_field: str
    types: Mapping[str, type[msgspec.Struct]]
    shapes: Mapping[str, str]
    off_fields: Mapping[str, str]
    off_variants: Mapping[str, str]
    owners: Mapping[str, str]


class ResourceRegistry:
    """Collects contributions; refuses two owners of one name."""

    def __init__(self) -> None:
        self.plugin = CORE
        self._parts: dict[str, CollectionParts] = {
            name: CollectionParts(name, shared, SDK) for name, shared in SHARED.items()
        }
        for name, row in CORE_FIELDS.items():
            self.fields(name, row)

    def collection(self, name: str, row: type[Row], *, identity: str = "name") -> None:
        """Add a collection (see :class:`hookway_sdk.Registry`)."""
        if name in self._parts:
            raise PluginError(self.plugin, f"collection '{name}' exists already; choose another name")
        if identity not in row.__struct_fields__:
            raise PluginError(self.plugin, f"collection '{name}' names no field '{identity}' for identity")
        self._parts[name] = CollectionParts(name, SharedCollection(row, identity), self.plugin)

    def variant(self, collection: str, *, kind: str, row: type[Row]) -> None:
        """Add a kind of row (see :class:`hookway_sdk.Registry`)."""
        parts = self._get(collection)
        if not parts.variant_field:
            raise PluginError(self.plugin, f"rows of '{collection}' have no kinds")
        if kind in parts.variants:
            owner = parts.variants[kind][1]
            raise PluginError(self.plugin, f"{collection} of kind '{kind}' belong to {owner} already")
        for field in row.__struct_fields__:
            if field in parts.owners:
                raise PluginError(
                    self.plugin, f"field '{field}' of '{collection}' belongs to {parts.owners[field]}"
                )
        parts.variants[kind] = (row, self.plugin)

    def shape(self, collection: str, *, key: str, row: type[Row]) -> None:
        """Add a shape (see :class:`hookway_sdk.Registry`)."""
        parts = self._get(collection)
        self._claim(parts, key)
        parts.shapes[key] = (row, self.plugin)

    def fields(self, collection: str, fields: type[Row]) -> None:
        """Add fields to every row (see :class:`hookway_sdk.Registry`)."""
        name, _, nested = collection.partition(".")
        parts = self._get(name)
        for one in msgspec.structs.fields(fields):
            if one.default is msgspec.NODEFAULT and one.default_factory is msgspec.NODEFAULT:
                raise PluginError(self.plugin, f"field '{one.name}' of '{collection}' needs a default")
            if nested:
                self._claim_nested(parts, nested, one.name)
            else:
                self._claim(parts, one.name)
        if nested:
            parts.nested.setdefault(nested, []).append(fields)
        else:
            parts.fields.append(fields)

    def plugin_is_off(self, manifest: Manifest) -> None:
        """Learn what an installed plugin that is off would contribute, so that its rows are known."""
        for entry in manifest.resources:
            name = entry.collection.partition(".")[0]
            parts = self._parts.get(name)
            if parts is None:
                parts = self._parts[name] = CollectionParts(name, SharedCollection(Row, ""), manifest.name)
            if entry.kind:
                parts.off_variants.setdefault(entry.kind, manifest.name)
            elif "." not in entry.collection:
                for field in entry.fields:
                    if field not in parts.owners:
                        parts.off_fields.setdefault(field, manifest.name)

    def compose(self) -> dict[str, Collection]:
        """Return every collection with its final Structs."""
        return {name: compose_collection(parts) for name, parts in self._parts.items()}

    def _get(self, name: str) -> CollectionParts:
        if name not in self._parts:
            raise PluginError(self.plugin, f"there is no collection '{name}' to contribute to")
        return self._parts[name]

    def _claim(self, parts: CollectionParts, field: str) -> None:
        if field in parts.owners:
            raise PluginError(
                self.plugin, f"field '{field}' of '{parts.name}' belongs to {parts.owners[field]}"
            )
        parts.owners[field] = self.plugin

    def _claim_nested(self, parts: CollectionParts, nested: str, field: str) -> None:
        if nested not in parts.owners:
            raise PluginError(self.plugin, f"'{parts.name}' has no nested '{nested}'")
        owner = parts.nested_owners.setdefault((nested, field), self.plugin)
        if owner != self.plugin or field in nested_type(parts.base, nested).__struct_fields__:
            raise PluginError(self.plugin, f"field '{field}' of '{parts.name}.{nested}' is taken")


def compose_collection(parts: CollectionParts) -> Collection:
    """Define the Structs of one collection, one per variant."""
    shared = [parts.base, *parts.fields]
    nested = {name: compose_nested(parts, name, rows) for name, rows in parts.nested.items()}
    shapes: dict[str, Any] = {key: row | None for key, (row, _) in parts.shapes.items()}
    off: dict[str, Any] = {field: Any for field in parts.off_fields}
    optional = {**shapes, **off}
    types: dict[str, type[msgspec.Struct]] = {}
    if not parts.variant_field:
        types[""] = define(parts.name, shared, nested, optional, tuple(shapes))
    for kind, (row, _) in parts.variants.items():
        types[kind] = define(f"{parts.name}_{kind}", [*shared, row], nested, optional)
    return Collection(
        parts.name,
        parts.identity,
        parts.variant_field,
        types,
        {key: owner for key, (_, owner) in parts.shapes.items()},
        dict(parts.off_fields),
        dict(parts.off_variants),
        dict(parts.owners),
    )


def define(
    name: str,
    rows: Iterable[type[msgspec.Struct]],
    replaced: Mapping[str, Any],
    optional: Mapping[str, Any],
    shapes: tuple[str, ...] = (),
) -> type[msgspec.Struct]:
    """Define one frozen Struct that has the fields of several, with their docs for the schema."""
    fields: list[Any] = []
    docs: list[str] = []
    for row in rows:
        hints = annotations_of(row)
        for one in msgspec.structs.fields(row):
            annotation = replaced.get(one.name, hints[one.name])
            if one.default is not msgspec.NODEFAULT:
                fields.append((one.name, annotation, one.default))
            elif one.default_factory is not msgspec.NODEFAULT:
                fields.append((one.name, annotation, msgspec.field(default_factory=one.default_factory)))
            else:
                fields.append((one.name, annotation))
        docs.append(row.__doc__ or "")
    fields.extend((field, annotation, None) for field, annotation in optional.items())
    namespace = {"__doc__": "\n\n".join(docs), "SHAPES": shapes}
    return msgspec.defstruct(
        name, fields, frozen=True, kw_only=True, forbid_unknown_fields=True, namespace=namespace
    )


def compose_nested(parts: CollectionParts, nested: str, rows: list[type[Row]]) -> Any:
    """Define the Struct of a nested object that plugins add fields to."""
    base = nested_type(parts.base, nested)
    return define(f"{parts.name}_{nested}", [base, *rows], {}, {}) | None


def nested_type(row: type[Row], field: str) -> type[msgspec.Struct]:
    """Return the Struct type of an optional nested object."""
    annotation = annotations_of(row)[field]
    for argument in getattr(annotation, "__args__", (annotation,)):
        if isinstance(argument, type) and issubclass(argument, msgspec.Struct):
            return argument
    raise TypeError(f"{row.__name__}.{field} is not an object")


def annotations_of(row: type[msgspec.Struct]) -> dict[str, Any]:
    """Return a Struct's resolved annotations, metadata included."""
    return get_type_hints(row, include_extras=True)
