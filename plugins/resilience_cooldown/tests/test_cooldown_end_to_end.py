"""A gateway in front of two targets, one of which fails in every way: who is asked, and when again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from hookway.testing import GatewayFactory, HttpReply, RunningGateway
from hookway_sdk import AttemptEnded
from hookway_sdk.testing.scripted_upstream import (
    Action,
    Cut,
    Malformed,
    RecordedRequest,
    ScriptedUpstream,
    Stall,
    json_reply,
    sse_reply,
)


class TurnedClock:
    """The machine's clocks, set forward by a test."""

    def __init__(self) -> None:
        self.forward = 0.0

    def now(self) -> float:
        return time.time() + self.forward

    def monotonic(self) -> float:
        return time.monotonic() + self.forward


def completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }


def refusal(status: int, retry_after: int | None = None) -> Action:
    headers = [] if retry_after is None else [("retry-after", str(retry_after))]
    body = json_reply({"error": {"message": "no", "type": "x"}}, status)
    return type(body)(status, [*body.headers, *headers], body.body)


class Upstream:
    """Two models: ``good`` answers unless it is told otherwise, ``bad`` does what it is told.

    Attributes:
        bad: what ``bad`` does.
        good: what ``good`` does.
        asked: the models that were asked, in order.
    """

    def __init__(self) -> None:
        self.bad: Action = json_reply(completion("from bad"))
        self.good: Action = json_reply(completion("from good"))
        self.asked: list[str] = []

    def __call__(self, request: RecordedRequest) -> Action:
        model = request.json()["model"]
        self.asked.append(model)
        return self.bad if model == "bad" else self.good

    def asked_since(self) -> list[str]:
        asked, self.asked = self.asked, []
        return asked


Serve = Callable[..., RunningGateway]


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


def start(
    gateway: GatewayFactory,
    url: str,
    clock: TurnedClock,
    routing: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    retries: int = 0,
    **bad: Any,
) -> RunningGateway:
    account = {"key": "sk-x", "api_base": f"{url}/v1"}
    models = [
        {"name": "bad", "model": "openai/bad", **account, "timeout": 200, **bad},
        {"name": "good", "model": "openai/good", **account},
        {"name": "pair", "routing": {"targets": [{"model": "bad"}, {"model": "good"}], **(routing or {})}},
    ]
    plugins = {"resilience_cooldown": settings or {}}
    whole = {"plugins": plugins, "upstream": {"pool_max_idle_per_host": 0, "retries": retries}}
    return gateway(whole, resources={"models": models}, clock=clock)


async def ask(running: RunningGateway, model: str = "pair", **members: Any) -> HttpReply:
    return await asyncio.to_thread(running.chat, "hello", model=model, **members)


FAILURES: dict[str, Action] = {
    "500": refusal(500),
    "503": refusal(503),
    "closed at once": Cut(),
    "reset": Cut(reset=True),
    "cut": Cut(json_reply(completion("x" * 500)), 40),
    "silent": Stall(),
    "no HTTP": Malformed(b"hello there\r\n\r\n"),
    "no answer": json_reply({"id": "x"}),
    "an error inside a success": json_reply({"error": {"message": "gone", "code": 503}}),
}


@pytest.mark.parametrize("how", FAILURES)
async def test_after_its_first_failure_a_target_is_asked_no_more_until_its_cooldown_ends(
    gateway: GatewayFactory, clock: TurnedClock, how: str
) -> None:
    upstream = Upstream()
    async with ScriptedUpstream(upstream) as server:
        running = await asyncio.to_thread(start, gateway, server.url, clock)
        upstream.bad = FAILURES[how]
        assert (await ask(running)).headers["x-hookway-served-by"] == "good"
        assert upstream.asked_since() == ["bad", "good"]
        answers = await asyncio.gather(*(ask(running) for _ in range(10)))
        assert [one.status for one in answers] == [200] * 10
        assert upstream.asked_since() == ["good"] * 10
        clock.forward += 29
        await ask(running)
        assert upstream.asked_since() == ["good"]
        clock.forward += 1.5
        upstream.bad = json_reply(completion("from bad"))
        assert (await ask(running)).headers["x-hookway-served-by"] == "bad"
        assert upstream.asked_since() == ["bad"]
        await asyncio.to_thread(running.close)


async def test_a_429_spares_the_target_as_long_as_it_asks(
    gateway: GatewayFactory, clock: TurnedClock
) -> None:
    upstream = Upstream()
    async with ScriptedUpstream(upstream) as server:
        running = await asyncio.to_thread(start, gateway, server.url, clock)
        upstream.bad = refusal(429, retry_after=100)
        assert (await ask(running)).status == 200
        assert upstream.asked_since() == ["bad", "good"]
        clock.forward += 98
        assert (await ask(running)).status == 200
        clock.forward += 3
        upstream.bad = json_reply(completion("from bad"))
        await ask(running)
        assert upstream.asked_since() == ["good", "bad"]
        await asyncio.to_thread(running.close)


