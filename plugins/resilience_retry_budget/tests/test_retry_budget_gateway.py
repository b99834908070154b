"""A gateway in front of a provider that fails every request: how many arrive there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hookway.testing import GatewayFactory, HttpReply, RunningGateway
from hookway_plugins.resilience_retry_budget import RetryBudget
from hookway_sdk.testing.scripted_upstream import ScriptedUpstream, json_reply

ON = ("auth_keys", "dialect_openai", "provider_openai", "source_file", "store_memory", "strategy_failover")
BUSY = json_reply({"error": {"message": "busy", "type": "server_error"}}, 503)
REQUESTS = 20


def start(
    gateway: GatewayFactory, upstream: ScriptedUpstream, retries: int = 0, **settings: Any
) -> RunningGateway:
    account = {"key": "sk-test", "api_base": f"{upstream.url}/v1", "retries": retries}
    models: list[dict[str, Any]] = [
        {"name": name, "model": f"openai/model-{name}", **account} for name in ("a", "b", "c")
    ]
    models.append({"name": "group", "routing": {"targets": [{"model": name} for name in ("a", "b", "c")]}})
    return gateway(
        {"plugins": {"resilience_retry_budget": settings}},
        plugins={"resilience_retry_budget": RetryBudget},
        resources={"models": models},
        only=ON,
    )


async def ask(running: RunningGateway, **members: Any) -> HttpReply:
    return await asyncio.to_thread(running.chat, "hello", model="group", **members)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("settings", "arrive"),
    [
        ({"ratio": 0.5, "min_per_second": 0}, 30),
        ({"ratio": 0, "min_per_second": 0.1, "window": 60}, 26),
        ({"ratio": 0, "min_per_second": 0}, 20),
        ({}, 60),
    ],
    ids=str,
)
async def test_a_provider_that_fails_gets_no_more_than_the_budget(
    gateway: GatewayFactory, settings: dict[str, Any], arrive: int, streams: bool
) -> None:
    async with ScriptedUpstream(default=BUSY) as upstream:
        running = await asyncio.to_thread(start, gateway, upstream, **{"window": 60, **settings})
        answers = [await ask(running, stream=streams) for _ in range(REQUESTS)]
        assert {one.status for one in answers} == {502}
        assert len(upstream.requests) == arrive
        await asyncio.to_thread(running.close)


async def test_requests_at_the_same_time_share_the_budget(gateway: GatewayFactory) -> None:
    async with ScriptedUpstream(default=BUSY) as upstream:
        running = await asyncio.to_thread(start, gateway, upstream, ratio=0.5, min_per_second=0, window=60)
        await asyncio.gather(*(ask(running) for _ in range(REQUESTS)))
        # What is in flight when the budget is spent may fail, too; whoever comes after it has nothing left.
        sent = len(upstream.requests)
        await ask(running)
        assert len(upstream.requests) == sent + 1
        families = {one.name: one for one in running.gateway.process.metrics.families()}
        assert families["retry_budget_exhausted_total"].values[("group",)] >= 1
        await asyncio.to_thread(running.close)


async def test_a_retry_of_the_same_target_takes_from_the_budget(gateway: GatewayFactory) -> None:
    async with ScriptedUpstream(default=BUSY) as upstream:
        settings = {"ratio": 0, "min_per_second": 0}
        running = await asyncio.to_thread(start, gateway, upstream, 2, **settings)
        assert (await ask(running)).status == 502
        assert len(upstream.requests) == 1
        await asyncio.to_thread(running.close)


async def test_a_target_that_is_down_is_made_good_by_another(gateway: GatewayFactory) -> None:
    def answer(request: Any) -> Any:
        message = {"role": "assistant", "content": "from b"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        good = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        return BUSY if request.json()["model"] == "model-a" else json_reply(good)

    async with ScriptedUpstream(answer) as upstream:
        running = await asyncio.to_thread(start, gateway, upstream)
        for _ in range(5):
            got = await ask(running)
            assert (got.status, got.headers["x-hookway-served-by"]) == (200, "b")
        await asyncio.to_thread(running.close)
