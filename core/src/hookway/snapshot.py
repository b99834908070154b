"""One complete configuration of resources, and everything that is compiled from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec

from hookway.chains import Chain, Step, sorted_chain
from hookway.models import CompiledModel, ModelCompiler
from hookway.resources.acceptance import ResourceSet
from hookway_sdk import (
    Cache,
    Compiled,
    Conductor,
    ConfigBroken,
    Guardrail,
    Phase,
    Principal,
    RemoteGuardrail,
    Resource,
    Scope,
    glob_matches,
)

T = TypeVar("T")

CALLER_PHASES = (
    Phase.ADMIT_REQUEST,
    Phase.INSPECT_REQUEST,
    Phase.LOOKUP,
    Phase.FILTER,
    Phase.ORDER,
    Phase.ADMIT_ATTEMPT,
    Phase.JUDGE,
    Phase.INSPECT_ANSWER,
    Phase.STORE,
)
"""Phases whose chains depend on who asks for which model."""

KEPT = 4096
"""Compiled models and caller chains kept of each snapshot; the oldest goes first."""


class CallerChains(msgspec.Struct, frozen=True, eq=False):
    """The chains of one (model, caller), in the order of ``CALLER_PHASES``, and what plugins keep of it."""

    admit_request: Chain = ()
    inspect_request: Chain = ()
    lookup: Chain = ()
    filter: Chain = ()
    order: Chain = ()
    admit_attempt: Chain = ()
    judge: Chain = ()
    inspect_answer: Chain = ()
    store: Chain = ()
    allowed: bool = True
    closed: str = ""
    kept: dict[Any, Any] = {}


class RowStep(msgspec.Struct, frozen=True, eq=False):
    """The steps of one row, and the callers they are for."""

    kind: Guardrail[Any] | RemoteGuardrail[Any] | Cache[Any]
    steps: Mapping[Phase, Step]


class SnapshotParts(msgspec.Struct):
    """What a snapshot is made from.

    Args:
        resources: the accepted rows.
        models: compiler of model names.
        conductors: conductors by model row id.
        shared: steps by phase that are the same for every caller.
        rows: steps of rows.
        closed_for_all: why nothing may be served (a guardrail for everyone cannot run).
    """

    resources: ResourceSet
    models: ModelCompiler
    conductors: Mapping[str, Conductor[Any]]
    shared: Mapping[Phase, Sequence[Step]]
    rows: Sequence[RowStep]
    closed_for_all: str = ""


class Snapshot:
    """See :class:`hookway_sdk.SnapshotView`. Made complete, then only read; caches in it are bounded.

    Attributes:
        rejected: rows of lenient sources that plugins refused, and why.
    """

    def __init__(self, revision: int, parts: SnapshotParts) -> None:
        self.revision = revision
        self.resources = parts.resources
        self._parts = parts
        self._by_name = {name: {one.name: one for one in rows} for name, rows in parts.resources.rows.items()}
        self._by_id = {name: {one.id: one for one in rows} for name, rows in parts.resources.rows.items()}
        self._compiled: dict[str, Any] = {}
        self.rejected: Sequence[tuple[Resource, str]] = ()
        self._closed_for_all = parts.closed_for_all
        self._models: dict[str, CompiledModel] = {}
        self._chains: dict[Any, CallerChains] = {}

    # ── what plugins see ────────────────────────────────────────────────────────────────────

    def rows(self, collection: str) -> Sequence[Resource]:
        """Return a collection's rows in the order of their sources."""
        return self.resources.rows.get(collection, ())

    def find(self, collection: str, name: str) -> Resource | None:
        """Return a row by its identity."""
        return self._by_name.get(collection, {}).get(name)

    def by_id(self, collection: str, id: str) -> Resource | None:
        """Return a row by its id."""
        return self._by_id.get(collection, {}).get(id)

    def compiled(self, key: Compiled[T]) -> T:
        """Return what a plugin compiled under a key; ``KeyError`` if nothing."""
        return cast("T", self._compiled[key.name])

    def model_names(self) -> Sequence[tuple[str, str]]:
        """Return name and owner of every model that callers may list, sorted by name."""
        return sorted(
            (one.name, one.row.provider or "") for one in self.rows("models") if "*" not in one.name
        )

    # ── what the core needs ─────────────────────────────────────────────────────────────────

    def put(self, key: Compiled[T], value: T) -> None:
        """Keep what a plugin compiled; before the snapshot serves."""
        self._compiled[key.name] = value

    def model(self, name: str) -> CompiledModel | None:
        """Return what a requested name stands for, ``None`` if nothing."""
        found = self._models.get(name)
        if found is None:
            found = self._parts.models.compile(name, self._parts.conductors)
            if found is not None:
                keep(self._models, name, found)
        return found

    def chains(self, model: CompiledModel, principal: Principal, *, nested: bool = False) -> CallerChains:
        """Return the chains for a caller and a model, compiled on first use."""
        view = model.view
        # What a caller may use is not always its key's: a token may say less.
        who = (principal.key_id, principal.team_id, principal.user_id, principal.allowed_models)
        key = (view.id, view.requested, who, nested)
        found = self._chains.get(key)
        if found is None:
            found = self._compile_chains(model, principal, nested)
            keep(self._chains, key, found)
        return found

    def any_chains(self, principal: Principal) -> CallerChains:
        """Return the chains of an endpoint that names no model."""
        key = ("", "", (principal.key_id, principal.team_id, principal.user_id, ()), False)
        found = self._chains.get(key)
        if found is None:
            scope = Scope("", principal.key_id, principal.team_id)
            found = self._caller_chains(scope, True, self._closed(principal.key_id))
            keep(self._chains, key, found)
        return found

    def _compile_chains(self, model: CompiledModel, principal: Principal, nested: bool) -> CallerChains:
        scope = Scope(model.view.id, principal.key_id, principal.team_id)
        allowed = any(glob_matches(one, model.view.requested) for one in principal.allowed_models)
        closed = model.closed or self._closed(principal.key_id)
        chains = self._caller_chains(scope, allowed, closed)
        if model.view.shape == "direct":
            chains = msgspec.structs.replace(
                chains,
                filter=without_groups_only(chains.filter),
                admit_attempt=chains.admit_attempt if nested else without_groups_only(chains.admit_attempt),
            )
        return chains

    def _caller_chains(self, scope: Scope, allowed: bool, closed: str) -> CallerChains:
        """Return the chain of each caller phase: shared steps and the steps of rows that apply."""
        rows = [one for one in self._parts.rows if one.kind.applies(scope)]

        def chain(phase: Phase) -> Chain:
            own = (one.steps[phase] for one in rows if phase in one.steps)
            return sorted_chain([*self._parts.shared.get(phase, ()), *own])

        chains = CallerChains(*map(chain, CALLER_PHASES))  # type: ignore[arg-type]  # one for each phase
        return msgspec.structs.replace(chains, allowed=allowed, closed=closed)

    def close(self, reason: str) -> None:
        """Serve nobody: a row that may guard every request cannot be used."""
        self._closed_for_all = self._closed_for_all or reason

    def _closed(self, key_id: str) -> str:
        """Return why a caller is refused, ``""`` if it is not."""
        closed = self.resources.closed
        return self._closed_for_all or closed.get(("api_keys", key_id), "")


