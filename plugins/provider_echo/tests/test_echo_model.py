"""The model behind the provider: what it repeats, and how it fails on command."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any

import pytest

from hookway_plugins.provider_echo import EchoProvider
from hookway_sdk import (
    ChatAnswer,
    ChatRequest,
    Frame,
    LocalAnswer,
    Message,
    NoSettings,
    Part,
    ReasoningDelta,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    Sampling,
    StreamAborted,
    StreamEvent,
    StreamStart,
    StreamStop,
    StreamUsage,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
    UpstreamInBand,
    UpstreamUndecodable,
    Usage,
    raw,
)
from hookway_sdk.testing.contracts.sse import cut
from hookway_sdk.testing.exchanges import make_deployment
from hookway_sdk.testing.services import make_services

DEPLOYMENT = make_deployment("target", model="small")
PROVIDER = EchoProvider("provider_echo", NoSettings(), make_services())


def user(text: str) -> Message:
    return Message(role="user", parts=(TextPart(text=text),))


async def ask(*messages: Message | str, stream: bool = False, **facts: Any) -> LocalAnswer:
    """Encode a chat as the core does, and let the model answer."""
    turns = tuple(user(one) if isinstance(one, str) else one for one in messages)
    request = ChatRequest(model="alias", messages=turns, stream=stream, **facts)
    return await PROVIDER.answer(DEPLOYMENT, PROVIDER.encode(request, DEPLOYMENT).body, stream)


async def answered(*messages: Message | str, **facts: Any) -> ChatAnswer:
    local = await ask(*messages, **facts)
    assert isinstance(local.body, bytes)
    assert (local.status, dict(local.headers)["content-type"]) == (200, "application/json")
    return PROVIDER.decode(local.body, DEPLOYMENT)


async def parts(*messages: Message | str, **facts: Any) -> tuple[Part, ...]:
    (choice,) = (await answered(*messages, **facts)).choices
    return choice.message.parts


async def text(*messages: Message | str, **facts: Any) -> str:
    (part,) = await parts(*messages, **facts)
    assert isinstance(part, TextPart)
    return part.text


async def chunks(*messages: Message | str, **facts: Any) -> list[bytes]:
    local = await ask(*messages, stream=True, **facts)
    assert not isinstance(local.body, bytes)
    assert (local.status, dict(local.headers)["content-type"]) == (200, "text/event-stream")
    return [chunk async for chunk in local.body]


async def streamed(*messages: Message | str, **facts: Any) -> list[StreamEvent]:
    reader = PROVIDER.reader(DEPLOYMENT, "echo.v1")
    frames: list[Frame] = cut(b"".join(await chunks(*messages, **facts)))
    events = [event for frame in frames for event in reader.decode(frame)]
    return [*events, *reader.close()]


async def error(*messages: Message | str, **facts: Any) -> tuple[int, str]:
    local = await ask(*messages, **facts)
    assert isinstance(local.body, bytes)
    return local.status, json.loads(local.body)["error"]["message"]


# ── repeating ───────────────────────────────────────────────────────────────────────────────


async def test_the_last_message_of_the_user_is_repeated() -> None:
    system = Message(role="system", parts=(TextPart(text="Be brief."),))
    earlier = Message(role="assistant", parts=(TextPart(text="earlier"),))
    assert await text(system, "first", earlier, "last  one\n\twith blanks ") == "last  one\n\twith blanks "


async def test_all_text_of_a_message_is_repeated() -> None:
    message = Message(role="user", parts=(TextPart(text="one"), TextPart(text="two")))
    assert await text(message) == "one\ntwo"


async def test_without_anything_to_repeat_the_answer_is_empty() -> None:
    assert await text() == ""
    assert await text(Message(role="system", parts=(TextPart(text="Be brief."),))) == ""


async def test_an_answer_names_its_model_and_counts_words() -> None:
    answer = await answered("three little words")
    assert (answer.model, answer.usage) == ("small", Usage(3, 3))
    (choice,) = answer.choices
    assert choice.stop_reason == "stop"


async def test_equal_requests_have_equal_answers_and_others_have_not() -> None:
    first, second, other = [await answered(said) for said in ("hi", "hi", "ho")]
    assert first == second
    assert first.id.startswith("echo-")
    assert first.id != other.id


async def test_a_stream_says_the_same_a_word_at_a_time() -> None:
    start, *rest = await streamed(" two  words!")
    assert isinstance(start, StreamStart)
    assert (start.id.startswith("echo-"), start.model) == (True, "small")
    assert rest == [
        TextDelta(text=" two"),
        TextDelta(text="  words!"),
        StreamStop(),
        StreamUsage(usage=Usage(2, 2)),
    ]


@pytest.mark.parametrize("said", ["", " ", "\n\n", "a", " a ", "a\u3000b", "x" * 1_000, "a b " * 200])
async def test_the_words_of_a_stream_together_are_the_text(said: str) -> None:
    deltas = [event.text for event in await streamed(said) if isinstance(event, TextDelta)]
    assert "".join(deltas) == said.strip("\n")
    assert len(deltas) <= max(1, len(said.split()))


async def test_as_many_choices_as_asked_for_are_given() -> None:
    answer = await answered("hi", sampling=Sampling(n=3))
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert [choice.message.parts for choice in answer.choices] == [(TextPart(text="hi"),)] * 3
    assert answer.usage == Usage(1, 3)
    events = await streamed("hi", sampling=Sampling(n=3))
    assert [event.choice for event in events if isinstance(event, StreamStop)] == [0, 1, 2]


async def test_more_words_than_allowed_are_cut_off() -> None:
    answer = await answered("one two three", sampling=Sampling(max_tokens=2))
    (choice,) = answer.choices
    assert (choice.message.parts, choice.stop_reason) == ((TextPart(text="one two"),), "length")
    assert answer.usage == Usage(3, 2)
    (whole,) = (await answered("one two three", sampling=Sampling(max_tokens=3))).choices
    assert whole.stop_reason == "stop"


async def test_no_answer_is_longer_than_the_bound() -> None:
    (choice,) = (await answered("word " * 10_001)).choices
    assert (choice.message.parts, choice.stop_reason) == ((TextPart(text=("word " * 10_000)[:-1]),), "length")


@pytest.mark.parametrize("kind", ["json_object", "json_schema"])
async def test_where_json_is_asked_for_json_is_given(kind: Any) -> None:
    said = await text('a "quoted" word', response_format=ResponseFormat(kind=kind))
    assert json.loads(said) == {"echo": 'a "quoted" word'}
    assert await text("hi", response_format=ResponseFormat(kind="text")) == "hi"


# ── tools ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("choice", "called"),
    [(ToolChoice(mode="required"), "add"), (ToolChoice(mode="tool", name="sub"), "sub")],
)
async def test_a_tool_that_must_be_called_is_called_without_arguments(
    choice: ToolChoice, called: str
) -> None:
    tools = (Tool(name="add"), Tool(name="sub"))
    (answer,) = (await answered("hi", tools=tools, tool_choice=choice)).choices
    (call,) = answer.message.parts
    assert isinstance(call, ToolCallPart)
    assert (call.name, call.arguments, answer.stop_reason) == (called, "{}", "tool_calls")


async def test_a_tool_that_may_be_called_is_not() -> None:
    tools = (Tool(name="add", description="Adds", parameters=raw({"type": "object"})),)
    assert await text("hi", tools=tools, tool_choice=ToolChoice(mode="auto")) == "hi"


async def test_tools_are_called_on_command_each_with_an_id_of_its_own() -> None:
    said = '!tool add {"a": 1, "b": 2}\n!tool now'
    first, second = await parts(said)
    assert isinstance(first, ToolCallPart)
    assert isinstance(second, ToolCallPart)
    assert (first.name, first.arguments) == ("add", '{"a": 1, "b": 2}')
    assert (second.name, second.arguments) == ("now", "{}")
    assert first.id != second.id
    deltas = [event for event in await streamed(said) if isinstance(event, ToolCallDelta)]
    assert [(one.call, one.name) for one in deltas if one.name] == [(0, "add"), (1, "now")]
    assert "".join(one.arguments for one in deltas if one.call == 0) == first.arguments


async def test_a_command_wins_over_a_tool_that_must_be_called() -> None:
    tools, choice = (Tool(name="add"),), ToolChoice(mode="required")
    (call,) = await parts("!tool sub", tools=tools, tool_choice=choice)
    assert isinstance(call, ToolCallPart)
    assert call.name == "sub"


async def test_after_a_tools_result_the_result_is_repeated_and_nothing_called_again() -> None:
    (call,) = await parts("!tool add")
    assert isinstance(call, ToolCallPart)
    result = ToolResultPart(call_id=call.id, content=(TextPart(text="4\n!error 500"),))
    called = Message(role="assistant", parts=(call,))
    turns = (user("!tool add"), called, Message(role="tool", parts=(result,)))
    assert await text(*turns) == "4\n!error 500"
    assert await text(*turns, "and now?") == "and now?"


# ── commands ────────────────────────────────────────────────────────────────────────────────


async def test_lines_that_are_no_command_are_repeated() -> None:
    assert await text("before\n  !words 0  \n!important\nafter") == "before\n!important\nafter"


async def test_commands_of_earlier_messages_are_over() -> None:
    assert await text("!error 500", "hi") == "hi"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_has_its_status_and_its_wait(stream: bool) -> None:
    local = await ask("!error 429 7", stream=stream)
    assert (local.status, dict(local.headers)["retry-after"]) == (429, "7")
    assert isinstance(local.body, bytes)
    refused = PROVIDER.error(local.status, dict(local.headers), local.body)
    assert (refused.status, refused.message, refused.retry_after) == (429, "as you asked", 7)


async def test_an_error_need_not_say_how_long_to_wait() -> None:
    local = await ask("!error 503")
    assert (local.status, dict(local.headers)) == (503, {"content-type": "application/json"})


async def test_words_are_as_many_as_asked_for() -> None:
    assert await text("!words 3") == "word word word"
    assert (await answered("!words 3")).usage == Usage(2, 3)


async def test_a_thought_comes_first() -> None:
    assert await parts("!think Let me see.\nhi") == (ReasoningPart(text="Let me see."), TextPart(text="hi"))
    _, *deltas, _, _ = await streamed("!think Hm.\nhi")
    assert deltas == [ReasoningDelta(text="Hm."), TextDelta(text="hi", part=1)]


async def test_a_refusal_is_no_text() -> None:
    (choice,) = (await answered("!refuse")).choices
    assert choice.message.parts == (RefusalPart(text="I would rather not"),)
    assert choice.stop_reason == "refusal"


async def test_json_comes_on_command_too() -> None:
    assert json.loads(await text("!json\nhi")) == {"echo": "hi"}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_web_page_is_no_answer(stream: bool) -> None:
    local = await ask("!html", stream=stream)
    assert (local.status, dict(local.headers)["content-type"]) == (200, "text/html")
    assert isinstance(local.body, bytes)
    with pytest.raises(UpstreamUndecodable):
        PROVIDER.decode(local.body, DEPLOYMENT)


async def test_an_error_inside_a_success_is_one_for_streams_and_for_others() -> None:
    with pytest.raises(UpstreamInBand) as caught:
        await answered("!inband 429\nhi")
    assert caught.value.upstream_status == 429
    for said, before in (("!inband 500\nhi", 0), ("!inband 500 2\nhi ho", 2), ("!inband 500 99\nhi", 4)):
        written = await chunks(said)
        assert len(written) == before + 1
        assert written[-1].startswith(b"event: error\n")
        with pytest.raises(UpstreamInBand):
            await streamed(said)


@pytest.mark.parametrize(("said", "left"), [("!cut 0", 0), ("!cut 2\na b c", 2), ("!cut 99\na b c", 5)])
async def test_a_stream_that_is_cut_lacks_its_end(said: str, left: int) -> None:
    assert len(await chunks(said)) == left
    with pytest.raises(StreamAborted):
        await streamed(said)


async def test_an_answer_that_is_cut_cannot_be_read() -> None:
    with pytest.raises(UpstreamUndecodable):
        await answered("!cut 0\nhi")


async def test_a_delay_comes_before_the_first_byte() -> None:
    before = time.monotonic()
    await ask("!delay 0.05")
    assert time.monotonic() - before >= 0.05


async def test_a_slow_stream_pauses_between_its_events() -> None:
    local = await ask("!slow 0.02\na b", stream=True)
    assert not isinstance(local.body, bytes)
    before = time.monotonic()
    times = [time.monotonic() - before async for _ in local.body]
    assert len(times) == 5
    assert times[0] < 0.02
    assert all(later - earlier >= 0.015 for earlier, later in itertools.pairwise(times))


async def test_others_get_their_turn_while_a_fast_stream_runs() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await chunks("!words 50")
    task.cancel()
    assert turns >= 50


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("!error", "!error takes a status from 400 to 599"),
        ("!error 200", "!error takes a status from 400 to 599"),
        ("!inband 4000", "!inband takes a status from 400 to 599"),
        ("!inband 500 soon", "!inband takes a whole number from 0 to 10000"),
        ("!delay", "!delay takes seconds from 0 to 600"),
        ("!delay nan", "!delay takes seconds from 0 to 600"),
        ("!slow -1", "!slow takes seconds from 0 to 600"),
        ("!slow 601", "!slow takes seconds from 0 to 600"),
        ("!cut -1", "!cut takes a whole number from 0 to 10000"),
        ("!words 10001", "!words takes a whole number from 0 to 10000"),
        ("!words \u0663", "!words takes a whole number from 0 to 10000"),
        ("!tool", "!tool takes the name of a tool, and its arguments if it has any"),
    ],
)
async def test_a_command_with_wrong_arguments_is_refused(said: str, complaint: str) -> None:
    assert await error(said) == (400, complaint)


async def test_too_many_choices_are_refused() -> None:
    assert await error("hi", sampling=Sampling(n=129)) == (400, "1 to 128 choices can be asked for")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"model": 1}', b'{"x":' * 100_000, b"\xff"])
async def test_what_is_no_request_is_refused(body: bytes) -> None:
    local = await PROVIDER.answer(DEPLOYMENT, body, False)
    assert local.status == 400
