"""Policies as requests meet them: whether one applies, and which bucket it counts in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from hookway_plugins.limit_rate.buckets import escaped
from hookway_plugins.limit_rate.condition_row import Condition
from hookway_plugins.limit_rate.conditions import compile_conditions
from hookway_plugins.limit_rate.dimensions import DIMENSIONS, Subject
from hookway_plugins.limit_rate.policy_row import limits_of
from hookway_plugins.limit_rate.suspension import Suspension
from hookway_sdk import Resource


class Policy(ABC):
    """A policy.

    Attributes:
        id: row id.
        name: its name.
        limits: how much is allowed.
        suspension: when it rests, ``None`` for never.
        at_attempts: some of its requests are judged when they are sent to a target.
    """

    def __init__(self, resource: Resource) -> None:
        row = resource.row
        self.id = resource.id
        self.name = resource.name
        self.limits = limits_of(row)
        self.suspension = Suspension(row.schedules) if row.schedules else None
        self.at_attempts = False

    @abstractmethod
    def bucket(self, subject: Subject) -> str:
        """Return the bucket in which a request counts at a gate, ``""`` if it does not apply there."""


class ClassicPolicy(Policy):
    """One thing's limit.

    Args:
        resource: its row.
        ref: row id of the key or model, id of the team or user.
    """

    def __init__(self, resource: Resource, ref: str) -> None:
        super().__init__(resource)
        self.scope: str = resource.row.scope
        self.ref = ref
        self.at_attempts = self.scope == "model"
        self._bucket = f"policy:{self.scope}:{ref}:{self.id}"

    def bucket(self, subject: Subject) -> str:
        """Return the bucket; a model's is met at the gate by its own name, at an attempt as a target."""
        if self.scope == "model":
            met = subject.target if subject.attempt else subject.model
            return self._bucket if met is not None and met.id == self.ref else ""
        if subject.attempt:
            return ""
        principal = subject.principal
        if self.scope == "team_member":
            mine = principal.team_id == self.ref and principal.user_id
            return f"{self._bucket}:{principal.user_id}" if mine else ""
        ids = {"api_key": principal.key_id, "team": principal.team_id, "member": principal.user_id}
        return self._bucket if ids[self.scope] == self.ref else ""


class ConditionalPolicy(Policy):
    """A limit of all requests that meet conditions, in one bucket or in groups."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource)
        row = resource.row
        self._test = compile_conditions(row.conditions)
        self._groups = [(name, DIMENSIONS[name].value) for name in DIMENSIONS if name in row.group_by]
        named = {*(one.dimension for one in leaves(row.conditions) if one.dimension), *row.group_by}
        self.at_attempts = any(DIMENSIONS[name].of_target for name in named)

    def bucket(self, subject: Subject) -> str:
        """Return the bucket; what looks at the target is judged where the target is known."""
        if self.at_attempts:
            if subject.target is None:
                return ""
        elif subject.attempt:
            return ""
        if not self._test(subject):
            return ""
        parts = ["policy:v2", self.id]
        for name, value_of in self._groups:
            value = value_of(subject)
            if not value:
                return ""
            parts.append(f"{name}={escaped(value)}")
        return ":".join(parts)


def leaves(conditions: Sequence[Condition]) -> Iterator[Condition]:
    """Yield the comparisons of a tree."""
    for one in conditions:
        if one.children:
            yield from leaves(one.children)
        else:
            yield one


def named_by(row: Any, dimension: str) -> Iterator[str]:
    """Yield the words that a policy's conditions, or its scope, compare with a dimension."""
    if row.scope == dimension or (row.scope == "team_member" and dimension == "team"):
        yield row.scope_ref
    for one in leaves(row.conditions):
        if one.dimension == dimension and one.value is not None:
            yield from [one.value] if isinstance(one.value, str) else one.value
