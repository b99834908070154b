"""An exchange to call the endpoints with, as the core would make one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from hookway_plugins.dialect_openai.chat_endpoint import ChatCompletions
from hookway_sdk import Client, Endpoint, Exchange, Headers, ModelView, Principal, native_brand


class Names:
    """A snapshot that knows model names and nothing else."""

    revision = 1

    def __init__(self, names: Sequence[tuple[str, str]]) -> None:
        self._names = names

    def model_names(self) -> Sequence[tuple[str, str]]:
        return self._names


class NoHeaders:
    def get(self, key: str) -> str | None:
        return None

    def getall(self, key: str, default: list[str]) -> list[str]:
        return default

    def items(self) -> list[tuple[str, str]]:
        return []


MakeExchange = Callable[..., Exchange]


@pytest.fixture
def make_exchange() -> MakeExchange:
    def make(
        endpoint: Endpoint | None = None,
        *,
        path: str = "/v1/chat/completions",
        allowed: tuple[str, ...] = ("*",),
        names: Sequence[tuple[str, str]] = (),
        body: bytes = b'{"model":"fast","messages":[{"role":"user","content":"hi"}]}',
        model: str = "fast",
    ) -> Exchange:
        exchange = Exchange(
            "req-1",
            endpoint or ChatCompletions(),
            Names(names),  # type: ignore[arg-type]  # the endpoints under test ask for names only
            native_brand("0.1.0"),
            method="POST",
            path=path,
            query="",
            headers=Headers(NoHeaders()),
            client=Client(),
            started=1.0,
            started_at=1_700_000_000.5,
        )
        exchange.principal = Principal("key", allowed_models=allowed)
        exchange.model = ModelView("id", model, model)
        if exchange.endpoint.wire:
            exchange.request = exchange.endpoint.parse(body, exchange)
        return exchange

    return make


@pytest.fixture
def services() -> Any:
    """Services of which the models endpoints use the clock."""
    return SimpleNamespace(clock=SimpleNamespace(now=lambda: 1_700_000_123.9))
