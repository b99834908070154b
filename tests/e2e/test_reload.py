"""Configuration that changes while requests are served: nothing is dropped, and a mistake changes nothing."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import openai
import pytest
from callers import HELLO, ID, asynchronous, blocking, ended
from openai_wire import answer, stream
from scripted_provider import Provider
from watched import Watched

from hookway.testing import RunningGateway
from hookway_sdk import ConfigApplied
from hookway_sdk.testing.scripted_upstream import RecordedRequest, Reply

UNWATCHED: dict[str, Any] = {"plugins": {"source_file": {"watch": 0}}}


def models(provider: Provider, **upstreams: str) -> dict[str, Any]:
    """Return resources with a model for each pair of name and upstream model."""
    account = provider.account()
    return {"models": [{"name": name, "model": f"openai/{up}", **account} for name, up in upstreams.items()]}


def reload(running: RunningGateway) -> bool:
    return running.run(running.gateway.control.reload_everything())


def refused(running: RunningGateway) -> ConfigApplied:
    """Wait for the event of a reload that was refused."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        for event in running.of(ConfigApplied):
            if not event.ok:
                return event
        time.sleep(0.01)
    raise TimeoutError("no reload was refused")


def test_new_resources_serve_after_a_reload(start: Watched, provider: Provider) -> None:
    running = start(UNWATCHED, resources=models(provider, fast="gpt-4o", gone="gpt-4o"))
    start.write_resources(running, models(provider, fast="gpt-5", new="gpt-4o"))
    provider.answers(answer(), model="gpt-4o")
    provider.answers(answer(), model="gpt-5")
    assert running.chat("before", model="fast").status == 200
    assert running.chat("before", model="new").status == 404
    assert reload(running)
    assert running.chat("after", model="fast").status == 200
    assert running.chat("after", model="gone").status == 404
    assert provider.asked == ["gpt-4o", "gpt-5"]
    first, second = running.of(ConfigApplied)
    assert (second.ok, second.revision) == (True, first.revision + 1)
    assert second.counts["models"] == 2


def test_a_stream_ends_on_the_resources_it_began_with(start: Watched, provider: Provider) -> None:
    running = start(UNWATCHED, resources=models(provider, fast="gpt-4o"))
    provider.answers(stream(*["word"] * 20, delay=0.02))
    with blocking(running) as client:
        events = client.chat.completions.create(
            model="fast", messages=HELLO, stream=True, extra_headers={ID: "before-1"}
        )
        next(iter(events))
        start.write_resources(running, models(provider, other="gpt-5"))
        assert reload(running)
        assert running.chat("after", model="fast").status == 404
        assert "".join(one.choices[0].delta.content or "" for one in events) == "word" * 20
    event = ended(running, "before-1")
    assert (event.status, event.model, event.revision) == (200, "fast", 1)


