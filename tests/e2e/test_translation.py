"""Requests whose provider speaks another wire: model ``echo``, which answers without a network."""

from __future__ import annotations

from typing import Any

import openai
import pydantic
import pytest
from callers import HELLO, ID, asynchronous, attempts, blocking, ended, journalled, read_stream
from openai_wire import events_in
from watched import Watched

from hookway.testing import RunningGateway
from hookway_sdk import Usage

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture(scope="module")
def running(start_shared: Watched) -> RunningGateway:
    return start_shared()


def say(text: str) -> Any:
    return [{"role": "user", "content": text}]


def _said(got: Any) -> Any:
    return got.choices[0].message.to_dict()


async def test_an_answer_is_translated(running: RunningGateway) -> None:
    async with asynchronous(running) as client:
        got = await client.chat.completions.create(
            model="echo", messages=say("three small words"), extra_headers={ID: "echo-1"}
        )
    assert (got.object, got.model, got.choices[0].finish_reason) == ("chat.completion", "echo", "stop")
    assert got.choices[0].message.content == "three small words"
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (3, 3, 6)
    event = ended(running, "echo-1")
    assert event.usage == Usage(input_tokens=3, output_tokens=3)
    assert journalled(running, "echo-1") == [event]


def test_a_stream_is_translated(running: RunningGateway) -> None:
    with blocking(running) as client:
        got = list(
            client.chat.completions.create(
                model="echo",
                messages=say("three small words"),
                stream=True,
                stream_options={"include_usage": True},
                extra_headers={ID: "echo-2"},
            )
        )
    assert {one.model for one in got} == {"echo"}
    assert len({one.id for one in got}) == 1
    assert [one.choices[0].delta.content for one in got[:-1]] == ["", "three", " small", " words", None]
    assert got[0].choices[0].delta.role == "assistant"
    assert got[-2].choices[0].finish_reason == "stop"
    assert got[-1].usage is not None
    assert (got[-1].choices, got[-1].usage.total_tokens) == ([], 6)
    assert ended(running, "echo-2").usage == Usage(input_tokens=3, output_tokens=3)


def test_a_translated_stream_shows_no_usage_to_a_client_that_did_not_ask(running: RunningGateway) -> None:
    asked = {"model": "echo", "messages": say("hi"), "stream": True}
    got = running.post("/v1/chat/completions", asked, headers={ID: "echo-3"})
    assert b"usage" not in got.body
    assert [data for _, data in events_in(got.body)][-1] == "[DONE]"
    assert ended(running, "echo-3").usage.total_tokens == 2


async def test_tools_are_called_and_their_results_are_read(running: RunningGateway) -> None:
    asked = say('!tool weather {"city": "Oslo"}\n!tool weather {"city": "Rome"}')
    async with asynchronous(running) as client:
        got = await client.chat.completions.create(model="echo", messages=asked, tools=[WEATHER])
        calls: Any = got.choices[0].message.tool_calls or []
        assert got.choices[0].finish_reason == "tool_calls"
        assert got.choices[0].message.content is None
        assert [one.function.arguments for one in calls if one.type == "function"] == [
            '{"city": "Oslo"}',
            '{"city": "Rome"}',
        ]
        result: Any = {"role": "tool", "tool_call_id": calls[0].id, "content": "it rains"}
        again = await client.chat.completions.create(
            model="echo", messages=[*asked, _said(got), result], tools=[WEATHER]
        )
    assert again.choices[0].message.content == "it rains"


async def test_a_required_tool_is_called(running: RunningGateway) -> None:
    async with asynchronous(running) as client:
        got = await client.chat.completions.create(
            model="echo", messages=HELLO, tools=[WEATHER], tool_choice="required"
        )
    (call,) = got.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("weather", "{}")


async def test_tool_arguments_are_streamed_in_pieces(running: RunningGateway) -> None:
    asked = say('!tool weather {"city": "Oslo", "days": 3}\n!tool time {}')
    async with (
        asynchronous(running) as client,
        client.chat.completions.stream(model="echo", messages=asked) as events,
    ):
        pieces = [
            one.arguments_delta async for one in events if one.type == "tool_calls.function.arguments.delta"
        ]
        whole = await events.get_final_completion()
    assert len([piece for piece in pieces if piece]) > 2
    made = whole.choices[0].message.tool_calls or []
    assert [(one.function.name, one.function.arguments) for one in made] == [
        ("weather", '{"city": "Oslo", "days": 3}'),
        ("time", "{}"),
    ]
    assert len({one.id for one in made}) == 2
    assert whole.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_several_choices_are_told_apart(running: RunningGateway, stream: bool) -> None:
    texts: dict[int, str] = {}
    async with asynchronous(running) as client:
        if stream:
            async for one in await client.chat.completions.create(
                model="echo", messages=say("a b"), n=3, stream=True
            ):
                for choice in one.choices:
                    texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
        else:
            got = await client.chat.completions.create(model="echo", messages=say("a b"), n=3)
            texts = {choice.index: choice.message.content or "" for choice in got.choices}
    assert texts == {0: "a b", 1: "a b", 2: "a b"}


