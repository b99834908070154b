"""Gateways whose own failures fail the tests that they serve."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hookway.testing import GatewayFactory, RunningGateway

FORGETFUL = {name: {"enabled": False} for name in ("resilience_cooldown", "service_tokens")}
"""Plugins that would carry what one test did to the next: targets that cool down, tables that are loaded."""


class Watched:
    """Starts gateways and fails at the end if anything failed in them that no request should make fail."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._factory = GatewayFactory(directory)
        self._unseen: list[str] = []
        self._running: list[RunningGateway] = []

    def __call__(self, settings: dict[str, Any] | None = None, **more: Any) -> RunningGateway:
        """Start a gateway (see :class:`hookway.testing.GatewayFactory`), without :data:`FORGETFUL`."""
        settings = dict(settings or {})
        settings["plugins"] = {**FORGETFUL, **settings.get("plugins", {})}
        running = self._factory(settings, **more)
        running.run(self._listen())
        self._running.append(running)
        return running

    def write_resources(self, running: RunningGateway, resources: dict[str, Any]) -> None:
        """Replace a gateway's resources file."""
        self._factory.write_resources(self._running.index(running), resources)

    def home(self, running: RunningGateway) -> Path:
        """Return the directory in which a gateway's conf.d, resources and state are."""
        return self._directory / f"gateway{self._running.index(running)}"

    def close(self) -> None:
        """Close the gateways and look at what they said."""
        self._factory.close()
        errors = [line for running in self._running for line in running.log if line["level"] == "error"]
        assert not errors, errors
        assert not self._unseen, self._unseen

    async def _listen(self) -> None:
        def note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            self._unseen.append(f"{context['message']}: {context.get('exception')!r}")

        asyncio.get_running_loop().set_exception_handler(note)
