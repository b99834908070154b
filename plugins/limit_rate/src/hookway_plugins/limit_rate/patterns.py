"""Regular expressions of operators, on an engine that cannot blow up."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

MAX_PATTERN = 256
"""Characters of an expression."""


@lru_cache(maxsize=1024)
def compile_pattern(text: str, ignore_case: bool) -> Callable[[str], bool]:
    """Return a test that says whether a name has a match anywhere.

    Args:
        text: the expression.
        ignore_case: capitals count as small letters.

    Raises:
        ValueError: it is too long, or no expression; the message says what to do.
    """
    if len(text) > MAX_PATTERN:
        raise ValueError(
            f"the regular expression has {len(text)} characters; shorten it to at most {MAX_PATTERN}, "
            "or write several conditions"
        )
    # RE2 is loaded for those who use it: it takes 20 ms and 4 MB.
    try:
        import re2  # type: ignore[import-untyped]  # the package has no types
    except ImportError:
        raise ValueError("regular expressions need the package google-re2; install it") from None

    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        search = re2.compile(text, options).search
    except re2.error as error:
        told = error.args[0] if error.args else ""
        reason = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
        raise ValueError(
            f"the regular expression cannot be used: {reason}; write it in the syntax of RE2, which has "
            "no look-around and no back-references"
        ) from None
    return lambda name: search(name) is not None
