"""OpenAI's own SDK reads what the dialect writes: answers, streams, and the errors of both."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from hookway_plugins.dialect_openai.chat_endpoint import ChatCompletions
from hookway_plugins.dialect_openai.models_endpoints import ModelList, ModelRetrieve
from hookway_sdk import (
    ChatAnswer,
    Choice,
    Message,
    ModelNotFound,
    StreamAborted,
    StreamStart,
    StreamStop,
    TextDelta,
    TextPart,
    ToolCallDelta,
    ToolCallPart,
    UpstreamInBand,
    Usage,
)
from hookway_sdk.testing.scripted_replies import Reply
from hookway_sdk.testing.scripted_upstream import ScriptedUpstream

endpoint = ChatCompletions()
ASKED: Any = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}


@asynccontextmanager
async def sdk_reading(body: bytes, status: int = 200, kind: str = "application/json") -> AsyncIterator[Any]:
    """Yield a client of OpenAI's SDK whose next request is answered with these bytes."""
    reply = Reply(status, [("Content-Type", kind)], body, close=True)
    async with ScriptedUpstream([reply]) as server:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="sk", max_retries=0) as client:
            yield client


async def test_an_answer_is_read_whole(make_exchange: Any) -> None:
    parts = (TextPart(text="Hello"), ToolCallPart(id="c1", name="f", arguments="{}"))
    choice = Choice(message=Message(role="assistant", parts=parts), stop_reason="tool_calls")
    usage = Usage(input_tokens=3, output_tokens=1, cached_input_tokens=2)
    body = endpoint.encode_answer(
        ChatAnswer(id="x", created=5, choices=(choice,), usage=usage), make_exchange()
    )
    async with sdk_reading(body) as client:
        answer = await client.chat.completions.create(**ASKED)
    assert answer.choices[0].message.content == "Hello"
    assert answer.choices[0].message.tool_calls[0].function.name == "f"
    assert (answer.choices[0].finish_reason, answer.model, answer.usage.total_tokens) == (
        "tool_calls",
        "fast",
        4,
    )
    assert answer.usage.prompt_tokens_details.cached_tokens == 2


async def test_a_stream_is_read_to_its_end(make_exchange: Any) -> None:
    request = json.dumps({**ASKED, "stream": True, "stream_options": {"include_usage": True}}).encode()
    writer = endpoint.writer(make_exchange(body=request))
    written = writer.write(StreamStart(id="x", created=5)) + writer.write(TextDelta(text="Hel"))
    written += writer.write(TextDelta(text="lo")) + writer.write(ToolCallDelta(call=0, id="c1", name="f"))
    written += writer.write(ToolCallDelta(call=0, arguments="{}"))
    written += writer.write(StreamStop(stop_reason="tool_calls")) + writer.end(Usage(input_tokens=3))
    async with sdk_reading(written, kind="text/event-stream") as client:
        async with client.chat.completions.stream(**ASKED) as stream:
            answer = await stream.get_final_completion()
    assert (answer.choices[0].message.content, answer.usage.prompt_tokens) == ("Hello", 3)
    assert answer.choices[0].message.tool_calls[0].function.arguments == "{}"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (StreamAborted(), "upstream cancelled the response mid-stream"),
        (UpstreamInBand("slow down", upstream_status=429), "slow down"),
    ],
)
async def test_a_broken_stream_raises(make_exchange: Any, error: Any, message: str) -> None:
    writer = endpoint.writer(make_exchange())
    written = writer.write(StreamStart()) + writer.write(TextDelta(text="Hel")) + writer.fail(error)
    seen: list[str] = []

    async def read(client: Any) -> None:
        async with await client.chat.completions.create(**ASKED, stream=True) as stream:
            async for chunk in stream:
                seen.append(chunk.choices[0].delta.content or "")

    async with sdk_reading(written, kind="text/event-stream") as client:
        with pytest.raises(openai.APIError, match=message):
            await read(client)
    assert "".join(seen) == "Hel"


async def test_an_error_answer_raises_the_sdks_own_error() -> None:
    body = endpoint.error_body(ModelNotFound("fast"), "req-1")
    async with sdk_reading(body, status=404) as client:
        with pytest.raises(openai.NotFoundError) as raised:
            await client.chat.completions.create(**ASKED)
    assert 'model "fast" not found' in str(raised.value)
    assert (raised.value.type, raised.value.code, raised.value.param) == ("model_not_found", None, None)


async def test_models_are_listed_and_retrieved(services: Any, make_exchange: Any) -> None:
    names = (("a/b", "openai"), ("fast", ""))
    listing, one = ModelList(services), ModelRetrieve(services)
    reply = await listing.answer(make_exchange(listing, names=names))
    async with sdk_reading(reply.body) as client:
        assert [model.id async for model in client.models.list()] == ["a/b", "fast"]
    reply = await one.answer(make_exchange(one, names=names, path="/v1/models/a%2Fb"))
    async with sdk_reading(reply.body) as client:
        assert (await client.models.retrieve("a/b")).owned_by == "openai"
