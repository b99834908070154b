"""What the end-to-end tests share: a provider per session, and gateways that live as long as a module."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from scripted_provider import Provider

from hookway.testing import GatewayFactory, RunningGateway

Start = Callable[..., RunningGateway]


@pytest.fixture(scope="session")
def provider_server() -> Iterator[Provider]:
    """The provider that all tests share; ask for ``provider`` to script it."""
    provider = Provider()
    try:
        yield provider
    finally:
        provider.close()


@pytest.fixture
def provider(provider_server: Provider) -> Iterator[Provider]:
    """The provider, without a script; at the end everything scripted has to have been asked for."""
    provider_server.begin()
    yield provider_server
    provider_server.check()


class Watched:
    """Starts gateways and fails at the end if anything failed in them that no request should make fail."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._factory = GatewayFactory(directory)
        self._unseen: list[str] = []
        self._running: list[RunningGateway] = []

    def __call__(self, settings: dict[str, Any] | None = None, **more: Any) -> RunningGateway:
        """Start a gateway (see :class:`hookway.testing.GatewayFactory`)."""
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


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Start gateways that live as long as the module."""
    watched = Watched(tmp_path_factory.mktemp("shared"))
    yield watched
    watched.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Watched]:
    """Start gateways that live as long as the test."""
    watched = Watched(tmp_path)
    yield watched
    watched.close()
