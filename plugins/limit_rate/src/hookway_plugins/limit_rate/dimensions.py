"""What conditions and groups can ask of a request: one line for each dimension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from hookway_sdk import ModelView, Principal

DimensionName: TypeAlias = Literal["team", "member", "api_key", "model", "model_name", "provider"]
"""What a condition can look at."""
GroupName: TypeAlias = Literal["team", "member", "api_key", "model", "provider"]
"""What buckets can be kept apart by."""


class Target(msgspec.Struct, frozen=True, eq=False):
    """Where a request goes, or goes to in this attempt.

    Args:
        id: row id of the model.
        name: display name of its row.
        called: what ``model_name`` compares: the caller's own word where it named this model, its row's
            display name where a group led here.
        provider: vendor word.
    """

    id: str
    name: str
    called: str
    provider: str


class Subject(msgspec.Struct, frozen=True, eq=False):
    """Who asks for what, at one gate.

    Args:
        principal: the caller.
        model: the model it named, ``None`` where the endpoint needs none.
        target: where it goes, ``None`` while that is open.
        attempt: this is the gate of an attempt, not that of the request.
    """

    principal: Principal
    model: ModelView | None = None
    target: Target | None = None
    attempt: bool = False


class Dimension(msgspec.Struct, frozen=True, eq=False):
    """One property of a request.

    Args:
        names: every word for it, which conditions compare; none where the request lacks it.
        value: the one word that tells buckets apart, ``""`` where the request lacks it.
        of_target: it is known only when the target is.
        identity: its words are ids, which regular expressions do not fit.
    """

    names: Callable[[Subject], tuple[str, ...]]
    value: Callable[[Subject], str]
    of_target: bool = False
    identity: bool = True


def _models(subject: Subject) -> tuple[str, ...]:
    target, model = subject.target, subject.model
    words = (target.id, target.name) if target else ()
    return _known(*words, *((model.id, model.name) if model else ()))


def _model_names(subject: Subject) -> tuple[str, ...]:
    target, model = subject.target, subject.model
    return _known(target.called if target else "", model.requested if model else "")


def _provider(subject: Subject) -> str:
    return subject.target.provider if subject.target else ""


def _known(*words: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))


DIMENSIONS: dict[str, Dimension] = {
    "team": Dimension(lambda of: _known(of.principal.team_id), lambda of: of.principal.team_id),
    "member": Dimension(lambda of: _known(of.principal.user_id), lambda of: of.principal.user_id),
    "api_key": Dimension(
        lambda of: _known(of.principal.key_id, of.principal.key_name), lambda of: of.principal.key_id
    ),
    "model": Dimension(_models, lambda of: of.target.id if of.target else "", of_target=True),
    "model_name": Dimension(_model_names, lambda of: "", of_target=True, identity=False),
    "provider": Dimension(lambda of: _known(_provider(of)), _provider, of_target=True, identity=False),
}
"""By name, in the order in which they stand in a bucket's name."""
