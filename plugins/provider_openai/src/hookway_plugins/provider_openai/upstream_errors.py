"""Errors of OpenAI's wire: answers with an error status, and errors inside answers that began well.

Sources: https://platform.openai.com/docs/guides/error-codes for the envelope;
https://openrouter.ai/docs/api/reference/errors-and-debugging for numeric codes and errors inside streams.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from hookway_plugins.provider_openai.wire import text_of
from hookway_sdk import UpstreamInBand, UpstreamRefused

_decode = msgspec.json.Decoder().decode
_LONGEST = 1024
"""Bytes of an upstream's sentence that callers see."""


def refused(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamRefused:
    """Read an error answer.

    The envelope ``{"error": {…}}`` is looked for whatever content type the answer has. A body in another
    shape, one whose ``code`` is not a string included, is its own message, without a code.

    Args:
        headers: by lower-case name.
    """
    envelope = _envelope(body)
    facts: dict[str, Any] = {"retry_after": _retry_after(headers)}
    if envelope is None:
        return UpstreamRefused(status, _shortened(body.decode(errors="replace").strip()), **facts)
    if 400 <= status < 500:
        # Codes and parameters of other statuses would tell what the suppressed message tells.
        facts["code"] = text_of(envelope.get("code")) or None
        facts["param"] = text_of(envelope.get("param")) or None
    return UpstreamRefused(status, _shortened(envelope["message"]), **facts)


def in_band(error: Any) -> UpstreamInBand:
    """Read an ``error`` member (an object or a string) of an answer or frame whose status was a success.

    A code from 400 to 599, as a number or as digits, is the status the upstream would have sent.
    """
    if not isinstance(error, dict):
        return UpstreamInBand(_shortened(error if isinstance(error, str) else _json(error)))
    message = _shortened(text_of(error.get("message")) or _json(error))
    status = _status(error.get("code"))
    if status is None or not 400 <= status < 500:
        return UpstreamInBand(message, upstream_status=status)
    code, param = text_of(error.get("code")) or None, text_of(error.get("param")) or None
    return UpstreamInBand(message, upstream_status=status, code=code, param=param)


def _envelope(body: bytes) -> dict[str, Any] | None:
    try:
        decoded = _decode(body)
    except (ValueError, RecursionError):
        return None
    error = decoded.get("error") if isinstance(decoded, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    code = error.get("code")
    return error if code is None or isinstance(code, str) else None


def _status(code: Any) -> int | None:
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
        code = int(code)
    if isinstance(code, bool) or not isinstance(code, int) or not 400 <= code <= 599:
        return None
    return code


def _retry_after(headers: Mapping[str, str]) -> int | None:
    """Return seconds, rounded up; a date is ignored.

    ``retry-after-ms`` is what OpenAI's own SDKs look at first (``openai/_base_client.py``).
    """
    for name, per_second in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / per_second
        except ValueError:
            continue
        if 0 <= seconds < 1e9:
            return math.ceil(seconds)
    return None


def _shortened(text: str) -> str:
    encoded = text.encode(errors="replace")
    return text if len(encoded) <= _LONGEST else encoded[:_LONGEST].decode(errors="ignore")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
