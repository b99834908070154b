"""Words for labels: what came of a request, which endpoint it was, and how a value is written."""

from __future__ import annotations

from collections.abc import Iterable

UNKNOWN = "unknown"
"""A dimension that a request does not have."""

OTHER = "other"
"""What stands for values that found no room."""

UNRESOLVED = "unresolved"
"""The model of a request that was refused before a model was found for its name."""

LONGEST = 256
"""Characters of a label's value that are kept."""

INTERNAL = "internal"
"""Protocol of nested calls, and how calls are proven that the gateway makes for itself."""

LEFT = 499
"""Status of a request whose caller left."""

INFERENCE = frozenset(
    (
        "/v1/audio/speech",
        "/v1/audio/transcriptions",
        "/v1/audio/translations",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/images/edits",
        "/v1/images/generations",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/realtime",
        "/v1/rerank",
        "/v1/responses",
        "/v1/videos",
        "/v1/videos/:id",
        "/v1/videos/{id}",
    )
)
"""Endpoints that are inference whatever came of the request."""

HANDLERS: tuple[tuple[str, str], ...] = (
    ("/v1/chat/", "chat"),
    ("/v1/messages", "messages"),
    ("/v1/responses", "responses"),
    ("/v1/completions", "completions"),
    ("/v1/embeddings", "embeddings"),
    ("/v1/rerank", "rerank"),
    ("/v1/audio/", "audio"),
    ("/v1/images/", "images"),
    ("/v1/videos", "videos"),
    ("/v1/realtime", "realtime"),
    ("/v1/files", "files"),
    ("/v1/batches", "batches"),
    ("/v1/fine_tuning/", "fine_tuning"),
    ("/mcp", "mcp"),
    ("/a2a", "a2a"),
    ("/passthrough_route", "passthrough_route"),
)
"""How the paths of endpoints begin, and the short words for them."""


def known(value: str) -> str:
    """Return a value of a label, ``unknown`` for none; cut, and without what UTF-8 cannot hold."""
    if not value:
        return UNKNOWN
    if len(value) <= LONGEST and value.isascii():
        return value  # the same object: rows hold thousands of them
    return value[:LONGEST].encode(errors="replace").decode()


def escaped(value: str) -> str:
    """Escape what would end a label's value."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def written(names: Iterable[str], values: Iterable[str]) -> str:
    """Write labels as they stand between braces."""
    pairs = zip(names, values, strict=True)
    return ",".join([f'{name}="{escaped(value)}"' for name, value in pairs])


def outcome(status: int) -> str:
    """Return the word for what came of a request."""
    if 200 <= status < 400:
        return "success"
    if status == 429:
        return "rate_limited"
    if 400 <= status < 500:
        return "client_error"
    return "upstream_error" if 500 <= status < 600 else UNKNOWN


def status_class(status: int) -> str:
    """Return ``2xx`` to ``5xx``, or ``other``."""
    return f"{status // 100}xx" if 200 <= status < 600 else OTHER


def handler(endpoint: str, named_model: bool) -> str:
    """Return the short word for an endpoint, ``""`` for one that uses no model.

    Args:
        named_model: the request found a model, so an endpoint that nobody knows is one for models.
    """
    for start, word in HANDLERS:
        if endpoint.startswith(start):
            return word
    return known(endpoint.rpartition("/")[2].strip("{}")) if named_model else ""


def usage_protocol(protocol: str) -> str:
    """Return an inbound protocol in the four words of usage events."""
    return protocol if protocol in ("openai", "anthropic", "mcp") else OTHER
