"""A gateway whose group takes its targets in turn."""

from __future__ import annotations

from typing import Any

from hookway.testing import GatewayFactory, RunningGateway
from hookway_plugins.strategy_round_robin import RoundRobinStrategy

ON = ("auth_keys", "dialect_openai", "provider_echo", "source_file", "store_memory")


def models(*targets: dict[str, Any]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {"name": name, "model": "echo/echo", "key": "none"} for name in ("a", "b", "c", "d")
    ]
    rows.append({"name": "group", "routing": {"strategy": "round_robin", "targets": list(targets)}})
    return {"models": rows}


def start(gateway: GatewayFactory, *targets: dict[str, Any]) -> RunningGateway:
    plugins = {"strategy_round_robin": RoundRobinStrategy}
    settings = {"plugins": {"source_file": {"watch": 0}}}
    return gateway(settings, plugins=plugins, resources=models(*targets), only=ON)


def served_by(running: RunningGateway, count: int) -> str:
    answers = [running.chat("hello", model="group") for _ in range(count)]
    return "".join(one.headers["x-hookway-served-by"] for one in answers)


def test_requests_are_shared_out_by_weight(gateway: GatewayFactory) -> None:
    running = start(gateway, {"model": "a", "weight": 5}, {"model": "b"}, {"model": "c", "weight": 0})
    assert served_by(running, 14) == "aabacaa" * 2


def test_only_the_highest_tier_takes_turns(gateway: GatewayFactory) -> None:
    running = start(gateway, {"model": "a", "priority": -1}, {"model": "b"}, {"model": "c"})
    assert served_by(running, 4) == "bcbc"


def test_a_target_that_comes_and_goes_costs_the_others_no_turn(gateway: GatewayFactory) -> None:
    three = [{"model": "a"}, {"model": "b"}, {"model": "c"}]
    running = start(gateway, *three)
    assert served_by(running, 2) == "ab"
    for targets, expected in (([*three, {"model": "d"}], "abcda"), (three, "cab")):
        gateway.write_resources(0, models(*targets))
        assert running.run(running.gateway.control.reload_everything())
        assert served_by(running, len(expected)) == expected
