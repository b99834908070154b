"""JSON Schemas of settings and rows, for editors, ``hookway schema`` and plugin manifests.

Dialect 2020-12. What msgspec's own generator cannot say is said here: durations and sizes that may be
text, secrets (``writeOnly``), second names, and descriptions out of the ``Args:`` of docstrings.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Any, get_origin

import msgspec
from msgspec import inspect

from hookway_sdk.durations import UNIT
from hookway_sdk.secrets import Secret
from hookway_sdk.walker_types import Spelling, shape_of, type_of
from hookway_sdk.walker_unions import is_text_type

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_MEASURE_PATTERNS = {
    "seconds": r"^[0-9]+(\.[0-9]+)? ?(ms|s|m|h|d)?$",
    "milliseconds": r"^[0-9]+(\.[0-9]+)? ?(ms|s|m|h|d)?$",
    "bytes": r"^[0-9]+(\.[0-9]+)? ?(B|[kKMGT]B|[KMGT]iB)?$",
}
_ARGUMENT = re.compile(r"([A-Za-z_]\w*)(?: \([^)]*\))?: (.*)")


def schema(type: Any) -> Schema:
    """Return the JSON Schema of a type, with its Structs under ``$defs``.

    Args:
        type: a Struct, or anything msgspec can convert to.

    Raises:
        TypeError: msgspec does not support the type.
    """
    definitions: dict[str, Schema] = {}
    root = _Writer(definitions).write(type_of(type))
    return {"$schema": DIALECT, **root, **({"$defs": definitions} if definitions else {})}


def field_descriptions(cls: Any) -> dict[str, str]:
    """Return what the docstrings of a Struct and its bases say about its fields under ``Args:``."""
    plain = get_origin(cls) or cls
    found: dict[str, str] = {}
    for base in reversed(plain.__mro__):
        found.update(_arguments(base.__doc__ or ""))
    return found


def summary(cls: Any) -> str:
    """Return the docstring of a Struct up to its ``Args:``, paragraphs on one line each."""
    plain = get_origin(cls) or cls
    text = _dedented(plain.__dict__.get("__doc__") or "").split("\nArgs:", 1)[0].strip()
    return "\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n")).strip()


def _dedented(doc: str) -> str:
    first, _, rest = doc.partition("\n")
    return first + "\n" + textwrap.dedent(rest)


def _arguments(doc: str) -> dict[str, str]:
    section = _dedented(doc).partition("\nArgs:\n")[2]
    found: dict[str, str] = {}
    name = ""
    for line in textwrap.dedent(section).splitlines():
        if not line.strip():
            break
        begins = _ARGUMENT.match(line)
        if begins:
            name, found[begins[1]] = begins[1], begins[2].strip()
        elif name and line.startswith(" "):
            found[name] += " " + line.strip()
        else:
            break
    return found


class _Writer:
    """Writes schemas; Structs go to ``definitions`` and are referred to, so that they may nest."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions
        self._names: dict[Any, str] = {}

    def write(self, kind: inspect.Type) -> Schema:
        """Return the schema of one type."""
        writers: dict[type[inspect.Type], Callable[[Any], Schema]] = {
            inspect.Metadata: self._metadata,
            inspect.UnionType: self._union,
            inspect.StructType: self._reference,
            inspect.CustomType: _custom,
            inspect.DictType: self._map,
            inspect.TupleType: self._tuple,
            inspect.LiteralType: lambda literal: {"enum": list(literal.values)},
            inspect.EnumType: lambda enum: {"enum": [member.value for member in enum.cls]},
            inspect.IntType: lambda number: {"type": "integer", **_bounds(number)},
            inspect.FloatType: lambda number: {"type": "number", **_bounds(number)},
            inspect.StrType: _text,
        }
        writer = writers.get(type(kind))
        if writer is not None:
            return writer(kind)
        if isinstance(kind, inspect.CollectionType):
            return {"type": "array", "items": self.write(kind.item_type), **_lengths(kind, "Items")}
        return dict(_PLAIN.get(type(kind), {}))

    def _metadata(self, kind: inspect.Metadata) -> Schema:
        written = self.write(kind.type)
        unit = (kind.extra or {}).get(UNIT)
        if unit:
            written = {"type": [written.pop("type"), "string"], "minimum": 0, **written}
            written["pattern"] = _MEASURE_PATTERNS[unit]
        return {**written, **(kind.extra_json_schema or {})}

    def _union(self, kind: inspect.UnionType) -> Schema:
        options: list[Schema] = []
        for member in kind.types:
            option = self.write(member)
            if option not in options:
                options.append(option)
        return options[0] if len(options) == 1 else {"anyOf": options}

    def _map(self, kind: inspect.DictType) -> Schema:
        written: Schema = {"type": "object", "additionalProperties": self.write(kind.value_type)}
        names = self.write(kind.key_type)
        if names not in ({}, {"type": "string"}):
            written["propertyNames"] = names
        return {**written, **_lengths(kind, "Properties")}

    def _tuple(self, kind: inspect.TupleType) -> Schema:
        count = len(kind.item_types)
        items = [self.write(item) for item in kind.item_types]
        return {"type": "array", "prefixItems": items, "minItems": count, "maxItems": count, "items": False}

    def _reference(self, kind: inspect.StructType) -> Schema:
        name = self._names.get(kind.cls)
        if name is None:
            name = self._name(kind.cls)
            self._names[kind.cls] = name
            self._definitions[name] = {}  # reserves its place in the order, and ends a recursion
            self._definitions[name] = self._struct(kind)
        return {"$ref": f"#/$defs/{name}"}

    def _name(self, cls: Any) -> str:
        """Return the class's name, numbered where two classes share one."""
        base = (get_origin(cls) or cls).__name__
        taken = set(self._names.values())
        numbers = (f"{base}{number}" for number in range(2, len(taken) + 3))
        return base if base not in taken else next(name for name in numbers if name not in taken)

    def _struct(self, kind: inspect.StructType) -> Schema:
        about = field_descriptions(kind.cls)
        shape = shape_of(kind.cls)
        written: Schema = {"type": "object"}
        if summary(kind.cls):
            written["description"] = summary(kind.cls)
        properties: dict[str, Schema] = {}
        if kind.tag_field:
            properties[kind.tag_field] = {"const": kind.tag}
        for field in kind.fields:
            properties[field.encode_name] = self._property(field, about.get(field.name, ""))
        for name, spelling in shape.spellings.items():
            if name != spelling.name:
                properties[name] = _second_name(self.write(spelling.type), spelling)
        written["properties"] = properties
        return {**written, **_presence(kind)}

    def _property(self, field: inspect.Field, about: str) -> Schema:
        written = self.write(field.type)
        if about:
            written.setdefault("description", about)
        default = _default(field)
        return {**written, "default": default} if default is not msgspec.NODEFAULT else written


