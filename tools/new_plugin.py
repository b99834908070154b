"""Begin a plugin by copying one that works (``make new-plugin NAME=provider_acme``).

The smallest plugin of the same kind is copied. Every name
that is made of the old token becomes the new one: directory, distribution, import, entry point, classes and
quoted ids. The copy passes its own tests before the first edit; then one changes what it does.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from workspace import KINDS, ROOT

TOKEN = re.compile(r"[a-z]+(_[a-z0-9]+)+")


class Refused(ValueError):
    """The plugin cannot be made under that name."""


def choose_source(plugins: Path, kind: str) -> Path:
    """Return the directory to copy: the smallest plugin of a kind.

    Raises:
        Refused: there is none.
    """
    alike = [path for path in plugins.glob(f"{kind}_*") if (path / "pyproject.toml").is_file()]
    if not alike:
        raise Refused(
            f"there is no {kind} in plugins/ to copy yet; docs/first-plugin.md builds one from nothing"
        )
    return min(alike, key=lambda path: (sum(map(_size, path.rglob("src/**/*.py"))), path.name))


def create(plugins: Path, token: str) -> tuple[Path, Path]:
    """Copy a plugin under a new token and return the source's and the new directory.

    Raises:
        Refused: the token is malformed, its kind is unknown, or the plugin exists.
    """
    kind, _, name = token.partition("_")
    if not TOKEN.fullmatch(token):
        raise Refused(f"a plugin's name is <kind>_<name> in lower case, like provider_acme, not {token!r}")
    if kind not in KINDS:
        raise Refused(f"{kind!r} is no kind of plugin; the kinds are {', '.join(KINDS)}")
    target = plugins / token
    if target.exists():
        raise Refused(f"plugins/{token} exists already")
    source = choose_source(plugins, kind)
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    renames = _renames(source, token, name)
    for path in files:
        copy = target / _apply(renames[:2], path.relative_to(source).as_posix())
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(_apply(renames, path.read_text()))
    return source, target


def _renames(source: Path, token: str, name: str) -> list[tuple[re.Pattern[str], str]]:
    old_token = source.name
    old_name = old_token.partition("_")[2]
    # A quoted bare name is an id: "echo", or the start of one: "echo.chat". In prose it stays.
    quoted = re.compile(rf"(?<=[\"'`]){re.escape(old_name)}(?=[\"'`.:])")
    return [
        (re.compile(re.escape(old_token)), token),
        (re.compile(re.escape(old_token.replace("_", "-"))), token.replace("_", "-")),
        *((re.compile(rf"\b{old}\b"), new) for old, new in _class_names(source, old_name, name).items()),
        (quoted, name),
    ]


def _class_names(source: Path, old_name: str, name: str) -> dict[str, str]:
    """Map each class of the source that carries its name, however capitalised (OpenAI), to the new one."""
    old = re.compile(re.escape(old_name.replace("_", "")), re.IGNORECASE)
    new = "".join(word.capitalize() for word in name.split("_"))
    trees = [ast.parse(path.read_text()) for path in source.rglob("*.py")]
    classes = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    return {found: old.sub(new, found, count=1) for found in sorted(classes) if old.search(found)}


def _apply(renames: list[tuple[re.Pattern[str], str]], text: str) -> str:
    for pattern, replacement in renames:
        text = pattern.sub(replacement, text)
    return text


def _size(path: Path) -> int:
    return path.stat().st_size


def main() -> None:
    """Make the plugin named on the command line: ``NAME`` with its kind in front, or ``NAME KIND``."""
    match sys.argv[1:]:
        case [name] if name:
            token = name
        case [name, kind] if name:
            token = name if name.startswith(f"{kind}_") else f"{kind}_{name}"
        case _:
            sys.exit("usage: make new-plugin NAME=provider_acme, or NAME=acme KIND=provider")
    try:
        source, target = create(ROOT / "plugins", token)
    except Refused as error:
        sys.exit(str(error))
    print(f"{target.relative_to(ROOT)} is a copy of {source.name} under its own name")
    print(
        f"next: make test-plugin PLUGIN={token}, then change what it does; CONTRIBUTING.md says where to look"
    )


if __name__ == "__main__":
    main()
