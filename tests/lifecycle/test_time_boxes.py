"""``timeout`` and ``on_error`` beside a plugin: how long its steps may take, and what a failure means."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import hookway.runtime
from hookway.testing import GatewayFactory
from hookway_sdk import Cache, Exchange, Limit, Plugin, Reply, Row, StartError, hookimpl


class SlowLimit(Limit[Any]):
    """Take a minute."""

    async def admit_request(self, exchange: Exchange) -> None:
        await asyncio.sleep(60)


class SlowHook(Plugin[Any]):
    """Take a minute as well."""

    @hookimpl
    async def authorize(self, exchange: Exchange) -> None:
        await asyncio.sleep(60)


class SlowCache(Cache[Row]):
    """Take a minute to look, and to keep."""

    async def lookup(self, exchange: Exchange) -> Reply | None:
        await asyncio.sleep(60)
        return None

    async def store(self, exchange: Exchange, reply: Reply) -> None:
        await asyncio.sleep(60)


class KeepsSlowly(Cache[Row]):
    """Take a minute to keep."""

    async def lookup(self, exchange: Exchange) -> Reply | None:
        return None

    async def store(self, exchange: Exchange, reply: Reply) -> None:
        await asyncio.sleep(60)


@pytest.mark.parametrize(("on_error", "status"), [("closed", 500), ("open", 200)])
@pytest.mark.parametrize(
    ("name", "cls", "phase"),
    [("limit_slow", SlowLimit, "admit_request"), ("hook_slow", SlowHook, "authorize")],
    ids=["kind", "hook"],
)
def test_a_step_that_takes_too_long_fails(
    gateway: GatewayFactory, name: str, cls: type[Any], phase: str, on_error: str, status: int
) -> None:
    running = gateway({"plugins": {name: {"timeout": "50ms", "on_error": on_error}}}, plugins={name: cls})
    began = time.monotonic()
    reply = running.chat("hello")
    assert reply.status == status
    assert time.monotonic() - began < 5
    assert running.gateway.process.failures.values[name, phase] == 1


def test_a_cache_that_takes_too_long_is_passed_by(gateway: GatewayFactory) -> None:
    running = gateway(
        {"plugins": {"cache_slow": {"timeout": "50ms", "default_row": True}}},
        plugins={"cache_slow": SlowCache},
    )
    assert running.chat("hello").status == 200
    assert running.gateway.process.failures.values["cache_slow", "lookup"] == 1
    running.run(running.gateway.serve.runtime.drained())
    assert running.gateway.process.failures.values["cache_slow", "store"] == 1


def test_a_cache_without_a_time_of_its_own_is_given_up_as_well(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hookway.runtime, "STORE_SECONDS", 0.05)
    running = gateway({"plugins": {"cache_slow": {"default_row": True}}}, plugins={"cache_slow": KeepsSlowly})
    assert running.chat("hello").status == 200
    running.run(running.gateway.serve.runtime.drained())
    assert running.gateway.process.failures.values["core", "store"] == 1


def test_the_end_waits_for_no_cache(gateway: GatewayFactory) -> None:
    running = gateway({"plugins": {"cache_slow": {"default_row": True}}}, plugins={"cache_slow": KeepsSlowly})
    assert running.chat("hello").status == 200
    began = time.monotonic()
    running.close()
    assert time.monotonic() - began < 5


def test_a_start_that_fails_does_not_keep_the_next_from_starting(gateway: GatewayFactory) -> None:
    with pytest.raises(StartError):
        gateway({"plugins": {"no_such": {}}})
    assert gateway().chat("hello").status == 200
