"""Write the operator's reference from the code: settings, resources, commands and metrics."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from gen_docs import DOCS, markdown, table

from hookway.cli.main import COMMANDS
from hookway.config.plugin_entries import PluginWords
from hookway.config.settings import RootSettings
from hookway.discovery import find_installed
from hookway.gateway import Gateway
from hookway.manager import load_class
from hookway.resources.collections import ResourceRegistry
from hookway_plugins.sink_prometheus.families import FAMILIES, FamilySpec
from hookway_sdk import FamilyView
from hookway_sdk.walker import schema

NOTE = "<!-- Written by tools/gen_operator_docs.py from the code; change it there. -->\n\n"

Schema = dict[str, Any]


def settings_page() -> str:
    """Return every key of conf.d, every reserved word, and every plugin's settings."""
    page = NOTE + (
        "# Settings\n\nWhat may stand in a file of conf.d. Later files override what they name; `${VAR}` "
        "works in every value; `HOOKWAY_A__B` in the environment overrides the key `a.b`. `hookway schema` "
        "prints the same as JSON Schema.\n\n## The gateway\n\n"
    )
    written = schema(RootSettings)
    page += table(
        ("key", "type", "default", "meaning"), list(rows(written, written["$defs"]["RootSettings"], ""))
    )
    page += "\n## Beside every plugin\n\n"
    page += "Reserved words of an entry under `plugins`; the rest is the plugin's own.\n\n"
    words = schema(PluginWords)
    page += table(
        ("word", "type", "default", "meaning"), list(rows(words, words["$defs"]["PluginWords"], ""))
    )
    for name, installed in sorted(find_installed().items()):
        own = schema(load_class(installed).Settings)
        fields = list(rows(own, resolve(own, own), ""))
        page += f"\n## {name}\n\n"
        if fields:
            page += table(("setting", "type", "default", "meaning"), fields)
        else:
            page += "It has no settings.\n"
    return page


def rows(root: Schema, node: Schema, prefix: str) -> Iterator[tuple[str, ...]]:
    """Yield a row for every leaf of an object's schema, nested objects written out."""
    for name, field in node.get("properties", {}).items():
        nested = resolve(root, field)
        key = f"{prefix}{name}"
        if nested.get("properties"):
            yield from rows(root, nested, f"{key}.")
            continue
        default = "required" if name in node.get("required", ()) else shown(field.get("default"))
        yield f"`{key}`", kind(root, field), default, markdown(field.get("description", ""))


def resolve(root: Schema, field: Schema) -> Schema:
    """Return what a reference stands for, through an optional."""
    for one in (field, *field.get("anyOf", ())):
        reference = one.get("$ref", "")
        if reference:
            found: Schema = root["$defs"][reference.rpartition("/")[2]]
            return found
    return field


def kind(root: Schema, field: Schema) -> str:
    """Return a short word for a field's type."""
    if "enum" in field:
        return " or ".join(f"`{one}`" for one in field["enum"])
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(kind(root, one) for one in field["anyOf"]))
    if "$ref" in field:
        return kind(root, resolve(root, field))
    given = field.get("type", "any")
    return " or ".join(given) if isinstance(given, list) else str(given)


def shown(value: Any) -> str:
    """Return a default as YAML would have it."""
    if value is None:
        return ""
    return f"`{msgspec.json.encode(value).decode()}`"


def resources_page() -> str:
    """Return every collection with every field and who owns it."""
    registry = ResourceRegistry()
    for name, installed in sorted(find_installed().items()):
        registry.plugin = name
        for kind_ in load_class(installed).kinds:
            kind_.register_resources(registry)
    page = NOTE + (
        "# Resources\n\nWhat may stand in `resources.yaml`, and in every other source. Each field has one "
        "owner; a field whose plugin is off closes the row that sets it. How rows may be "
        "written shorter: [concepts](concepts.md#short-forms-of-rows).\n"
    )
    for collection in registry.compose().values():
        page += f"\n## {collection.name}\n\n"
        if not collection.types:
            page += "No installed plugin serves a kind of it.\n"
        for variant, type_ in collection.types.items():
            written = schema(type_)
            if variant:
                page += f"### {collection.variant_field}: {variant}\n\n"
            fields = list(rows(written, resolve(written, written), ""))
            page += table(
                ("field", "type", "default", "owner", "meaning"),
                [(*one[:3], owner(collection.owners, one[0]), one[3]) for one in fields],
            )
    return page


def owner(owners: Any, key: str) -> str:
    """Return who owns a field, or the object it stands in."""
    return str(owners.get(key.strip("`").partition(".")[0], ""))


def cli_page() -> str:
    """Return every command with its options."""
    page = NOTE + "# The `hookway` command\n\nExit codes: 0 done, 1 refused with a reason, 2 wrong usage.\n"
    for command, summary in COMMANDS.items():
        page += f"\n## hookway {command}\n\n{summary[0].upper()}{summary[1:]}.\n\n"
        parser = argparse.ArgumentParser(prog=f"hookway {command}", add_help=False)
        importlib.import_module(f"hookway.cli.{command}").arguments(parser)
        options = [
            (f"`{' '.join(one.option_strings) or one.dest}`", one.help or "") for one in parser._actions
        ]
        if options:
            page += table(("option", "meaning"), options)
    return page


def metrics_page() -> str:
    """Return every metric family: the sink's own, and what the core and the shipped plugins declare."""
    page = NOTE + (
        "# Metrics\n\n`GET /metrics` on `observability.metrics.prometheus.addr` (127.0.0.1:3002), served by "
        "`sink_prometheus`; names get the brand's prefix (`hookway_`), and counts live as long as the "
        "process. A series appears with its first observation. Missing dimensions are `unknown`; no tokens "
        "are no series. `outcome` is `success` (2xx, 3xx), `rate_limited` (429), `client_error` (other 4xx) "
        "or `upstream_error` (5xx).\n\n## Requests, tokens, targets, configuration\n\n"
    )
    page += table(
        ("family", "kind", "labels", "counts"),
        [(f"`{one.name}`", one.type, label_list(one.labels), said(one)) for one in FAMILIES],
    )
    page += "\n## Of the core and of other plugins\n\n"
    page += table(
        ("family", "kind", "labels", "counts"),
        [
            (f"`{one.name}`", one.kind, label_list(one.labels), one.help)
            for one in sorted(declared_families(), key=lambda one: one.name)
        ],
    )
    page += (
        "\nBeside these stand the families of the process, the platform and the garbage collector "
        "(`process_*`, `python_*`), under the names that everybody's dashboards have.\n"
    )
    return page


def label_list(labels: Iterable[str]) -> str:
    """Return label names for a table."""
    return ", ".join(f"`{one}`" for one in labels)


def said(family: FamilySpec) -> str:
    """Return what a family counts, and what else to know of it."""
    return f"{family.help} ({family.note})" if family.note else family.help


def declared_families() -> Sequence[FamilyView]:
    """Return what a gateway with the shipped defaults declares, without listening."""

    async def look(directory: str) -> Sequence[FamilyView]:
        gateway = Gateway(
            None, {"XDG_STATE_HOME": directory, "HOOKWAY_KEY": "hookway-key-of-the-documentation"}
        )
        try:
            await gateway.prepare()
            return gateway.process.metrics.families()
        finally:
            await gateway.close()

    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(look(directory))


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "resources.md": resources_page,
    "cli.md": cli_page,
    "metrics.md": metrics_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    main()
