"""``hookway export``: the resources in their long form, secrets replaced by ``${VARIABLES}``."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from hookway.cli.options import add_configuration_options, conf_d, environment
from hookway_sdk import Resource, Secret

_OTHER = re.compile(r"[^A-Za-z0-9]")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_configuration_options(parser)
    parser.add_argument("--reveal-secrets", action="store_true", help="write secrets as they are")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return asyncio.run(export(arguments))


async def export(arguments: argparse.Namespace) -> int:
    """Print a resources file that loads to the same resources."""
    from hookway.gateway import Gateway

    gateway = Gateway(conf_d(arguments), environment(arguments))
    try:
        await gateway.prepare()
    finally:
        await gateway.close()
    writer = Exporter(reveal=arguments.reveal_secrets)
    resources = gateway.serve.runtime.snapshot.resources
    document: dict[str, Any] = {"_format_version": "1"}
    names = {(one.collection, one.id): one.name for rows in resources.rows.values() for one in rows}
    for collection, rows in resources.rows.items():
        if rows:
            document[collection] = [writer.row(one, names) for one in rows]
    print(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), end="")
    if writer.variables:
        print(
            f"{len(writer.variables)} secret value(s) were replaced with ${{VAR}} placeholders: "
            + ", ".join(writer.variables),
            file=sys.stderr,
        )
    return 0


class Exporter:
    """Writes rows as plain data; remembers which variables stand for secrets."""

    def __init__(self, *, reveal: bool) -> None:
        self._reveal = reveal
        self.variables: list[str] = []

    def row(self, resource: Resource, names: Mapping[tuple[str, str], str]) -> dict[str, Any]:
        """Return one row: only what differs from the defaults, references by name."""
        written = self._struct(resource.row, f"{resource.collection}_{resource.name}")
        key = written.pop("provider_key_id", None)
        if key is not None:
            written["provider_key"] = names.get(("provider_keys", key), key)
        return written

    def _struct(self, row: Any, path: str) -> dict[str, Any]:
        written: dict[str, Any] = {}
        for field in msgspec.structs.fields(row):
            value = getattr(row, field.name)
            default = field.default
            if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
                default = field.default_factory()
            if value is None or (default is not msgspec.NODEFAULT and value == default):
                continue
            name = getattr(value, "exported_as", "") or field.name
            written[name] = self._value(value, f"{path}_{field.name}")
        return written

    def _value(self, value: Any, path: str) -> Any:
        if isinstance(value, Secret):
            return self._secret(value, path)
        if isinstance(value, msgspec.Struct):
            return self._struct(value, path)
        if isinstance(value, str):
            return value.replace("$", "$$")
        if isinstance(value, Mapping):
            return {key: self._value(one, f"{path}_{key}") for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._value(one, path) for one in value]
        return msgspec.to_builtins(value, enc_hook=str)

    def _secret(self, secret: Secret, path: str) -> str:
        if self._reveal:
            return secret.reveal().replace("$", "$$")
        wanted = variable = "HOOKWAYSECRET_" + _OTHER.sub("_", path).upper()
        number = 1
        while variable in self.variables:
            number += 1
            variable = f"{wanted}_{number}"
        self.variables.append(variable)
        return f"${{{variable}}}"
