"""What the gateway knows of its own configuration: what was read, what serves, what was refused and why."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from hookway.resources.acceptance import Offer, Rejected, ResourceSet
from hookway_sdk import (
    Applied,
    Clock,
    ConfigError,
    ConfigState,
    ConfigStatus,
    ErrorKind,
    Failure,
    Health,
    ModelStatus,
    Problem,
    RejectedRow,
    Resilience,
    Resource,
    Secret,
    SourceStatus,
    StartError,
)

if TYPE_CHECKING:
    from hookway.runtime import Runtime

SMALL = 2000
"""Rows that are hashed at once; more are hashed in a thread, so that no request waits for it."""

REASONS: dict[ErrorKind, str] = {
    "fetch": "fetch",
    "non_json": "parse",
    "parse_failed": "validate",
    "schema_failed": "validate",
}
"""Words under which refusals are counted."""

UNREACHABLE = "configuration source unreachable"

_LABEL = re.compile(r'^(\w+)(?:\[\d+\])? (?:\("(?P<file>.*?)"\)|"(?P<row>.*?)")')
_SEVERITY = {"healthy": 0, "unhealthy": 1, "cooldown": 2}
_Key = tuple[str, str, str]


class SourceAway(StartError):
    """A source of resources cannot be read at the moment.

    Args:
        source: instance name of the source.
    """

    def __init__(self, source: str, message: str) -> None:
        super().__init__(message)
        self.source = source


class StatusBoard:
    """See :class:`hookway_sdk.StatusView`; one per process, written to by the control role.

    Args:
        clock: time.

    Attributes:
        current: returns the Runtime that serves, ``None`` before the first.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._status = ConfigStatus()
        self._resources: ResourceSet | None = None
        self._hash = ""
        self._seen: dict[_Key, RejectedRow] = {}
        self.current: Callable[[], Runtime | None] = lambda: None

    @property
    def ready(self) -> bool:
        """Whether a configuration serves."""
        return self._status.applied is not None

    # ── what the control role tells ─────────────────────────────────────────────────────────

    def observed(self, offers: Sequence[Offer]) -> None:
        """Note what sources had."""
        now = self._clock.now()
        self._status = msgspec.structs.replace(
            self._status,
            sources=tuple(
                SourceStatus(
                    one.source,
                    one.source.partition(".")[0].removeprefix("source_"),
                    one.document.revision,
                    now,
                )
                for one in offers
                if not one.own
            ),
        )

    def applied(self, revision: int, resources: ResourceSet, warnings: Sequence[str] = ()) -> None:
        """Note that a configuration serves."""
        now = self._clock.now()
        before = self._status.applied
        same = self._resources is not None and same_rows(self._resources.rows, resources.rows)
        if not same:
            self._hash = ""
        self._resources = resources
        seq = (before.apply_seq if before else 0) + (not same)
        applied = Applied(revision, "", seq, now, resources.counts())
        rejected = [self._row(one, now) for one in resources.rejected]
        self._seen = {key_of(one): one for one in rejected}
        self._status = msgspec.structs.replace(
            self._status,
            state=state_of(applied, rejected),
            applied=applied,
            last_reload_ok=True,
            last_reload_at=now,
            last_success_at=now,
            reloads=self._status.reloads + 1,
            rejected=in_order(rejected),
            warnings=(*resources.warnings, *warnings),
        )

    def refused(self, error: StartError, *, rows: bool = True) -> None:
        """Note that a configuration was refused whole; what served before serves on.

        Args:
            rows: the problems are those of resources, and not of conf.d.
        """
        now = self._clock.now()
        kind = error_kind(error)
        text = UNREACHABLE if kind == "fetch" else str(error)
        listed = () if kind == "fetch" or not rows else problems_of(error)
        rejected = [self._problem(one, kind, now) for one in listed]
        failures = dict(self._status.failures)
        failures[REASONS[kind]] = failures.get(REASONS[kind], 0) + 1
        if rejected:
            self._seen = {key_of(one): one for one in rejected}
        away = error.source if isinstance(error, SourceAway) else ""
        state: ConfigState = self._status.state if kind == "fetch" else "out_of_sync"
        self._status = msgspec.structs.replace(
            self._status,
            state=state if self._status.applied is not None else "never_loaded",
            sources=tuple(
                msgspec.structs.replace(one, reachable=False) if one.name == away else one
                for one in self._status.sources
            ),
            last_reload_ok=False,
            last_reload_at=now,
            reloads=self._status.reloads + 1,
            failures=failures,
            last_failure=Failure(now, kind, text),
            rejected=in_order(rejected) if rejected else self._status.rejected,
        )

    # ── what plugins read ───────────────────────────────────────────────────────────────────

    async def config(self) -> ConfigStatus:
        """Return the state of the configuration."""
        status, resources = self._with_plugins_word(), self._resources
        if status.applied is None or resources is None:
            return status
        if not self._hash:
            count = sum(resources.counts().values())
            digest = (
                hash_of(resources.rows)
                if count <= SMALL
                else await asyncio.to_thread(hash_of, resources.rows)
            )
            if self._resources is resources:
                self._hash = digest
            return with_hash(status, digest)
        return with_hash(status, self._hash)

    async def models(self) -> Sequence[ModelStatus]:
        """Return every model in row order."""
        runtime = self.current()
        if runtime is None:
            return ()
        rows = runtime.snapshot.rows("models")
        known = await self._health(runtime, [one.id for one in rows])
        return [model_status(one, known.get(one.id, Health())) for one in rows]

    def _with_plugins_word(self) -> ConfigStatus:
        """Return the status, rows that plugins refused included."""
        status, runtime = self._status, self.current()
        if status.applied is None or runtime is None or not runtime.snapshot.rejected:
            return status
        since = status.applied.applied_at
        further = [
            RejectedRow(one.collection, one.name, one.id, "parse_failed", reason, since, since)
            for one, reason in runtime.snapshot.rejected
        ]
        state: ConfigState = "degraded" if status.state in ("synced", "empty") else status.state
        return msgspec.structs.replace(status, state=state, rejected=in_order([*status.rejected, *further]))

    async def _health(self, runtime: Runtime, ids: Sequence[str]) -> Mapping[str, Health]:
        """Ask every resilience plugin; the worst word counts, and one that fails says nothing."""
        found: dict[str, Health] = {}
        for name, loaded in runtime.plugins.items():
            for kind in loaded.entries:
                if not isinstance(kind, Resilience) or type(kind).health is Resilience.health:
                    continue
                try:
                    told = await kind.health(ids)
                except Exception as error:
                    runtime.process.note_failure(name, "health", error, "")
                    continue
                for id, health in told.items():
                    known = found.get(id)
                    if known is None or _SEVERITY[health.status] > _SEVERITY[known.status]:
                        found[id] = health
        return found

    # ── inside ──────────────────────────────────────────────────────────────────────────────

    def _row(self, one: Rejected, now: float) -> RejectedRow:
        text = "\n".join(str(problem) for problem in one.problems)
        row = RejectedRow(one.collection, one.name, one.id, "schema_failed", text, now, now)
        since = self._seen.get(key_of(row))
        first = since.first_seen_at if since else now
        stale = (since.stale_since if since and since.stale_since else now) if one.serving_last_good else None
        return msgspec.structs.replace(row, first_seen_at=first, stale_since=stale)

    def _problem(self, problem: Problem, kind: ErrorKind, now: float) -> RejectedRow:
        label = _LABEL.match(problem.key)
        collection = label[1] if label else ""
        name = (label["file"] or label["row"] or "") if label else ""
        row = RejectedRow(collection, name, "", kind, str(problem), now, now)
        since = self._seen.get(key_of(row))
        return msgspec.structs.replace(row, first_seen_at=since.first_seen_at) if since else row


