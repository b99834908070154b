"""OpenAI's SDK, a gateway that speaks OpenAI to both sides, and a scripted OpenAI: the whole way and back."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from hookway.testing import KEY
from hookway_sdk.testing.scripted_replies import Reply, json_reply, sse_reply
from hookway_sdk.testing.scripted_upstream import ScriptedUpstream

CORPUS = Path(__file__).parent / "openai"
ANSWER = json.loads((CORPUS / "answers" / "two_choices_with_logprobs.json").read_text())
FRAMES = json.loads((CORPUS / "streams" / "text.json").read_text())
EVENTS = [
    b"data: " + (frame if isinstance(frame, str) else json.dumps(frame)).encode() + b"\n\n"
    for frame in FRAMES
]
ASKED: Any = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}


def resources(api_base: str) -> dict[str, Any]:
    key = {
        "display_name": "up",
        "provider": "acme",
        "adapter": "openai",
        "api_key": "sk",
        "api_base": api_base,
    }
    deployment = {"provider": "acme", "model_name": "gpt-up", "provider_key": "up"}
    caller = hashlib.sha256(KEY.encode()).hexdigest()
    return {
        "_format_version": "1",
        "provider_keys": [key],
        "models": [{"display_name": name, **deployment} for name in ("fast", "team/fast")],
        "api_keys": [{"display_name": "me", "key_hash": caller, "allowed_models": ["*"]}],
    }


@asynccontextmanager
async def sdk_and_upstream(gateway: Any, *replies: Any) -> AsyncIterator[tuple[Any, ScriptedUpstream]]:
    """Yield a client of a gateway, and the upstream behind it."""
    async with ScriptedUpstream(replies) as upstream:
        running = await asyncio.to_thread(lambda: gateway(resources=resources(upstream.url)))
        async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key=KEY, max_retries=0) as client:
            yield client, upstream
        await asyncio.to_thread(running.close)


async def test_an_answer_comes_back_whole_under_the_name_that_was_asked_for(gateway: Any) -> None:
    async with sdk_and_upstream(gateway, json_reply(ANSWER)) as (client, upstream):
        answer = await client.chat.completions.with_raw_response.create(**ASKED, n=2, logprobs=True)
    assert json.loads(answer.content) == {**ANSWER, "model": "fast"}
    assert json.loads(upstream.requests[0].body) == {**ASKED, "model": "gpt-up", "n": 2, "logprobs": True}
    assert upstream.requests[0].target == "/v1/chat/completions"


async def test_a_stream_comes_back_under_the_name_that_was_asked_for(gateway: Any) -> None:
    async with sdk_and_upstream(gateway, sse_reply(EVENTS), sse_reply(EVENTS)) as (client, upstream):
        stream = await client.chat.completions.create(**ASKED, stream=True)
        chunks = [chunk async for chunk in stream]
        asked = {"include_usage": True, "include_obfuscation": False}
        async with client.chat.completions.stream(**ASKED, stream_options=asked) as helper:
            final = await helper.get_final_completion()
    assert {chunk.model for chunk in chunks} == {"fast"}
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello 你好 😀"
    assert (final.choices[0].message.content, final.usage.total_tokens) == ("Hello 你好 😀", 29)
    sent = [json.loads(request.body)["stream_options"] for request in upstream.requests]
    assert sent == [{"include_usage": True}, asked]


async def test_models_can_be_listed_and_retrieved(gateway: Any) -> None:
    async with sdk_and_upstream(gateway) as (client, _):
        assert [model.id async for model in client.models.list()] == ["fast", "team/fast"]
        assert (await client.models.retrieve("team/fast")).owned_by == "acme"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("slow")


async def test_an_upstreams_refusal_is_the_sdks_own_error(gateway: Any) -> None:
    refusal = {"error": {"message": "no such tool", "type": "x", "param": "tools", "code": "bad_tool"}}
    async with sdk_and_upstream(gateway, json_reply(refusal, 400)) as (client, _):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(**ASKED)
    error = refused.value
    assert (error.type, error.code, error.param) == ("upstream_error", "bad_tool", "tools")


async def test_a_stream_that_is_cut_raises_in_the_middle(gateway: Any) -> None:
    cut = Reply(200, [("Content-Type", "text/event-stream")], EVENTS[:2], framing="chunked")
    seen: list[str] = []

    async def read(client: Any) -> None:
        async with await client.chat.completions.create(**ASKED, stream=True) as stream:
            async for chunk in stream:
                seen.append(chunk.choices[0].delta.content or "")

    async with sdk_and_upstream(gateway, cut) as (client, _):
        with pytest.raises(openai.APIError, match="upstream cancelled the response mid-stream"):
            await read(client)
    assert "".join(seen) == "Hello"
