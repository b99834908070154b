"""The envelope of errors for requests that reached no dialect: the shape most clients know."""

from __future__ import annotations

from typing import Any

import msgspec

from hookway_sdk import GatewayError

_encode = msgspec.json.Encoder().encode


def fallback_body(error: GatewayError, request_id: str) -> bytes:
    """Return ``{"error": {"message", "type", …}}``; absent members are left out."""
    members: dict[str, Any] = {"message": error.message, "type": error.type}
    if error.param is not None:
        members["param"] = error.param
    if error.code is not None:
        members["code"] = error.code
    return _encode({"error": members | dict(error.members or {})})