def key_of(row: RejectedRow) -> _Key:
    """Return what makes two reports the same row."""
    return row.collection, row.name, "" if row.name else row.error


def in_order(rows: Sequence[RejectedRow]) -> tuple[RejectedRow, ...]:
    """Return rejected rows sorted."""
    return tuple(sorted(rows, key=lambda one: (one.collection, one.name, one.error)))


def state_of(applied: Applied, rejected: Sequence[RejectedRow]) -> ConfigState:
    """Return the word for what was applied."""
    if rejected:
        return "degraded" if applied.counts else "out_of_sync"
    return "synced" if applied.counts else "empty"


def error_kind(error: StartError) -> ErrorKind:
    """Say what sort of mistake refused a configuration."""
    if isinstance(error, ConfigError):
        syntax = any(one.message.startswith("is no YAML") for one in error.problems)
        return "non_json" if syntax else "schema_failed"
    return "fetch" if isinstance(error, SourceAway) else "parse_failed"


def problems_of(error: StartError) -> Sequence[Problem]:
    """Return what is wrong, one by one."""
    return error.problems if isinstance(error, ConfigError) else [Problem("", str(error))]


def same_rows(left: Mapping[str, Sequence[Resource]], right: Mapping[str, Sequence[Resource]]) -> bool:
    """Say whether two sets of rows are equal, wherever the rows came from."""
    return left.keys() == right.keys() and all(
        [(one.id, one.row) for one in rows] == [(one.id, one.row) for one in right[name]]
        for name, rows in left.items()
    )


def with_hash(status: ConfigStatus, digest: str) -> ConfigStatus:
    """Return a status that names the hash of what serves."""
    assert status.applied is not None
    return msgspec.structs.replace(
        status, applied=msgspec.structs.replace(status.applied, config_hash=digest)
    )


def hash_of(rows: Mapping[str, Sequence[Resource]]) -> str:
    """Return the SHA-256 of all rows; secrets enter by their own hash."""
    digest = hashlib.sha256()
    for collection in sorted(rows):
        for one in sorted(rows[collection], key=lambda row: row.id):
            plain = msgspec.to_builtins(one.row, enc_hook=as_text)
            digest.update(f"{collection}\0{one.id}\0".encode())
            digest.update(msgspec.json.encode(plain, order="deterministic"))
    return digest.hexdigest()


def as_text(value: Any) -> str:
    """Write a value of a row that is no plain data."""
    return value.sha256() if isinstance(value, Secret) else str(value)


def model_status(resource: Resource, health: Health) -> ModelStatus:
    """Return how a model fares."""
    row = resource.row
    if row.provider is None:
        shapes = ("routing", *getattr(type(row), "SHAPES", ()))
        shape = next((name for name in shapes if getattr(row, name, None) is not None), "virtual")
        return ModelStatus(resource.id, resource.name, shape, "not_applicable")
    return ModelStatus(
        resource.id,
        resource.name,
        "direct",
        health.status,
        health,
        row.provider,
        row.provider_key_id or "",
        row.model_name or "*",
    )
