"""What the end-to-end tests share: a provider per session, and gateways that live as long as a module."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from scripted_provider import Provider
from watched import Watched

from hookway.testing import RunningGateway

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
