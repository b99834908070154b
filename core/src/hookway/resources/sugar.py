"""Shorthands of native resources, written out before anything is checked.

``{name: fast, model: openai/gpt-4o, key: "${OPENAI_API_KEY}"}`` is a deployment with an account of its
own; ``provider_key: NAME`` stands for the account's row id. ``hookway export`` shows the long form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hookway_sdk import Problem, SourceRow, nearest_name

ACCOUNT_FIELDS = {"key": "api_key", "api_base": "api_base", "adapter": "adapter"}
"""Members of a short model row that belong to its account, and their names there."""

SHORT_FORM = {
    "model": {"type": "string", "pattern": "^[^/]+/.", "description": "provider and model_name in one."},
    "key": {"type": "string", "writeOnly": True, "description": "api_key of an account of its own."},
    "api_base": {"type": "string", "description": "api_base of an account of its own."},
    "adapter": {"type": "string", "description": "adapter of an account of its own."},
    "provider_key": {"type": "string", "description": "name of the account, for provider_key_id."},
}
"""JSON Schema of what a model row may say beside the fields of the long form."""


def write_out_model(row: SourceRow) -> tuple[SourceRow, SourceRow | None, list[Problem]]:
    """Write out a short model row.

    Returns:
        The model row, the provider key row it brings along if any, and what is wrong with it.
    """
    value = row.value
    if "model" not in value and not (ACCOUNT_FIELDS.keys() & value.keys()):
        return row, None, []
    problems = clashes(row)
    if problems:
        return row, None, problems
    long = dict(value)
    reference = long.pop("model")
    vendor, _, upstream = reference.partition("/") if isinstance(reference, str) else ("", "", "")
    if not vendor or not upstream:
        return row, None, [problem(row, "model", "is not written as provider/model", "openai/gpt-4o")]
    long["provider"] = vendor
    long["model_name"] = upstream
    account = None
    if "key" in long or "api_base" in long:
        name = f"{value.get('display_name', value.get('name', ''))} (key)"
        fields = {"display_name": name, "provider": vendor}
        fields |= {ACCOUNT_FIELDS[one]: long.pop(one) for one in ACCOUNT_FIELDS if one in long}
        fields.setdefault("api_key", "none")
        account = SourceRow(fields, places=account_places(row), place=row.place)
        long["provider_key"] = name
    return SourceRow(long, places=row.places, place=row.place, id=row.id), account, []


def clashes(row: SourceRow) -> list[Problem]:
    """Return what the short form forbids beside it."""
    value = row.value
    if "model" not in value:
        near = nearest_name("model", value.keys() - {"name", "display_name", "model_name"})
        if near:
            return [problem(row, near, "unknown member", "model: provider/model", "model")]
        given = sorted(ACCOUNT_FIELDS.keys() & value.keys())
        return [problem(row, given[0], "goes with the short form", "model: provider/model beside it")]
    found = [name for name in ("provider", "model_name", "routing") if name in value]
    if ACCOUNT_FIELDS.keys() & value.keys():
        found += [name for name in ("provider_key", "provider_key_id") if name in value]
    return [problem(row, name, "is said twice", "either the short form or this field") for name in found]


def account_places(row: SourceRow) -> Mapping[Any, Any]:
    """Return the places of the account's fields, under their names there."""
    return {
        (ACCOUNT_FIELDS[path[0]], *path[1:]): place
        for path, place in row.places.items()
        if path and path[0] in ACCOUNT_FIELDS
    }


def problem(row: SourceRow, key: str, message: str, expected: str, nearest: str = "") -> Problem:
    """Return a problem of one key of a row."""
    place = row.places.get((key,), row.place)
    return Problem(key=key, message=message, expected=expected, nearest=nearest, place=place)
