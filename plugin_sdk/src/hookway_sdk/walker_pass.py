"""One pass of the walker: collects findings, and returns the data in the form msgspec converts.

Preparing means: proper names for second names, numbers for durations and sizes, plain text for text
from variables. Nothing else changes, so msgspec judges what the walk judged.
"""

from __future__ import annotations

import datetime
import decimal
import math
import re
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from msgspec import inspect

from hookway_sdk import durations
from hookway_sdk.durations import UNIT
from hookway_sdk.problems import nearest_name
from hookway_sdk.scalars import LooseText, VariableText
from hookway_sdk.secrets import Secret
from hookway_sdk.settings import CHECKED
from hookway_sdk.walker_findings import Finding, Path, choices, found, named, quoted, wanted
from hookway_sdk.walker_types import Shape, bare, extra, shape_of
from hookway_sdk.walker_unions import candidates, is_text_type, list_like, secretive, takes_text

__all__ = ["Finding", "Path", "Walk"]

MAX_DEPTH = 64
"""How deep data may nest; configuration is shallow, and the walk must not exhaust the stack."""

_BARE_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_MEASURE: dict[str, Callable[[str], float]] = {
    "seconds": durations.parse_seconds,
    "milliseconds": durations.parse_milliseconds,
    "bytes": durations.parse_size,
}
_FOREIGN: dict[type[inspect.Type], Any] = {
    inspect.DateTimeType: datetime.datetime,
    inspect.DateType: datetime.date,
    inspect.TimeType: datetime.time,
    inspect.TimeDeltaType: datetime.timedelta,
    inspect.UUIDType: uuid.UUID,
    inspect.DecimalType: decimal.Decimal,
    inspect.BytesType: bytes,
    inspect.ByteArrayType: bytearray,
    inspect.MemoryViewType: memoryview,
}
DecHook = Callable[[Any, Any], Any]


