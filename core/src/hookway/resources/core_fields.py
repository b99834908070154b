"""The fields of shared collections that the core itself acts on: timeouts, retries, overrides, TLS."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from hookway_sdk import Row

Milliseconds = Annotated[int, msgspec.Meta(ge=0)]
Status = Annotated[int, msgspec.Meta(ge=400, le=599)]


class ModelFields(Row):
    """What the core reads on a model.

    Args:
        timeout: milliseconds for an attempt; 0 is none; absent asks the group, then ``upstream.timeout_ms``.
        stream_timeout: milliseconds for a stream's connect phase and for each gap; 0 counts as absent.
        connect_timeout: milliseconds to connect; 0 is none; absent asks the group, then
            ``upstream.connect_timeout_ms``.
        first_token_timeout: milliseconds in which a stream's first event has to come, or the next target is
            tried; 0 is none; absent asks the group, then ``upstream.first_token_timeout_ms``.
        total_timeout: milliseconds for a whole request by this name, all attempts and pauses together; 0 is
            none; absent is ``upstream.total_timeout_ms``.
        retries: further tries at the same target.
    """

    timeout: Milliseconds | None = None
    stream_timeout: Milliseconds | None = None
    connect_timeout: Milliseconds | None = None
    first_token_timeout: Milliseconds | None = None
    total_timeout: Milliseconds | None = None
    retries: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None


class RoutingFields(Row):
    """What the core reads on a model group.

    Args:
        retries: further tries at the same target, where the target says nothing.
        max_fallbacks: how many further targets are tried; absent is all.
        retry_on_429: an upstream 429 is tried again.
        fallback_on_statuses: further upstream statuses after which the next target is tried.
    """

    retries: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    max_fallbacks: Annotated[int, msgspec.Meta(ge=0)] | None = None
    retry_on_429: bool = False
    fallback_on_statuses: tuple[Status, ...] = ()


class ParamConstraints(Row):
    """Bounds for a request's parameters; a value outside is moved to the bound."""

    temperature_min: float | None = None
    temperature_max: float | None = None


class RequestOverrides(Row):
    """What is changed in requests before they are sent.

    Args:
        param_renames: top-level members to rename; the source's value overwrites the target's.
        param_constraints: bounds for parameters.
        default_headers: headers to add; values may contain ``${request.id}`` and the like.
        forward_client_headers: client headers to pass on, names or one-star globs, case-insensitive.
        default_body_fields: top-level members to add where the body lacks them.
    """

    param_renames: dict[str, str] = msgspec.field(default_factory=dict)
    param_constraints: ParamConstraints = ParamConstraints()
    default_headers: dict[str, str] = msgspec.field(default_factory=dict)
    forward_client_headers: tuple[str, ...] = ()
    default_body_fields: dict[str, Any] = msgspec.field(default_factory=dict)


class KeyTls(Row):
    """Trust for one account's upstream.

    Args:
        ca_cert: PEM bundle of further roots.
        verify: false turns verification off for this account.
    """

    ca_cert: str | None = None
    verify: bool = True


class ProviderKeyFields(Row):
    """What the core reads on a provider key."""

    request: RequestOverrides = RequestOverrides()
    tls: KeyTls = KeyTls()


CORE_FIELDS: dict[str, type[Row]] = {
    "models": ModelFields,
    "models.routing": RoutingFields,
    "provider_keys": ProviderKeyFields,
}
"""The core's own contributions, by collection."""
