"""The decorators of hooks. Priority is ours; registration and validation are pluggy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

import pluggy

from hookway_sdk import priorities
from hookway_sdk.phases import Phase

PROJECT = "hookway"

_spec = pluggy.HookspecMarker(PROJECT)
_impl = pluggy.HookimplMarker(PROJECT)

_F = TypeVar("_F", bound=Callable[..., Any])


def hookspec(phase: Phase | None = None) -> Callable[[_F], _F]:
    """Mark a hook specification.

    Args:
        phase: the phase whose chain the hook's implementations join; ``None`` for a cold hook, which
            pluggy calls at start. A phase's mode, colour and failure policy stand in ``phases.RULES``.
    """

    def mark(function: _F) -> _F:
        function.hookway_phase = phase  # type: ignore[attr-defined]  # read back by the chain compiler
        return _spec(function)

    return mark


@overload
def hookimpl(function: _F) -> _F: ...
@overload
def hookimpl(*, priority: int = ...) -> Callable[[_F], _F]: ...
def hookimpl(function: _F | None = None, *, priority: int = priorities.NORMAL) -> _F | Callable[[_F], _F]:
    """Mark a method of a :class:`~hookway_sdk.plugin.Plugin` as implementation of the hook of its name.

    Args:
        priority: place among the implementations of this hook; lower runs earlier (``priorities``).
    """

    def mark(marked: _F) -> _F:
        marked.hookway_priority = priority  # type: ignore[attr-defined]  # read back by the chain compiler
        return _impl(marked)

    return mark if function is None else mark(function)