class Walk:
    """A pass over one value.

    Args:
        dec_hook: what msgspec is given to convert custom types.
        hidden: paths whose values must not be quoted.
        veiled: whether no value may be quoted at all.

    Attributes:
        findings: what was found so far.
    """

    def __init__(self, dec_hook: DecHook, hidden: frozenset[Path], *, veiled: bool = False) -> None:
        self.findings: list[Finding] = []
        self._dec_hook = dec_hook
        self._hidden = hidden
        self._veiled = veiled
        self._depth = 0

    def visit(self, value: Any, kind: inspect.Type, path: Path) -> Any:
        """Look at a value and what it holds; return it prepared for msgspec."""
        if isinstance(value, VariableText):
            return self._from_variable(value, kind, path)
        if path in self._hidden and not self._veiled:
            return self._behind_veil(value, kind, path)
        look = self._LOOKS.get(type(kind))
        return value if look is None else look(self, value, kind, path)

    # ── what is said ────────────────────────────────────────────────────────────────────────

    def _find(self, path: Path, message: str, expected: str = "", nearest: str = "") -> None:
        self.findings.append(Finding(path, message, expected, nearest))

    def _wrong(self, value: Any, kind: inspect.Type, path: Path) -> Any:
        veiled = self._veiled or secretive(kind)
        self._find(path, f"found {found(value, veiled=veiled)}", wanted(kind))
        return value

    def _named(self, value: Any, kind: inspect.Type) -> str:
        return named(value, veiled=self._veiled or secretive(kind))

    # ── text from variables ─────────────────────────────────────────────────────────────────

    def _behind_veil(self, value: Any, kind: inspect.Type, path: Path) -> Any:
        self._veiled = True
        try:
            return self.visit(value, kind, path)
        finally:
            self._veiled = False

    def _from_variable(self, value: VariableText, kind: inspect.Type, path: Path) -> Any:
        """Take the first reading of the text that the type accepts: as text, as it is meant, as a list."""
        text = str(value)
        readings: list[Any] = [text]
        if isinstance(value, LooseText):
            meaning = value.meaning()
            if isinstance(bare(kind), inspect.AnyType):
                return meaning
            if not isinstance(meaning, str):
                readings.append(meaning)
            if list_like(kind) and not isinstance(meaning, list):
                readings.append([LooseText(part.strip()) for part in text.split(",") if part.strip()])
        walks: list[Walk] = []
        for reading in readings:
            walk = Walk(self._dec_hook, frozenset(), veiled=True)
            prepared = walk.visit(reading, kind, path)
            if not walk.findings:
                return prepared
            walks.append(walk)
        self.findings += walks[0 if takes_text(kind) else -1].findings
        return value

    # ── scalars ─────────────────────────────────────────────────────────────────────────────

    def _none(self, value: Any, kind: inspect.NoneType, path: Path) -> Any:
        return value if value is None else self._wrong(value, kind, path)

    def _bool(self, value: Any, kind: inspect.BoolType, path: Path) -> Any:
        return value if isinstance(value, bool) else self._wrong(value, kind, path)

    def _int(self, value: Any, kind: inspect.IntType, path: Path) -> Any:
        right = isinstance(value, int) and not isinstance(value, bool) and _within(value, kind)
        return value if right else self._wrong(value, kind, path)

    def _float(self, value: Any, kind: inspect.FloatType, path: Path) -> Any:
        right = isinstance(value, int | float) and not isinstance(value, bool)
        try:
            right = right and _within(float(value), kind)
        except OverflowError:  # an int that is larger than any float
            right = False
        return value if right else self._wrong(value, kind, path)

    def _text(self, value: Any, kind: inspect.StrType, path: Path) -> Any:
        if not isinstance(value, str):
            return self._wrong(value, kind, path)
        if not _fits(value, kind) or (kind.pattern is not None and re.search(kind.pattern, value) is None):
            return self._wrong(value, kind, path)
        return value

    def _literal(self, value: Any, kind: inspect.LiteralType, path: Path) -> Any:
        return self._choose(value, kind.values, path)

    def _enum(self, value: Any, kind: inspect.EnumType, path: Path) -> Any:
        try:
            msgspec.convert(value, kind.cls)
        except msgspec.ValidationError:
            return self._choose(value, tuple(member.value for member in kind.cls), path)
        return value

    def _choose(self, value: Any, values: tuple[Any, ...], path: Path) -> Any:
        if any(type(value) is type(one) and value == one for one in values):
            return value
        if not isinstance(value, str) or self._veiled:
            self._find(path, f"found {found(value, veiled=self._veiled)}", choices(values))
        else:
            near = nearest_name(value, [one for one in values if isinstance(one, str)])
            self._find(path, f"unknown value {quoted(value)}", choices(values), near)
        return value

    def _custom(self, value: Any, kind: inspect.CustomType, path: Path) -> Any:
        cls: Any = kind.cls
        if not (is_text_type(cls) or cls is Secret):
            return value if isinstance(value, cls) else self._wrong(value, kind, path)
        if not isinstance(value, str):
            return self._wrong(value, kind, path)
        if is_text_type(cls):
            try:
                cls.parse(value)
            except ValueError as error:
                self._find(path, f"{self._named(value, kind)} {error}", wanted(kind))
        return value

    def _foreign(self, value: Any, kind: inspect.Type, path: Path) -> Any:
        """Judge by converting: for types whose text form is msgspec's affair (dates, UUIDs, TypedDicts)."""
        target = _FOREIGN.get(type(kind)) or kind.cls  # type: ignore[attr-defined]  # all others have a class
        try:
            msgspec.convert(value, target, dec_hook=self._dec_hook, str_keys=True)
        except (ValueError, TypeError, RecursionError):
            return self._wrong(value, kind, path)
        return value

    def _anything(self, value: Any, kind: inspect.AnyType, path: Path) -> Any:
        """Give text from variables the meaning of its bare words, at any depth."""
        if isinstance(value, dict):
            return self._deeper(path, lambda: {k: self.visit(v, kind, (*path, k)) for k, v in value.items()})
        if isinstance(value, list):
            return self._deeper(path, lambda: [self.visit(v, kind, (*path, i)) for i, v in enumerate(value)])
        return value

    def _metadata(self, value: Any, kind: inspect.Metadata, path: Path) -> Any:
        about = kind.extra or {}
        if UNIT in about:
            value = self._measure(value, kind, path)
        else:
            value = self.visit(value, kind.type, path)
        if CHECKED in about and value is not None and not self._found_at(path):
            try:
                about[CHECKED](value)
            except ValueError as error:
                self._find(path, f"{self._named(value, kind)} {error}")
        return value

    def _measure(self, value: Any, kind: inspect.Metadata, path: Path) -> Any:
        number = value
        if isinstance(value, str):
            try:
                number = _MEASURE[extra(kind)[UNIT]](value)
            except ValueError as error:
                self._find(path, f"{self._named(value, kind)} {error}", wanted(kind))
                return value
        probe = Walk(self._dec_hook, frozenset())
        prepared = probe.visit(number, kind.type, path)
        if probe.findings or not 0 <= prepared < math.inf:
            return self._wrong(value, kind, path)
        return prepared

    def _found_at(self, path: Path) -> bool:
        return bool(self.findings) and self.findings[-1].path[: len(path)] == path

    # ── what holds other values ─────────────────────────────────────────────────────────────

    def _deeper(self, path: Path, look: Callable[[], Any]) -> Any:
        if self._depth >= MAX_DEPTH:
            self._find(path, f"nested more than {MAX_DEPTH} levels deep")
            return None
        self._depth += 1
        try:
            return look()
        finally:
            self._depth -= 1

    def _list(self, value: Any, kind: inspect.CollectionType, path: Path) -> Any:
        if not isinstance(value, list | tuple) or not _fits(value, kind):
            return self._wrong(value, kind, path)
        item = kind.item_type
        return self._deeper(path, lambda: [self.visit(v, item, (*path, i)) for i, v in enumerate(value)])

    def _tuple(self, value: Any, kind: inspect.TupleType, path: Path) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(kind.item_types):
            return self._wrong(value, kind, path)
        pairs = list(zip(value, kind.item_types, strict=True))
        return self._deeper(path, lambda: [self.visit(v, t, (*path, i)) for i, (v, t) in enumerate(pairs)])

    def _dict(self, value: Any, kind: inspect.DictType, path: Path) -> Any:
        if not isinstance(value, dict) or not _fits(value, kind):
            return self._wrong(value, kind, path)
        for key in value:
            self._key(key, kind.key_type, path)
        item = kind.value_type
        return self._deeper(path, lambda: {k: self.visit(v, item, (*path, k)) for k, v in value.items()})

    def _key(self, key: Any, kind: inspect.Type, path: Path) -> None:
        if not isinstance(key, str):
            self._find((*path, str(key)), f"the key {key!r} is not text", "a key in quotes")
            return
        probe = Walk(self._dec_hook, frozenset())
        probe.visit(_key_value(str(key), kind), kind, ())
        for finding in probe.findings:
            self._find((*path, key), f"unknown key {quoted(key)}", finding.expected, finding.nearest)

    def _struct(self, value: Any, kind: inspect.StructType, path: Path) -> Any:
        if kind.array_like:
            return self._foreign(value, kind, path)
        if not isinstance(value, dict):
            return self._wrong(value, kind, path)
        return self._deeper(path, lambda: self._fields(value, kind, path))

    def _fields(self, value: dict[Any, Any], kind: inspect.StructType, path: Path) -> dict[str, Any]:
        shape = shape_of(kind.cls)
        before = len(self.findings)
        written: dict[str, str] = {}
        prepared: dict[str, Any] = {}
        for key, item in value.items():
            here = (*path, key if isinstance(key, str) else str(key))
            spelling = shape.spellings.get(key) if isinstance(key, str) else None
            if key == kind.tag_field:
                prepared[key] = self._tag(item, kind, here)
            elif spelling is None:
                self._unknown(key, kind, shape, here)
            elif spelling.name in written:
                both = f"'{written[spelling.name]}' and '{key}' are two names of one thing"
                self._find(here, both, "one of the two")
            else:
                written[spelling.name] = key
                prepared[spelling.name] = self.visit(_scaled(item, spelling.scale), spelling.type, here)
        for name in shape.required:
            if name not in written:
                self._find((*path, name), "the key is missing", wanted(shape.spellings[name].type))
        if shape.finishes and len(self.findings) == before:
            self._finish(prepared, kind, path)
        return prepared

    def _unknown(self, key: Any, kind: inspect.StructType, shape: Shape, here: Path) -> None:
        if not isinstance(key, str):
            self._find(here, f"the key {key!r} is not text", "a key in quotes")
        elif kind.forbid_unknown_fields:
            names = [*shape.spellings, *([kind.tag_field] if kind.tag_field else [])]
            near = nearest_name(key, names)
            proper = list(dict.fromkeys(spelling.name for spelling in shape.spellings.values()))
            expected = "" if near else choices(proper) if proper else "an empty map"
            self._find(here, f"unknown key {quoted(key)}", expected, near)

    def _tag(self, item: Any, kind: inspect.StructType, here: Path) -> Any:
        plain = str(item) if isinstance(item, VariableText) else item
        return self._choose(plain, (kind.tag,), here)

    def _finish(self, prepared: dict[str, Any], kind: inspect.StructType, path: Path) -> None:
        """Ask the Struct itself for conditions that span its fields."""
        try:
            msgspec.convert(prepared, kind.cls, dec_hook=self._dec_hook, str_keys=True)
        except (ValueError, TypeError) as error:
            self._find(path, str(error))

    def _union(self, value: Any, kind: inspect.UnionType, path: Path) -> Any:
        fitting = candidates(value, kind)
        structs = [one for one in map(bare, fitting) if isinstance(one, inspect.StructType)]
        if structs and structs[0].tag_field and isinstance(value, dict):
            return self._tagged(value, structs, path)
        if len(fitting) == 1:
            return self.visit(value, fitting[0], path)
        for one in fitting:
            walk = Walk(self._dec_hook, self._hidden, veiled=self._veiled)
            prepared = walk.visit(value, one, path)
            if not walk.findings:
                return prepared
        return self._wrong(value, kind, path)

    def _tagged(self, value: dict[Any, Any], structs: list[inspect.StructType], path: Path) -> Any:
        """Go on with the Struct whose tag the value carries."""
        key = structs[0].tag_field or ""
        if key not in value and len(structs) > 1:
            self._find((*path, key), "the key is missing", choices(one.tag for one in structs))
            return value
        for one in structs:
            if len(structs) == 1 or value[key] == one.tag:
                return self.visit(value, one, path)
        self._choose(value[key], tuple(one.tag for one in structs), (*path, key))
        return value

    _LOOKS: ClassVar[dict[type[inspect.Type], Callable[..., Any]]] = {
        inspect.AnyType: _anything,
        inspect.NoneType: _none,
        inspect.BoolType: _bool,
        inspect.IntType: _int,
        inspect.FloatType: _float,
        inspect.StrType: _text,
        inspect.LiteralType: _literal,
        inspect.EnumType: _enum,
        inspect.CustomType: _custom,
        inspect.Metadata: _metadata,
        inspect.UnionType: _union,
        inspect.ListType: _list,
        inspect.SetType: _list,
        inspect.FrozenSetType: _list,
        inspect.VarTupleType: _list,
        inspect.TupleType: _tuple,
        inspect.DictType: _dict,
        inspect.StructType: _struct,
        inspect.TypedDictType: _foreign,
        inspect.DataclassType: _foreign,
        inspect.NamedTupleType: _foreign,
        **dict.fromkeys(_FOREIGN, _foreign),
    }


