"""Chat, not streamed, relayed between the official SDK and a provider that speaks the same wire."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import uuid
from typing import Any

import pydantic
import pytest
from callers import HELLO, ID, asynchronous, blocking, ended, journalled
from openai_wire import USAGE, answer, completion
from scripted_provider import KEY, Provider
from watched import Watched

from hookway.testing import RunningGateway
from hookway_sdk import Usage
from hookway_sdk.testing.scripted_upstream import RecordedRequest, Reply, json_reply

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALLS = [
    {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
]


@pytest.fixture(scope="module")
def running(start_shared: Watched, provider_server: Provider) -> RunningGateway:
    fast = {"name": "fast", "model": "openai/gpt-4o", **provider_server.account()}
    return start_shared(resources={"models": [fast]})


async def test_the_asynchronous_sdk_gets_the_answer_under_the_name_it_asked_for(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(answer("hello"))
    async with asynchronous(running) as client:
        got = await client.chat.completions.create(model="fast", messages=HELLO)
    assert got.model == "fast"
    assert got.choices[0].message.content == "hello"
    assert got.choices[0].finish_reason == "stop"
    assert (got.id, got.created, got.system_fingerprint) == ("chatcmpl-upstream", 1741569952, "fp_e2e")
    assert got.usage is not None
    assert got.usage.model_dump(exclude_none=True) == USAGE


def test_the_blocking_sdk_gets_the_same(running: RunningGateway, provider: Provider) -> None:
    provider.answers(answer("hello"))
    with blocking(running) as client:
        got = client.chat.completions.create(model="fast", messages=HELLO)
    assert (got.model, got.choices[0].message.content) == ("fast", "hello")


def test_the_provider_gets_its_own_model_name_and_key_and_the_request_id(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(answer())
    with blocking(running) as client:
        client.chat.completions.create(model="fast", messages=HELLO, extra_headers={ID: "chat-1"})
    sent = provider.request
    assert (sent.method, sent.target) == ("POST", "/v1/chat/completions")
    assert sent.json() == {"model": "gpt-4o", "messages": HELLO}
    assert sent.header_values("authorization") == [f"Bearer {KEY}"]
    assert sent.header_values("content-type") == ["application/json"]
    assert sent.header_values(ID) == ["chat-1"]
    assert sent.header_values("host") == [provider.url.removeprefix("http://").removesuffix("/v1")]


def test_nothing_of_the_caller_reaches_the_provider_beside_the_body(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(answer())
    own = {"x-secret": "mine", "cookie": "session=mine", "forwarded": "for=10.0.0.7"}
    with blocking(running, organization="org-mine") as client:
        client.chat.completions.create(model="fast", messages=HELLO, extra_headers=own)
    assert {name.lower() for name, _ in provider.request.headers} <= {
        "host",
        "authorization",
        "content-type",
        "content-length",
        "accept",
        "accept-encoding",
        "user-agent",
        ID,
    }
    text = repr(provider.request.headers)
    assert running.key not in text
    assert "mine" not in text
    assert "OpenAI/Python" not in text


def test_members_that_nobody_knows_reach_the_provider_byte_for_byte(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(answer())
    odd = b'"vendor_flag" : {"b": 1.50,\n "a":[1e2, 123456789012345678901234567890, "\\u00e9\\/"]}'
    messages = b'[ {"role":"user", "content":"h\\u0069", "cache_control":{"type":"ephemeral"}} ]'
    body = b'{"messages": ' + messages + b', "model":"fast", ' + odd + b' , "seed":7.0}'
    assert running.post("/v1/chat/completions", body).status == 200
    sent = provider.request.body
    for value in (odd.split(b" : ", 1)[1], messages, b":7.0"):
        assert value in sent


def test_members_that_nobody_knows_reach_the_caller_byte_for_byte(
    running: RunningGateway, provider: Provider
) -> None:
    odd = b'{"b": 1.50,\n "a":[1e2, 123456789012345678901234567890, "\\u00e9\\/"]}'
    body = json.dumps(completion()).encode()[:-1] + b', "vendor_facts": ' + odd + b"}"
    provider.answers(Reply(200, [("content-type", "application/json")], body))
    got = running.chat("hi", model="fast")
    assert odd in got.body
    assert got.json()["model"] == "fast"


def test_nobody_smuggles_a_second_model_past_the_check(running: RunningGateway, provider: Provider) -> None:
    provider.answers(answer())
    body = b'{"model": "gpt-5-pro", "messages": [{"role": "user", "content": "hi"}], "model": "fast"}'
    assert running.post("/v1/chat/completions", body).status == 200
    pairs: list[list[tuple[str, Any]]] = []
    json.loads(provider.request.body, object_pairs_hook=pairs.append)
    assert [value for name, value in pairs[-1] if name == "model"] == ["gpt-4o"]


async def test_tools_go_there_and_back(running: RunningGateway, provider: Provider) -> None:
    said = {"role": "assistant", "content": None, "tool_calls": CALLS}
    call = {"index": 0, "message": said, "logprobs": None, "finish_reason": "tool_calls"}
    provider.answers(json_reply(completion(choices=[call])), answer("Rain"))
    async with asynchronous(running) as client:
        got = await client.chat.completions.create(
            model="fast", messages=HELLO, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False
        )
        (made,) = got.choices[0].message.tool_calls or []
        assert made.type == "function"
        assert (made.id, made.function.name, made.function.arguments) == (
            "call_1",
            "weather",
            '{"city":"Oslo"}',
        )
        said_before: Any = got.choices[0].message.to_dict()
        result: Any = {"role": "tool", "tool_call_id": "call_1", "content": "rain"}
        again = await client.chat.completions.create(
            model="fast", messages=[*HELLO, said_before, result], tools=[WEATHER]
        )
    first, second = (request.json() for request in provider.requests)
    assert (first["tools"], first["tool_choice"], first["parallel_tool_calls"]) == (
        [WEATHER],
        "required",
        False,
    )
    assert second["messages"][1]["tool_calls"] == CALLS
    assert second["messages"][2] == result
    assert again.choices[0].message.content == "Rain"


async def test_images_arrive_whole(running: RunningGateway, provider: Provider) -> None:
    provider.answers(answer("a cat"))
    picture = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 8192).decode()
    content: Any = [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": picture, "detail": "high"}},
    ]
    async with asynchronous(running) as client:
        await client.chat.completions.create(model="fast", messages=[{"role": "user", "content": content}])
    assert provider.request.json()["messages"][0]["content"] == content


async def test_a_json_schema_is_passed_on_and_its_answer_is_parsed(
    running: RunningGateway, provider: Provider
) -> None:
    class Place(pydantic.BaseModel):
        city: str
        people: int

    provider.answers(answer('{"city": "Oslo", "people": 709000}'))
    async with asynchronous(running) as client:
        got = await client.chat.completions.parse(model="fast", messages=HELLO, response_format=Place)
    assert got.choices[0].message.parsed == Place(city="Oslo", people=709000)
    wanted = provider.request.json()["response_format"]
    assert (wanted["type"], wanted["json_schema"]["strict"]) == ("json_schema", True)
    assert set(wanted["json_schema"]["schema"]["properties"]) == {"city", "people"}


async def test_each_of_several_choices_arrives_with_its_log_probabilities(
    running: RunningGateway, provider: Provider
) -> None:
    def choice(index: int) -> dict[str, Any]:
        likely = {"token": "a", "logprob": -0.25, "bytes": [97], "top_logprobs": []}
        return {
            "index": index,
            "message": {"role": "assistant", "content": f"answer {index}"},
            "logprobs": {"content": [likely], "refusal": None},
            "finish_reason": "stop",
        }

    provider.answers(json_reply(completion(choices=[choice(index) for index in range(3)])))
    async with asynchronous(running) as client:
        got = await client.chat.completions.create(
            model="fast", messages=HELLO, n=3, logprobs=True, top_logprobs=0, temperature=1.5
        )
    assert [one.message.content for one in got.choices] == ["answer 0", "answer 1", "answer 2"]
    for one in got.choices:
        assert one.logprobs is not None
        assert one.logprobs.content is not None
        assert one.logprobs.content[0].logprob == -0.25
    sent = provider.request.json()
    assert (sent["n"], sent["logprobs"], sent["top_logprobs"], sent["temperature"]) == (3, True, 0, 1.5)


def test_what_the_answer_consumed_is_settled_and_journalled(
    running: RunningGateway, provider: Provider
) -> None:
    counted = {
        **USAGE,
        "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    provider.answers(answer(usage=counted))
    asked = {"model": "fast", "messages": HELLO}
    got = running.post("/v1/chat/completions", asked, headers={ID: "settled-1"})
    assert got.json()["usage"] == counted
    event = ended(running, "settled-1")
    assert event.usage == Usage(input_tokens=11, output_tokens=4, cached_input_tokens=8, reasoning_tokens=3)
    assert (event.status, event.error_type, event.stream, event.stop_reason) == (200, "", False, "stop")
    assert (event.requested_model, event.model, event.target, event.provider) == (
        "fast",
        "fast",
        "fast",
        "openai",
    )
    assert (event.upstream_id, event.upstream_model) == ("chatcmpl-upstream", "gpt-4o-2024-08-06")
    assert (event.key_name, event.attempts, event.fallbacks) == ("first-key", 1, 0)
    assert event.endpoint == "/v1/chat/completions"
    assert event.latency_ms > 0
    assert journalled(running, "settled-1") == [event]


def test_an_answer_names_its_request_and_its_call_and_nothing_of_the_provider(
    running: RunningGateway, provider: Provider
) -> None:
    theirs = [("x-request-id", "req_theirs"), ("openai-organization", "theirs"), ("server", "cloudflare")]
    provider.answers(json_reply(completion(), 200, theirs))
    got = running.post("/v1/chat/completions", {"model": "fast", "messages": HELLO}, headers={ID: "named-1"})
    assert got.headers[ID] == "named-1"
    assert got.headers["x-hookway-call-id"] == "named-1"
    assert "x-hookway-served-by" not in got.headers
    assert got.headers["server"].startswith("Hookway/")
    assert got.headers["content-type"].startswith("application/json")
    assert "theirs" not in repr(got.headers)


@pytest.mark.parametrize("unusable", ["", "two words", "x" * 257, "caf\xe9"])
def test_a_request_id_that_cannot_be_used_is_replaced_and_not_refused(
    running: RunningGateway, provider: Provider, unusable: str
) -> None:
    provider.answers(answer())
    got = running.post("/v1/chat/completions", {"model": "fast", "messages": HELLO}, headers={ID: unusable})
    assert got.status == 200
    assert uuid.UUID(got.headers[ID]).version == 4
    assert provider.request.header(ID) == got.headers[ID]


def test_the_id_of_a_request_without_one_is_new_each_time(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(answer(), answer())
    ids = {running.chat("hi", model="fast").headers[ID] for _ in range(2)}
    assert len(ids) == 2


def test_a_compressed_answer_is_plain_for_the_caller(running: RunningGateway, provider: Provider) -> None:
    packed = gzip.compress(json.dumps(completion("unpacked")).encode())
    headers = [("content-type", "application/json"), ("content-encoding", "gzip")]
    provider.answers(Reply(200, headers, packed))
    got = running.chat("hi", model="fast")
    assert "content-encoding" not in got.headers
    assert got.json()["choices"][0]["message"]["content"] == "unpacked"


def test_a_chunked_answer_of_some_megabytes_arrives_whole(
    running: RunningGateway, provider: Provider
) -> None:
    text = "wörd " * 600_000
    body = json.dumps(completion(text), ensure_ascii=False).encode()
    pieces = [body[at : at + 60_001] for at in range(0, len(body), 60_001)]
    provider.answers(Reply(200, [("content-type", "application/json")], pieces, framing="chunked"))
    assert running.chat("hi", model="fast").json()["choices"][0]["message"]["content"] == text


async def test_many_calls_at_once_get_their_own_answers(running: RunningGateway, provider: Provider) -> None:
    def repeat(request: RecordedRequest) -> Reply:
        return answer(request.json()["messages"][0]["content"])

    provider.answers(*[repeat] * 64)
    async with asynchronous(running) as client:

        async def ask(text: str) -> str | None:
            got = await client.chat.completions.create(
                model="fast", messages=[{"role": "user", "content": text}]
            )
            return got.choices[0].message.content

        texts = [f"question {number}" for number in range(64)]
        assert await asyncio.gather(*map(ask, texts)) == texts


def test_a_connection_that_the_provider_closed_while_idle_costs_nobody_an_error(
    running: RunningGateway, provider: Provider
) -> None:
    body = json.dumps(completion()).encode()
    provider.answers(answer(), Reply(200, [("content-type", "application/json")], body, close=True), answer())
    assert [running.chat("hi", model="fast").status for _ in range(3)] == [200, 200, 200]


def test_calls_share_connections_to_the_provider(running: RunningGateway, provider: Provider) -> None:
    provider.answers(*[answer()] * 5)
    for _ in range(5):
        assert running.chat("hi", model="fast").status == 200
    assert len({request.connection for request in provider.requests}) == 1


@pytest.mark.parametrize(
    ("accepted", "sent", "adopted"),
    [
        (["x-request-id", "x-correlation-id"], {"x-correlation-id": "theirs-1"}, "theirs-1"),
        (["x-request-id", "x-correlation-id"], {"x-correlation-id": "two", "x-request-id": "one"}, "one"),
        (["x-request-id"], {ID: "own-1"}, None),
        ([], {ID: "own-2"}, None),
    ],
    ids=str,
)
def test_the_operator_says_which_headers_bring_an_id(
    start: Watched, accepted: list[str], sent: dict[str, str], adopted: str | None
) -> None:
    running = start({"proxy": {"request_id": {"accept_headers": accepted}}})
    got = running.post("/v1/chat/completions", {"model": "echo", "messages": HELLO}, headers=sent)
    if adopted is None:
        assert got.headers[ID] not in sent.values()
        adopted = got.headers[ID]
    assert got.headers[ID] == adopted
    assert ended(running, adopted).status == 200
