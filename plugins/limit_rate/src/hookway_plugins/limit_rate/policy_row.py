"""Fields of a ``rate_limit_policies`` row, and which of them go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from hookway_plugins.limit_rate.condition_row import Condition, check_tree
from hookway_plugins.limit_rate.dimensions import GroupName
from hookway_plugins.limit_rate.limits import Limits
from hookway_plugins.limit_rate.schedule_row import Schedule
from hookway_sdk import Row, checked
from hookway_sdk.state import MAX_COUNT

Scope: TypeAlias = Literal["api_key", "model", "team", "member", "team_member"]
Window: TypeAlias = Literal["second", "minute", "hour", "day"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Most = Annotated[int, msgspec.Meta(ge=1, le=MAX_COUNT)]

CLASSIC = ("scope", "scope_ref", "window", "max_requests", "max_tokens")
CONDITIONAL = ("limits", "conditions", "group_by", "action")


def without_repeats(group_by: Sequence[Any]) -> None:
    """Check that no dimension stands twice.

    Raises:
        ValueError: one does; the message goes on where the value is named.
    """
    for one in group_by:
        if list(group_by).count(one) > 1:
            raise ValueError(f"has '{one}' twice; write each dimension once")


class PolicyRow(Row):
    """A limit for many callers or models, in one of two forms.

    The classic form says whom it limits (``scope``, ``scope_ref``), the ``window`` and ``max_requests``,
    ``max_tokens`` or both. The conditional form has ``limits`` and may have ``conditions`` and ``group_by``.

    Args:
        name: its name, which refusals say.
        enabled: it acts.
        scope: sort of thing that ``scope_ref`` names; ``team_member`` limits each member of a team alone.
        scope_ref: row id or display name of a key or a model, or the id of a team or a user.
        window: how long ``max_requests`` and ``max_tokens`` last.
        max_requests: requests in a window.
        max_tokens: tokens in a window.
        limits: how much is allowed.
        conditions: to which requests it applies; all have to hold, and without any it applies to every one.
        group_by: what each has a bucket of its own for; a request that lacks one of them is not limited.
        action: what happens over the limit; ``reject`` is all there is.
        schedules: when it rests.
    """

    name: Name
    enabled: bool = True
    scope: Scope | None = None
    scope_ref: Text | None = None
    window: Window | None = None
    max_requests: Most | None = None
    max_tokens: Most | None = None
    limits: Limits | None = None
    conditions: Annotated[tuple[Condition, ...], checked(check_tree)] = ()
    group_by: Annotated[tuple[GroupName, ...], checked(without_repeats)] = ()
    action: Literal["reject"] | None = None
    schedules: tuple[Schedule, ...] = ()


def form_problem(row: Any) -> str:
    """Return why a row has neither of the two forms, ``""`` if it has one.

    Args:
        row: a :class:`PolicyRow`, or the core's composed Struct of its fields.
    """
    classic = [name for name in CLASSIC if getattr(row, name) is not None]
    conditional = [name for name in CONDITIONAL if getattr(row, name)]
    # `limits: {}` says nothing, and is still somebody's try at the form.
    if row.limits is not None and not row.limits.given:
        return "its limits are empty; give at least one, such as rpm: 60"
    if classic and conditional:
        return (
            f"it mixes two forms: {', '.join(classic)} belong to the one, {', '.join(conditional)} to the "
            "other; keep one form, or make two policies"
        )
    if conditional:
        return "" if row.limits is not None else "it has no limits; add some, such as limits: {rpm: 60}"
    if not classic:
        return "it limits nothing; give scope, scope_ref, window and max_requests, or limits"
    missing = [name for name in CLASSIC[:3] if name not in classic]
    if missing:
        return (
            f"it lacks {' and '.join(missing)}; a policy with {classic[0]} needs scope, scope_ref and window"
        )
    if row.max_requests is None and row.max_tokens is None:
        return "it limits nothing; give max_requests, max_tokens or both"
    return ""


def limits_of(row: Any) -> Limits:
    """Return the limits of a policy of either form."""
    if row.limits is not None:
        limits: Limits = row.limits
        return limits
    letter = row.window[0]
    return Limits(**{f"rp{letter}": row.max_requests, f"tp{letter}": row.max_tokens})