@pytest.mark.parametrize(("status", "asked"), [(400, ["bad"]), (422, ["bad"]), (404, ["bad", "good"])])
async def test_a_clients_fault_makes_no_target_cool_down(
    gateway: GatewayFactory, clock: TurnedClock, status: int, asked: list[str]
) -> None:
    upstream = Upstream()
    async with ScriptedUpstream(upstream) as server:
        running = await asyncio.to_thread(start, gateway, server.url, clock)
        upstream.bad = refusal(status)
        for _ in range(3):
            await ask(running)
        assert upstream.asked_since() == asked * 3
        await asyncio.to_thread(running.close)


async def test_its_own_name_reaches_a_target_that_cools_down_and_its_success_ends_it(
    gateway: GatewayFactory, clock: TurnedClock
) -> None:
    upstream = Upstream()
    async with ScriptedUpstream(upstream) as server:
        running = await asyncio.to_thread(start, gateway, server.url, clock)
        upstream.bad = refusal(503)
        await ask(running)
        await ask(running, "bad")
        assert upstream.asked_since() == ["bad", "good", "bad"]
        upstream.bad = json_reply(completion("from bad"))
        await ask(running, "bad")
        await ask(running)
        assert upstream.asked_since() == ["bad", "bad"]
        await asyncio.to_thread(running.close)


async def test_when_both_cool_down_both_are_tried(gateway: GatewayFactory, clock: TurnedClock) -> None:
    both_bad = Upstream()

    def script(request: RecordedRequest) -> Action:
        both_bad(request)
        return refusal(503)

    async with ScriptedUpstream(script) as server:
        running = await asyncio.to_thread(start, gateway, server.url, clock)
        assert [(await ask(running)).status for _ in range(3)] == [502] * 3
        assert both_bad.asked_since() == ["bad", "good"] * 3
        await asyncio.to_thread(running.close)


async def test_a_stream_that_is_cut_after_its_head_spares_the_target(
    gateway: GatewayFactory, clock: TurnedClock
) -> None:
    upstream = Upstream()
    delta = {"index": 0, "delta": {"content": "hel"}, "finish_reason": None}
    frame = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":['
    frame += str(delta).replace("'", '"').replace("None", "null").encode() + b"]}\n\n"
    async with ScriptedUpstream(upstream) as server:
        running = await asyncio.to_thread(start, gateway, server.url, clock)
        upstream.bad = Cut(sse_reply([frame] * 3), len(frame) + 40)
        answer = await ask(running, stream=True)
        assert (answer.status, b"hel" in answer.body) == (200, True)
        assert upstream.asked_since() == ["bad"]
        await ask(running)
        assert upstream.asked_since() == ["good"]
        await asyncio.to_thread(running.close)


async def test_a_models_own_rule_holds_and_each_cooldown_is_logged_once(
    gateway: GatewayFactory, clock: TurnedClock
) -> None:
    upstream = Upstream()
    async with ScriptedUpstream(upstream) as server:
        running = await asyncio.to_thread(start, gateway, server.url, clock, cooldown={"default_seconds": 5})
        upstream.bad = refusal(503)
        await ask(running)
        clock.forward += 4
        await ask(running)
        clock.forward += 1.5
        await ask(running)
        assert upstream.asked_since() == ["bad", "good", "good", "bad", "good"]
        attempts = await asyncio.to_thread(running.wait_for, AttemptEnded, 5)
        assert [one.error_kind for one in attempts] == ["upstream_status", "", "", "upstream_status", ""]
        told = [line for line in running.log if "target_cools_down" in line.values()]
        assert len(told) == 2
        await asyncio.to_thread(running.close)


@pytest.mark.parametrize(
    ("last_resort", "retries", "status", "asked"),
    [
        (True, 0, 200, ["good", "bad"]),
        (True, 1, 200, ["good", "good", "bad"]),
        (False, 0, 502, ["good"]),
    ],
)
async def test_a_target_that_cools_down_is_asked_before_a_caller_sees_an_error(
    gateway: GatewayFactory,
    clock: TurnedClock,
    last_resort: bool,
    retries: int,
    status: int,
    asked: list[str],
) -> None:
    upstream = Upstream()
    async with ScriptedUpstream(upstream) as server:
        settings = {"last_resort": last_resort}
        running = await asyncio.to_thread(
            start, gateway, server.url, clock, settings=settings, retries=retries
        )
        upstream.bad = refusal(503)
        await ask(running)
        upstream.bad, upstream.good = json_reply(completion("from bad")), refusal(503)
        upstream.asked_since()
        assert (await ask(running)).status == status
        assert upstream.asked_since() == asked
        await asyncio.to_thread(running.close)
