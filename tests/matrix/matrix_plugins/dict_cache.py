"""A cache over a dict."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from matrix_book import Book

from hookway_sdk import Cache, Exchange, Reply, Row
from matrix_plugins.controls import BOOM, Controls


def dict_cache(controls: Controls, book: Book, kept: dict[str, Reply]) -> type[Cache[Any]]:
    """Return the cache; what it keeps is the test's to change, and ``*`` is kept for every request."""

    class DictCache(Cache[Row]):
        """Keep answers by the request's bytes."""

        async def lookup(self, exchange: Exchange) -> Reply | None:
            """Return what was kept."""
            if controls.cache == "raises":
                raise RuntimeError(BOOM)
            return kept.get(key_of(exchange), kept.get("*"))

        async def store(self, exchange: Exchange, reply: Reply) -> None:
            """Keep an answer."""
            if controls.cache == "raises":
                raise RuntimeError(BOOM)
            if controls.cache == "slow":
                await asyncio.sleep(0.1)
            kept[key_of(exchange)] = reply
            book.stored.append(exchange.id)

    return DictCache


def key_of(exchange: Exchange) -> str:
    """Return what makes two requests the same."""
    members = {name: bytes(value).decode() for name, value in exchange.request.envelope.items()}
    return json.dumps([exchange.endpoint.path, members], sort_keys=True)