def _second_name(written: Schema, spelling: Spelling) -> Schema:
    """Return a field's schema for another of its names."""
    about = f"another name of {spelling.name}"
    if spelling.scale != 1:
        about += f"; a bare number here is multiplied by {spelling.scale:g}"
        written = _in_another_unit(written)
    return {**written, "description": about}


def _in_another_unit(written: Any) -> Any:
    """Return a schema without what holds in the field's own unit only: bounds, and that it is whole."""
    if isinstance(written, list):
        return [_in_another_unit(item) for item in written]
    if isinstance(written, dict):
        kept = {key: item for key, item in written.items() if key not in ("maximum", "exclusiveMaximum")}
        return {key: _in_another_unit(item) for key, item in kept.items()}
    return "number" if written == "integer" else written


def _presence(kind: inspect.StructType) -> Schema:
    """Return which keys a map needs and may have; of several names of one thing exactly one."""
    aliases: dict[str, list[str]] = {}
    for name, spelling in shape_of(kind.cls).spellings.items():
        if name != spelling.name:
            aliases.setdefault(spelling.name, [spelling.name]).append(name)
    written: Schema = {}
    required = [name for name in shape_of(kind.cls).required if name not in aliases]
    if kind.tag_field:
        required.insert(0, kind.tag_field)
    if required:
        written["required"] = required
    rules = []
    for proper, names in aliases.items():
        pairs = [{"required": [one, other]} for i, one in enumerate(names) for other in names[:i]]
        at_most_one = {"not": {"anyOf": pairs}}
        needs_one = {"anyOf": [{"required": [name]} for name in names]}
        rules += [at_most_one, *([needs_one] if proper in shape_of(kind.cls).required else [])]
    if rules:
        written["allOf"] = rules
    if kind.forbid_unknown_fields:
        written["additionalProperties"] = False
    return written


def _default(field: inspect.Field) -> Any:
    """Return a default that can be written in JSON, or ``NODEFAULT``."""
    value = field.default
    if value is msgspec.NODEFAULT and field.default_factory in (list, dict, set):
        value = field.default_factory()
    if value is msgspec.NODEFAULT or isinstance(value, Secret):
        return msgspec.NODEFAULT
    try:
        return msgspec.to_builtins(value, enc_hook=_written)
    except (TypeError, NotImplementedError):
        return msgspec.NODEFAULT


def _written(value: Any) -> Any:
    """Write a value that was read from text as text again."""
    if is_text_type(type(value)):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


def _custom(kind: inspect.CustomType) -> Schema:
    if kind.cls is Secret:
        return {"type": "string", "writeOnly": True}
    if is_text_type(kind.cls):
        return {"type": "string", **kind.cls.schema}
    return {}


def _text(kind: inspect.StrType) -> Schema:
    pattern = {"pattern": kind.pattern} if kind.pattern is not None else {}
    return {"type": "string", **_lengths(kind, "Length"), **pattern}


def _bounds(kind: inspect.IntType | inspect.FloatType) -> Schema:
    pairs = {
        "minimum": kind.ge,
        "exclusiveMinimum": kind.gt,
        "maximum": kind.le,
        "exclusiveMaximum": kind.lt,
        "multipleOf": kind.multiple_of,
    }
    return {name: bound for name, bound in pairs.items() if bound is not None}


def _lengths(kind: Any, what: str) -> Schema:
    pairs = {f"min{what}": kind.min_length, f"max{what}": kind.max_length}
    return {name: bound for name, bound in pairs.items() if bound is not None}


_PLAIN: dict[type[inspect.Type], Schema] = {
    inspect.NoneType: {"type": "null"},
    inspect.BoolType: {"type": "boolean"},
    inspect.TypedDictType: {"type": "object"},
    inspect.DataclassType: {"type": "object"},
    inspect.NamedTupleType: {"type": "array"},
    inspect.DateTimeType: {"type": "string", "format": "date-time"},
    inspect.DateType: {"type": "string", "format": "date"},
    inspect.TimeType: {"type": "string", "format": "time"},
    inspect.TimeDeltaType: {"type": "string", "format": "duration"},
    inspect.UUIDType: {"type": "string", "format": "uuid"},
    inspect.DecimalType: {"type": "string", "format": "decimal"},
    inspect.BytesType: {"type": "string", "contentEncoding": "base64"},
    inspect.ByteArrayType: {"type": "string", "contentEncoding": "base64"},
    inspect.MemoryViewType: {"type": "string", "contentEncoding": "base64"},
}
