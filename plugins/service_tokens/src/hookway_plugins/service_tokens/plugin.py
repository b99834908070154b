"""Counts tokens with tiktoken's engine, and loads what it needs for that when it is first asked."""

from __future__ import annotations

import asyncio
import functools
from typing import Annotated

import msgspec

from hookway_plugins.service_tokens.long_texts import Count, by_bytes, count_by_head, count_whole, head_of
from hookway_plugins.service_tokens.model_encodings import EncodingName, ModelEncodings
from hookway_plugins.service_tokens.rank_tables import TABLES, Table
from hookway_sdk import Service, Services, Settings, Tokens
from hookway_sdk.durations import Size

KNOWN_MODELS = 1024
"""Models whose encodings are remembered; names may come from callers, so there is no end to them."""


class TokensSettings(Settings):
    """Settings under ``plugins.service_tokens``.

    Args:
        default_encoding: the encoding of models that OpenAI does not make: ``o200k_base`` or ``cl100k_base``.
        encodings: encodings by glob of the model's name, before all built-in knowledge; the first that fits
            counts.
        inline_limit: bytes of text that are counted on the event loop at most; a longer one is counted in a
            thread, or, where nobody can wait, by how it begins. From 1 KiB to 256 KiB.
        preload: tables that are loaded before the gateway serves; the others are when they are first needed.
    """

    default_encoding: EncodingName = "o200k_base"
    encodings: dict[str, EncodingName] = msgspec.field(default_factory=dict)
    inline_limit: Annotated[Size, msgspec.Meta(ge=1024, le=256 * 1024)] = 32 * 1024
    preload: tuple[EncodingName, ...] = ()


class TokenCounter(Service[TokensSettings]):
    """Counts tokens as the models' own tokenizers do, from bundled and checksummed tables."""

    provides = Tokens

    def __init__(self, name: str, settings: TokensSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        known = ModelEncodings(settings.encodings, settings.default_encoding)
        self._encoding_of = functools.lru_cache(KNOWN_MODELS)(known.find)
        self._limit = settings.inline_limit
        self._counts: dict[EncodingName, Count] = {}
        self._loads: dict[EncodingName, asyncio.Future[Table]] = {}
        self._begun: set[EncodingName] = set()

    async def start(self) -> None:
        """Load what the settings want loaded beforehand."""
        for encoding in self.settings.preload:
            await self._loaded(encoding)

    async def stop(self) -> None:
        """Wait for tables that are being read; a thread cannot be stopped."""
        if self._loads:
            await asyncio.wait(self._loads.values())

    async def count(self, model: str, text: str) -> int:
        """Return how many tokens a text is for a model; waits for a table that has to be loaded first."""
        if not text:
            return 0
        encoding = self._encoding_of(model)
        count = self._counts.get(encoding) or await self._loaded(encoding)
        if head_of(text, self._limit) is text:
            return count_whole(count, text)
        return await asyncio.to_thread(count_whole, count, text)

    def count_now(self, model: str, text: str) -> int | None:
        """Return the same at once, or ``None`` while the model's table loads (which this begins).

        A text over ``inline_limit`` is counted up to there; the rest is taken to be like it. The first call
        for an encoding needs a running event loop.
        """
        if not text:
            return 0
        encoding = self._encoding_of(model)
        count = self._counts.get(encoding)
        if count is None:
            self._begin(encoding)
            return None
        head = head_of(text, self._limit)
        return count_whole(count, text) if head is text else count_by_head(count, text, head)

    def _begin(self, encoding: EncodingName) -> None:
        if encoding in self._begun or encoding in self._loads:
            return
        self._begun.add(encoding)

        async def load() -> None:
            await self._loaded(encoding)

        self.services.tasks.start(f"load_{encoding}", load)

    async def _loaded(self, encoding: EncodingName) -> Count:
        """Return what counts in an encoding, once it can; whoever asks meanwhile waits for the same load."""
        load = self._loads.get(encoding)
        if load is None:
            load = asyncio.get_running_loop().run_in_executor(None, TABLES.load, encoding)
            load.add_done_callback(functools.partial(self._note, encoding))
            self._loads[encoding] = load
        await asyncio.wait((load,))  # a caller that is cancelled leaves the load to the others
        return self._counts[encoding]

    def _note(self, encoding: EncodingName, load: asyncio.Future[Table]) -> None:
        """Count with what was loaded; without it by size, and say so once."""
        error = load.exception()
        if error is None:
            self._counts[encoding] = load.result().count
            return
        self._counts[encoding] = by_bytes
        self.services.log.error(
            "token_table_unusable", encoding=encoding, error=str(error) or repr(error), instead="bytes / 4"
        )
