"""Where a request may be sent: provider keys, deployments, candidates and the plan over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hookway_sdk.secrets import Secret


class ProviderKey(msgspec.Struct, frozen=True, eq=False):
    """An account at a provider, as its row says.

    Args:
        id: row id.
        name: display name.
        provider: vendor word (``openai``, ``groq``), ``""`` if the row names none.
        adapter: wire family (``openai``, ``anthropic``), ``""`` if the row names none.
        api_base: root of the upstream's API, ``""`` for the provider's own default.
        secret: the credential, in the form the adapter expects.
        row: the whole row, for fields that a plugin contributed.
    """

    id: str
    name: str
    provider: str
    adapter: str
    api_base: str
    secret: Secret
    row: Any = None


class Deployment(msgspec.Struct, frozen=True, eq=False):
    """One model at one provider: what a request is finally sent to.

    Args:
        id: row id of the model.
        name: display name of the model row (a wildcard row's pattern stays as written).
        model: the provider's name of the model.
        provider: vendor word.
        key: the account.
        row: the whole model row, for fields that a plugin contributed.
        capabilities: what the vendor's data says the model can do (``tools``, ``vision``); empty if unknown.
    """

    id: str
    name: str
    model: str
    provider: str
    key: ProviderKey
    row: Any = None
    capabilities: frozenset[str] = frozenset()

    @property
    def model_as_written(self) -> str:
        """The provider's name as the row writes it, a wildcard's star included: a bounded label."""
        written: str | None = getattr(self.row, "model_name", None)
        return written or ("*" if "*" in self.name else self.model)


class UpstreamTarget(msgspec.Struct, frozen=True):
    """Address and fixed headers of one operation at one deployment; made when configuration loads.

    Args:
        url: absolute URL, query included.
        headers: fixed headers, the credential among them, and ``content-type`` and ``accept``.
        method: HTTP method.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "POST"


class Candidate:
    """A deployment that a request may go to, with its place in the model group.

    Attributes:
        deployment: the model at the provider.
        weight: share among its tier, at least 1.
        priority: tier; the higher one is tried first.
        tags: labels of the target.
        position: place in the row's ``targets``, from 0.
    """

    __slots__ = ("deployment", "position", "priority", "tags", "weight")

    def __init__(
        self,
        deployment: Deployment,
        *,
        weight: int = 1,
        priority: int = 0,
        tags: tuple[str, ...] = (),
        position: int = 0,
    ) -> None:
        self.deployment = deployment
        self.weight = weight
        self.priority = priority
        self.tags = tags
        self.position = position

    @property
    def name(self) -> str:
        """Display name of the deployment's model row."""
        return self.deployment.name

    def __repr__(self) -> str:
        return f"Candidate({self.name!r}, weight={self.weight}, priority={self.priority})"


class Plan:
    """The candidates of one request, and why some are out or come last.

    Attributes:
        candidates: those still in, in row order until ``order`` sorts them.
        deferred: name and reason of each that a ``filter`` step put off; they follow behind all others.
        excluded: name and reason of each that a ``filter`` step took out.
        last_resorts: how many at the end of the ordered ``candidates`` are deferred ones; 0 if all are.
    """

    __slots__ = ("candidates", "deferred", "excluded", "last_resorts")

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.candidates: Sequence[Candidate] = candidates
        self.deferred: Sequence[tuple[Candidate, str]] = ()
        self.excluded: Sequence[tuple[Candidate, str]] = ()
        self.last_resorts = 0

    def exclude(self, candidate: Candidate, reason: str) -> None:
        """Take a candidate out; the reason stands in the trace (``unhealthy: a check failed``)."""
        self.candidates = [one for one in self.candidates if one is not candidate]
        self.excluded = [*self.excluded, (candidate, reason)]

    def defer(self, candidate: Candidate, reason: str) -> None:
        """Put a candidate off until all others have failed; the reason stands in the trace.

        Where every candidate is put off, none is, and the group's strategy orders them as ever.
        """
        self.candidates = [one for one in self.candidates if one is not candidate]
        self.deferred = [*self.deferred, (candidate, reason)]


class ModelView(msgspec.Struct, frozen=True, eq=False):
    """The model a request resolved to.

    Args:
        id: row id.
        name: display name of the row; a wildcard's pattern, for labels that stay bounded.
        requested: the name the client used, which answers show.
        shape: ``direct``, ``routing``, or the key of a plugin's shape.
        strategy: name of the strategy that orders candidates, ``""`` for a single one.
        row: the whole model row.
    """

    id: str
    name: str
    requested: str
    shape: str = "direct"
    strategy: str = ""
    row: Any = None
