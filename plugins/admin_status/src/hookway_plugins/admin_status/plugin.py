"""The three routes of the status."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from hookway_plugins.admin_status.config_answer import config_answer
from hookway_plugins.admin_status.model_answer import model_answer
from hookway_sdk import Admin, Guard, NoSettings, OperatorReply, OperatorRequest, OperatorRoute

TEXT = "text/plain; charset=utf-8"
LONGEST_WAIT = 5.0
"""Seconds that a list of models may take; plugins ask the store of state for it."""


class StatusAdmin(Admin[NoSettings]):
    """Says what serves, what was rejected and how models fare, on the metrics listener."""

    def routes(self) -> Sequence[OperatorRoute]:
        """Return the routes; a GET also answers HEAD."""
        return (
            OperatorRoute("metrics", "GET", "/status/ready", self.ready, Guard.NONE),
            OperatorRoute("metrics", "GET", "/status/config", self.config, Guard.NONE),
            OperatorRoute("metrics", "GET", "/status/models", self.models, Guard.NONE),
        )

    async def ready(self, request: OperatorRequest) -> OperatorReply:
        """Say whether a configuration serves."""
        if self.services.status.ready:
            return OperatorReply(b"ok", content_type=TEXT)
        return OperatorReply(b"no configuration available", 503, TEXT)

    async def config(self, request: OperatorRequest) -> OperatorReply:
        """Say what serves and what was rejected, also when nothing was loaded yet."""
        status = await self.services.status.config()
        return OperatorReply(msgspec.json.encode(config_answer(status, self.services.clock.now())))

    async def models(self, request: OperatorRequest) -> OperatorReply:
        """Say how each model fares."""
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                models = await self.services.status.models()
        except Exception as error:
            self.services.log.error("models_not_listed", error=f"{type(error).__name__}: {error}")
            return OperatorReply(msgspec.json.encode({"error_msg": "failed to list models"}), 500)
        return OperatorReply(msgspec.json.encode([model_answer(one) for one in models]))
