"""Environment variables in the string values of a document.

==================  ==========================================================================
``${NAME}``         the variable's value; unset or empty is a problem
``${NAME:-text}``   the same, with a text (which may be empty, and holds no ``}``) instead
``$$``              a dollar sign, so ``$${NAME}`` stays ``${NAME}``
``$NAME``, ``$``    themselves
==================  ==========================================================================

Keys are never changed. In conf.d a value that is wholly one variable becomes
:class:`~hookway_sdk.scalars.LooseText`: the type of the setting decides what it means, so ``port: ${N}``
is a number and ``key: ${K}`` is text, even when the variable holds ``0123``. Where anything may stand
it means what the bare word means in YAML. In resources files the result is always text.

Source: ``contracts/aisix-ops.md`` 2.1; ``:-`` is ours, after POSIX sh.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from hookway_sdk.problems import Place, Problem
from hookway_sdk.scalars import LooseText, VariableText
from hookway_sdk.services import Document
from hookway_sdk.walker import Path, dotted, place_of

_TOKEN = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Interpolated(msgspec.Struct, frozen=True):
    """A document's value with its variables put in.

    Args:
        value: plain data.
        hidden: paths of the text that holds a variable's value, for
            :func:`hookway_sdk.walker.check`, which does not quote it.
        problems: variables that are not set, and what is no reference to one.
    """

    value: Any
    hidden: frozenset[Path]
    problems: tuple[Problem, ...]


def interpolate(
    document: Document, environ: Mapping[str, str], *, texts_only: bool = False, path: Path = ()
) -> Interpolated:
    """Put variables into every string value of a document.

    Args:
        document: what was read.
        environ: the variables.
        texts_only: for resources files: every result is text, whatever it looks like.
        path: where the document's value stands, for the paths of the result.
    """
    work = _Interpolation(document.places, environ, texts_only)
    value = work.visit(document.value, path)
    return Interpolated(value, frozenset(work.hidden), tuple(work.problems))


class _Interpolation:
    def __init__(self, places: Mapping[Path, Place], environ: Mapping[str, str], texts_only: bool) -> None:
        self.hidden: set[Path] = set()
        self.problems: list[Problem] = []
        self._places = places
        self._environ = environ
        self._texts_only = texts_only

    def visit(self, value: Any, path: Path) -> Any:
        """Return the value with variables; what has none is shared, not copied."""
        if isinstance(value, str):
            return self._text(value, path) if "$" in value else value
        if isinstance(value, dict):
            return {key: self.visit(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.visit(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def _text(self, text: str, path: Path) -> str:
        used = False

        def put(found: re.Match[str]) -> str:
            nonlocal used
            if found[0] == "$$":
                return "$"
            used = True
            return self._variable(found[1], found[2], path)

        result = _TOKEN.sub(put, text)
        if not used:
            return result
        self.hidden.add(path)
        if self._texts_only:
            return VariableText(result)
        whole = _TOKEN.fullmatch(text)
        return LooseText(result) if whole is not None else VariableText(result)

    def _variable(self, inside: str, end: str, path: Path) -> str:
        name, has_default, default = inside.partition(":-")
        if not end:
            self._problem(path, "'${' without '}'", "${NAME}, or $${ for the characters themselves")
        elif not _NAME.fullmatch(name):
            shown = inside if len(inside) <= 40 else inside[:39] + "…"
            self._problem(
                path,
                f"'${{{shown}}}' does not name a variable",
                f"${{NAME}}, or $${{{shown}}} for the text itself",
            )
        elif "${" in default:
            self._problem(path, f"the default of ${{{name}}} holds a variable", "plain text")
        elif value := self._environ.get(name, ""):
            return value
        elif not has_default:
            state = "empty" if name in self._environ else "not set"
            self._problem(path, f"the variable {name} is {state}", f"a value, or ${{{name}:-default}}")
        return default

    def _problem(self, path: Path, message: str, expected: str) -> None:
        self.problems.append(Problem(dotted(path), message, expected, place=place_of(self._places, path)))