async def test_a_schema_gets_json_and_a_limit_gets_length(running: RunningGateway) -> None:
    class Said(pydantic.BaseModel):
        echo: str

    async with asynchronous(running) as client:
        got = await client.chat.completions.parse(
            model="echo", messages=say("hi there"), response_format=Said
        )
        short = await client.chat.completions.create(model="echo", messages=say("a b c d"), max_tokens=2)
    assert got.choices[0].message.parsed == Said(echo="hi there")
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("a b", "length")


async def test_reasoning_and_refusals_have_their_own_members(running: RunningGateway) -> None:
    async with asynchronous(running) as client:
        thought = await client.chat.completions.create(model="echo", messages=say("!think why\nbecause"))
        refused = await client.chat.completions.create(model="echo", messages=say("!refuse"))
    assert thought.choices[0].message.model_dump()["reasoning_content"] == "why"
    assert thought.choices[0].message.content == "because"
    assert refused.choices[0].message.refusal == "I would rather not"
    assert refused.choices[0].message.content is None


def test_what_the_provider_cannot_be_told_is_listed(running: RunningGateway) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
    content = [{"type": "text", "text": "what is it?"}, image]
    asked = {"model": "echo", "messages": [{"role": "user", "content": content}], "temperature": 0.5}
    got = running.post("/v1/chat/completions", asked, headers={ID: "dropped-1"})
    assert got.status == 200
    dropped = got.headers["x-hookway-dropped"].split(", ")
    assert dropped == ["/messages/0/parts/1", "/sampling/temperature"]
    assert ended(running, "dropped-1").dropped == tuple(dropped)
    assert "x-hookway-dropped" not in running.chat("hi").headers


@pytest.mark.parametrize(
    ("order", "raised", "status", "kind"),
    [
        ("!error 400", openai.BadRequestError, 400, "upstream_error"),
        ("!error 401", openai.AuthenticationError, 401, "upstream_error"),
        ("!error 404", openai.NotFoundError, 404, "upstream_error"),
        ("!error 429 7", openai.RateLimitError, 429, "upstream_error"),
        ("!error 500", openai.InternalServerError, 502, "upstream_error"),
        ("!html", openai.InternalServerError, 502, "upstream_decode_error"),
        ("!inband 503", openai.InternalServerError, 502, "upstream_error"),
        ("!inband 404", openai.NotFoundError, 404, "upstream_error"),
        ("!tool", openai.BadRequestError, 400, "upstream_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_error_has_the_clients_own_envelope(
    start: Watched, order: str, raised: type[openai.APIStatusError], status: int, kind: str, stream: bool
) -> None:
    running = start({"upstream": {"retries": 0}})
    async with asynchronous(running) as client:
        with pytest.raises(raised) as caught:
            await client.chat.completions.create(
                model="echo", messages=say(order), stream=stream, extra_headers={ID: "failed-1"}
            )
    assert caught.value.status_code == status
    assert caught.value.type == kind
    assert caught.value.response.headers[ID] == "failed-1"
    assert caught.value.response.headers.get("retry-after") == ("7" if status == 429 else None)
    event = ended(running, "failed-1")
    assert (event.status, event.error_type, event.attempts) == (status, kind, 1)
    (attempt,) = attempts(running, "failed-1")
    assert attempt.error_kind
    assert journalled(running, "failed-1") == [event]


@pytest.mark.parametrize(
    ("order", "kind"), [("!cut 3", "stream_aborted"), ("!inband 500 3", "upstream_in_band_error")]
)
async def test_a_translated_stream_that_breaks_ends_with_an_error(
    running: RunningGateway, order: str, kind: str
) -> None:
    async with asynchronous(running) as client:
        events = await client.chat.completions.create(
            model="echo", messages=say(f"{order}\n!slow 0.01\none two three"), stream=True
        )
        text, error = await read_stream(events)
    assert text == "one two"
    assert error is not None
    assert error["type"] == kind
