"""Limits in a whole gateway: what callers see, and what is given back."""

from __future__ import annotations

import http.client
import json
import threading
from typing import Any

from hookway.testing import HttpReply, RunningGateway
from hookway_sdk import Block, Guardrail, RequestEnded, Row, Text, Verdict

KEYS = {name: f"sk-test-{name}-0123456789" for name in ("ci", "red-1", "red-2", "blue")}


class ShoutRow(Row):
    """Fields of a ``guardrails`` row with ``kind: shout``."""


class Shout(Guardrail[ShoutRow]):
    """Block texts in capitals."""

    def check(self, text: Text) -> Verdict | None:
        """Look for small letters."""
        return Block("please do not shout") if text.isupper() else None


def key(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "key": KEYS[name], "allowed_models": ["*"], **fields}


def echo(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "provider": "echo", "model_name": "echo", "provider_key": "echo", **fields}


def start(gateway: Any, *, plugins: Any = None, settings: Any = None, **resources: Any) -> RunningGateway:
    """Start a gateway with the limits on."""
    account = {"name": "echo", "provider": "echo", "api_key": "none"}
    rows = {"provider_keys": [account], "models": [echo("echo")], "api_keys": [key("ci")], **resources}
    running: RunningGateway = gateway(
        {"plugins": {"limit_rate": settings or {}}}, plugins=plugins, resources=rows
    )
    return running


def chat(running: RunningGateway, text: str = "hello", *, by: str = "ci", **members: Any) -> HttpReply:
    body = {"model": "echo", "messages": [{"role": "user", "content": text}], **members}
    return running.post("/v1/chat/completions", body, key=KEYS[by])


def limit_headers(answer: HttpReply) -> dict[str, str]:
    prefix = "x-ratelimit-"
    return {
        name.removeprefix(prefix): value for name, value in answer.headers.items() if name.startswith(prefix)
    }


def test_a_success_says_what_is_left_after_its_real_usage(gateway: Any) -> None:
    running = start(gateway, api_keys=[key("ci", rate_limit={"rpm": 5, "tpm": 1000, "concurrency": 4})])
    answer = chat(running, "one two three")
    assert answer.status == 200
    used = answer.json()["usage"]["total_tokens"]
    assert used == 6
    told = limit_headers(answer)
    assert told.pop("reset-requests") in ("59s", "60s")
    assert told.pop("reset-tokens") in ("59s", "60s")
    assert told == {
        "limit-requests": "5",
        "remaining-requests": "4",
        "limit-tokens": "1000",
        "remaining-tokens": str(1000 - used),
        "limit-concurrent": "4",
        # A whole answer is over when its head is written.
        "remaining-concurrent": "4",
    }


def test_a_refusal_is_a_429_with_headers_and_a_time_to_come_back(gateway: Any) -> None:
    running = start(gateway, api_keys=[key("ci", rate_limit={"rpm": 1})])
    assert chat(running).status == 200
    answer = chat(running)
    error = answer.json()["error"]
    assert answer.status == 429
    assert (error["type"], error["message"]) == ("rate_limit_exceeded", "request limit exceeded (requests)")
    assert 1 <= int(answer.headers["retry-after"]) <= 61
    assert limit_headers(answer)["remaining-requests"] == "0"
    assert "policy" not in error


def test_every_endpoint_counts_and_tells(gateway: Any) -> None:
    running = start(gateway, api_keys=[key("ci", rate_limit={"rpm": 2, "tpm": 50})])
    answer = running.get("/v1/models", key=KEYS["ci"])
    assert answer.status == 200
    told = limit_headers(answer)
    assert told["remaining-requests"] == "1"
    assert told["remaining-tokens"] == "50", "listing models uses none"
    assert chat(running).status == 200
    refused = running.get("/v1/models", key=KEYS["ci"])
    assert refused.status == 429
    assert limit_headers(refused)["remaining-requests"] == "0"


def test_what_a_guardrail_blocks_is_given_back(gateway: Any) -> None:
    running = start(
        gateway,
        plugins={"guardrail_shout": Shout},
        api_keys=[key("ci", rate_limit={"rpm": 1, "tpm": 40, "concurrency": 1})],
        guardrails=[{"name": "quiet", "kind": "shout"}],
    )
    for _ in range(3):
        blocked = chat(running, "SHOUT")
        assert blocked.status == 422
        told = limit_headers(blocked)
        assert (told["remaining-requests"], told["remaining-tokens"]) == ("1", "40")
        assert told["remaining-concurrent"] == "1"
    assert chat(running).status == 200
    assert chat(running).status == 429


def test_a_failure_of_the_provider_stays_counted(gateway: Any) -> None:
    running = start(gateway, api_keys=[key("ci", rate_limit={"rpm": 1, "concurrency": 1})])
    assert chat(running, "!error 400").status == 400
    refused = chat(running)
    assert refused.status == 429
    assert refused.json()["error"]["message"] == "request limit exceeded (requests)"


def test_a_team_shares_a_policy_and_others_do_not(gateway: Any) -> None:
    team = [key("red-1", team_id="red"), key("red-2", team_id="red"), key("blue", team_id="blue")]
    policy = {"name": "reds", "scope": "team", "scope_ref": "red", "window": "hour", "max_requests": 2}
    running = start(gateway, api_keys=team, rate_limit_policies=[policy])
    assert [chat(running, by=name).status for name in ("red-1", "red-2", "red-1", "blue")] == [
        200,
        200,
        429,
        200,
    ]
    error = chat(running, by="red-2").json()["error"]
    assert error["message"] == "request limit exceeded (requests) (policy 'reds')"
    assert error["policy"] == "reds"


