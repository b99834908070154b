"""What ``/status/models`` answers; a field that is not known is absent."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from hookway_plugins.admin_status.moments import EpochTime
from hookway_sdk import ModelStatus


class ModelAnswer(msgspec.Struct):
    """One model."""

    id: str
    display_name: str
    kind: str
    status: str
    cooldown_until: EpochTime | UnsetType = UNSET
    last_checked_at: EpochTime | UnsetType = UNSET
    last_check_status: int | UnsetType = UNSET
    status_reason: str | UnsetType = UNSET


def model_answer(model: ModelStatus) -> ModelAnswer:
    """Write how a model fares."""
    health = model.health
    return ModelAnswer(
        model.id,
        model.name,
        model.kind,
        model.status,
        EpochTime.of(health.until) if health.until else UNSET,
        EpochTime.of(health.checked_at) if health.checked_at else UNSET,
        health.check_status or UNSET,
        health.reason or UNSET,
    )