async def test_no_request_notices_any_of_many_reloads(start: Watched, provider: Provider) -> None:
    def repeat(request: RecordedRequest) -> Reply:
        return answer(request.json()["messages"][0]["content"])

    running = start(UNWATCHED, resources=models(provider, fast="gpt-4o"))
    number, reloads = 0, 0
    async with asynchronous(running) as client:
        over = asyncio.Event()

        async def ask() -> None:
            nonlocal number
            while not over.is_set():
                number += 1
                text = f"question {number}"
                provider.answers(repeat)
                got = await client.chat.completions.create(
                    model="fast", messages=[{"role": "user", "content": text}]
                )
                assert got.choices[0].message.content == text

        callers = [asyncio.create_task(ask()) for _ in range(8)]
        for round_ in range(8):
            start.write_resources(running, models(provider, fast="gpt-4o", **{f"other-{round_}": "gpt-5"}))
            conf = start.home(running) / "conf.d" / "30-round.yaml"
            conf.write_text(json.dumps({"downstream": {"sse_keepalive_interval_secs": 10 + round_ // 2}}))
            reloads += await asyncio.to_thread(reload, running)
        over.set()
        await asyncio.gather(*callers)
    assert reloads == 8
    assert number > 16
    assert [event.ok for event in running.of(ConfigApplied)] == [True] * 9


BROKEN: dict[str, str] = {
    "no yaml": "models: [",
    "an unknown key": json.dumps({"models": [{"name": "fast", "modell": "openai/gpt-4o"}]}),
    "a dangling name": json.dumps({"models": [{"name": "g", "routing": {"targets": [{"model": "nobody"}]}}]}),
    "an unknown plugin's row": json.dumps({"models": [], "guardrails": [{"name": "x", "kind": "none"}]}),
    "nothing": "",
    "a strategy that nobody has": json.dumps(
        {"models": [{"name": "g", "routing": {"strategy": "dice", "targets": [{"model": "g2"}]}}]}
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_resources_with_a_mistake_leave_the_last_good_ones(
    start: Watched, provider: Provider, how: str
) -> None:
    running = start(UNWATCHED, resources=models(provider, fast="gpt-4o"))
    (start.home(running) / "resources.yaml").write_text(BROKEN[how])
    assert not reload(running)
    event = refused(running)
    assert any("resources.yaml" in line for line in event.problems)
    (line,) = [one for one in running.log if one["event"].startswith("reload failed")]
    assert (line["level"], line["problems"]) == ("warning", list(event.problems))
    provider.answers(answer(), answer())
    assert running.chat("hi", model="fast").status == 200
    start.write_resources(running, models(provider, fast="gpt-4o"))
    assert reload(running)
    assert running.chat("hi", model="fast").status == 200
    assert running.get("/readyz", key=None).status == 200


def test_a_file_that_changes_is_noticed(start: Watched, provider: Provider) -> None:
    watched = {"plugins": {"source_file": {"watch": "50ms"}}}
    running = start(watched, resources=models(provider, fast="gpt-4o"))
    start.write_resources(running, models(provider, new="gpt-5"))
    running.wait_for(ConfigApplied, 2)
    provider.answers(answer(), model="gpt-5")
    assert running.chat("hi", model="new").status == 200
    assert running.chat("hi", model="fast").status == 404
    start.write_resources(running, {"models": [{"name": "broken"}]})
    assert refused(running).revision == 2
    provider.answers(answer(), model="gpt-5")
    assert running.chat("hi", model="new").status == 200


def test_a_key_that_is_taken_back_does_not_count_from_then_on(start: Watched, provider: Provider) -> None:
    resources = models(provider, fast="gpt-4o")
    old, new = "sk-caller-old-0123456789", "sk-caller-new-0123456789"
    running = start(
        UNWATCHED, resources={**resources, "api_keys": [{"name": "a", "key": old, "allowed_models": ["*"]}]}
    )
    provider.answers(answer(), answer())
    asked = {"model": "fast", "messages": HELLO}
    assert running.post("/v1/chat/completions", asked, key=old).status == 200
    start.write_resources(
        running, {**resources, "api_keys": [{"name": "a", "key": new, "allowed_models": ["*"]}]}
    )
    assert reload(running)
    assert running.post("/v1/chat/completions", asked, key=old).status == 401
    assert running.post("/v1/chat/completions", asked, key=new).status == 200


def test_a_providers_new_key_is_used_from_then_on(start: Watched, provider: Provider) -> None:
    resources = models(provider, fast="gpt-4o")
    running = start(UNWATCHED, resources=resources)
    provider.answers(answer(), answer())
    running.chat("hi", model="fast")
    resources["models"][0]["key"] = "sk-upstream-2"
    start.write_resources(running, resources)
    assert reload(running)
    running.chat("hi", model="fast")
    sent = [request.header("authorization") for request in provider.requests]
    assert sent == ["Bearer sk-upstream", "Bearer sk-upstream-2"]


# ── conf.d ──────────────────────────────────────────────────────────────────────────────────


def conf(start: Watched, running: RunningGateway, settings: Any) -> None:
    text = settings if isinstance(settings, str) else json.dumps(settings)
    (start.home(running) / "conf.d" / "30-test.yaml").write_text(text)


def test_new_settings_serve_after_a_reload(start: Watched) -> None:
    running = start()
    large = "x" * 4096
    assert running.chat(large).status == 200
    conf(start, running, {"proxy": {"request_body_limit": 1024}})
    assert reload(running)
    assert running.chat(large).status == 413
    assert running.chat("small").status == 200


def test_a_plugin_that_is_turned_off_closes_what_needs_it_and_can_come_back(start: Watched) -> None:
    running = start()
    conf(start, running, {"plugins": {"dialect_openai": {"enabled": False}}})
    assert reload(running)
    assert running.chat("hi").status == 404
    conf(start, running, {"plugins": {"provider_echo": {"enabled": False}, "source_env": {"echo": True}}})
    assert reload(running)
    got = running.chat("hi")
    assert (got.status, got.json()["error"]["type"]) == (503, "config_error")
    conf(start, running, {})
    assert reload(running)
    assert running.chat("hi").status == 200


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ("proxy: [", "30-test.yaml"),
        ({"prox": {}}, "did you mean 'proxy'?"),
        ({"plugins": {"dialect_opanai": {}}}, "dialect_openai"),
        ({"plugins": {"source_env": {"ecko": True}}}, "echo"),
    ],
)
def test_settings_with_a_mistake_leave_the_last_good_ones(start: Watched, broken: Any, named: str) -> None:
    running = start()
    conf(start, running, broken)
    assert not reload(running)
    assert any(named in line for line in refused(running).problems)
    assert running.chat("hi").status == 200
    assert running.get("/readyz", key=None).status == 200


def test_a_stream_outlives_the_plugins_it_began_with(start: Watched) -> None:
    running = start()
    text: list[str] = []
    began = threading.Event()

    def read() -> None:
        with blocking(running) as client:
            asked: Any = [{"role": "user", "content": "!slow 0.05\none two three four five six"}]
            for one in client.chat.completions.create(model="echo", messages=asked, stream=True):
                text.append(one.choices[0].delta.content or "")
                began.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert began.wait(5)
    conf(start, running, {"plugins": {"provider_echo": {"enabled": False}}})
    assert reload(running)
    assert running.chat("hi").status == 503
    thread.join(5)
    assert "".join(text) == "one two three four five six"


async def test_the_sdk_sees_an_unavailable_model_as_a_server_error(start: Watched) -> None:
    running = start({"plugins": {"provider_echo": {"enabled": False}}})
    async with asynchronous(running) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.create(model="echo", messages=HELLO, extra_headers={ID: "off-1"})
    assert caught.value.status_code == 503
    event = ended(running, "off-1")
    assert (event.status, event.usage.total_tokens) == (503, 0)
