"""What a plugin's package says of itself in ``hookway-plugin.json``, readable without importing it.

The file is generated (``hookway manifests``) and lies beside the package's modules; a test checks
that it is current. With it the gateway knows a plugin that is installed and off: its rows and fields
are known, listed, and refuse their scope instead of being "unknown".
"""

from __future__ import annotations

from typing import Any

import msgspec

FILE_NAME = "hookway-plugin.json"


class ManifestFields(msgspec.Struct, kw_only=True):
    """Fields contributed to a collection, or fields of a collection, variant or shape.

    Args:
        collection: collection, or ``collection.nested``.
        kind: variant's kind, ``""`` if the fields belong to every row.
        key: shape's key, ``""`` if it is none.
        owner: the collection itself is this plugin's own.
        fields: names of the fields.
        schema: JSON Schema of the fields.
    """

    collection: str
    kind: str = ""
    key: str = ""
    owner: bool = False
    fields: tuple[str, ...] = ()
    schema: dict[str, Any] = {}


class Manifest(msgspec.Struct, kw_only=True):
    """One plugin.

    Args:
        name: entry-point name.
        version: version of its distribution.
        api: the SDK interface it was written for.
        summary: first line of its docstring.
        kinds: kind words it registers (``guardrail``).
        hooks: phases and cold hooks it implements.
        adapters: wire families its providers serve.
        wires: wires its dialects and providers speak.
        needs: services it cannot do without.
        provides: services it gives.
        resources: what it contributes to collections.
        settings: JSON Schema of its settings.
    """

    name: str
    version: str
    api: int
    summary: str = ""
    kinds: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    wires: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    resources: tuple[ManifestFields, ...] = ()
    settings: dict[str, Any] = {}
