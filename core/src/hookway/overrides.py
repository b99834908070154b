"""What a provider key changes in requests: body members, headers from templates, forwarded client headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from hookway.resources.core_fields import RequestOverrides
from hookway_sdk import ConfigBroken, Envelope, Exchange, InvalidRequest, raw, read

RESERVED = frozenset(
    {
        "authorization",
        "x-api-key",
        "x-goog-api-key",
        "api-key",
        "x-amz-security-token",
        "x-amz-date",
        "x-amz-content-sha256",
        "proxy-authorization",
        "cookie",
        "host",
    }
)
"""Headers that neither a template nor a client may set upstream."""

NEVER_FORWARDED = RESERVED | {
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "traceparent",
    "tracestate",
    "upgrade",
}

_VARIABLE = re.compile(r"\$\{\s*([^}]*?)\s*\}|\$\{")
_UNSAFE = re.compile(r"[\r\n\0]")

Variables = Mapping[str, str]
HeaderLine = tuple[str, str]


def body_override(overrides: RequestOverrides) -> Callable[[Envelope], None] | None:
    """Compile the changes to a body's top level; ``None`` when there are none."""
    renames = tuple(overrides.param_renames.items())
    constraints = overrides.param_constraints
    low, high = constraints.temperature_min, constraints.temperature_max
    defaults = {name: raw(value) for name, value in overrides.default_body_fields.items()}
    if not (renames or defaults or low is not None or high is not None):
        return None

    def change(body: Envelope) -> None:
        for old, new in renames:
            if old in body:
                body[new] = body.pop(old)
        if "temperature" in body and (low is not None or high is not None):
            clamp(body, low, high)
        for name, value in defaults.items():
            body.setdefault(name, value)

    return change


def clamp(body: Envelope, low: float | None, high: float | None) -> None:
    """Move a temperature outside the bounds to the bound; what is no number is left to the upstream."""
    try:
        value = read(body["temperature"])
    except msgspec.DecodeError as error:
        raise InvalidRequest("invalid JSON request body", param="temperature") from error
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        bounded: Any = value
        if high is not None and bounded > high:
            bounded = high
        if low is not None and bounded < low:
            bounded = low
        if bounded != value:
            body["temperature"] = raw(bounded)


class HeaderOverride:
    """The headers that a provider key adds to every request: rendered templates and forwarded headers."""

    __slots__ = ("_constant", "_own_prefix", "_patterns", "_templates")

    def __init__(self, overrides: RequestOverrides, own_prefix: str) -> None:
        self._own_prefix = own_prefix
        self._constant: tuple[HeaderLine, ...] = ()
        self._templates: tuple[HeaderLine, ...] = ()
        taken = set(RESERVED)
        for name, template in overrides.default_headers.items():
            lowered = name.lower()
            if lowered in taken:
                continue
            taken.add(lowered)
            if "${" in template:
                self._templates += ((lowered, template),)
            elif template and not _UNSAFE.search(template):
                self._constant += ((lowered, template),)
        self._patterns = tuple(one.lower() for one in overrides.forward_client_headers)

    def __bool__(self) -> bool:
        return bool(self._constant or self._templates or self._patterns)

    def lines(self, exchange: Exchange, variables: Callable[[], Variables]) -> Sequence[HeaderLine]:
        """Return the header lines for a request; the first writer of a name wins."""
        lines = dict(self._constant)
        if self._templates:
            values = variables()
            for name, template in self._templates:
                rendered = render(template, values)
                if rendered:
                    lines.setdefault(name, rendered)
        if self._patterns:
            for name, value in exchange.headers.items():
                lowered = name.lower()
                if lowered not in lines and self._may_forward(lowered):
                    lines[lowered] = value
        return tuple(lines.items())

    def _may_forward(self, name: str) -> bool:
        if name in NEVER_FORWARDED or name.startswith((self._own_prefix, "x-stainless-")):
            return False
        return any(matches(pattern, name) for pattern in self._patterns)


def matches(pattern: str, name: str) -> bool:
    """Match a header name against a one-star glob."""
    head, star, tail = pattern.partition("*")
    if not star:
        return name == pattern
    return "*" not in tail and len(name) >= len(head + tail) and name.startswith(head) and name.endswith(tail)


def render(template: str, values: Variables) -> str:
    """Fill a template; ``""`` when a variable is unknown or empty, or the result is no header value."""
    missing = False

    def fill(found: re.Match[str]) -> str:
        nonlocal missing
        value = values.get(found.group(1) or "", "")
        missing = missing or not value
        return value

    rendered = _VARIABLE.sub(fill, template)
    return "" if missing or _UNSAFE.search(rendered) else rendered


def header_variables(exchange: Exchange) -> Variables:
    """Return the closed set of variables that header templates may use."""
    principal, attempt = exchange.principal, exchange.attempt
    if principal is None or attempt is None:
        raise ConfigBroken("header templates need a principal and a target")
    deployment = attempt.candidate.deployment
    return {
        "request.id": exchange.id,
        "request.api_key.id": principal.key_id,
        "request.api_key.name": principal.key_name,
        "request.api_key.team_id": principal.team_id,
        "request.api_key.user_id": principal.user_id,
        "model.id": deployment.id,
        "model.name": deployment.name,
        "provider_key.id": deployment.key.id,
        "provider_key.name": deployment.key.name,
    }
