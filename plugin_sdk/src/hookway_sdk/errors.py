"""Every error Hookway raises, in one tree; each knows its HTTP status, ``type`` and ``code``.

::

    HookwayError
    ├── GatewayError                      ends one request; a dialect renders its own envelope from it
    │   ├── InvalidRequest          400   invalid_request_error
    │   ├── Unauthenticated         401   invalid_api_key
    │   ├── PermissionDenied        403   permission_denied
    │   ├── ModelNotFound           404   model_not_found
    │   ├── NotFound                404   not_found
    │   ├── RequestTimeout          408   request_timeout
    │   ├── BodyTooLarge            413   invalid_request_error
    │   ├── ContentBlocked          422   content_filter
    │   ├── LimitExceeded           429   rate_limit_exceeded
    │   ├── BudgetExceeded          429   billing_error / budget_exceeded
    │   ├── ClientDisconnected      499   client_disconnected (never on the wire)
    │   ├── ConfigBroken            503   config_error
    │   ├── ProviderUnavailable     503   provider_unavailable
    │   ├── AllCandidatesUnavailable 503  all_candidates_unavailable
    │   ├── StateUnavailable        503   state_unavailable
    │   ├── Overloaded              503   overloaded
    │   ├── PluginFailed            500   internal_error
    │   └── UpstreamError                 whatever came from, or happened on the way to, a provider
    │       ├── UpstreamRefused     4xx kept, others 502   upstream_error
    │       ├── UpstreamInBand      4xx kept, others 502   upstream_error (see its own page)
    │       ├── UpstreamTimeout     504   timeout
    │       ├── UpstreamUndecodable 502   upstream_decode_error
    │       ├── UpstreamTooLarge    502   upstream_decode_error
    │       ├── TransportFailed     502   transport_error
    │       ├── StreamAborted       502   stream_aborted
    │       ├── InvalidUpstreamConfig     400  invalid_request_error
    │       └── InvalidUpstreamCredential 401  authentication_error
    └── StartError                        ends a start or a reload, never a request
        ├── ConfigError                   problems in conf.d or resources, all at once
        └── PluginError                   a plugin that cannot be loaded, started or ordered
            └── ServiceMissing            a plugin needs a service that no enabled plugin gives

Messages are lower case, without a full stop; they name the thing and the way out.
Statuses, types and texts follow the field's conventions (``docs/errors.md`` lists them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hookway_sdk.problems import Problem


class HookwayError(Exception):
    """The root of every error that Hookway raises on purpose."""


class GatewayError(HookwayError):
    """Ends one request with an answer in the client's own envelope.

    Attributes:
        status: HTTP status of the answer.
        type: stable machine word of the error family.
        code: finer machine word, or ``None`` where the family says it all.
        message: sentence for the caller; never holds a secret, a prompt or a matched text.
        param: the request member at fault, as a dotted path, where there is one.
        retry_after: whole seconds for the ``Retry-After`` header.
        members: further members of the error object (a budget's figures, a policy's name).
        detail: what the operator may see in logs and traces, and the caller may not.
    """

    status: int = 500
    type: str = "api_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        type: str | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
        members: Mapping[str, Any] | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if status is not None:
            self.status = status
        if type is not None:
            self.type = type
        if code is not None:
            self.code = code
        self.param = param
        self.retry_after = retry_after
        self.members = members
        self.detail = detail


# ── what the caller did, or may not do ──────────────────────────────────────────────────────


class InvalidRequest(GatewayError):
    """The request is not one this endpoint can serve; the caller has to change it."""

    status = 400
    type = "invalid_request_error"

    def __init__(self, reason: str, **facts: Any) -> None:
        super().__init__(f"request payload is invalid: {reason}", **facts)
        self.reason = reason


class Unauthenticated(GatewayError):
    """No credential, or one that does not count.

    Args:
        reason: word for metrics and events (``missing_credentials``, ``key_expired``).
        method: how the caller tried to prove itself (``none``, ``api_key``, ``jwt``).
        key_id: row id of a key that is known and does not count.
    """

    status = 401
    type = "invalid_api_key"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "unknown_key",
        method: str = "api_key",
        key_id: str = "",
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.reason = reason
        self.method = method
        self.key_id = key_id


class PermissionDenied(GatewayError):
    """The caller is known and may not do this."""

    status = 403
    type = "permission_denied"


class ModelNotFound(GatewayError):
    """No model of that name is configured."""

    status = 404
    type = "model_not_found"

    def __init__(self, model: str, **facts: Any) -> None:
        super().__init__(f'model "{model}" not found', **facts)
        self.model = model


class NotFound(GatewayError):
    """The thing named in the path does not exist, or not for this caller."""

    status = 404
    type = "not_found"


class RequestTimeout(GatewayError):
    """The client opened a request and did not finish sending it."""

    status = 408
    type = "request_timeout"


class BodyTooLarge(GatewayError):
    """The request body is over the configured limit.

    Args:
        limit: the limit in bytes.
    """

    status = 413
    type = "invalid_request_error"

    def __init__(self, limit: int, **facts: Any) -> None:
        super().__init__(f"request body exceeds {limit}-byte limit", **facts)
        self.limit = limit


class ContentBlocked(GatewayError):
    """A guardrail refused the request or the answer.

    Args:
        guardrail: name of the guardrail's row; the only thing about the match a caller learns.
        subject: ``"request"`` or ``"response"``.
    """

    status = 422
    type = "content_filter"

    def __init__(self, guardrail: str | None, *, subject: str = "request", **facts: Any) -> None:
        named = f" (guardrail '{guardrail}')" if guardrail else ""
        super().__init__(f"{subject} blocked by content policy{named}", **facts)
        self.guardrail = guardrail
        self.subject = subject


class LimitExceeded(GatewayError):
    """A limit on requests, tokens or concurrency is used up.

    Args:
        dimension: ``"requests"``, ``"tokens"`` or ``"concurrency"``.
        policy: name of the policy that holds the limit, where it is one.
    """

    status = 429
    type = "rate_limit_exceeded"

    def __init__(self, dimension: str, *, policy: str | None = None, **facts: Any) -> None:
        texts = {
            "requests": "request limit exceeded (requests)",
            "tokens": "token limit exceeded (tokens)",
            "concurrency": "concurrency limit exceeded",
        }
        named = f" (policy '{policy}')" if policy else ""
        super().__init__(texts.get(dimension, f"{dimension} limit exceeded") + named, **facts)
        self.dimension = dimension
        self.policy = policy


class BudgetExceeded(GatewayError):
    """A budget in money is used up; ``members`` carry its figures."""

    status = 429
    type = "billing_error"
    code = "budget_exceeded"


class ClientDisconnected(GatewayError):
    """The client left before its answer was complete; recorded, never sent."""

    status = 499
    type = "client_disconnected"

    def __init__(self, message: str = "client closed the connection", **facts: Any) -> None:
        super().__init__(message, **facts)


# ── what the gateway cannot do at the moment ────────────────────────────────────────────────


class ConfigBroken(GatewayError):
    """What this request needs is configured in a way that cannot be served, so it fails closed."""

    status = 503
    type = "config_error"


class ProviderUnavailable(GatewayError):
    """No provider plugin serves the model's adapter."""

    status = 503
    type = "provider_unavailable"


