"""Fill in what an upstream did not report, so that nobody uses tokens for nothing.

A tokenizer counts where a plugin provides one (``service_tokens``), bytes / 4 do otherwise. What is filled in
is marked ``estimated`` and reaches limits, budgets, events and metrics; clients never see it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from hookway.live_exchange import LiveExchange
from hookway.produced_text import text_of_answer
from hookway_sdk import Attempt, ClientDisconnected, Tokens, Usage

BYTES_A_TOKEN = 4
PER_MESSAGE = 4
PER_REQUEST = 3
"""Tokens around the texts of a chat: three and the role for each message, three that begin the answer.

Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
"""

STALE_FACTOR, STALE_TOKENS = 2, 16
"""A stream that broke off had reported too early (in its first event) if it had said so much more by then."""

LONGEST_WAIT = 2.0
"""Seconds that the end of an answer waits for a tokenizer's table, once in a process's life."""

FEW_TEXTS, FEW_CHARACTERS = 64, 32 * 1024
"""Texts that are counted one by one, on the loop; more are joined, and a long text is counted in a thread."""


class UsageEstimator:
    """Fills the usage of attempts; one per Runtime.

    Args:
        tokens: the tokenizer, ``None`` where no plugin provides one.
    """

    def __init__(self, tokens: Tokens | None) -> None:
        self._tokens = tokens

    def after_answer(self, exchange: LiveExchange, attempt: Attempt) -> Awaitable[None] | None:
        """Fill in what a complete answer lacks; return what is to be awaited, if anything."""
        usage = attempt.usage
        if (usage.input_tokens and usage.output_tokens) or not attempt.dispatched:
            return None
        return self._fill(exchange, attempt)

    def after_failure(self, exchange: LiveExchange, attempt: Attempt) -> None:
        """Fill in what an answer lacks that broke off, or that its client did not wait for; never waits."""
        if not attempt.dispatched or attempt.status >= 300:
            return
        left = isinstance(attempt.error, ClientDisconnected)
        text, scale = produced(exchange)
        if not text and not left:
            return  # a target that failed before it said anything is not the caller's to pay
        model = attempt.candidate.deployment.model
        told = 0 if attempt.usage.input_tokens else self._texts_now(model, exchange)
        self._note(attempt, told, int(self._now(model, text) * scale), whole=False)

    async def _fill(self, exchange: LiveExchange, attempt: Attempt) -> None:
        model = attempt.candidate.deployment.model
        usage = attempt.usage
        text, scale = ("", 1.0) if usage.output_tokens else produced(exchange)
        if usage.input_tokens and not text:
            return  # an answer without text has no tokens to count
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                told = 0 if usage.input_tokens else await self._texts(model, exchange)
                written = await self._count(model, text)
        except TimeoutError:
            told = 0 if usage.input_tokens else self._texts_now(model, exchange)
            written = self._now(model, text)
        self._note(attempt, told, int(written * scale), whole=True)

    def _note(self, attempt: Attempt, told: int, written: int, *, whole: bool) -> None:
        """Write counts where there are none; of an answer that broke off, the reported ones may be stale."""
        usage = attempt.usage
        filled: Usage = usage.copy()
        if not usage.input_tokens:
            filled.input_tokens = told
        stale = not whole and written > STALE_FACTOR * usage.output_tokens + STALE_TOKENS
        if not usage.output_tokens or stale:
            filled.output_tokens = written
        if (filled.input_tokens, filled.output_tokens) != (usage.input_tokens, usage.output_tokens):
            filled.estimated = True
            attempt.usage = filled

    # ── counting ────────────────────────────────────────────────────────────────────────────

    async def _texts(self, model: str, exchange: LiveExchange) -> int:
        texts, around = request_texts(exchange)
        if self._tokens is None or not texts:
            return by_size(exchange)
        return around + sum([await self._count(model, text) for text in texts])

    def _texts_now(self, model: str, exchange: LiveExchange) -> int:
        texts, around = request_texts(exchange) if self._tokens is not None else ((), 0)
        if not texts:
            return by_size(exchange)
        return around + sum(self._now(model, text) for text in texts)

    async def _count(self, model: str, text: str) -> int:
        if self._tokens is None or not text:
            return by_bytes(text)
        try:
            return await self._tokens.count(model, text)
        except Exception:
            return by_bytes(text)

    def _now(self, model: str, text: str) -> int:
        if self._tokens is None or not text:
            return by_bytes(text)
        try:
            found = self._tokens.count_now(model, text)
        except Exception:
            found = None
        return by_bytes(text) if found is None else found


def produced(exchange: LiveExchange) -> tuple[str, float]:
    """Return what the model wrote so far, and by how much there was more than was kept."""
    stream, reply = exchange.produced, exchange.reply
    if stream is not None:
        return stream.text(), stream.scale
    if reply is None:
        return "", 1.0
    if reply.canonical is not None:
        return text_of_answer(reply.canonical), 1.0
    try:
        slots = exchange.endpoint.view_answer(reply.body, exchange).texts()
    except Exception:
        return "", 1.0  # an endpoint whose answers have no text
    return "".join(slot.text for slot in slots), 1.0


def request_texts(exchange: LiveExchange) -> tuple[Sequence[str], int]:
    """Return the request's texts, and the tokens around them."""
    try:
        slots = exchange.request.texts()
    except Exception:
        return (), 0
    texts = [slot.text for slot in slots]
    messages = {slot.pointer.split("/")[2] for slot in slots if slot.pointer.startswith("/messages/")}
    around = PER_MESSAGE * len(messages) + PER_REQUEST if messages else 0
    few = len(texts) <= FEW_TEXTS and sum(map(len, texts)) <= FEW_CHARACTERS
    return (texts if few else ["\n".join(texts)]), around


def by_bytes(text: str) -> int:
    """Return the tokens of a text by its size."""
    return -(-len(text.encode(errors="replace")) // BYTES_A_TOKEN)


def by_size(exchange: LiveExchange) -> int:
    """Return the tokens of a request by its size."""
    return -(-exchange.request.size() // BYTES_A_TOKEN)
