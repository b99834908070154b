"""Keep an account's key out of what its provider says; some servers repeat what they were sent."""

from __future__ import annotations

from typing import Any

from hookway_sdk import GatewayError, Secret, UpstreamError

SHORTEST = 8
"""Characters of a key below which it may be any word (``none``, ``local``); such a one protects nothing."""

MASK = "***"


def without_secret(error: GatewayError, secret: Secret) -> GatewayError:
    """Mask an account's key in everything an upstream's error tells, in place; return the error."""
    key = secret.reveal()
    if isinstance(error, UpstreamError) and len(key) >= SHORTEST:
        error.message = error.message.replace(key, MASK)
        for name in ("detail", "code", "param", "type"):
            value = getattr(error, name)
            if isinstance(value, str) and key in value:
                setattr(error, name, value.replace(key, MASK))
        if error.members:
            error.members = {name: masked(value, key) for name, value in error.members.items()}
    return error


def masked(value: Any, key: str) -> Any:
    """Return a JSON value with a key masked in its texts."""
    if isinstance(value, str):
        return value.replace(key, MASK)
    if isinstance(value, dict):
        return {name: masked(inner, key) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, key) for inner in value]
    return value
