"""Operators' own patterns for clients, on an engine that takes linear time whatever a caller sends."""

from __future__ import annotations

from collections.abc import Callable


def compile_rule(pattern: str) -> Callable[[str], bool]:
    """Return a function that says whether a pattern is found in a text, in any case.

    RE2 is imported here, so that it costs nothing while there are no rules.

    Raises:
        ValueError: the pattern is no regular expression, or needs look-around or back-references.
    """
    import re2  # type: ignore[import-untyped]  # it brings no types

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        search = re2.compile(pattern, options=options).search
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0] if error.args else error
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise ValueError(f"is not a regular expression of linear time: {text}") from error

    def found(text: str) -> bool:
        return search(text) is not None

    return found