class AllCandidatesUnavailable(GatewayError):
    """Every target of the model is unhealthy or excluded."""

    status = 503
    type = "all_candidates_unavailable"

    def __init__(self, message: str = "all routing candidates are unavailable", **facts: Any) -> None:
        facts.setdefault("retry_after", 30)
        super().__init__(message, **facts)


class StateUnavailable(GatewayError):
    """The state store does not answer and the declared answer is to refuse."""

    status = 503
    type = "state_unavailable"


class Overloaded(GatewayError):
    """The gateway itself is at a declared bound (queue, pool, memory)."""

    status = 503
    type = "overloaded"


class PluginFailed(GatewayError):
    """A plugin raised something that is not a :class:`GatewayError`.

    Args:
        plugin: the entry-point name.
        phase: the phase or method it failed in.
    """

    status = 500
    type = "internal_error"

    def __init__(self, plugin: str, phase: str, **facts: Any) -> None:
        super().__init__(f"plugin '{plugin}' failed in {phase}", **facts)
        self.plugin = plugin
        self.phase = phase


# ── what came from upstream ─────────────────────────────────────────────────────────────────


class UpstreamError(GatewayError):
    """Something a provider answered, or that happened between it and us.

    Attributes:
        upstream_status: the status the provider sent, if it sent one.
        kind: the word for metrics and events (``timeout``, ``upstream_status``, ``transport`` …).
    """

    status = 502
    type = "upstream_error"
    kind: str = "upstream_status"
    upstream_status: int | None = None


