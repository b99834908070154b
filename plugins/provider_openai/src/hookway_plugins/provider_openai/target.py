"""Where chat requests go, and the headers that every one of them carries."""

from __future__ import annotations

import re

from hookway_plugins.provider_openai.base_url import endpoint_url
from hookway_sdk import Deployment, InvalidUpstreamConfig, InvalidUpstreamCredential, UpstreamTarget

_HEADER_SAFE = re.compile(r"[\x20-\x7e]+")


def chat_target(deployment: Deployment, stream: bool) -> UpstreamTarget:
    """Return address and headers of chat requests.

    Source: https://platform.openai.com/docs/api-reference/authentication

    Raises:
        InvalidUpstreamConfig: the key has no usable base URL, or no credential.
        InvalidUpstreamCredential: the credential has bytes that cannot stand in a header.
    """
    return UpstreamTarget(
        url=endpoint_url(deployment, "/chat/completions"),
        headers=(
            ("authorization", f"Bearer {_credential(deployment)}"),
            ("content-type", "application/json"),
            ("accept", "text/event-stream" if stream else "application/json"),
        ),
    )


def _credential(deployment: Deployment) -> str:
    credential = deployment.key.secret.reveal()
    if not credential.strip():
        raise InvalidUpstreamConfig(f'model "{deployment.name}" provider_key has empty api_key')
    if not _HEADER_SAFE.fullmatch(credential):
        raise InvalidUpstreamCredential(
            f'api_key of provider_key "{deployment.key.name}" has characters that cannot stand in a header'
        )
    return credential
