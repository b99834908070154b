"""From a provider key's base URL to the address of an endpoint."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from hookway_sdk import Deployment, InvalidUpstreamConfig

OPENAI_BASE = "https://api.openai.com/v1"
"""Source: https://platform.openai.com/docs/api-reference/introduction"""

_OWN_VENDORS = frozenset({"", "openai"})
_PASTED = (
    "/audio/transcriptions",
    "/audio/translations",
    "/audio/speech",
    "/chat/completions",
    "/images/generations",
    "/completions",
    "/embeddings",
    "/responses",
    "/messages",
    "/rerank",
)
_UNWANTED = re.compile(r"[\s\\\x00-\x1f\x7f]")


def endpoint_url(deployment: Deployment, endpoint: str) -> str:
    """Return the absolute URL of an endpoint (``/chat/completions``) at a deployment.

    A base with a path is kept as it is, a bare host gets ``/v1``; blanks around it, slashes at its end and
    one endpoint that was pasted along are taken off. Without a base the vendor must be OpenAI itself, so
    that no other vendor's key is ever sent there.

    Raises:
        InvalidUpstreamConfig: there is no base, or it is not the root of an HTTP API.
    """
    base = deployment.key.api_base.strip().rstrip("/")
    if not base:
        vendor = deployment.key.provider or deployment.provider
        if vendor.strip().lower() not in _OWN_VENDORS:
            raise InvalidUpstreamConfig(f'provider_key "{deployment.key.name}" has no api_base configured')
        return OPENAI_BASE + endpoint
    for suffix in _PASTED:
        if base.endswith(suffix):
            base = base.removesuffix(suffix).rstrip("/")
            break
    return _checked(base, deployment.key.name) + endpoint


def is_openai(deployment: Deployment) -> bool:
    """Say whether a deployment is OpenAI's own (or Azure's), going by its host, not a compatible server."""
    base = deployment.key.api_base.strip()
    host = (urlsplit(base).hostname or "") if base else "api.openai.com"
    return host.endswith((".openai.com", ".openai.azure.com"))


def _checked(base: str, key: str) -> str:
    """Return the base with its version; messages never quote it, since it may hold a password."""
    where = f'api_base of provider_key "{key}"'
    try:
        parts = urlsplit(base)
        port = parts.port
    except ValueError as error:
        raise InvalidUpstreamConfig(f"{where} is not a URL") from error
    if parts.scheme not in ("http", "https"):
        raise InvalidUpstreamConfig(f"{where} must start with http:// or https://")
    if not parts.hostname or _UNWANTED.search(base) or port == 0:
        raise InvalidUpstreamConfig(f"{where} is not a URL")
    if "@" in parts.netloc:
        raise InvalidUpstreamConfig(f"{where} must not hold a user or a password; use api_key")
    if "?" in base or "#" in base:
        raise InvalidUpstreamConfig(f"{where} must not have a query or a fragment")
    return f"{parts.scheme}://{parts.netloc}{parts.path or '/v1'}"
