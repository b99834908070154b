"""Conditions of a policy as they are written: leaves, groups, and the bounds of their tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from hookway_plugins.limit_rate.dimensions import DIMENSIONS, DimensionName
from hookway_plugins.limit_rate.patterns import compile_pattern
from hookway_sdk import Row

MAX_DEPTH = 3
MAX_LEAVES = 16
MAX_VALUES = 64

Operator: TypeAlias = Literal["==", "~=", "~~", "~*", "in"]
Value = Annotated[str, msgspec.Meta(min_length=1)]
Values = Annotated[tuple[Value, ...], msgspec.Meta(min_length=1, max_length=MAX_VALUES)]


class Condition(Row):
    """A comparison (``dimension``, ``operator``, ``value``), or a group (``logic``, ``children``).

    Args:
        dimension: what is compared. ``api_key`` and ``model`` are row ids or display names, ``team`` and
            ``member`` ids; ``model_name`` is the name the caller used, or the display name of the target's
            row; ``provider`` is the target's vendor word.
        operator: ``==``, ``~=`` (is another), ``in`` (is one of a list), ``~~`` (a regular expression matches
            anywhere), ``~*`` (the same whatever the case); the last two for ``model_name`` and ``provider``.
        value: text, or for ``in`` a list of texts.
        negate: turn the answer round; what compares a dimension that the request lacks stays false.
        logic: whether all of ``children`` have to hold (``and``), or one (``or``).
        children: the conditions of a group.
    """

    dimension: DimensionName | None = None
    operator: Operator | None = None
    value: Value | Values | None = None
    negate: bool = False
    logic: Literal["and", "or"] | None = None
    children: Annotated[tuple[Condition, ...], msgspec.Meta(min_length=1)] | None = None

    def __post_init__(self) -> None:
        leaf = _given(dimension=self.dimension, operator=self.operator, value=self.value)
        group = _given(logic=self.logic, children=self.children)
        if leaf and group:
            raise ValueError(
                f"mixes a comparison ({', '.join(leaf)}) with a group ({', '.join(group)}); "
                "write them as two conditions"
            )
        if group:
            _expect("a group", group, "logic", "children")
        else:
            _expect("a comparison", leaf, "dimension", "operator", "value")
            self._check_value()

    def _check_value(self) -> None:
        operator, value = self.operator, self.value
        if operator == "in":
            if isinstance(value, str):
                raise ValueError(f"operator 'in' takes a list; write value: [{value}]")
            return
        if not isinstance(value, str):
            raise ValueError(f"operator '{operator}' takes one text; for a list write operator: in")
        if operator in ("~~", "~*"):
            assert self.dimension is not None
            if DIMENSIONS[self.dimension].identity:
                raise ValueError(
                    f"operator '{operator}' does not fit '{self.dimension}', whose values are ids; "
                    "use ==, ~= or in, or compare model_name or provider"
                )
            compile_pattern(value, operator == "~*")


def check_tree(conditions: Sequence[Any]) -> None:
    """Check depth and number of conditions; they are still plain data.

    Raises:
        ValueError: there are too many; the message goes on where the value is named.
    """
    leaves, depth = _measure(conditions)
    if depth > MAX_DEPTH:
        raise ValueError(f"is nested {depth} levels deep; write it in at most {MAX_DEPTH}")
    if leaves > MAX_LEAVES:
        raise ValueError(
            f"has {leaves} comparisons; at most {MAX_LEAVES} are allowed: use 'in', or several policies"
        )


def _measure(conditions: Sequence[Any]) -> tuple[int, int]:
    leaves, depth = 0, 0
    for one in conditions:
        below = one.get("children") or ()
        inner, deeper = _measure(below)
        leaves += inner if below else 1
        depth = max(depth, deeper + 1)
    return leaves, depth


def _given(**fields: Any) -> tuple[str, ...]:
    return tuple(name for name, value in fields.items() if value is not None)


def _expect(what: str, given: tuple[str, ...], *names: str) -> None:
    missing = [name for name in names if name not in given]
    if missing:
        raise ValueError(f"{what} needs {', '.join(names)}; add {' and '.join(missing)}")
