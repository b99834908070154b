"""Find installed plugins without importing them, and decide which are on, off or unknown."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

import msgspec

from hookway_sdk import Manifest, Place, PluginError, Problem, nearest_name
from hookway_sdk.manifest import FILE_NAME
from hookway_sdk.plugin import GROUP
from hookway_sdk.walker import Path as KeyPath

_decode_manifest = msgspec.json.Decoder(Manifest).decode


class Loadable(Protocol):
    """What :class:`importlib.metadata.EntryPoint` is; tests bring classes that no package installed."""

    @property
    def name(self) -> str:
        """Name of the plugin."""

    @property
    def value(self) -> str:
        """Where its class is."""

    def load(self) -> Any:
        """Import and return the class."""


class Installed(msgspec.Struct, frozen=True):
    """A plugin as its package's metadata has it.

    Args:
        name: entry-point name.
        distribution: the package that brings it.
        version: that package's version.
        entry_point: what to load, once it is on.
        manifest: what it says of itself, ``None`` where the package ships none.
    """

    name: str
    distribution: str
    version: str
    entry_point: Loadable
    manifest: Manifest | None = None


def find_installed(group: str = GROUP) -> dict[str, Installed]:
    """Return every installed plugin by name; nothing of theirs is imported.

    Raises:
        PluginError: two packages bring plugins of one name.
    """
    found: dict[str, Installed] = {}
    for point in entry_points(group=group):
        distribution = point.dist.name if point.dist else "unknown"
        version = point.dist.version if point.dist else "0"
        other = found.get(point.name)
        if other is not None and (other.distribution, other.entry_point.value) != (distribution, point.value):
            raise PluginError(
                point.name,
                f"is brought by both {other.distribution} and {distribution}; uninstall one of them",
            )
        found[point.name] = Installed(point.name, distribution, version, point, read_manifest(point))
    return found


def read_manifest(point: EntryPoint) -> Manifest | None:
    """Read the manifest beside a plugin's modules, ``None`` where it has no readable one of its own."""
    directory = package_directory(point.module)
    if directory is None:
        return None
    try:
        manifest = _decode_manifest((directory / FILE_NAME).read_bytes())
    except (OSError, ValueError):  # msgspec's errors and UnicodeDecodeError are ValueErrors
        return None
    # A second plugin of one package, or single modules side by side, would find each other's.
    return manifest if manifest.name == point.name else None


def package_directory(module: str) -> Path | None:
    """Return where a module's package lies; neither it nor the packages around it are imported."""
    # `importlib.util.find_spec` imports a module's parents, which may be the plugin's own code.
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        where = spec.submodule_search_locations if spec is not None else None
        if count > 1 and where is None:
            return None
        spec = find_module(".".join(parts[:count]), where)
        if spec is None:
            return None
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def find_module(name: str, where: Sequence[str] | None) -> ModuleSpec | None:
    """Ask the finders that an import would ask; ``where`` is the path of the package around the module."""
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, where)
        except (ImportError, ValueError):
            continue
        except KeyError:  # a namespace inside a namespace, which asks for the outer one's import
            spec = ModuleSpec(name, None, is_package=True)
            last = name.rpartition(".")[2]
            spec.submodule_search_locations = [str(Path(one, last)) for one in where or ()]
        if spec is not None:
            return spec
    return None


def entry_name(instance: str) -> str:
    """Return the plugin that a conf.d key names: ``provider_openai.eu`` is a second ``provider_openai``."""
    return instance.partition(".")[0]


def unknown_plugins(
    instances: Iterable[str], installed: Mapping[str, Installed], places: Mapping[KeyPath, Place]
) -> list[Problem]:
    """Return a problem for each conf.d key that names no installed plugin; the shipped ones may."""
    problems = []
    for instance in instances:
        name = entry_name(instance)
        place = places.get(("plugins", instance))
        if name in installed or (place is not None and place.file.startswith("defaults/")):
            continue
        near = nearest_name(name, installed)
        # Beside a near name the package would be somebody's who waits for misspellings.
        hint = "" if near else f"; try: pip install hookway-{name.replace('_', '-')}"
        problems.append(
            Problem(
                f"plugins.{instance}",
                "no plugin of this name is installed",
                f"an installed one{hint}",
                near,
                place,
            )
        )
    return problems
