"""One line of the access log: which fields it has, in which order, and how it becomes JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from hookway_sdk import ExchangeKind, RequestEnded

LONGEST = 1_024
"""Characters of a text that are kept; paths and names of models are the caller's own."""


class AccessLine(
    msgspec.Struct, tag_field="message", tag="proxy request completed", omit_defaults=True, gc=False
):
    """The fields of a line, in their order; one that is unknown is absent.

    Up to ``error`` they are the field's, so that dashboards for other gateways go on working.
    """

    method: str = ""
    path: str = ""
    status: int = 0
    latency_ms: int | None = None
    provider: str = ""
    model: str = ""
    api_key_id: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    request_id: str = ""
    provider_request_id: str = ""
    served_by_model: str = ""
    routing_attempt_count: int = 0
    routing_fallback_count: int | None = None
    error_kind: str = ""
    error: str = ""
    time: str = ""
    stream: bool = False
    ttft_ms: int = 0
    cache: str = ""
    client: str = ""
    api_key_name: str = ""
    team_id: str = ""
    kind: ExchangeKind = ExchangeKind.CALL
    parent_request_id: str = ""


FIELDS: tuple[str, ...] = AccessLine.__struct_fields__
_DEFAULTS: list[tuple[str, Any]] = list(zip(FIELDS, AccessLine.__struct_defaults__, strict=True))


_FRACTIONS = tuple(f".{milliseconds:03d}Z" for milliseconds in range(1000))
"""How times end: formatting one takes longer than the rest of the time."""


def known_field(name: str) -> None:
    """Check the name of a field.

    Raises:
        ValueError: there is no such field.
    """
    if name not in FIELDS:
        raise ValueError(f"is no field of the access log; the fields are {', '.join(FIELDS)}")


class LineWriter:
    """Turns events into lines.

    Args:
        fields: the fields to write, ``None`` for all.
    """

    def __init__(self, fields: Sequence[str] | None) -> None:
        self._left_out = [] if fields is None else [one for one in _DEFAULTS if one[0] not in fields]
        self._encode = msgspec.json.Encoder().encode
        self._second = -1
        self._date = ""

    def encode(self, event: RequestEnded) -> bytes:
        """Return the line of an event, without its end.

        JSON writes line breaks and other control characters in escaped form, so that no text can end
        its line and begin a forged one.
        """
        line = self._line(event)
        try:
            encoded = self._encode(line)
        except UnicodeEncodeError:
            # Bytes of a path that were no UTF-8 arrive as lone surrogates, which JSON cannot hold.
            encoded = self._encode(_mended(line))
        # In a short line there is no long text: cutting each would be a sixth of the cost.
        return encoded if len(encoded) <= LONGEST else self._encode(_shortened(line))

    def _line(self, event: RequestEnded) -> AccessLine:
        usage = event.usage
        line = AccessLine(
            event.method,
            event.path,
            event.status,
            round(event.latency_ms),
            event.provider,
            event.requested_model or event.model,
            event.key_id,
            usage.input_tokens,
            usage.output_tokens,
            usage.input_tokens + usage.output_tokens,
            event.request_id,
            event.upstream_id,
            event.target,
            event.attempts,
            event.fallbacks if event.attempts else None,
            event.error_type,
            event.error,
            self._time(event.at) if event.at else "",
            event.stream,
            round(event.ttft_ms) if event.ttft_ms else 0,
            event.cache_status,
            event.client_address,
            event.key_name,
            event.team_id,
            event.kind,
            event.parent_id,
        )
        for name, default in self._left_out:
            setattr(line, name, default)
        return line

    def _time(self, at: float) -> str:
        """Return a moment in RFC 3339, UTC, with milliseconds."""
        milliseconds = round(at * 1000)
        second = milliseconds // 1000
        if second != self._second:
            self._second = second
            self._date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return self._date + _FRACTIONS[milliseconds % 1000]


def _shortened(line: AccessLine) -> AccessLine:
    line.path = line.path[:LONGEST]
    line.model = line.model[:LONGEST]
    line.provider_request_id = line.provider_request_id[:LONGEST]
    return line


def _mended(line: AccessLine) -> AccessLine:
    for name in FIELDS:
        value = getattr(line, name)
        if isinstance(value, str):
            setattr(line, name, value.encode(errors="replace").decode())
    return line
