"""Makes policies of their rows: finds what they name, refuses what leads nowhere."""

from __future__ import annotations

from typing import Any

from hookway_plugins.limit_rate.policies import ClassicPolicy, ConditionalPolicy, Policy, named_by
from hookway_plugins.limit_rate.policy_row import form_problem
from hookway_sdk import Compiler, Log, Resource, SnapshotView

COLLECTION = "rate_limit_policies"
_COLLECTIONS = {"api_key": "api_keys", "model": "models"}


class PolicyCompiler:
    """Compiles the policies of each new configuration; rows that stay the same are compiled once.

    Args:
        log: told of teams, users and conditions that name nobody.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._made: dict[str, tuple[Any, str, Policy]] = {}
        self._told: frozenset[str] = frozenset()

    def compile(self, compiler: Compiler) -> list[Policy]:
        """Return the policies that act, in row order; reject those that cannot."""
        made: dict[str, tuple[Any, str, Policy]] = {}
        snapshot = compiler.snapshot
        for resource in snapshot.rows(COLLECTION):
            row = resource.row
            if not row.enabled:
                continue
            problem = form_problem(row)
            if problem:
                compiler.reject(resource, problem)
                continue
            ref = reference(snapshot, row)
            if ref is None:
                # It limits nobody: what it names may come later, in a source that is read row by row.
                compiler.reject(resource, unknown_reference(row), guards=False)
                continue
            old = self._made.get(resource.id)
            same = old is not None and old[1] == ref and old[0] == row
            policy = old[2] if old is not None and same else make(resource, ref)
            made[resource.id] = (row, ref, policy)
        self._made = made
        self._tell_unknown(snapshot)
        return [policy for _, _, policy in made.values()]

    def _tell_unknown(self, snapshot: SnapshotView) -> None:
        """Log what policies name and no row has: it may come with a token, or be a mistake."""
        unknown: set[str] = set()
        callers: dict[str, set[str]] = {}
        for row, _, _ in self._made.values():
            for dimension in ("team", "member", "api_key", "model"):
                for name in named_by(row, dimension):
                    if dimension in _COLLECTIONS:
                        known = find(snapshot, dimension, name) is not None
                    else:
                        callers = callers or ids_of_callers(snapshot)
                        known = name in callers[dimension]
                    if not known:
                        unknown.add(f"{row.name}: {dimension} '{name}'")
        if unknown - self._told:
            self._log.warning("policies_name_nobody", policies=sorted(unknown))
        self._told = frozenset(unknown)


def make(resource: Resource, ref: str) -> Policy:
    """Compile one row of either form."""
    return ClassicPolicy(resource, ref) if resource.row.scope else ConditionalPolicy(resource)


def reference(snapshot: SnapshotView, row: Any) -> str | None:
    """Return the id that a classic policy's ``scope_ref`` stands for, ``None`` if there is no such row."""
    if row.scope not in _COLLECTIONS:
        return row.scope_ref or ""
    found = find(snapshot, row.scope, row.scope_ref)
    return found.id if found is not None else None


def find(snapshot: SnapshotView, dimension: str, name: str) -> Resource | None:
    """Return the key or model of a row id, or else of a display name."""
    collection = _COLLECTIONS[dimension]
    return snapshot.by_id(collection, name) or snapshot.find(collection, name)


def unknown_reference(row: Any) -> str:
    """Return why a policy cannot be used that limits a key or a model that is not there."""
    return (
        f"its scope_ref '{row.scope_ref}' is neither the row id nor the display name of one of "
        f"{_COLLECTIONS[row.scope]}; correct it, or set enabled: false"
    )


def ids_of_callers(snapshot: SnapshotView) -> dict[str, set[str]]:
    """Return the teams and users that keys belong to."""
    rows = [one.row for one in snapshot.rows("api_keys")]
    return {"team": {row.team_id for row in rows}, "member": {row.user_id for row in rows}}
