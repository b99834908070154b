"""The whole of the configuration outside resources: read, checked and converted in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path as FilePath
from typing import TypeAlias, TypeVar

import msgspec

from hookway.config.conf_d import Tree, read_tree
from hookway.config.plugin_entries import PluginEntry, read_entries
from hookway.config.settings import ROOT_KEYS, RootSettings
from hookway_sdk.errors import ConfigError
from hookway_sdk.problems import Place, Problem
from hookway_sdk.settings import Settings
from hookway_sdk.walker import Path, as_problems, check, convert

SettingsT = TypeVar("SettingsT", bound=Settings)

EntryCheck: TypeAlias = Callable[[Mapping[str, PluginEntry], Mapping[Path, Place]], Iterable[Problem]]
"""Finds what is wrong with entries under ``plugins``, given the places of all keys."""


class Configuration(msgspec.Struct, frozen=True):
    """What conf.d, the defaults and the environment say together.

    Args:
        settings: the root settings.
        places: which file and line, or variable, set what.
        warnings: what is odd and stops nothing.
        files: names of the files that were read, defaults first.
    """

    settings: RootSettings
    places: Mapping[Path, Place]
    warnings: tuple[Problem, ...]
    files: tuple[str, ...]

    def plugin_settings(self, entry: PluginEntry, type: type[SettingsT]) -> SettingsT:
        """Return an entry's settings as its plugin's own type.

        Raises:
            ConfigError: with every problem, each with its place.
        """
        return convert(entry.settings, type, path=entry.path, places=self.places)


def load_configuration(
    directory: FilePath | None, environ: Mapping[str, str], look: EntryCheck | None = None
) -> Configuration:
    """Read the configuration.

    Args:
        directory: the conf.d directory; ``None``, or one that does not exist, leaves the defaults.
        environ: the environment variables.
        look: finds what is wrong with plugins' own settings; asked only where something else is wrong, so
            that all of it is told at once.

    Raises:
        ConfigError: with the problems of all files and variables at once.
    """
    tree = read_tree(directory, environ, ROOT_KEYS)
    entries, problems = read_entries(tree.layer.value.get("plugins", {}), tree.layer.places)
    value = {name: one for name, one in tree.layer.value.items() if name != "plugins"}
    problems = as_problems(check(value, RootSettings), tree.layer.places) + problems
    if problems or tree.problems:
        problems += look(entries, tree.layer.places) if look is not None else ()
        raise ConfigError(_in_order([*tree.problems, *problems], tree))
    settings = msgspec.structs.replace(convert(value, RootSettings), plugins=entries)
    return Configuration(settings, tree.layer.places, tree.warnings, tree.files)


def _in_order(problems: list[Problem], tree: Tree) -> list[Problem]:
    """Sort problems as the files are read, and by line within a file."""
    order = {name: index for index, name in enumerate(tree.files)}

    def place(problem: Problem) -> tuple[int, int]:
        if problem.place is None:
            return len(order) + 1, 0
        return order.get(problem.place.file, len(order)), problem.place.line

    return sorted(problems, key=place)
