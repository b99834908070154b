"""The error envelope of OpenAI's wire, in answers and inside streams."""

from __future__ import annotations

from typing import Any

import msgspec

from hookway_sdk import GatewayError, UpstreamInBand

_encode = msgspec.json.Encoder(enc_hook=str).encode


def error_body(error: GatewayError) -> bytes:
    """Return ``{"error": {…}}`` for an answer.

    ``param`` and ``code`` are left out where they say nothing; OpenAI's SDKs read a missing member and
    ``null`` alike (``openai/_exceptions.py``: ``body.get("code")``).
    """
    return _body(error, error.type)


def error_frame(error: GatewayError) -> bytes:
    """Return the server-sent event that ends a stream which began well and cannot go on.

    OpenAI's SDKs raise ``APIError`` on any event whose data has a truthy ``error`` member
    (``openai/_streaming.py``), so the name of the event is for everybody else. No ``[DONE]`` follows:
    a client that counts on it must not take the answer for a whole one.
    """
    kind = "upstream_in_band_error" if isinstance(error, UpstreamInBand) else error.type
    return b"event: error\ndata: " + _body(error, kind) + b"\n\n"


def _body(error: GatewayError, kind: str) -> bytes:
    inner: dict[str, Any] = {"message": error.message, "type": kind}
    if error.param is not None:
        inner["param"] = error.param
    if error.code is not None:
        inner["code"] = error.code
    for name, value in (error.members or {}).items():
        inner.setdefault(name, value)
    try:
        return _encode({"error": inner})
    except UnicodeEncodeError:
        # A path or a header may carry bytes that are no text; they came in as lone surrogates.
        inner["message"] = error.message.encode(errors="replace").decode()
        return _encode({"error": {name: inner[name] for name in ("message", "type")}})
