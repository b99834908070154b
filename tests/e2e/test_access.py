"""Who may use which model from where, and what each caller sees of them."""

from __future__ import annotations

import hashlib
from typing import Any

import openai
import pytest
from callers import HELLO, ID, asynchronous, blocking, ended, events_of
from openai_wire import answer
from scripted_provider import Provider
from watched import Watched

from hookway.testing import RunningGateway
from hookway_sdk import AuthDenied

KEYS = {
    name: f"sk-caller-{name}-0123456789"
    for name in ("all", "some", "none", "glob", "off", "old", "new", "team")
}


@pytest.fixture(scope="module")
def running(start_shared: Watched, provider_server: Provider) -> RunningGateway:
    account = provider_server.account()
    row = {"model": "openai/gpt-4o", **account}
    names = ["fast", "slow", "gpt-mini", "gpt-max"]
    models: list[dict[str, Any]] = [{"name": name, **row} for name in names]
    models += [
        {"name": "elsewhere", **row, "allowed_cidrs": ["10.0.0.0/8", "2001:db8::/32"]},
        {"name": "here", **row, "allowed_cidrs": ["10.0.0.0/8", "127.0.0.0/8"]},
        {"name": "openai/*", "model": "openai/*", **account},
        {"name": "openai/o1-*", "model": "openai/o1-2024-*", **account},
        {"name": "acme/*", "model": "openai/fixed", **account},
        {"name": "group", "routing": {"targets": [{"model": "fast"}]}},
        {"name": "through", "routing": {"targets": [{"model": "openai/gpt-4o"}]}},
    ]
    fields: dict[str, dict[str, Any]] = {
        "all": {"allowed_models": ["*"]},
        "some": {"allowed_models": ["slow", "group"]},
        "none": {"allowed_models": []},
        "glob": {"allowed_models": ["gpt-*", "openai/*"]},
        "off": {"allowed_models": ["*"], "disabled": True},
        "old": {"allowed_models": ["*"], "expires_at": "2020-01-01T00:00:00Z"},
        "new": {"allowed_models": ["*"], "expires_at": "2999-01-01T00:00:00+01:00"},
        "team": {"allowed_models": ["*"], "team_id": "t1", "user_id": "u1", "user_name": "Ada"},
    }
    keys = [{"name": name, "key": KEYS[name], **more} for name, more in fields.items()]
    keys[0] = {**keys[0], "key_hash": hashlib.sha256(KEYS["all"].encode()).hexdigest()}
    del keys[0]["key"]
    proxy = {"real_ip": {"trusted_proxies": ["127.0.0.1"]}}
    return start_shared({"proxy": proxy}, resources={"models": models, "api_keys": keys})


@pytest.mark.parametrize(
    ("key", "model"),
    [
        ("all", "fast"),
        ("new", "fast"),
        ("some", "slow"),
        ("some", "group"),
        ("glob", "gpt-mini"),
        ("glob", "openai/gpt-4o"),
    ],
)
def test_a_key_may_use_what_it_names(
    running: RunningGateway, provider: Provider, key: str, model: str
) -> None:
    provider.answers(answer())
    with blocking(running, KEYS[key]) as client:
        got = client.chat.completions.create(
            model=model, messages=HELLO, extra_headers={ID: f"may-{key}-{model}"}
        )
    assert got.model == model
    assert ended(running, f"may-{key}-{model}").key_name == key


