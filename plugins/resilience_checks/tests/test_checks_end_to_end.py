"""A gateway that checks the models it serves: what callers and operators see of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hookway.testing import GatewayFactory, HttpReply, RunningGateway
from hookway_sdk import RequestEnded, StartError
from hookway_sdk.testing.scripted_upstream import Action, RecordedRequest, ScriptedUpstream, json_reply

PROMPT = "are you there?"


class SoonestChance:
    """Chance that always draws the smallest number, so that first checks are due at once."""

    def random(self) -> float:
        return 0.0

    def uniform(self, a: float, b: float) -> float:
        return a

    def getrandbits(self, k: int, /) -> int:
        return 0


class Upstream:
    """Two models, of which some are ill.

    Attributes:
        ill: models that answer 500.
        checks: bodies of the checks that came.
        asked: the models that callers' requests reached.
    """

    def __init__(self, *ill: str) -> None:
        self.ill = set(ill)
        self.checks: list[dict[str, Any]] = []
        self.asked: list[str] = []

    def __call__(self, request: RecordedRequest) -> Action:
        body = request.json()
        if PROMPT in str(body["messages"]):
            self.checks.append(body)
        else:
            self.asked.append(body["model"])
        if body["model"] in self.ill:
            return json_reply({"error": {"message": "ill"}}, 500)
        message = {"role": "assistant", "content": "yes"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        return json_reply({**head, "choices": [choice], "usage": usage})


def start(gateway: GatewayFactory, url: str, **check: Any) -> RunningGateway:
    account = {"key": "sk-x", "api_base": f"{url}/v1", "retries": 0}
    told = {"enabled": True, "interval_seconds": 5, "timeout_seconds": 2, "prompt": PROMPT, "max_tokens": 2}
    told |= {"stale_after_seconds": 60, **check}
    both = {"targets": [{"model": "a"}, {"model": "b"}]}
    models = [
        {"name": "a", "model": "openai/a", **account, "background_model_check": told},
        {"name": "b", "model": "openai/b", **account, "background_model_check": told},
        {"name": "pair", "routing": both},
        {"name": "stubborn", "routing": {**both, "when_all_unavailable": "try_anyway"}},
    ]
    plugins = {"resilience_checks": {}, "resilience_cooldown": {}}
    return gateway({"plugins": plugins}, resources={"models": models}, chance=SoonestChance())


async def check_all(running: RunningGateway, upstream: Upstream, count: int = 2) -> None:
    """Let the seconds pass in which first checks are made, without waiting for them."""
    (checks,) = running.gateway.serve.runtime.plugins["resilience_checks"].entries
    for _ in range(2):
        await asyncio.to_thread(running.run, checks._schedule.tick())
    for _ in range(500):
        if len(upstream.checks) >= count and not checks._schedule._waiting:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(f"{count} checks did not come; there are {len(upstream.checks)}")


async def ask(running: RunningGateway, model: str) -> HttpReply:
    return await asyncio.to_thread(running.chat, "hello", model=model)


async def test_callers_do_not_meet_a_model_whose_check_failed(gateway: GatewayFactory) -> None:
    upstream = Upstream("a")
    async with ScriptedUpstream(upstream) as server:
        running = await asyncio.to_thread(start, gateway, server.url)
        await check_all(running, upstream)
        assert sorted(body["model"] for body in upstream.checks) == ["a", "b"]
        assert {body["max_tokens"] for body in upstream.checks} == {2}
        answer = await ask(running, "pair")
        assert (answer.status, answer.headers["x-hookway-served-by"]) == (200, "b")
        assert upstream.asked == ["b"]
        assert (await ask(running, "a")).status == 502
        assert upstream.asked == ["b", "a"]
        await asyncio.to_thread(running.close)


async def test_checks_are_nobodys_requests(gateway: GatewayFactory) -> None:
    upstream = Upstream()
    async with ScriptedUpstream(upstream) as server:
        running = await asyncio.to_thread(start, gateway, server.url)
        await check_all(running, upstream)
        ended = await asyncio.to_thread(running.wait_for, RequestEnded, 2)
        assert {one.key_id for one in ended} == {"gateway"}
        assert {one.status for one in ended} == {200}
        await asyncio.to_thread(running.close)


async def test_a_group_without_a_healthy_target_answers_503_or_tries_anyway(
    gateway: GatewayFactory,
) -> None:
    upstream = Upstream("a", "b")
    async with ScriptedUpstream(upstream) as server:
        running = await asyncio.to_thread(start, gateway, server.url)
        await check_all(running, upstream)
        answer = await ask(running, "pair")
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        assert answer.json()["error"]["type"] == "all_candidates_unavailable"
        assert upstream.asked == []
        assert (await ask(running, "stubborn")).status == 502
        assert upstream.asked == ["a", "b"]
        await asyncio.to_thread(running.close)


async def test_a_success_by_its_own_name_brings_a_model_back(gateway: GatewayFactory) -> None:
    upstream = Upstream("a")
    async with ScriptedUpstream(upstream) as server:
        running = await asyncio.to_thread(start, gateway, server.url)
        await check_all(running, upstream)
        upstream.ill.clear()
        assert (await ask(running, "a")).status == 200
        assert (await ask(running, "pair")).headers["x-hookway-served-by"] == "a"
        said = [line for line in running.log if "model_unhealthy" in line.values()]
        assert len(said) == 1
        assert any("model_healthy_again" in line.values() for line in running.log)
        await asyncio.to_thread(running.close)


async def test_operators_see_which_models_are_unhealthy(gateway: GatewayFactory) -> None:
    upstream = Upstream("a")
    async with ScriptedUpstream(upstream) as server:
        running = await asyncio.to_thread(start, gateway, server.url)
        await check_all(running, upstream)
        board = running.gateway.serve.process.status
        found = {one.name: one for one in await asyncio.to_thread(running.run, board.models())}
        # The check was an attempt like any other, so its target cools down as well, which outranks the rest.
        assert (found["a"].status, found["b"].status) == ("cooldown", "healthy")
        assert found["a"].health.check_status == 500
        assert found["pair"].status == "not_applicable"
        await asyncio.to_thread(running.close)


@pytest.mark.parametrize("name", ["openai/*", "group"])
async def test_a_resources_file_that_checks_what_cannot_be_checked_is_refused(
    gateway: GatewayFactory, name: str
) -> None:
    check = {"enabled": False, "interval_seconds": 5, "timeout_seconds": 1, "prompt": "p", "max_tokens": 1}
    row: dict[str, Any] = {"name": name, "background_model_check": {**check, "stale_after_seconds": 1}}
    if name == "group":
        row["routing"] = {"targets": [{"model": "echo"}]}
    else:
        row |= {"model": "echo/*", "key": "none"}
    models = [{"name": "echo", "model": "echo/echo", "key": "none"}, row]
    with pytest.raises(StartError, match="background_model_check"):
        await asyncio.to_thread(gateway, {"plugins": {"resilience_checks": {}}}, resources={"models": models})
