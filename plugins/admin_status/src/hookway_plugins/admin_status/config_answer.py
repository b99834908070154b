"""What ``/status/config`` answers; a field that is not known is absent."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType

from hookway_plugins.admin_status.moments import as_text
from hookway_sdk import Applied, ConfigStatus, Failure, RejectedRow, SourceStatus

LOCAL = ("env", "file")
"""Sources that there is no connection to."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class SourceAnswer(msgspec.Struct):
    """One source; of the three words for its state it has the one that fits."""

    type: str
    name: str | UnsetType = UNSET
    connected: bool | UnsetType = UNSET
    observed_revision: int | UnsetType = UNSET
    source_hash: str | UnsetType = UNSET
    revision: str | UnsetType = UNSET
    observed_at: str | UnsetType = UNSET


class AppliedAnswer(msgspec.Struct):
    """The configuration that serves."""

    revision: int
    config_hash: str
    apply_seq: int
    applied_at: str
    resource_counts: Mapping[str, int]


class ReloadAnswer(msgspec.Struct):
    """The last attempt to load."""

    successful: bool
    at: str


class FailureAnswer(msgspec.Struct):
    """The last configuration that was refused."""

    at: str
    last_error_kind: str
    last_error: str


class RejectedAnswer(msgspec.Struct):
    """A row that does not serve as it was written."""

    resource_kind: str
    resource_id: str
    resource_name: str
    last_error_kind: str
    last_error: str
    first_seen_at: str
    last_seen_at: str
    serving_stale_since: str | UnsetType = UNSET
    serving_stale_age_seconds: int | UnsetType = UNSET


class ConfigAnswer(msgspec.Struct, kw_only=True):
    """The whole answer."""

    state: str
    source: SourceAnswer
    sources: list[SourceAnswer] | UnsetType
    applied: AppliedAnswer | UnsetType
    last_reload: ReloadAnswer | UnsetType
    last_failure: FailureAnswer | None
    rejected: list[RejectedAnswer]
    partially_compatible: tuple[()] = ()
    warnings: tuple[str, ...]


def config_answer(status: ConfigStatus, now: float) -> ConfigAnswer:
    """Write the state of the configuration.

    Args:
        now: epoch seconds.
    """
    sources = [source_answer(one) for one in status.sources]
    reload = UNSET if status.last_reload_ok is None else status.last_reload_ok
    return ConfigAnswer(
        state=status.state,
        source=main_source(sources),
        sources=sources if len(sources) > 1 else UNSET,
        applied=UNSET if status.applied is None else applied_answer(status.applied),
        last_reload=UNSET if reload is UNSET else ReloadAnswer(reload, as_text(status.last_reload_at)),
        last_failure=None if status.last_failure is None else failure_answer(status.last_failure),
        rejected=[rejected_answer(one, now) for one in status.rejected],
        warnings=status.warnings,
    )


def main_source(sources: list[SourceAnswer]) -> SourceAnswer:
    """Return the source that stands alone: the first, environment variables apart (they give way)."""
    if not sources:
        return SourceAnswer("none")
    return next((one for one in sources if one.type != "env"), sources[0])


def source_answer(source: SourceStatus) -> SourceAnswer:
    """Write one source."""
    answer = SourceAnswer(source.type, source.name)
    if source.type not in LOCAL:
        answer.connected = source.reachable
    if _SHA256.fullmatch(source.revision):
        answer.source_hash = source.revision
    elif source.type == "etcd" and source.revision.isascii() and source.revision.isdigit():
        answer.observed_revision = int(source.revision)
    elif source.revision:
        answer.revision = source.revision
    if source.observed_at:
        answer.observed_at = as_text(source.observed_at)
    return answer


def applied_answer(applied: Applied) -> AppliedAnswer:
    """Write what serves; collections without a row are left out."""
    return AppliedAnswer(
        applied.revision,
        applied.config_hash,
        applied.apply_seq,
        as_text(applied.applied_at),
        {collection: count for collection, count in sorted(applied.counts.items()) if count},
    )


def failure_answer(failure: Failure) -> FailureAnswer:
    """Write a refusal."""
    return FailureAnswer(as_text(failure.at), failure.kind, failure.error)


def rejected_answer(row: RejectedRow, now: float) -> RejectedAnswer:
    """Write a row that was rejected."""
    answer = RejectedAnswer(
        row.collection,
        row.id,
        row.name,
        row.kind,
        row.error,
        as_text(row.first_seen_at),
        as_text(row.last_seen_at),
    )
    if row.stale_since is not None:
        answer.serving_stale_since = as_text(row.stale_since)
        answer.serving_stale_age_seconds = max(0, int(now - row.stale_since))
    return answer
