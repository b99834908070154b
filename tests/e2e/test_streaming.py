"""Streams relayed between the official SDK and a provider that speaks the same wire."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from typing import Any

import pytest
from callers import HELLO, ID, asynchronous, attempts, blocking, ended, journalled, read_stream
from openai_wire import USAGE, answer, chunk, events_in, frame, frames, stream
from scripted_provider import Provider
from watched import Watched

from hookway.testing import HttpReply, RunningGateway
from hookway_sdk import Usage
from hookway_sdk.testing.scripted_upstream import Cut, Delay, Stall, sse_reply

GAP = 0.3


@pytest.fixture(scope="module")
def running(start_shared: Watched, provider_server: Provider) -> RunningGateway:
    account = provider_server.account()
    return start_shared(
        {"downstream": {"sse_keepalive_interval_secs": 0.15}},
        resources={
            "models": [
                {"name": "fast", "model": "openai/gpt-4o", **account},
                {"name": "hasty", "model": "openai/gpt-4o", "stream_timeout": int(GAP * 1000), **account},
            ]
        },
    )


def streamed(running: RunningGateway, request_id: str = "", **members: Any) -> HttpReply:
    asked = {"model": "fast", "messages": HELLO, "stream": True, **members}
    return running.post("/v1/chat/completions", asked, headers={ID: request_id} if request_id else {})


async def test_the_asynchronous_sdk_gets_each_piece_under_the_name_it_asked_for(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(stream("Hel", "lo ", "wörld"))
    async with asynchronous(running) as client:
        got = [
            one
            async for one in await client.chat.completions.create(model="fast", messages=HELLO, stream=True)
        ]
    assert "".join(one.choices[0].delta.content or "" for one in got) == "Hello wörld"
    assert {one.model for one in got} == {"fast"}
    assert {one.id for one in got} == {"chatcmpl-upstream"}
    assert got[0].choices[0].delta.role == "assistant"
    assert got[-1].choices[0].finish_reason == "stop"


def test_the_blocking_sdk_gets_the_same(running: RunningGateway, provider: Provider) -> None:
    provider.answers(stream("Hel", "lo"))
    with blocking(running) as client:
        got = list(client.chat.completions.create(model="fast", messages=HELLO, stream=True))
    assert "".join(one.choices[0].delta.content or "" for one in got) == "Hello"


def test_pieces_arrive_while_the_provider_still_writes(running: RunningGateway, provider: Provider) -> None:
    provider.answers(stream("one", "two", delay=0.1))
    with blocking(running) as client:
        began = time.monotonic()
        times = [
            time.monotonic() - began
            for _ in client.chat.completions.create(model="fast", messages=HELLO, stream=True)
        ]
    assert times[0] < 0.1
    assert all(later - earlier > 0.05 for earlier, later in itertools.pairwise(times))


def test_usage_is_asked_for_and_hidden_from_a_client_that_did_not(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(stream("hello"))
    body = streamed(running, "hidden-1").body
    assert provider.request.json()["stream_options"] == {"include_usage": True}
    *said, done = [data for _, data in events_in(body)]
    assert done == "[DONE]"
    assert all("usage" not in one and one["choices"] for one in said)
    assert ended(running, "hidden-1").usage == Usage(input_tokens=11, output_tokens=4)


async def test_usage_is_shown_to_a_client_that_asked(running: RunningGateway, provider: Provider) -> None:
    provider.answers(stream("hello"))
    async with asynchronous(running) as client:
        got = [
            one
            async for one in await client.chat.completions.create(
                model="fast", messages=HELLO, stream=True, stream_options={"include_usage": True}
            )
        ]
    assert got[-1].choices == []
    assert got[-1].model == "fast"
    assert got[-1].usage is not None
    assert got[-1].usage.model_dump(exclude_none=True) == USAGE
    assert all(one.usage is None for one in got[:-1])


def test_a_client_that_declines_usage_does_not_hide_it_from_the_settlement(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(stream("hello"))
    options = {"include_usage": False, "include_obfuscation": False}
    body = streamed(running, "declined-1", stream_options=options).body
    assert provider.request.json()["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    assert b"usage" not in body
    assert ended(running, "declined-1").usage.total_tokens == 15


def test_a_stream_is_settled_and_journalled_once(running: RunningGateway, provider: Provider) -> None:
    provider.answers(stream("hello", delay=0.02))
    streamed(running, "stream-1")
    event = ended(running, "stream-1")
    assert (event.status, event.stream, event.stop_reason, event.attempts) == (200, True, "stop", 1)
    assert (event.upstream_id, event.upstream_model) == ("chatcmpl-upstream", "gpt-4o-2024-08-06")
    assert event.usage == Usage(input_tokens=11, output_tokens=4)
    assert 0 < event.ttft_ms < event.latency_ms
    assert journalled(running, "stream-1") == [event]


async def test_streamed_tool_arguments_arrive_piece_by_piece(
    running: RunningGateway, provider: Provider
) -> None:
    def call(index: int, arguments: str, **more: Any) -> bytes:
        function = {"arguments": arguments, **({"name": more.pop("name")} if "name" in more else {})}
        return chunk({"tool_calls": [{"index": index, "function": function, **more}]})

    provider.answers(
        sse_reply(
            [
                call(0, "", id="call_1", type="function", name="weather"),
                call(0, '{"city"'),
                call(0, ':"Os'),
                call(0, 'lo"}'),
                call(1, "", id="call_2", type="function", name="time"),
                call(1, "{}"),
                chunk({}, "tool_calls"),
                chunk(None, usage=USAGE),
            ]
        )
    )
    async with (
        asynchronous(running) as client,
        client.chat.completions.stream(model="fast", messages=HELLO) as events,
    ):
        pieces = [
            one.arguments_delta async for one in events if one.type == "tool_calls.function.arguments.delta"
        ]
        whole = await events.get_final_completion()
    assert [piece for piece in pieces if piece] == ['{"city"', ':"Os', 'lo"}', "{}"]
    assert whole.model == "fast"
    made = whole.choices[0].message.tool_calls or []
    assert [(one.id, one.function.name, one.function.arguments) for one in made] == [
        ("call_1", "weather", '{"city":"Oslo"}'),
        ("call_2", "time", "{}"),
    ]


def test_members_that_nobody_knows_survive_in_frames(running: RunningGateway, provider: Provider) -> None:
    odd = b'{"x": 1.50, "y":[1e2, 12345678901234567890123, "\\u00e9"]}'
    first = chunk({"content": "a"})[:-3] + b', "vendor_facts": ' + odd + b"}\n\n"
    logprobs = {"content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
    provider.answers(sse_reply([first, chunk({"reasoning_content": "hm"}, "stop", logprobs=logprobs)]))
    body = streamed(running).body
    assert odd in body
    assert [data for _, data in events_in(body)][1]["logprobs"] == logprobs


@pytest.mark.parametrize("size", [1, 3, 7])
def test_frames_that_are_torn_anywhere_are_put_together(
    running: RunningGateway, provider: Provider, size: int
) -> None:
    provider.answers(stream("wörld ", "€ 🎈", split_every=size))
    said = [data for _, data in events_in(streamed(running).body)]
    assert "".join(one["choices"][0]["delta"].get("content", "") for one in said[:-1]) == "wörld € 🎈"


def test_other_line_ends_comments_and_blank_events_are_understood(
    running: RunningGateway, provider: Provider
) -> None:
    text = b": OPENROUTER PROCESSING\r\n\r\n" + b"".join(frames("hello")).replace(b"\n", b"\r\n")
    provider.answers(sse_reply([text, b"event: ping\r\n\r\n"]))
    said = [data for _, data in events_in(streamed(running).body)]
    assert said[1]["choices"][0]["delta"]["content"] == "hello"
    assert said[-1] == "[DONE]"


def test_a_stream_whose_provider_forgets_done_still_ends_with_it(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(stream("hello", done=False))
    said = [data for _, data in events_in(streamed(running, "forgot-1").body)]
    assert said[-1] == "[DONE]"
    assert said.count("[DONE]") == 1
    assert ended(running, "forgot-1").error_type == ""


async def test_a_provider_that_does_not_stream_is_written_as_a_stream(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(answer("Hello wörld"))
    async with asynchronous(running) as client:
        asked = await client.chat.completions.create(
            model="fast",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={ID: "whole-1"},
        )
        got = [one async for one in asked]
    assert "".join(one.choices[0].delta.content or "" for one in got if one.choices) == "Hello wörld"
    assert {one.model for one in got} == {"fast"}
    assert [one.choices[0].finish_reason for one in got if one.choices][-1] == "stop"
    event = ended(running, "whole-1")
    assert event.stream
    assert got[-1].usage is not None
    assert (event.usage.input_tokens, event.usage.total_tokens) == (
        got[-1].usage.prompt_tokens,
        got[-1].usage.total_tokens,
    )
    assert event.ttft_ms > 0


def test_silence_is_filled_with_comments(running: RunningGateway, provider: Provider) -> None:
    first, *rest = frames("hello")
    provider.answers(sse_reply([first, Delay(0.5), *rest]))  # type: ignore[list-item]  # pieces may be delays
    body = streamed(running).body
    assert 2 <= body.count(b":\n\n") <= 4
    assert [data for _, data in events_in(body)][-1] == "[DONE]"


async def test_the_sdk_passes_over_comments(running: RunningGateway, provider: Provider) -> None:
    first, *rest = frames("hello")
    provider.answers(sse_reply([first, Delay(0.4), *rest]))  # type: ignore[list-item]  # pieces may be delays
    async with asynchronous(running) as client:
        got = [
            one
            async for one in await client.chat.completions.create(model="fast", messages=HELLO, stream=True)
        ]
    assert "".join(one.choices[0].delta.content or "" for one in got) == "hello"


def test_a_stream_has_the_headers_that_proxies_need(running: RunningGateway, provider: Provider) -> None:
    provider.answers(stream("hello"))
    got = streamed(running, "heads-1")
    assert got.headers["content-type"].startswith("text/event-stream")
    assert got.headers["cache-control"] == "no-cache"
    assert got.headers["x-accel-buffering"] == "no"
    assert got.headers[ID] == got.headers["x-hookway-call-id"] == "heads-1"
    assert "content-length" not in got.headers


def test_a_client_of_http_1_0_gets_its_stream_unchunked(running: RunningGateway, provider: Provider) -> None:
    provider.answers(stream("hello"))
    connection = http.client.HTTPConnection(running.host, running.port, timeout=10)
    connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"  # type: ignore[attr-defined]
    body = json.dumps({"model": "fast", "messages": HELLO, "stream": True})
    connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {running.key}"})
    got = connection.getresponse()
    assert got.getheader("transfer-encoding") is None
    assert [data for _, data in events_in(got.read())][-1] == "[DONE]"
    connection.close()


# ── what goes wrong after the first frame ───────────────────────────────────────────────────


async def broken(running: RunningGateway, request_id: str, model: str = "fast") -> tuple[str, dict[str, Any]]:
    """Return the text that came before the SDK raised, and the error object."""
    async with asynchronous(running) as client:
        events = await client.chat.completions.create(
            model=model, messages=HELLO, stream=True, extra_headers={ID: request_id}
        )
        text, error = await read_stream(events)
    assert error is not None
    return text, error


async def test_a_stream_that_is_cut_ends_with_an_error_and_without_done(
    running: RunningGateway, provider: Provider
) -> None:
    cut = sum(map(len, frames("hello", "world")[:2])) + 10
    provider.answers(Cut(stream("hello", "world"), cut), Cut(stream("hello", "world"), cut, reset=True))
    for number in range(2):
        text, error = await broken(running, f"cut-{number}")
        assert text == "hello"
        assert error["type"] == "stream_aborted"
        event = ended(running, f"cut-{number}")
        assert (event.status, event.error_type) == (200, "stream_aborted")
        assert journalled(running, f"cut-{number}") == [event]


async def test_a_gap_that_is_too_long_ends_with_a_timeout(
    running: RunningGateway, provider: Provider
) -> None:
    head = sum(map(len, frames("hello", "world")[:2]))
    provider.answers(Stall(stream("hello", "world"), head))
    began = time.monotonic()
    text, error = await broken(running, "gap-1", model="hasty")
    assert GAP <= time.monotonic() - began < GAP + 1
    assert (text, error["type"]) == ("hello", "timeout")
    assert error["message"] == f"upstream request timed out after {int(GAP * 1000)}ms"
    provider.departure()
    (attempt,) = attempts(running, "gap-1")
    assert (attempt.status, attempt.error_kind) == (200, "timeout")


async def test_a_gap_below_the_limit_is_waited_for_each_time(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(stream("one", "two", "three", delay=GAP * 0.6))
    async with asynchronous(running) as client:
        got = [
            one
            async for one in await client.chat.completions.create(model="hasty", messages=HELLO, stream=True)
        ]
    assert "".join(one.choices[0].delta.content or "" for one in got) == "onetwothree"


@pytest.mark.parametrize("together", [False, True], ids=["apart", "in one packet"])
async def test_an_error_inside_a_running_stream_follows_what_came_before_it(
    running: RunningGateway, provider: Provider, together: bool
) -> None:
    begun = chunk({"role": "assistant", "content": "hel"})
    rest = chunk({"content": "lo"})
    failure = frame({"error": {"message": "the model at 10.0.0.7 is gone", "code": 500}})
    pieces = [begun, rest + failure] if together else [begun, rest, failure]
    provider.answers(sse_reply(pieces, 0.02, done=False))
    text, error = await broken(running, f"inband-{together}")
    assert text == "hello"
    assert error["type"] == "upstream_in_band_error"
    assert "10.0.0.7" not in str(error)
    event = ended(running, f"inband-{together}")
    assert "10.0.0.7" in event.error


async def test_a_frame_that_is_no_json_ends_the_stream(running: RunningGateway, provider: Provider) -> None:
    provider.answers(sse_reply([chunk({"content": "hello"}), b"data: <html>\n\n"], 0.02))
    text, error = await broken(running, "garbage-1")
    assert (text, error["type"]) == ("hello", "upstream_decode_error")


def test_no_done_follows_an_error_and_the_connection_goes_on(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(Cut(stream("hello", "world"), sum(map(len, frames("hello")[:2]))), stream("again"))
    connection = http.client.HTTPConnection(running.host, running.port, timeout=10)
    body = json.dumps({"model": "fast", "messages": HELLO, "stream": True})
    head = {"authorization": f"Bearer {running.key}"}
    connection.request("POST", "/v1/chat/completions", body, head)
    said = list(events_in(connection.getresponse().read()))
    assert said[-1][0] == "error"
    assert "[DONE]" not in [data for _, data in said]
    connection.request("POST", "/v1/chat/completions", body, head)
    assert [data for _, data in events_in(connection.getresponse().read())][-1] == "[DONE]"
    connection.close()


def test_usage_that_came_before_the_cut_is_settled(running: RunningGateway, provider: Provider) -> None:
    counted = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    begun = [
        chunk({"content": "a"}, usage=counted),
        chunk({"content": "b"}, usage={**counted, "completion_tokens": 2}),
    ]
    provider.answers(Cut(sse_reply([*begun, chunk({"content": "c"})], 0.02), sum(map(len, begun))))
    streamed(running, "partial-1")
    assert ended(running, "partial-1").usage == Usage(input_tokens=9, output_tokens=2)
