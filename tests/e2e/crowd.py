"""Many callers at once, each of which notes what it was told: the official SDK, and the bytes under it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import openai
from callers import ID, asynchronous
from weather import counts_of, pieces

from hookway.testing import RunningGateway

DONE = b"data: [DONE]\n\n"


class Told:
    """What one caller was told.

    Attributes:
        id: of its request.
        number: of its question.
        streamed: it asked for a stream.
        began: when it asked, in monotonic seconds.
        ended: when it knew all.
        status: of the answer.
        headers: of the answer.
        served_by: the target that the gateway named.
        pieces: texts, in the pieces in which they came; a whole answer is one.
        finish: why the model stopped, ``""`` if nobody said.
        counts: the usage that was shown, once for each time.
        error: the error object, where there was one.
        body: the bytes of a stream.
    """

    def __init__(self, id: str, number: int, streamed: bool) -> None:
        self.id = id
        self.number = number
        self.streamed = streamed
        self.began = self.ended = 0.0
        self.status = 0
        self.headers: Any = {}
        self.served_by = ""
        self.pieces: list[str] = []
        self.finish = ""
        self.counts: list[dict[str, int]] = []
        self.error: Any = None
        self.body = b""

    def __repr__(self) -> str:
        how = "streamed" if self.streamed else "whole"
        return (
            f"{self.id} ({how}): {self.status} by {self.served_by or 'nobody'}, {self.error or self.pieces}"
        )

    @property
    def asks_usage(self) -> bool:
        """Half of those who stream want to be shown their usage."""
        return self.streamed and self.number % 4 == 1

    def check(self, model: str) -> None:
        """Fail unless it was told all of the answer of the target that served it, once, and no more."""
        assert self.error is None, self
        assert self.status == 200, self
        told = pieces(self.served_by, self.number)
        assert self.pieces == (told if self.streamed else ["".join(told)]), self
        assert self.finish == "stop", self
        shown = [counts_of(self.number)] if self.asks_usage or not self.streamed else []
        assert self.counts == shown, self
        if self.streamed:
            assert self.body.endswith(DONE), self
            assert self.body.count(DONE) == 1, self
            assert self.body.count(f'"model":"{model}"'.encode()) == self.body.count(b"data: {"), self


class Crowd:
    """Callers of one gateway.

    Args:
        running: the gateway.
        name: begins the ids of their requests.
        at_once: how many ask at the same time.
    """

    def __init__(self, running: RunningGateway, name: str, at_once: int = 20) -> None:
        self._running = running
        self._name = name
        self._at_once = at_once
        self._asked = 0

    async def ask(
        self, model: str, count: int, streams: Callable[[int], bool] = lambda number: number % 2 == 1
    ) -> list[Told]:
        """Ask so many questions, and return what each caller was told, in the order of the questions.

        Args:
            streams: says of a question's number whether its answer is to stream.
        """
        numbers = range(self._asked, self._asked + count)
        self._asked += count
        told = [Told(f"{self._name}-{number}", number, streams(number)) for number in numbers]
        waiting = iter(told)
        async with asynchronous(self._running) as client, asyncio.TaskGroup() as callers:
            for _ in range(self._at_once):
                callers.create_task(self._one_by_one(client, model, waiting))
        return told

    async def _one_by_one(self, client: openai.AsyncOpenAI, model: str, waiting: Iterable[Told]) -> None:
        for told in waiting:
            told.began = time.monotonic()
            try:
                if told.streamed:
                    await stream(client, model, told)
                else:
                    await whole(client, model, told)
            except openai.APIStatusError as error:
                told.status, told.headers = error.status_code, error.response.headers
                told.error = error.body
            except openai.APIError as error:
                told.error = error.body or f"{type(error).__name__}: {error}"
            told.ended = time.monotonic()


def question(told: Told) -> Any:
    """Return the messages of a question."""
    return [{"role": "user", "content": f"question {told.number}"}]


async def whole(client: openai.AsyncOpenAI, model: str, told: Told) -> None:
    """Ask for an answer in one piece."""
    raw = await client.chat.completions.with_raw_response.create(
        model=model, messages=question(told), extra_headers={ID: told.id}
    )
    note_head(told, raw.status_code, raw.headers)
    answer = raw.parse()
    (choice,) = answer.choices
    told.pieces.append(choice.message.content or "")
    told.finish = choice.finish_reason
    assert answer.model == model
    if answer.usage is not None:
        told.counts.append(as_counts(answer.usage))


async def stream(client: openai.AsyncOpenAI, model: str, told: Told) -> None:
    """Ask for a stream, and read it to its end."""
    options: Any = {"stream_options": {"include_usage": True}} if told.asks_usage else {}
    events = await client.chat.completions.create(
        model=model, messages=question(told), stream=True, extra_headers={ID: told.id}, **options
    )
    note_head(told, events.response.status_code, events.response.headers)
    overhear(events.response, told)
    async for one in events:
        for choice in one.choices:
            if choice.delta.content:
                told.pieces.append(choice.delta.content)
            told.finish = choice.finish_reason or told.finish
        if one.usage is not None:
            told.counts.append(as_counts(one.usage))


def note_head(told: Told, status: int, headers: Any) -> None:
    """Note status and headers of an answer."""
    told.status, told.headers = status, headers
    told.served_by = headers.get("x-hookway-served-by", "")


def overhear(response: Any, told: Told) -> None:
    """Let the bytes of a stream be noted as the SDK reads them; it says nothing of how a stream ended."""
    read = response.aiter_bytes

    async def noted() -> AsyncIterator[bytes]:
        async for piece in read():
            told.body += piece
            yield piece

    response.aiter_bytes = noted


def as_counts(usage: Any) -> dict[str, int]:
    """Return usage as the wire says it."""
    told = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    return {**told, "total_tokens": usage.total_tokens}
