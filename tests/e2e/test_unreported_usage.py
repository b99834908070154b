"""A provider that counts nothing: its tokens are counted here, marked, and shown to no client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from callers import HELLO, ID, asynchronous, blocking, ended, journalled, read_stream
from openai_wire import chunk, completion, frame
from scripted_provider import Provider
from watched import Watched

from hookway.testing import RunningGateway
from hookway_sdk import NoSettings, Service, Tokens
from hookway_sdk.testing.scripted_upstream import Cut, json_reply, sse_reply

DONE = b"data: [DONE]\n\n"
ASKED = len("say hello".split()) + 7
"""Two words, and what stands around one message."""


class WordCount(Service[NoSettings]):
    """Counts words."""

    provides = Tokens

    async def count(self, model: str, text: str) -> int:
        """Count."""
        return len(text.split())

    def count_now(self, model: str, text: str) -> int | None:
        """Count."""
        return len(text.split())


@pytest.fixture(scope="module")
def running(start_shared: Watched, provider_server: Provider) -> RunningGateway:
    return start_shared(
        {"plugins": {"service_tokens": {"enabled": False}}},
        resources={"models": [{"name": "fast", "model": "openai/gpt-4o", **provider_server.account()}]},
        plugins={"service_words": WordCount},
    )


def uncounted(*texts: str, end: bool = True) -> list[bytes]:
    """Return a stream's frames without any usage."""
    frames = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": text}) for text in texts)]
    return [*frames, chunk({}, "stop"), DONE] if end else frames


def test_a_whole_answer_is_counted(running: RunningGateway, provider: Provider) -> None:
    body = completion("one two three")
    del body["usage"]
    provider.answers(json_reply(body))
    got = running.post("/v1/chat/completions", {"model": "fast", "messages": HELLO}, headers={ID: "whole"})
    assert "usage" not in got.json()
    usage = ended(running, "whole").usage
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (ASKED, 3, True)
    assert journalled(running, "whole")[0].usage == usage


def test_counts_of_zero_were_not_counted(running: RunningGateway, provider: Provider) -> None:
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    provider.answers(json_reply(completion("one two", usage=zero)))
    got = running.post("/v1/chat/completions", {"model": "fast", "messages": HELLO}, headers={ID: "zero"})
    assert got.json()["usage"] == zero
    assert ended(running, "zero").usage.total_tokens == ASKED + 2


async def test_a_stream_is_counted(running: RunningGateway, provider: Provider) -> None:
    texts = [f"w{number} " for number in range(50)]
    provider.answers(sse_reply(uncounted(*texts)))
    async with asynchronous(running) as client:
        events = await client.chat.completions.create(
            model="fast",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={ID: "stream"},
        )
        seen = [one async for one in events]
    assert all(one.usage is None for one in seen)
    usage = ended(running, "stream").usage
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (ASKED, 50, True)


async def test_tool_calls_count_as_output(running: RunningGateway, provider: Provider) -> None:
    def call(**function: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": function}]}

    frames = [
        chunk(call(name="look up ", arguments="")),
        chunk(call(arguments="a b ")),
        chunk(call(arguments="c")),
        chunk({}, "tool_calls"),
        DONE,
    ]
    provider.answers(sse_reply(frames))
    async with asynchronous(running) as client:
        events = await client.chat.completions.create(
            model="fast", messages=HELLO, stream=True, extra_headers={ID: "tools"}
        )
        async for _ in events:
            pass
    assert ended(running, "tools").usage.output_tokens == 5


async def test_a_stream_that_its_client_leaves_is_counted(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(sse_reply(uncounted(*["word "] * 1000), 0.01))
    with blocking(running) as client:
        events = client.chat.completions.create(
            model="fast", messages=HELLO, stream=True, extra_headers={ID: "left"}
        )
        for seen, _ in enumerate(events):
            if seen == 10:
                break
        events.close()
    usage = ended(running, "left").usage
    assert usage.estimated
    assert (usage.input_tokens, usage.output_tokens >= 9) == (ASKED, True)


async def test_a_stream_that_is_cut_is_counted(running: RunningGateway, provider: Provider) -> None:
    frames = uncounted("one ", "two ", end=False)
    provider.answers(Cut(sse_reply(frames), sum(map(len, frames))))
    async with asynchronous(running) as client:
        events = await client.chat.completions.create(
            model="fast", messages=HELLO, stream=True, extra_headers={ID: "cut"}
        )
        text, error = await read_stream(events)
    assert (text, error["type"]) == ("one two ", "stream_aborted")
    usage = ended(running, "cut").usage
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (ASKED, 2, True)


def test_what_was_reported_is_believed(running: RunningGateway, provider: Provider) -> None:
    counted = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    frames = [chunk({"content": "a b c"}), chunk({}, "stop"), frame({"choices": [], "usage": counted}), DONE]
    provider.answers(sse_reply(frames))
    got = running.post(
        "/v1/chat/completions",
        {"model": "fast", "messages": HELLO, "stream": True},
        headers={ID: "reported"},
    )
    assert b"usage" not in got.body or json.dumps(counted).encode() not in got.body
    usage = ended(running, "reported").usage
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (5, 7, False)