def test_conditions_and_groups_work_from_a_file(gateway: Any) -> None:
    policy = {
        "name": "each team's echo",
        "limits": {"rpm": 1},
        "conditions": [
            {"dimension": "model", "operator": "in", "value": ["echo", "other"]},
            {"logic": "or", "children": [{"dimension": "model_name", "operator": "~*", "value": "^ECHO$"}]},
        ],
        "group_by": ["team"],
        "schedules": [
            {"timezone": "Europe/Zurich", "dates": ["2001-01-01"], "start_time": "00:00", "end_time": "24:00"}
        ],
    }
    team = [key("red-1", team_id="red"), key("red-2", team_id="red"), key("blue", team_id="blue")]
    models = [echo("echo"), echo("other")]
    running = start(gateway, api_keys=team, models=models, rate_limit_policies=[policy])
    assert [chat(running, by=name).status for name in ("red-1", "red-2", "blue")] == [200, 429, 200]
    assert chat(running, by="red-1", model="other").status == 200


def test_a_target_over_its_limit_is_skipped_to_the_next(gateway: Any) -> None:
    pool = {"name": "pool", "routing": {"targets": [{"model": "a"}, {"model": "b"}]}}
    running = start(
        gateway, models=[echo("a", rate_limit={"rpm": 1}), echo("b", rate_limit={"rpm": 2}), pool]
    )
    served = [chat(running, model="pool").headers.get("x-hookway-served-by") for _ in range(3)]
    assert served == ["a", "b", "b"]
    refused = chat(running, model="pool")
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert chat(running, model="a").status == 429, "called directly it counts in the same bucket"
    ended = running.wait_for(RequestEnded, 4)
    assert [one.attempts for one in ended[:4]] == [1, 2, 2, 2]


def test_a_groups_own_limit_refuses_before_any_target(gateway: Any) -> None:
    pool = {"name": "pool", "rate_limit": {"rpm": 1}, "routing": {"targets": [{"model": "echo"}]}}
    running = start(gateway, models=[echo("echo"), pool])
    assert chat(running, model="pool").status == 200
    refused = chat(running, model="pool")
    assert refused.status == 429
    assert limit_headers(refused)["limit-requests"] == "1"
    assert chat(running, model="echo").status == 200


def test_a_stream_keeps_its_slot_until_it_ends(gateway: Any) -> None:
    running = start(gateway, api_keys=[key("ci", rate_limit={"concurrency": 1, "tpm": 1000})])
    body = {
        "model": "echo",
        "stream": True,
        "messages": [{"role": "user", "content": "!slow 0.05\n!words 8"}],
    }
    connection = http.client.HTTPConnection(running.host, running.port, timeout=30)
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(body), {"authorization": f"Bearer {KEYS['ci']}"}
    )
    stream = connection.getresponse()
    assert stream.status == 200
    assert stream.getheader("x-ratelimit-remaining-concurrent") == "0"
    assert stream.readline().startswith(b"data:")
    refused = chat(running)
    assert (refused.status, refused.headers.get("retry-after")) == (429, None)
    assert refused.json()["error"]["message"] == "concurrency limit exceeded"
    assert b"[DONE]" in stream.read()
    connection.close()
    answer = chat(running, "x")
    assert answer.status == 200
    left = int(limit_headers(answer)["remaining-tokens"])
    assert left < 1000 - 8, "the stream's tokens were charged"


def test_a_client_that_leaves_frees_its_slot(gateway: Any) -> None:
    running = start(gateway, api_keys=[key("ci", rate_limit={"concurrency": 1})])
    body = {"model": "echo", "messages": [{"role": "user", "content": "!delay 20"}]}
    connection = http.client.HTTPConnection(running.host, running.port, timeout=30)
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(body), {"authorization": f"Bearer {KEYS['ci']}"}
    )
    assert wait_until(lambda: chat(running).status == 429)
    connection.close()
    assert wait_until(lambda: chat(running).status == 200)


def test_settings_reach_the_plugin_and_a_gateway_without_limits_tells_nothing(gateway: Any) -> None:
    running = start(
        gateway, settings={"window": "aligned", "headers": False}, api_keys=[key("ci", rate_limit={"rpd": 1})]
    )
    assert limit_headers(chat(running)) == {}
    assert chat(running).status == 429
    free = start(gateway)
    assert limit_headers(chat(free)) == {}


def test_counts_survive_a_reload_of_resources(gateway: Any) -> None:
    running = start(gateway, api_keys=[key("ci", rate_limit={"rpm": 1})])
    assert chat(running).status == 200
    account = {"name": "echo", "provider": "echo", "api_key": "none"}
    rows = {"models": [echo("echo")], "provider_keys": [account]}
    gateway.write_resources(0, {**rows, "api_keys": [key("ci", rate_limit={"rpm": 2})]})
    assert wait_until(
        lambda: limit_headers(running.get("/v1/models", key=KEYS["ci"])).get("limit-requests") == "2"
    )
    assert chat(running).status == 429


def wait_until(holds: Any) -> bool:
    """Wait up to five seconds for something."""
    for _ in range(100):
        if holds():
            return True
        threading.Event().wait(0.05)
    return False
