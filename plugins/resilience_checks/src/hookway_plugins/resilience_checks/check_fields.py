"""What an operator writes: how a model is checked, and what a group does when all its targets are out."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hookway_sdk import Row, Settings
from hookway_sdk.shared_resources import NonEmpty

Status = Annotated[int, msgspec.Meta(ge=100, le=599)]


class CheckSettings(Settings):
    """Settings under ``plugins.resilience_checks``.

    Args:
        concurrency: how many models are asked at once.
    """

    concurrency: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4


class BackgroundCheck(Row):
    """How a model is asked in the background whether it works.

    Args:
        enabled: it is asked.
        interval_seconds: how often.
        timeout_seconds: how long it may take to answer.
        prompt: what it is asked, as one user message.
        max_tokens: how long an answer it may give.
        stale_after_seconds: how long a failed check counts; then the model counts as well again.
        ignore_statuses: HTTP statuses that are noted and change nothing; a timeout is 408.
    """

    enabled: bool
    interval_seconds: Annotated[int, msgspec.Meta(ge=5)]
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1)]
    prompt: NonEmpty
    max_tokens: Annotated[int, msgspec.Meta(ge=1)]
    stale_after_seconds: Annotated[int, msgspec.Meta(ge=1)]
    ignore_statuses: tuple[Status, ...] = ()


class CheckFields(Row):
    """What this plugin reads on a model.

    Args:
        background_model_check: how it is asked in the background whether it works; absent is never.
    """

    background_model_check: BackgroundCheck | None = None


class GroupFields(Row):
    """What this plugin reads on a model group.

    Args:
        when_all_unavailable: what happens while checks have failed for every target: ``fail`` answers 503,
            ``try_anyway`` tries them in their order.
    """

    when_all_unavailable: Literal["fail", "try_anyway"] = "fail"
