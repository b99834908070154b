"""``GET /v1/models`` and ``GET /v1/models/{model}``: what a caller may name.

Source: https://platform.openai.com/docs/api-reference/models
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import msgspec

from hookway_plugins.dialect_openai.errors import error_body
from hookway_sdk import (
    BodyKind,
    Endpoint,
    Exchange,
    GatewayError,
    ModelNotFound,
    Phase,
    Reply,
    Services,
    glob_matches,
)

_encode = msgspec.json.Encoder().encode
_LIST = "/v1/models"


class _ModelsEndpoint(Endpoint):
    """What both endpoints share: no body, no upstream, hence fewer phases."""

    method = "GET"
    protocol = "openai"
    body = BodyKind.NONE
    order = (Phase.AUTHENTICATE, Phase.ADMIT_REQUEST, Phase.SETTLE, Phase.RECORD)

    def __init__(self, services: Services) -> None:
        self._services = services

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        """Return OpenAI's error envelope."""
        return error_body(error)

    def visible(self, exchange: Exchange) -> Iterator[dict[str, Any]]:
        """Yield the models the caller may use, sorted by name.

        Rows whose name is a pattern are not listed. A model that is no provider's own (a group) is owned
        by the gateway.
        """
        allowed = exchange.principal.allowed_models if exchange.principal else ()
        created = int(self._services.clock.now())
        for name, owner in exchange.snapshot.model_names():
            if any(glob_matches(pattern, name) for pattern in allowed):
                yield {
                    "id": name,
                    "object": "model",
                    "created": created,
                    "owned_by": owner or exchange.brand.name,
                }


class ModelList(_ModelsEndpoint):
    """Every model the caller may use."""

    path = _LIST

    async def answer(self, exchange: Exchange) -> Reply:
        """Return the list."""
        return Reply(_encode({"object": "list", "data": list(self.visible(exchange))}))


class ModelRetrieve(_ModelsEndpoint):
    """One model the caller may use; SDKs call it ``models.retrieve``."""

    path = _LIST + "/{model}"

    async def answer(self, exchange: Exchange) -> Reply:
        """Return the model.

        Raises:
            ModelNotFound: there is none of that name, or the caller may not use it.
        """
        wanted = unquote(exchange.path.removeprefix(_LIST + "/"))
        for model in self.visible(exchange):
            if model["id"] == wanted:
                return Reply(_encode(model))
        raise ModelNotFound(wanted)