class UpstreamRefused(UpstreamError):
    """The provider answered with an error status.

    A 4xx keeps its status and its message; anything else becomes 502 and the provider's text goes
    to ``detail`` only, since it may name hosts and deployments.

    Args:
        upstream_status: the provider's HTTP status.
        message: the provider's own sentence, at most 1 KiB.
        retry_after: seconds, from the provider's ``Retry-After``.
    """

    kind = "upstream_status"

    def __init__(self, upstream_status: int, message: str = "", **facts: Any) -> None:
        keep = 400 <= upstream_status < 500
        text = message if keep and message else f"upstream returned {upstream_status}"
        facts.setdefault("detail", message or None)
        super().__init__(text, status=upstream_status if keep else 502, **facts)
        self.upstream_status = upstream_status


class UpstreamInBand(UpstreamError):
    """The provider sent an error inside an answer whose status was a success.

    Before the client has its head this is an ordinary error of type ``upstream_error``; once the
    stream runs, the dialect's error frame says ``upstream_in_band_error``.
    """

    kind = "upstream_in_band"

    def __init__(self, message: str, *, upstream_status: int | None = None, **facts: Any) -> None:
        keep = upstream_status is not None and 400 <= upstream_status < 500
        text = message if keep else "upstream returned an error inside its stream"
        facts.setdefault("detail", message)
        super().__init__(text, status=upstream_status if keep else 502, **facts)
        self.upstream_status = upstream_status


class UpstreamTimeout(UpstreamError):
    """The provider was too slow.

    Args:
        milliseconds: the deadline that passed.
        stage: ``connect``, ``head``, ``first_token``, ``chunk``, ``total`` (of the attempt), or ``request``
            (the time for all attempts was over, whoever had used it up).
    """

    status = 504
    type = "timeout"
    kind = "timeout"

    def __init__(self, milliseconds: int, *, stage: str = "total", **facts: Any) -> None:
        super().__init__(f"upstream request timed out after {milliseconds}ms", **facts)
        self.milliseconds = milliseconds
        self.stage = stage


class UpstreamUndecodable(UpstreamError):
    """The provider answered a success that is not what its wire promises."""

    type = "upstream_decode_error"
    kind = "upstream_decode"

    def __init__(self, reason: str, **facts: Any) -> None:
        super().__init__(f"upstream returned an unparseable body: {reason}", **facts)


class UpstreamTooLarge(UpstreamUndecodable):
    """The provider's answer is over the configured bound."""

    def __init__(self, limit: int, **facts: Any) -> None:
        super().__init__(f"larger than {limit} bytes", **facts)
        self.limit = limit


class TransportFailed(UpstreamError):
    """No connection, a broken one, or bytes that are not HTTP.

    Args:
        cause: short and free of addresses and secrets (``certificate verify failed``).
        sent: whether any byte of the request may have reached the provider.
    """

    type = "transport_error"
    kind = "transport"

    def __init__(self, cause: str, *, sent: bool = True, **facts: Any) -> None:
        super().__init__(f"transport error: {cause}", **facts)
        self.sent = sent


class StreamAborted(UpstreamError):
    """The provider cut its answer before the end."""

    type = "stream_aborted"
    kind = "stream_aborted"

    def __init__(self, message: str = "upstream cancelled the response mid-stream", **facts: Any) -> None:
        super().__init__(message, **facts)


class InvalidUpstreamConfig(UpstreamError):
    """The model's or provider key's settings cannot make a request; the operator has to change them."""

    status = 400
    type = "invalid_request_error"
    kind = "invalid_config"

    def __init__(self, reason: str, **facts: Any) -> None:
        super().__init__(f"invalid upstream configuration: {reason}", **facts)


class InvalidUpstreamCredential(UpstreamError):
    """The provider key's credential cannot be used as it is stored."""

    status = 401
    type = "authentication_error"
    kind = "invalid_credentials"

    def __init__(self, reason: str, **facts: Any) -> None:
        super().__init__(f"invalid upstream credentials: {reason}", **facts)


# ── what stops a start or a reload ──────────────────────────────────────────────────────────


class StartError(HookwayError):
    """Ends a start or undoes a reload; the last good configuration goes on serving."""


class ConfigError(StartError):
    """Mistakes in conf.d or in resources, all of them at once.

    Args:
        problems: each with place, expectation and nearest name; rendered one a line.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{count} problem{'s' if count != 1 else ''} in the configuration"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))


class PluginError(StartError):
    """A plugin that cannot be found, loaded, started or put in order.

    Args:
        plugin: the entry-point name.
        message: what is wrong and how to mend it.
    """

    def __init__(self, plugin: str, message: str) -> None:
        super().__init__(f"plugin '{plugin}': {message}")
        self.plugin = plugin


class ServiceMissing(PluginError):
    """A plugin needs a service that no enabled plugin provides."""