@pytest.mark.parametrize(
    ("key", "model"),
    [("some", "fast"), ("none", "fast"), ("glob", "fast"), ("glob", "acme/x"), ("some", "gpt-mini")],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_key_may_not_use_what_it_does_not_name(
    running: RunningGateway, provider: Provider, key: str, model: str, stream: bool
) -> None:
    name = f"may-not-{key}-{model}-{stream}"
    async with asynchronous(running, KEYS[key]) as client:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            await client.chat.completions.create(
                model=model, messages=HELLO, stream=stream, extra_headers={ID: name}
            )
    assert caught.value.body == {
        "message": f'API key is not allowed to use model "{model}"',
        "type": "permission_denied",
    }
    event = ended(running, name)
    assert (event.status, event.error_type, event.key_name, event.attempts) == (
        403,
        "permission_denied",
        key,
        0,
    )
    assert provider.requests == []


@pytest.mark.parametrize(
    ("key", "code", "message", "reason"),
    [
        ("off", "api_key_disabled", "API key has been disabled", "key_disabled"),
        ("old", "api_key_expired", "API key has expired", "key_expired"),
    ],
)
async def test_a_key_that_does_not_count_any_more_is_refused(
    running: RunningGateway, key: str, code: str, message: str, reason: str
) -> None:
    async with asynchronous(running, KEYS[key]) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(
                model="fast", messages=HELLO, extra_headers={ID: f"void-{key}"}
            )
    assert caught.value.body == {"message": message, "type": "invalid_api_key", "code": code}
    (denied,) = events_of(running, AuthDenied, f"void-{key}")
    assert (denied.reason, denied.method) == (reason, "api_key")


def test_the_first_key_is_gone_once_there_are_others(running: RunningGateway) -> None:
    assert running.chat("hi", model="fast").status == 401


def test_who_called_is_recorded(running: RunningGateway, provider: Provider) -> None:
    provider.answers(answer())
    with blocking(running, KEYS["team"]) as client:
        client.chat.completions.create(model="fast", messages=HELLO, extra_headers={ID: "team-1"})
    event = ended(running, "team-1")
    assert (event.key_name, event.team_id, event.user_id, event.user_name) == ("team", "t1", "u1", "Ada")
    assert event.client_address == "127.0.0.1"
    assert event.user_agent.startswith("OpenAI/Python")
    assert KEYS["team"] not in repr(event)


# ── from where ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "forwarded", "status"),
    [
        ("here", None, 200),
        ("elsewhere", None, 403),
        ("elsewhere", "10.1.2.3", 200),
        ("elsewhere", "2001:db8::7", 200),
        ("elsewhere", "10.1.2.3, 192.0.2.1", 403),
        ("here", "192.0.2.1", 403),
    ],
)
def test_a_model_may_be_used_from_its_networks_only(
    running: RunningGateway, provider: Provider, model: str, forwarded: str | None, status: int
) -> None:
    if status == 200:
        provider.answers(answer())
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    asked = {"model": model, "messages": HELLO}
    got = running.post("/v1/chat/completions", asked, headers=headers, key=KEYS["all"])
    assert got.status == status
    if status == 403:
        error = got.json()["error"]
        assert (error["type"], error["code"]) == ("permission_denied", "ip_restricted")
        assert "10.0.0.0" not in error["message"]


# ── wildcards ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "upstream", "row"),
    [
        ("openai/gpt-5-nano", "gpt-5-nano", "openai/*"),
        ("openai/ft:gpt-4o:acme::7p4l", "ft:gpt-4o:acme::7p4l", "openai/*"),
        ("openai/o1-12-17", "o1-2024-12-17", "openai/o1-*"),
        ("acme/whatever", "fixed", "acme/*"),
        ("through", "gpt-4o", "through"),
    ],
)
def test_a_wildcard_takes_what_its_star_stands_for(
    running: RunningGateway, provider: Provider, model: str, upstream: str, row: str
) -> None:
    provider.answers(answer(), model=upstream)
    with blocking(running, KEYS["all"]) as client:
        got = client.chat.completions.create(model=model, messages=HELLO, extra_headers={ID: f"wild-{model}"})
    assert got.model == model
    assert provider.asked == [upstream]
    event = ended(running, f"wild-{model}")
    assert (event.requested_model, event.model) == (model, row)


@pytest.mark.parametrize("model", ["openai/", "openai/*", "*", "openai", "acme", "nothing/at-all"])
def test_what_no_wildcard_covers_is_unknown(running: RunningGateway, provider: Provider, model: str) -> None:
    asked = {"model": model, "messages": HELLO}
    got = running.post("/v1/chat/completions", asked, key=KEYS["all"])
    assert got.status == 404
    assert got.json()["error"]["message"] == f'model "{model}" not found'


# ── the list ────────────────────────────────────────────────────────────────────────────────


async def test_the_list_names_what_the_caller_may_use(running: RunningGateway) -> None:
    async def listed(key: str) -> list[tuple[str, str]]:
        async with asynchronous(running, KEYS[key]) as client:
            return [(one.id, one.owned_by) async for one in client.models.list()]

    everything = ["elsewhere", "fast", "gpt-max", "gpt-mini", "group", "here", "slow", "through"]
    assert [name for name, _ in await listed("all")] == everything
    assert await listed("some") == [("group", "hookway"), ("slow", "openai")]
    assert [name for name, _ in await listed("glob")] == ["gpt-max", "gpt-mini"]
    assert await listed("none") == []


async def test_one_model_can_be_looked_up(running: RunningGateway) -> None:
    async with asynchronous(running, KEYS["some"]) as client:
        found = await client.models.retrieve("slow")
        assert (found.id, found.object, found.owned_by) == ("slow", "model", "openai")
        for hidden in ("fast", "nothing", "openai/gpt-4o"):
            with pytest.raises(openai.NotFoundError) as caught:
                await client.models.retrieve(hidden)
            assert caught.value.body == {"message": f'model "{hidden}" not found', "type": "model_not_found"}


def test_the_list_needs_a_key_and_is_recorded(running: RunningGateway) -> None:
    assert running.get("/v1/models", key=None).status == 401
    assert running.get("/v1/models", key="sk-nonsense").status == 401
    running.get("/v1/models", key=KEYS["all"], headers={ID: "list-1"})
    event = ended(running, "list-1")
    assert (event.status, event.endpoint, event.key_name, event.model) == (200, "/v1/models", "all", "")