def _within(value: float, kind: inspect.IntType | inspect.FloatType) -> bool:
    """Tell whether a number keeps its bounds; not-a-number keeps none."""
    if kind.ge is not None and not value >= kind.ge:
        return False
    if kind.gt is not None and not value > kind.gt:
        return False
    if kind.le is not None and not value <= kind.le:
        return False
    if kind.lt is not None and not value < kind.lt:
        return False
    if kind.multiple_of is None:
        return True
    if isinstance(kind, inspect.IntType):
        return value % kind.multiple_of == 0
    return math.isfinite(value) and math.fmod(value, kind.multiple_of) == 0


def _fits(value: Any, kind: Any) -> bool:
    """Tell whether text, a list or a map has a length that is allowed."""
    too_short = kind.min_length is not None and len(value) < kind.min_length
    return not too_short and not (kind.max_length is not None and len(value) > kind.max_length)


def _key_value(key: str, kind: inspect.Type) -> Any:
    """Return a key as the number it spells, where keys are numbers; else as it is."""
    if not isinstance(bare(kind), inspect.IntType | inspect.FloatType):
        return key
    number = int if isinstance(bare(kind), inspect.IntType) else float
    try:
        return next(iter(msgspec.convert({key: None}, dict[number, None], str_keys=True)))  # type: ignore[valid-type]  # the type is the point
    except msgspec.ValidationError:
        return key


def _scaled(item: Any, scale: float) -> Any:
    """Bring a bare number that stands under a second name into the field's unit."""
    if scale == 1 or isinstance(item, bool):
        return item
    if isinstance(item, str):
        if _BARE_NUMBER.fullmatch(item) is None:
            return item
        text = f"{float(item) * scale:f}"
        return LooseText(text) if isinstance(item, VariableText) else text
    if not isinstance(item, int | float) or (isinstance(item, int) and item.bit_length() > 64):
        return item
    number = item * scale
    return int(number) if math.isfinite(number) and number == int(number) else number
