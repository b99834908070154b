"""One closed Struct per collection, composed from what the SDK, the core and plugins contribute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

import msgspec

from hookway.resources.core_fields import CORE_FIELDS
from hookway_sdk import Manifest, PluginError, Row
from hookway_sdk.shared_resources import SHARED, SharedCollection
from hookway_sdk.walker_schema import field_descriptions, summary

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
        self.off_shapes: list[str] = []
        self.off_variants: dict[str, str] = {}


class Collection(msgspec.Struct, frozen=True):
    """A composed collection.

    Args:
        name: its name.
        identity: the field that names a row.
        variant_field: the field that tells kinds of row apart, ``""`` for none.
        variant_default: the kind of a row that says none, ``""`` where it has to.
        types: the row's Struct by variant; key ``""`` where there are none.
        shapes: field and owner of every shape a plugin added.
        off_fields: fields of plugins that are installed and off, with the plugin's name; nested ones dotted.
        off_variants: kinds of plugins that are installed and off, with the plugin's name.
        owners: owner of every field.
    """

    name: str
    identity: str
    variant_field: str
    variant_default: str
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
            name, _, nested = entry.collection.partition(".")
            parts = self._parts.get(name)
            if parts is None:
                parts = self._parts[name] = CollectionParts(name, SharedCollection(Row, ""), manifest.name)
            if entry.kind:
                parts.off_variants.setdefault(entry.kind, manifest.name)
            elif not nested or nested in parts.base.__struct_fields__:
                known = nested_type(parts.base, nested).__struct_fields__ if nested else parts.owners
                for field in entry.fields:
                    if field not in known and (nested, field) not in parts.nested_owners:
                        parts.off_fields.setdefault(f"{nested}.{field}".lstrip("."), manifest.name)
                        parts.off_shapes += [field] if field == entry.key else []

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
        for row, owner in parts.variants.values():
            if field in row.__struct_fields__:
                raise PluginError(self.plugin, f"field '{field}' of '{parts.name}' belongs to {owner}")
        parts.owners[field] = self.plugin

    def _claim_nested(self, parts: CollectionParts, nested: str, field: str) -> None:
        if nested not in parts.base.__struct_fields__:
            raise PluginError(self.plugin, f"'{parts.name}' has no nested '{nested}'")
        owner = parts.nested_owners.setdefault((nested, field), self.plugin)
        if owner != self.plugin or field in nested_type(parts.base, nested).__struct_fields__:
            raise PluginError(self.plugin, f"field '{field}' of '{parts.name}.{nested}' is taken")


def compose_collection(parts: CollectionParts) -> Collection:
    """Define the Structs of one collection, one per variant."""
    shared = [parts.base, *parts.fields]
    off = [field.rpartition(".") for field in parts.off_fields]
    extended = dict.fromkeys([*parts.nested, *(holder for holder, _, _ in off if holder)])
    nested = {
        name: compose_nested(parts, name, [field for holder, _, field in off if holder == name])
        for name in extended
    }
    shapes: dict[str, Any] = {key: row | None for key, (row, _) in parts.shapes.items()}
    optional = {**shapes, **{field: Any for holder, _, field in off if not holder}}
    types: dict[str, type[msgspec.Struct]] = {}
    if not parts.variant_field:
        types[""] = define(parts.name, shared, nested, optional, (*shapes, *parts.off_shapes))
    for kind, (row, _) in parts.variants.items():
        types[kind] = define(f"{parts.name}_{kind}", [*shared, row], nested, optional)
    return Collection(
        parts.name,
        parts.identity,
        parts.variant_field,
        default_of(parts.base, parts.variant_field),
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
    """Define one frozen Struct that has the fields of several, with their docs for the schema.

    Asked for the same again, as by a reload with the same plugins, it returns the same Struct: rows of
    different Structs would differ, though they say the same.
    """
    key = (name, tuple(rows), tuple(replaced.items()), tuple(optional.items()), shapes)
    found = _defined.get(key)
    if found is None:
        found = _defined[key] = _define(*key)
    return found


_Named = tuple[tuple[str, Any], ...]
_defined: dict[tuple[str, tuple[type[msgspec.Struct], ...], _Named, _Named, tuple[str, ...]], Any] = {}


def _define(
    name: str,
    rows: tuple[type[msgspec.Struct], ...],
    replaced_fields: _Named,
    optional: _Named,
    shapes: tuple[str, ...],
) -> type[msgspec.Struct]:
    fields: list[Any] = []
    replaced = dict(replaced_fields)
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
    fields.extend((field, annotation, None) for field, annotation in optional)
    described = [f"    {one}: {text}" for row in rows for one, text in field_descriptions(row).items()]
    doc = "\n".join([summary(rows[0]), "", "Args:", *described])
    namespace = {"__doc__": doc, "SHAPES": shapes}
    return msgspec.defstruct(
        name, fields, frozen=True, kw_only=True, forbid_unknown_fields=True, namespace=namespace
    )


def compose_nested(parts: CollectionParts, nested: str, off: Iterable[str]) -> Any:
    """Define the Struct of a nested object that plugins add fields to, or would if they were on."""
    rows = [nested_type(parts.base, nested), *parts.nested.get(nested, ())]
    return define(f"{parts.name}_{nested}", rows, {}, {field: Any for field in off}) | None


def default_of(row: type[Row], field: str) -> str:
    """Return what a field holds where a row says nothing, ``""`` if it has to say something."""
    found = next((one.default for one in msgspec.structs.fields(row) if one.name == field), "")
    return found if isinstance(found, str) else ""


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
