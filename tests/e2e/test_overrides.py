"""What a provider key changes in requests: members, bounds, headers."""

from __future__ import annotations

from typing import Any

import pytest
from callers import HELLO, ID, blocking
from openai_wire import answer, stream
from scripted_provider import KEY, Provider
from watched import Watched

from hookway.testing import RunningGateway

REQUEST: dict[str, Any] = {
    "param_renames": {"max_tokens": "max_completion_tokens"},
    "param_constraints": {"temperature_min": 0.2, "temperature_max": 1.0},
    "default_body_fields": {"safety": {"level": 3}, "top_p": 0.5},
    "default_headers": {
        "X-Fixed": "always",
        "X-Who": "$${request.api_key.name} of $${request.api_key.team_id}",
        "X-What": "$${model.name} at $${provider_key.name}",
        "X-Which": "$${request.id}",
        "X-Unknown": "$${request.api_key.user_id}",
        "X-No-Such": "$${process.env}",
        "Authorization": "Bearer stolen",
        "Host": "elsewhere",
    },
    "forward_client_headers": [
        "X-Trace-*",
        "x-tenant",
        "authorization",
        "cookie",
        "x-hookway-*",
        "content-*",
    ],
}


@pytest.fixture(scope="module")
def running(start_shared: Watched, provider_server: Provider) -> RunningGateway:
    account = {"name": "main", "provider": "openai", "api_key": KEY, "api_base": provider_server.url}
    bare = {"name": "bare", "provider": "openai", "api_key": KEY, "api_base": provider_server.url}
    model = {"provider": "openai", "model_name": "gpt-4o", "retries": 0}
    return start_shared(
        resources={
            "provider_keys": [{**account, "request": REQUEST}, bare],
            "models": [
                {"name": "fast", "provider_key": "main", **model},
                {"name": "plain", "provider_key": "bare", **model},
            ],
            "api_keys": [
                {"name": "ci", "key": "sk-caller-ci-0123456789", "allowed_models": ["*"], "team_id": "t1"}
            ],
        }
    )


def sent(
    running: RunningGateway, provider: Provider, headers: dict[str, str] | None = None, **members: Any
) -> Any:
    """Return the body that the provider gets."""
    provider.answers(stream("hello") if members.get("stream") else answer())
    with blocking(running, "sk-caller-ci-0123456789") as client:
        got = client.chat.completions.create(
            model="fast", messages=HELLO, extra_headers=headers or {}, extra_body=members
        )
        if members.get("stream"):
            list(got)
    return provider.request.json()


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
def test_members_are_renamed_and_added(running: RunningGateway, provider: Provider, streams: bool) -> None:
    body = sent(running, provider, max_tokens=7, max_completion_tokens=9, stream=streams)
    assert "max_tokens" not in body
    assert (body["max_completion_tokens"], body["safety"], body["top_p"]) == (7, {"level": 3}, 0.5)
    assert body["model"] == "gpt-4o"


def test_what_the_caller_said_is_not_overwritten_by_a_default(
    running: RunningGateway, provider: Provider
) -> None:
    assert sent(running, provider, top_p=0.9)["top_p"] == 0.9


@pytest.mark.parametrize(("asked", "got"), [(0, 0.2), (0.2, 0.2), (0.7, 0.7), (1.0, 1.0), (2, 1.0)])
def test_a_temperature_is_moved_into_its_bounds(
    running: RunningGateway, provider: Provider, asked: float, got: float
) -> None:
    assert sent(running, provider, temperature=asked)["temperature"] == got


def test_a_temperature_that_is_not_there_stays_away(running: RunningGateway, provider: Provider) -> None:
    assert "temperature" not in sent(running, provider)


def test_headers_are_filled_in_or_left_out(running: RunningGateway, provider: Provider) -> None:
    sent(running, provider, {ID: "filled-1"})
    request = provider.request
    assert request.header_values("x-fixed") == ["always"]
    assert request.header_values("x-who") == ["ci of t1"]
    assert request.header_values("x-what") == ["fast at main"]
    assert request.header_values("x-which") == ["filled-1"]
    assert request.header_values("x-unknown") == []
    assert request.header_values("x-no-such") == []
    assert request.header_values("authorization") == [f"Bearer {KEY}"]
    assert len(request.header_values("host")) == 1
    assert request.header("host") != "elsewhere"


def test_headers_of_the_client_pass_if_they_are_named(running: RunningGateway, provider: Provider) -> None:
    own = {"x-trace-id": "t-1", "X-Tenant": "acme", "x-other": "no", "cookie": "no", "x-fixed": "no"}
    sent(running, provider, {**own, ID: "passed-1"})
    request = provider.request
    assert request.header_values("x-trace-id") == ["t-1"]
    assert request.header_values("x-tenant") == ["acme"]
    assert request.header_values("x-other") == []
    assert request.header_values("cookie") == []
    assert request.header_values("x-fixed") == ["always"]
    assert request.header_values(ID) == ["passed-1"]
    assert request.header_values("authorization") == [f"Bearer {KEY}"]
    assert request.header_values("content-type") == ["application/json"]
    assert "no" not in [value for _, value in request.headers]


def test_another_account_changes_nothing(running: RunningGateway, provider: Provider) -> None:
    provider.answers(answer())
    asked = {"model": "plain", "messages": HELLO, "temperature": 2, "max_tokens": 7}
    got = running.post(
        "/v1/chat/completions", asked, key="sk-caller-ci-0123456789", headers={"x-tenant": "acme"}
    )
    assert got.status == 200
    assert provider.request.json() == {**asked, "model": "gpt-4o"}
    assert provider.request.header("x-tenant") is None
    assert provider.request.header("x-fixed") is None
