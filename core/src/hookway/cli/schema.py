"""``hookway schema``: the JSON Schemas that editors and reviews use."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import msgspec

from hookway.cli.options import add_configuration_options, conf_d, environment
from hookway_sdk import StartError, nearest_name


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_configuration_options(parser)
    parser.add_argument(
        "what",
        nargs="?",
        default="conf.d",
        help="conf.d (default), resources, or the name of a plugin for its settings",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    found = asyncio.run(find(arguments))
    print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    return 0


async def find(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the wanted schema.

    Raises:
        StartError: nothing of that name has one.
    """
    from hookway.config.settings import root_schema
    from hookway_sdk.walker import schema

    if arguments.what == "conf.d":
        return root_schema()
    from hookway.gateway import Gateway

    gateway = Gateway(conf_d(arguments), environment(arguments))
    try:
        # Without resources: whoever writes them wants the schema while they are wrong.
        runtime = await gateway.loader.load(gateway.configuration)
        await gateway.loader.forget(gateway.configuration, None)
    finally:
        await gateway.close()
    if arguments.what == "resources":
        return resources_schema(runtime.collections)
    loaded = runtime.plugins.get(arguments.what)
    if loaded is None:
        near = nearest_name(arguments.what, [*runtime.plugins, "conf.d", "resources"])
        hint = f"; did you mean '{near}'?" if near else ""
        raise StartError(f"there is no schema of '{arguments.what}'{hint}")
    return schema(type(loaded.settings))


def resources_schema(collections: Any) -> dict[str, Any]:
    """Return the schema of a resources file: one list per collection."""
    from hookway.resources.sugar import SHORT_FORM
    from hookway_sdk.walker import schema

    properties: dict[str, Any] = {"_format_version": {"const": "1"}}
    definitions: dict[str, Any] = {}
    for name, collection in collections.items():
        items = []
        for type_ in collection.types.values():
            written = schema(type_)
            definitions |= written.get("$defs", {})
            items.append({key: value for key, value in written.items() if key not in ("$defs", "$schema")})
        one_of = {"anyOf": items} if items else False
        properties[name] = {"type": ["array", "null"], "items": items[0] if len(items) == 1 else one_of}
    definitions["models"]["properties"] |= SHORT_FORM
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
    }
