"""What an upstream does not report is counted here, and marked; nobody uses tokens for nothing."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from hookway.live_exchange import LiveExchange
from hookway.produced_text import WholeText
from hookway.usage_estimates import UsageEstimator
from hookway_sdk import (
    Attempt,
    ChatAnswer,
    ClientDisconnected,
    GatewayError,
    Message,
    Reply,
    StreamAborted,
    TextPart,
    Tokens,
    TransportFailed,
    UpstreamRefused,
    Usage,
)
from hookway_sdk.messages import Choice
from hookway_sdk.testing import make_candidate, make_exchange


class Words:
    """Counts words as tokens; ``ready`` says whether it can do so at once."""

    def __init__(self, *, ready: bool = True, slow: bool = False, broken: bool = False) -> None:
        self.ready, self.slow, self.broken = ready, slow, broken
        self.models: list[str] = []

    async def count(self, model: str, text: str) -> int:
        self.models.append(model)
        if self.slow:
            await asyncio.sleep(3600)
        if self.broken:
            raise ValueError("a bug in a tokenizer")
        return len(text.split())

    def count_now(self, model: str, text: str) -> int | None:
        if self.broken:
            raise ValueError("a bug in a tokenizer")
        return len(text.split()) if self.ready else None


def said(text: str) -> ChatAnswer:
    message = Message(role="assistant", parts=(TextPart(text=text),))
    return ChatAnswer(choices=(Choice(message=message),))


def exchange_and_attempt(
    *texts: str,
    answer: str | None = None,
    usage: Usage | None = None,
    error: GatewayError | None = None,
    status: int = 200,
) -> tuple[LiveExchange, Attempt]:
    exchange: Any = make_exchange(*texts)
    exchange = _with_slots(exchange)
    exchange.produced = None if answer is None else WholeText(said(answer))
    attempt = Attempt(0, "initial", make_candidate(), 0.0)
    attempt.dispatched = True
    attempt.status = status
    attempt.error = error
    attempt.usage = usage or Usage()
    return cast("LiveExchange", exchange), attempt


class _Loose:
    """An exchange to which a test may add what the core's own has."""

    def __init__(self, exchange: Any) -> None:
        self.__dict__.update({name: getattr(exchange, name) for name in ("request", "endpoint", "reply")})


def _with_slots(exchange: Any) -> Any:
    return _Loose(exchange)


async def filled(tokens: Words | None, exchange: LiveExchange, attempt: Attempt) -> Usage:
    pending = UsageEstimator(cast("Tokens | None", tokens)).after_answer(exchange, attempt)
    if pending is not None:
        await pending
    return attempt.usage


async def test_what_was_reported_is_left_alone_and_nothing_is_awaited() -> None:
    exchange, attempt = exchange_and_attempt("a b c", answer="d e", usage=Usage(7, 3))
    assert UsageEstimator(None).after_answer(exchange, attempt) is None
    assert attempt.usage == Usage(7, 3)


async def test_a_tokenizer_counts_what_is_missing_with_what_stands_around_messages() -> None:
    tokens = Words()
    exchange, attempt = exchange_and_attempt("one two", "three", answer="four five six")
    assert await filled(tokens, exchange, attempt) == Usage(3 + 2 * 4 + 3, 3, estimated=True)
    assert set(tokens.models) == {attempt.candidate.deployment.model}


async def test_without_a_tokenizer_four_bytes_are_a_token() -> None:
    exchange, attempt = exchange_and_attempt("x" * 400, answer="y" * 401)
    usage = await filled(None, exchange, attempt)
    assert usage.output_tokens == 101
    assert 100 <= usage.input_tokens <= 130
    assert usage.estimated


async def test_only_the_missing_half_is_filled() -> None:
    exchange, attempt = exchange_and_attempt(
        "a", answer="b c", usage=Usage(input_tokens=50, reasoning_tokens=0)
    )
    assert await filled(Words(), exchange, attempt) == Usage(50, 2, estimated=True)


async def test_an_answer_without_text_has_no_output_tokens() -> None:
    exchange, attempt = exchange_and_attempt("a", usage=Usage(input_tokens=50))
    assert await filled(Words(), exchange, attempt) == Usage(50, 0)


async def test_the_reported_usage_stays_as_it_was_for_whoever_shows_it() -> None:
    reported = Usage()
    exchange, attempt = exchange_and_attempt("a", answer="b", usage=reported)
    await filled(Words(), exchange, attempt)
    assert reported == Usage()


async def test_a_finished_reply_is_read_where_nothing_was_streamed() -> None:
    exchange, attempt = exchange_and_attempt("a")
    exchange.reply = Reply(body=b"", canonical=said("four five six seven"))
    assert (await filled(Words(), exchange, attempt)).output_tokens == 4


async def test_a_broken_tokenizer_costs_no_answer() -> None:
    exchange, attempt = exchange_and_attempt("a", answer="y" * 8)
    assert (await filled(Words(broken=True), exchange, attempt)).output_tokens == 2


async def test_a_table_that_does_not_load_holds_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hookway.usage_estimates.LONGEST_WAIT", 0.01)
    exchange, attempt = exchange_and_attempt("a", answer="y" * 8)
    assert (await filled(Words(slow=True, ready=False), exchange, attempt)).output_tokens == 2


# ── answers that broke off ──────────────────────────────────────────────────────────────────


def broken_off(tokens: Words | None, exchange: LiveExchange, attempt: Attempt) -> Usage:
    UsageEstimator(cast("Tokens | None", tokens)).after_failure(exchange, attempt)
    return attempt.usage


def test_what_a_client_got_before_it_left_is_counted() -> None:
    exchange, attempt = exchange_and_attempt("a b", answer="c d e", error=ClientDisconnected())
    assert broken_off(Words(), exchange, attempt) == Usage(2 + 7, 3, estimated=True)


def test_a_client_that_left_before_the_answer_made_the_provider_read() -> None:
    exchange, attempt = exchange_and_attempt("a b", error=ClientDisconnected(), status=0)
    assert broken_off(Words(), exchange, attempt) == Usage(2 + 7, 0, estimated=True)


def test_a_cut_stream_counts_as_far_as_it_came() -> None:
    exchange, attempt = exchange_and_attempt("a", answer="b c", error=StreamAborted())
    assert broken_off(Words(ready=False), exchange, attempt).estimated


@pytest.mark.parametrize("error", [TransportFailed("gone"), StreamAborted()], ids=lambda one: one.type)
def test_a_target_that_failed_before_it_said_anything_costs_the_caller_nothing(error: GatewayError) -> None:
    exchange, attempt = exchange_and_attempt("a b c", error=error)
    assert broken_off(Words(), exchange, attempt) == Usage()


def test_a_refusal_costs_nothing() -> None:
    exchange, attempt = exchange_and_attempt("a", error=UpstreamRefused(429), status=429)
    assert broken_off(Words(), exchange, attempt) == Usage()


def test_what_was_never_sent_costs_nothing() -> None:
    exchange, attempt = exchange_and_attempt("a", error=ClientDisconnected())
    attempt.dispatched = False
    assert broken_off(Words(), exchange, attempt) == Usage()


@pytest.mark.parametrize(
    ("reported", "counted"), [(1, 200), (150, 150), (199, 199)], ids=["stale", "fair", "fresh"]
)
def test_a_count_that_came_too_early_is_not_believed_after_a_cut(reported: int, counted: int) -> None:
    exchange, attempt = exchange_and_attempt(
        "a", answer="w " * 200, usage=Usage(9, reported), error=ClientDisconnected()
    )
    assert broken_off(Words(), exchange, attempt).output_tokens == counted
