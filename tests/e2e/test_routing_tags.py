"""Targets of a group that are not for every request: by tag, and by network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hookway.testing import GatewayFactory, RunningGateway


def echo(name: str, **fields: Any) -> dict[str, Any]:
    """Return a model that answers under its own name in the served-by header."""
    return {"name": name, "provider": "echo", "model_name": name, "provider_key": "echo", **fields}


def group(*targets: Mapping[str, Any]) -> dict[str, Any]:
    """Return a group of those targets."""
    return {"name": "group", "routing": {"targets": list(targets)}}


def start(gateway: GatewayFactory, *models: Mapping[str, Any]) -> RunningGateway:
    """Return a gateway with those models and one account."""
    account = {"name": "echo", "provider": "echo", "api_key": "none"}
    return gateway(resources={"provider_keys": [account], "models": list(models)})


@pytest.mark.parametrize(
    ("tags", "served"), [("", "plain"), ("eu", "eu"), ("us, eu", "eu"), ("mars", "plain"), (" , ", "plain")]
)
def test_tags_choose_among_targets(gateway: GatewayFactory, tags: str, served: str) -> None:
    running = start(
        gateway,
        echo("eu"),
        echo("plain"),
        group({"model": "eu", "tags": ["eu"]}, {"model": "plain", "tags": ["default"]}),
    )
    answer = running.post(
        "/v1/chat/completions",
        {"model": "group", "messages": [{"role": "user", "content": "hi"}]},
        headers={"x-hookway-routing-tags": tags},
    )
    assert answer.headers["x-hookway-served-by"] == served


def test_a_tag_that_nobody_has_is_refused_where_nobody_is_the_default(gateway: GatewayFactory) -> None:
    running = start(gateway, echo("eu"), group({"model": "eu", "tags": ["eu"]}))
    answer = running.post(
        "/v1/chat/completions",
        {"model": "group", "messages": [{"role": "user", "content": "hi"}]},
        headers={"x-hookway-routing-tags": "a, b"},
    )
    assert answer.status == 400
    assert answer.json()["error"]["message"].endswith('no routing target matches request tags ["a", "b"]')


def test_a_target_closed_to_the_caller_drops_out_and_closes_the_group_only_when_all_are(
    gateway: GatewayFactory,
) -> None:
    far = echo("far", allowed_cidrs=["10.0.0.0/8"])
    running = start(
        gateway,
        far,
        echo("near"),
        group({"model": "far"}, {"model": "near"}),
        {**group({"model": "far"}), "name": "only-far"},
    )
    assert running.chat("hi", model="group").headers["x-hookway-served-by"] == "near"
    refused = running.chat("hi", model="only-far")
    assert (refused.status, refused.json()["error"]["code"]) == (403, "ip_restricted")
    assert "10." not in refused.json()["error"]["message"]
