"""What the gateway tells sinks: finished facts, never credentials and never prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from hookway_sdk.exchange import ExchangeKind
from hookway_sdk.usage import Usage


class AttemptEnded(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="event", tag="attempt_ended"):
    """One attempt at one target is over.

    Args:
        request_id: id of the exchange.
        model: name of the row that the request resolved to (the group, where there is one).
        index: 0-based.
        kind: ``initial``, ``retry`` or ``fallback``.
        at: epoch seconds of its end.
        target: display name of the model row it went to.
        target_id: row id of that model.
        provider: vendor word.
        provider_key_id: row id of the account.
        provider_key_name: display name of the account.
        upstream_model: the provider's name of the model.
        target_model: the same as the target's row writes it, a wildcard's star included; a bounded label.
        upstream_id: the provider's id of the answer.
        dispatched: something was sent.
        status: the upstream's status, 0 if none came.
        error_kind: ``timeout``, ``transport``, ``upstream_status`` …, ``""`` for a success.
        error: what went wrong, for operators; at most 2,048 characters without control characters.
        latency_ms: from its start to its end.
        ttft_ms: from its start to the first piece of the answer, 0 if none came.
        usage: what it consumed.
    """

    request_id: str
    index: int
    kind: str
    at: float
    model: str = ""
    target: str = ""
    target_id: str = ""
    provider: str = ""
    provider_key_id: str = ""
    provider_key_name: str = ""
    upstream_model: str = ""
    target_model: str = ""
    upstream_id: str = ""
    dispatched: bool = False
    status: int = 0
    error_kind: str = ""
    error: str = ""
    latency_ms: float = 0.0
    ttft_ms: float = 0.0
    usage: Usage = msgspec.field(default_factory=Usage)


class RequestEnded(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="event", tag="request_ended"):
    """One exchange is over. This is also the settlement that the journal keeps.

    Args:
        request_id: id of the exchange; a nested call has its own, and ``parent_id`` names its parent's.
        kind: ``call``, ``session`` or ``turn``.
        at: epoch seconds of its end.
        endpoint: route template (``/v1/chat/completions``).
        method: HTTP method.
        path: the path as it was called.
        protocol: inbound protocol (``openai``).
        status: HTTP status of the answer; 499 when the client left.
        stream: the caller asked for a stream.
        error_type: the error's ``type`` word, ``""`` for a success.
        error_code: its ``code``, ``""`` for none.
        error: what went wrong, for operators; at most 2,048 characters without control characters.
        key_id: row id of the API key, ``""`` before authentication.
        requested_model: the name the client used.
        model: name of the row it resolved to; ``""`` if none.
        model_id: that row's id.
        target: display name of the model row that answered or failed last.
        provider: vendor word of that target.
        upstream_id: the provider's id of the answer.
        upstream_model: the model the provider says it used.
        target_model: the provider's name of the model as the target's row writes it, a wildcard's star
            included; a bounded label.
        stop_reason: why the model stopped.
        usage: what it consumed in all.
        attempts: how many attempts were made.
        fallbacks: how many of them went to another target than the one before.
        last_attempt: kind of the last one (``initial``, ``retry``, ``fallback``), ``""`` if none was made.
        begun: the answer's head had left (a client that went before it has nothing).
        latency_ms: from accept to the end of the answer.
        ttft_ms: from accept to the first piece of a streamed answer, 0 otherwise.
        cache_status: ``hit``, ``miss``, ``bypass``, or ``""``.
        dropped: JSON pointers that a translation could not say.
        tags: labels that steps gave it.
        client_address: the caller's address.
        user_agent: the caller's user agent.
        revision: revision of the snapshot it ran on.
    """

    request_id: str
    kind: ExchangeKind = ExchangeKind.CALL
    parent_id: str = ""
    at: float = 0.0
    endpoint: str = ""
    method: str = ""
    path: str = ""
    protocol: str = ""
    status: int = 0
    stream: bool = False
    error_type: str = ""
    error_code: str = ""
    error: str = ""
    key_id: str = ""
    key_name: str = ""
    team_id: str = ""
    user_id: str = ""
    user_name: str = ""
    auth_method: str = ""
    requested_model: str = ""
    model: str = ""
    model_id: str = ""
    target: str = ""
    target_id: str = ""
    provider: str = ""
    provider_key_id: str = ""
    provider_key_name: str = ""
    upstream_id: str = ""
    upstream_model: str = ""
    target_model: str = ""
    stop_reason: str = ""
    usage: Usage = msgspec.field(default_factory=Usage)
    attempts: int = 0
    fallbacks: int = 0
    last_attempt: str = ""
    begun: bool = False
    latency_ms: float = 0.0
    ttft_ms: float = 0.0
    cache_status: str = ""
    dropped: tuple[str, ...] = ()
    tags: Mapping[str, str] | None = None
    client_address: str = ""
    user_agent: str = ""
    revision: int = 0


class AuthDenied(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="event", tag="auth_denied"):
    """A request was turned away before anyone knew who it was from.

    Args:
        reason: ``missing_credentials``, ``unknown_key``, ``key_disabled``, ``key_expired`` …
        method: how it tried to prove itself (``none``, ``api_key``, ``jwt``).
        key_id: row id of a disabled or expired key, ``""`` if none was found.
    """

    request_id: str
    at: float
    reason: str
    method: str
    endpoint: str
    http_method: str
    path: str
    client_address: str = ""
    key_id: str = ""


class ConfigApplied(
    msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="event", tag="config_applied"
):
    """A configuration began to serve, or was refused and the last good one goes on.

    Args:
        at: epoch seconds.
        kind: ``runtime`` (conf.d) or ``snapshot`` (resources).
        revision: revision that serves now.
        ok: it was applied.
        problems: what was wrong with it, one line each.
        counts: rows by collection.
    """

    at: float
    kind: str
    revision: int
    ok: bool
    problems: tuple[str, ...] = ()
    counts: Mapping[str, int] = {}


Event: TypeAlias = RequestEnded | AttemptEnded | AuthDenied | ConfigApplied
