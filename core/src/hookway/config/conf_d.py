"""The files of a conf.d directory over the defaults that ship with the core, and variables over both.

Files with the endings ``.yaml``, ``.yml`` and ``.json`` are read in the order of their names; a later
one overrides what it names and leaves the rest. Hidden files are passed over, so editors' locks and
the directories behind a mounted ConfigMap do no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path as FilePath

import msgspec

from hookway.config.environment import read_environment
from hookway.config.interpolation import interpolate
from hookway.config.merging import Layer, merge
from hookway.config.yaml12 import load, parse
from hookway_sdk.errors import ConfigError
from hookway_sdk.problems import Place, Problem
from hookway_sdk.services import Document

SUFFIXES = (".yaml", ".yml", ".json")
MOST_FILES = 1000


class Tree(msgspec.Struct, frozen=True):
    """All layers as one map, before anything is known about its types.

    Args:
        layer: the merged settings and their places.
        problems: files that cannot be read, and variables that are not set.
        warnings: stray environment variables.
        files: names of the files that were read, defaults first.
    """

    layer: Layer
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    files: tuple[str, ...]


def read_tree(directory: FilePath | None, environ: Mapping[str, str], roots: Collection[str]) -> Tree:
    """Read defaults, files and environment; problems are collected, not raised.

    Args:
        directory: the conf.d directory; ``None``, or one that does not exist, adds nothing.
        environ: the environment variables.
        roots: the root keys that settings may have.
    """
    layers: list[Layer] = []
    problems: list[Problem] = []
    files: list[str] = []
    sources = shipped_defaults()
    try:
        sources += [(str(path), _loading(path)) for path in _files(directory)]
    except ConfigError as error:
        problems += error.problems
    for name, read in sources:
        files.append(name)
        try:
            layer, found = _layer(read(), name, environ)
        except ConfigError as error:
            problems += error.problems
        else:
            layers.append(layer)
            problems += found
    from_environment = read_environment(environ, roots)
    merged = merge([*layers, *from_environment.layers])
    return Tree(merged, tuple(problems), from_environment.warnings, tuple(files))


def shipped_defaults() -> list[tuple[str, Callable[[], Document]]]:
    """Return names and readers of the default files in the core's package, in order."""
    items = resources.files("hookway").joinpath("defaults").iterdir()
    shipped = sorted((item for item in items if item.name.endswith(SUFFIXES)), key=lambda item: item.name)
    return [(f"defaults/{item.name}", _parsing(item)) for item in shipped]


def _parsing(item: Traversable) -> Callable[[], Document]:
    return lambda: parse(item.read_bytes(), f"defaults/{item.name}")


def _loading(path: FilePath) -> Callable[[], Document]:
    return lambda: load(path)


def _files(directory: FilePath | None) -> list[FilePath]:
    if directory is None:
        return []
    try:
        found = [
            path
            for path in sorted(directory.iterdir(), key=lambda path: path.name)
            if path.suffix in SUFFIXES and not path.name.startswith(".") and not path.is_dir()
        ]
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        problem = Problem(
            "", f"cannot be read: {why}", "a directory of .yaml files", place=Place(str(directory))
        )
        raise ConfigError([problem]) from error
    if len(found) > MOST_FILES:
        raise ConfigError([Problem("", f"holds more than {MOST_FILES} files", place=Place(str(directory)))])
    return found


def _layer(document: Document, name: str, environ: Mapping[str, str]) -> tuple[Layer, tuple[Problem, ...]]:
    if document.value is None:
        return Layer({}, {}), ()
    if not isinstance(document.value, dict):
        raise ConfigError(
            [Problem("", "the file holds no map", "root keys such as 'plugins:'", place=document.places[()])]
        )
    filled = interpolate(document, environ)
    return Layer(filled.value, document.places), filled.problems
