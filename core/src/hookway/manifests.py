"""Make a plugin's manifest from its classes (``hookway-plugin.json``; see ``hookway_sdk.manifest``)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from hookway.discovery import Installed, package_directory
from hookway.manager import load_class
from hookway.resources.collections import ResourceRegistry
from hookway_sdk import Manifest, ManifestFields, Plugin, PluginError, Provider, Row, Service, hookspecs
from hookway_sdk.manifest import FILE_NAME
from hookway_sdk.walker import schema


class Recorder:
    """Notes what a plugin contributes to resources; also refuses what a real registry would."""

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        self.found: list[ManifestFields] = []
        self._real = ResourceRegistry()
        self._real.plugin = plugin

    def collection(self, name: str, row: type[Row], *, identity: str = "name") -> None:
        """Note a collection."""
        self._real.collection(name, row, identity=identity)
        self._note(name, row, owner=True)

    def variant(self, collection: str, *, kind: str, row: type[Row]) -> None:
        """Note a kind of row."""
        self._real.variant(collection, kind=kind, row=row)
        self._note(collection, row, kind=kind)

    def shape(self, collection: str, *, key: str, row: type[Row]) -> None:
        """Note a shape; its field is what other rows know of it."""
        self._real.shape(collection, key=key, row=row)
        self.found.append(ManifestFields(collection=collection, key=key, fields=(key,), schema=schema(row)))

    def fields(self, collection: str, fields: type[Row]) -> None:
        """Note fields."""
        self._real.fields(collection, fields)
        self._note(collection, fields)

    def _note(self, collection: str, row: type[Row], **facts: Any) -> None:
        self.found.append(
            ManifestFields(collection=collection, fields=row.__struct_fields__, schema=schema(row), **facts)
        )


def make_manifest(installed: Installed) -> Manifest:
    """Return the manifest that a plugin's code deserves.

    Raises:
        PluginError: the plugin cannot be loaded.
    """
    cls = load_class(installed)
    recorder = Recorder(installed.name)
    for kind in cls.kinds:
        kind.register_resources(recorder)
    if cls.register_resources.__func__ is not Plugin.register_resources.__func__:  # type: ignore[attr-defined]
        recorder.found.clear()
        cls.register_resources(recorder)
    kinds = cls.kinds
    providers = [kind for kind in kinds if issubclass(kind, Provider)]
    needs = {one.__name__ for one in (*cls.needs, *(need for kind in kinds for need in kind.needs))}
    return Manifest(
        name=installed.name,
        version=installed.version,
        api=cls.api,
        summary=(cls.__doc__ or "").strip().partition("\n")[0],
        kinds=tuple(sorted({kind.kind for kind in kinds})),
        hooks=tuple(hooks_of(cls)),
        adapters=tuple(word for kind in providers for word in kind.adapters),
        wires=tuple(dict.fromkeys(word for kind in providers for word in kind.wires)),
        needs=tuple(sorted(needs)),
        provides=tuple(kind.provides.__name__ for kind in kinds if issubclass(kind, Service)),
        resources=tuple(recorder.found),
        settings=schema(cls.Settings),
    )


def hooks_of(cls: type[Plugin[Any]]) -> list[str]:
    """Return the hooks a plugin implements by itself."""
    names = [name for name, member in vars(hookspecs).items() if hasattr(member, "hookway_spec")]
    base: Callable[..., Any] | None
    found = []
    for name in names:
        own, base = getattr(cls, name, None), getattr(Plugin, name, None)
        if own is not None and getattr(own, "__func__", own) is not getattr(base, "__func__", base):
            found.append(name)
    return found


def render(manifest: Manifest) -> bytes:
    """Return a manifest as the file has it: formatted, ending in a line end, the same for the same code."""
    encoded = msgspec.json.encode(msgspec.to_builtins(manifest))
    return msgspec.json.format(encoded, indent=2) + b"\n"


def manifest_path(installed: Installed) -> Path:
    """Return where a plugin's manifest belongs.

    Raises:
        PluginError: its package has no directory of its own.
    """
    directory = package_directory(installed.entry_point.value.partition(":")[0])
    if directory is None:
        raise PluginError(installed.name, "has no package directory to hold a manifest")
    return directory / FILE_NAME
