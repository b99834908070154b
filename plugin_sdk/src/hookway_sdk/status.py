"""What the gateway says of its own configuration and of its models, for plugins that show it to operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

ConfigState = Literal["never_loaded", "empty", "synced", "degraded", "out_of_sync"]
"""``never_loaded``: nothing was applied yet. ``out_of_sync``: the newest document was refused whole, or rows
were rejected and none serves. ``degraded``: rows were rejected and others serve. ``empty``: nothing was
rejected and there is nothing. ``synced``: everything else."""

ErrorKind = Literal["fetch", "non_json", "parse_failed", "schema_failed"]
"""``fetch``: the source cannot be reached. ``non_json``: no YAML or JSON. ``parse_failed``: a plugin cannot
use it. ``schema_failed``: everything else."""


class SourceStatus(msgspec.Struct, frozen=True):
    """One source of resources, as it was last seen.

    Args:
        name: instance name of the plugin (``source_file``).
        type: the plugin's word (``file``).
        revision: the source's own word for its state (a hash, a counter), ``""`` if it has none.
        observed_at: epoch seconds when it was last read.
        reachable: the last read worked.
    """

    name: str
    type: str
    revision: str
    observed_at: float
    reachable: bool = True


class Applied(msgspec.Struct, frozen=True):
    """The configuration that serves.

    Args:
        revision: the gateway's count of updates.
        config_hash: SHA-256 of all rows that serve, in hex; equal rows have equal hashes.
        apply_seq: counts changes of the hash from 1.
        applied_at: epoch seconds.
        counts: rows by collection, those that have any.
    """

    revision: int
    config_hash: str
    apply_seq: int
    applied_at: float
    counts: Mapping[str, int]


class Failure(msgspec.Struct, frozen=True):
    """A configuration that was refused.

    Args:
        at: epoch seconds.
        kind: what sort of mistake it was.
        error: every problem, one a line; no secret is quoted.
    """

    at: float
    kind: ErrorKind
    error: str


class RejectedRow(msgspec.Struct, frozen=True):
    """A row, or a whole document (then without collection and name), that does not serve.

    Args:
        collection: its collection.
        name: its identity.
        id: its row id.
        kind: what sort of mistake it is.
        error: every problem, one a line; no secret is quoted.
        first_seen_at: epoch seconds since when it is rejected.
        last_seen_at: epoch seconds when it was last rejected.
        stale_since: epoch seconds since when its last good value serves in its place, ``None`` if none does.
    """

    collection: str
    name: str
    id: str
    kind: ErrorKind
    error: str
    first_seen_at: float
    last_seen_at: float
    stale_since: float | None = None


class ConfigStatus(msgspec.Struct, frozen=True):
    """The state of the configuration.

    Args:
        state: one word for it.
        sources: where rows come from.
        applied: what serves, ``None`` before the first.
        last_reload_ok: the last attempt to load worked, ``None`` before the first.
        last_reload_at: epoch seconds of that attempt.
        last_success_at: epoch seconds of the last attempt that worked, 0.0 before the first.
        reloads: attempts so far.
        failures: refused attempts so far, by ``fetch``, ``parse`` and ``validate``.
        last_failure: the last refusal, kept after recovery.
        rejected: what does not serve, sorted by collection and name.
        warnings: what an operator should know, one sentence each.
    """

    state: ConfigState = "never_loaded"
    sources: tuple[SourceStatus, ...] = ()
    applied: Applied | None = None
    last_reload_ok: bool | None = None
    last_reload_at: float = 0.0
    last_success_at: float = 0.0
    reloads: int = 0
    failures: Mapping[str, int] = {}
    last_failure: Failure | None = None
    rejected: tuple[RejectedRow, ...] = ()
    warnings: tuple[str, ...] = ()


class Health(msgspec.Struct, frozen=True):
    """What a ``resilience_`` plugin knows of one model.

    Args:
        status: ``cooldown`` (kept away from for a while) outranks ``unhealthy`` (a check failed).
        reason: one word (``upstream_rate_limited``, ``background_check_failed``).
        until: epoch seconds when a cooldown ends, 0.0 otherwise.
        checked_at: epoch seconds of the failure, or of the check; 0.0 if there was none.
        check_status: HTTP status of that failure or check, 0 if there was none.
    """

    status: Literal["healthy", "unhealthy", "cooldown"] = "healthy"
    reason: str = ""
    until: float = 0.0
    checked_at: float = 0.0
    check_status: int = 0


class ModelStatus(msgspec.Struct, frozen=True):
    """One row of ``models``, and how it fares.

    Args:
        id: row id.
        name: display name.
        kind: ``direct``, ``routing``, or the key of a plugin's shape.
        status: ``not_applicable`` for everything but a ``direct`` model.
        health: what is known; of several plugins' words the worst.
        provider: vendor word of a direct model.
        provider_key_id: row id of its account.
        model_name: the provider's name as the row writes it.
    """

    id: str
    name: str
    kind: str
    status: Literal["healthy", "unhealthy", "cooldown", "not_applicable"]
    health: Health = Health()
    provider: str = ""
    provider_key_id: str = ""
    model_name: str = ""


class StatusView(Protocol):
    """What :attr:`Services.status` answers; it costs microseconds a row, so do not ask on a request's way."""

    @property
    def ready(self) -> bool:
        """Whether a configuration serves."""

    async def config(self) -> ConfigStatus:
        """Return the state of the configuration."""

    async def models(self) -> Sequence[ModelStatus]:
        """Return every model in row order."""
