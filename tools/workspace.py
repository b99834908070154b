"""The packages of this tree and what they declare, read from their files: a new plugin is listed nowhere."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# ``test`` holds what a package's own tests need, ``testing`` what it offers to the tests of others.
TEST_EXTRAS = ("test", "testing")
ROOT = Path(__file__).resolve().parent.parent


# The first word of a plugin's name says what it is.
KINDS = (
    *("dialect", "provider", "op", "strategy", "resilience", "auth", "limit", "budget", "guardrail", "cache"),
    *("conductor", "store", "source", "service", "sink", "tool", "admin", "compat"),
)


@dataclass(frozen=True)
class Member:
    """One package of the tree.

    Args:
        directory: its directory, absolute.
        project: the ``[project]`` table of its ``pyproject.toml``.
    """

    directory: Path
    project: dict[str, Any]

    @property
    def path(self) -> str:
        """Directory relative to the root of the tree, as a person would type it."""
        return self.directory.relative_to(ROOT).as_posix()

    @property
    def modules(self) -> list[Path]:
        """The Python files that are shipped, sorted."""
        return sorted((self.directory / "src").rglob("*.py"))

    @property
    def tests(self) -> list[Path]:
        """The Python files of its own tests, sorted."""
        return sorted((self.directory / "tests").rglob("*.py"))

    @property
    def dependencies(self) -> list[str]:
        """Requirements that an installed package needs to run."""
        return list(self.project.get("dependencies", []))

    @property
    def optional_dependencies(self) -> list[str]:
        """Requirements of the extras that users choose, those for tests left out."""
        extras = self.project.get("optional-dependencies", {})
        return [line for extra, lines in extras.items() if extra not in TEST_EXTRAS for line in lines]

    @property
    def test_dependencies(self) -> list[str]:
        """Requirements of the extras that only tests use."""
        extras = self.project.get("optional-dependencies", {})
        return [line for extra in TEST_EXTRAS for line in extras.get(extra, [])]


def plugin_directories() -> list[Path]:
    """Return every directory under ``plugins/``, sorted, whether or not it holds a package yet."""
    children = (ROOT / "plugins").glob("*")
    return sorted(path for path in children if path.is_dir() and path.name[0] not in "._")


def members() -> list[Member]:
    """Return all packages: the SDK, the core, each plugin, and the metapackage at the root.

    Raises:
        FileNotFoundError: a directory under ``plugins/`` has no ``pyproject.toml``.
    """
    directories = [ROOT / "plugin_sdk", ROOT / "core", *plugin_directories(), ROOT]
    return [Member(directory, _project(directory / "pyproject.toml")) for directory in directories]


def module_name(path: Path) -> str:
    """Return the dotted name under which a file below some ``src`` is imported."""
    below = path.relative_to(next(parent for parent in path.parents if parent.name == "src"))
    parts = below.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree_files() -> list[Path]:
    """Return the files that a commit of everything would hold: the tracked ones and the new ones."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(path for name in listing.split("\0") if name and (path := ROOT / name).is_file())


def requirement_name(requirement: str) -> str:
    """Return the normalised distribution name of a requirement such as ``PyYAML>=6; os_name == 'nt'``."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    if name is None:
        raise ValueError(f"not a requirement: {requirement!r}")
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def is_ours(requirement: str) -> bool:
    """Say whether a requirement names a package of this tree rather than one from an index."""
    name = requirement_name(requirement)
    return name == "hookway" or name.startswith("hookway-")


def _project(pyproject: Path) -> dict[str, Any]:
    if not pyproject.is_file():
        raise FileNotFoundError(f"{pyproject} is missing: finish the package or remove its directory")
    project: dict[str, Any] = tomllib.loads(pyproject.read_text())["project"]
    return project
