"""Which member of a union a value belongs to, by the sort of value it is, as msgspec decides it."""

from __future__ import annotations

from typing import Any, TypeGuard

from msgspec import inspect

from hookway_sdk.durations import UNIT
from hookway_sdk.secrets import Secret
from hookway_sdk.settings import FromText
from hookway_sdk.walker_types import bare, extra

_SORTS: dict[type[inspect.Type], frozenset[str]] = {
    inspect.AnyType: frozenset({"null", "bool", "int", "float", "text", "list", "map"}),
    inspect.NoneType: frozenset({"null"}),
    inspect.BoolType: frozenset({"bool"}),
    inspect.IntType: frozenset({"int"}),
    inspect.FloatType: frozenset({"int", "float"}),
    inspect.StrType: frozenset({"text"}),
    inspect.ListType: frozenset({"list"}),
    inspect.SetType: frozenset({"list"}),
    inspect.FrozenSetType: frozenset({"list"}),
    inspect.VarTupleType: frozenset({"list"}),
    inspect.TupleType: frozenset({"list"}),
    inspect.NamedTupleType: frozenset({"list"}),
    inspect.DictType: frozenset({"map"}),
    inspect.TypedDictType: frozenset({"map"}),
    inspect.DataclassType: frozenset({"map"}),
}
_TEXTUAL = frozenset({"text"})


def sort_of(value: Any) -> str:
    """Return the sort of a plain value."""
    if value is None:
        return "null"
    for cls, sort in ((bool, "bool"), (int, "int"), (float, "float"), (str, "text"), (dict, "map")):
        if isinstance(value, cls):
            return sort
    return "list" if isinstance(value, list | tuple) else "other"


def sorts(kind: inspect.Type) -> frozenset[str]:
    """Return the sorts of value that a type can be written as."""
    if isinstance(kind, inspect.Metadata):
        return sorts(kind.type) | (_TEXTUAL if UNIT in extra(kind) else frozenset())
    if isinstance(kind, inspect.UnionType):
        return frozenset().union(*(sorts(member) for member in kind.types))
    if isinstance(kind, inspect.StructType):
        return frozenset({"list" if kind.array_like else "map"})
    if isinstance(kind, inspect.LiteralType):
        return frozenset(map(sort_of, kind.values))
    if isinstance(kind, inspect.EnumType):
        return frozenset(sort_of(member.value) for member in kind.cls)
    return _SORTS.get(type(kind), _TEXTUAL)


def members(kind: inspect.Type) -> list[inspect.Type]:
    """Return the members of a union, durations and sizes first, or a type alone."""
    plain = bare(kind)
    if not isinstance(plain, inspect.UnionType):
        return [kind]
    found = [member for one in plain.types for member in members(one)]
    return sorted(found, key=lambda member: UNIT not in extra(member))


def candidates(value: Any, kind: inspect.Type) -> list[inspect.Type]:
    """Return the members that a value may belong to; an int is a float only where no int is."""
    sort = sort_of(value)
    fitting = [member for member in members(kind) if sort in sorts(member)]
    if sort == "int":
        exact = [one for one in fitting if not isinstance(bare(one), inspect.FloatType)]
        return exact or fitting
    return fitting


def list_like(kind: inspect.Type) -> bool:
    """Tell whether a list can stand there, and nothing else but null."""
    allowed = sorts(kind)
    return "list" in allowed and allowed <= {"list", "null"}


def takes_text(kind: inspect.Type) -> bool:
    """Tell whether text can stand there."""
    return "text" in sorts(kind)


def secretive(kind: inspect.Type, seen: frozenset[Any] = frozenset()) -> bool:
    """Tell whether a secret stands anywhere in a type, so that no value in its place may be quoted."""
    if isinstance(kind, inspect.Metadata):
        return secretive(kind.type, seen)
    if isinstance(kind, inspect.CustomType):
        return kind.cls is Secret or bool(getattr(kind.cls, "secret", False))
    if isinstance(kind, inspect.UnionType):
        return any(secretive(member, seen) for member in kind.types)
    if isinstance(kind, inspect.CollectionType):
        return secretive(kind.item_type, seen)
    if isinstance(kind, inspect.TupleType):
        return any(secretive(item, seen) for item in kind.item_types)
    if isinstance(kind, inspect.DictType):
        return secretive(kind.value_type, seen)
    if isinstance(kind, inspect.StructType) and kind.cls not in seen:
        return any(secretive(field.type, seen | {kind.cls}) for field in kind.fields)
    return False


def is_text_type(cls: Any) -> TypeGuard[type[FromText]]:
    """Tell whether a custom type is a :class:`~hookway_sdk.settings.FromText`."""
    return isinstance(cls, type) and issubclass(cls, FromText)
