"""Operators' routes follow conf.d while the gateway runs."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hookway.config.addresses import Address
from hookway.testing import GatewayFactory, RunningGateway
from hookway_sdk import Admin, Guard, OperatorReply, OperatorRequest, OperatorRoute, Settings, StartError


class Word(Settings):
    """One word.

    Args:
        word: what the route says.
    """

    word: str = "one"


class Says(Admin[Word]):
    """Says its word to operators."""

    def routes(self) -> Sequence[OperatorRoute]:
        return [OperatorRoute("metrics", "GET", "/word", self.word, Guard.NONE)]

    async def word(self, request: OperatorRequest) -> OperatorReply:
        return OperatorReply(self.settings.word.encode())


OFF = {"enabled": False}
NOBODY = {"sink_prometheus": OFF, "admin_status": OFF}
"""Without the plugins that serve something to operators."""


def reload(running: RunningGateway, settings: dict[str, Any]) -> None:
    """Change conf.d while it runs."""
    assert running.reload(settings)


def said(running: RunningGateway) -> tuple[int, str]:
    """Return what the route answers."""
    reply = running.operator("/word")
    return reply.status, reply.body.decode()


def test_a_route_is_served_by_the_instance_that_is_on(gateway: GatewayFactory) -> None:
    running = gateway(plugins={"admin_says": Says})
    assert said(running) == (200, "one")
    reload(running, {"plugins": {"admin_says": {"word": "two"}}})
    assert said(running) == (200, "two")
    reload(running, {"plugins": {"admin_says": {"enabled": False}}})
    assert said(running)[0] == 404


def test_the_listener_opens_when_the_first_plugin_serves_it(gateway: GatewayFactory) -> None:
    running = gateway({"plugins": {"admin_says": OFF, **NOBODY}}, plugins={"admin_says": Says})
    assert running.gateway.serve.operator_addresses == {}
    reload(running, {"plugins": {"admin_says": {"enabled": True}}})
    until(lambda: "metrics" in running.gateway.serve.operator_addresses)
    assert said(running) == (200, "one")


def test_a_listener_whose_address_is_taken_is_told_and_tried_again(gateway: GatewayFactory) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        running = gateway(
            {
                "plugins": {"admin_says": OFF, **NOBODY},
                "observability": {"metrics": {"prometheus": {"addr": address}}},
            },
            plugins={"admin_says": Says},
        )
        reload(running, {"plugins": {"admin_says": {"enabled": True}}})
        until(lambda: any(line["event"] == "operators_not_served" for line in running.log))
        assert running.gateway.serve.operator_addresses == {}
        assert running.chat("hello").status == 200
    reload(running, {"plugins": {"admin_says": {"enabled": True, "word": "two"}}})
    until(lambda: "metrics" in running.gateway.serve.operator_addresses)
    assert said(running) == (200, "two")


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it did not within five seconds.
    """
    end = time.monotonic() + 5
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)


def test_an_address_that_nobody_chose_may_be_taken(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = {"observability": {"metrics": {"prometheus": {"addr": address}}}}
        with pytest.raises(StartError, match="cannot listen"):
            gateway(settings, plugins={"admin_says": Says})
        monkeypatch.setattr("hookway.serve.DEFAULTS", (Address.parse(address),))
        running = gateway(settings, plugins={"admin_says": Says})
        assert running.chat("hello").status == 200
        assert any(line["event"] == "operators_not_served" for line in running.log)