CLOSED_ALONE = ("models", "provider_keys", "api_keys", "cache_policies")
"""Collections whose row, when it cannot be used, takes only itself along; any other may guard everyone."""


class SnapshotCompiler:
    """See :class:`hookway_sdk.Compiler`; collects what plugins reject while a snapshot is made."""

    def __init__(self, snapshot: Snapshot, closed: dict[tuple[str, str], str]) -> None:
        self.snapshot = snapshot
        self.rejected: list[tuple[Resource, str]] = []
        self._closed = closed

    def put(self, key: Compiled[T], value: T) -> None:
        """Keep something in the new snapshot."""
        self.snapshot.put(key, value)

    def reject(self, resource: Resource, reason: str, *, guards: bool = True) -> None:
        """Refuse a row that cannot be used (see :meth:`hookway_sdk.Compiler.reject`)."""
        self.rejected.append((resource, reason))
        if not guards:
            return
        told = f"{resource.collection} '{resource.name}' cannot be used: {reason}"
        self._closed[resource.collection, resource.id] = told
        self.snapshot.resources.closed[resource.collection, resource.id] = told
        if resource.collection not in CLOSED_ALONE:
            self.snapshot.close(told)


def without_groups_only(chain: Chain) -> Chain:
    """Return a chain for a model that is called by its own name."""
    return tuple(step for step in chain if not step.groups_only)


def keep(cache: dict[Any, Any], key: Any, value: Any) -> None:
    """Put something into a bounded cache, in which the oldest entry goes first."""
    if len(cache) >= KEPT:
        del cache[next(iter(cache))]
    cache[key] = value


def refuse_if_closed(chains: CallerChains) -> None:
    """Refuse what configuration closed.

    Raises:
        ConfigBroken: a row that this request needs cannot serve.
    """
    if chains.closed:
        raise ConfigBroken(chains.closed)
