"""Nested calls: whose they are, who pays, how deep they go."""

from __future__ import annotations

from typing import Any

from hookway.testing import KEY, GatewayFactory, RunningGateway
from hookway_sdk import (
    Charge,
    ChatAnswer,
    ChatRequest,
    Conductor,
    Exchange,
    Guardrail,
    Message,
    Plugin,
    RequestEnded,
    Reservation,
    Row,
    Text,
    TextPart,
    Usage,
    Verdict,
    hookimpl,
)


class AskRow(Row):
    """Fields of ``models.ask``.

    Args:
        model: whom it asks.
        charge: who pays.
    """

    model: str
    charge: Charge = Charge.PARENT


class Ask(Conductor[AskRow]):
    """Pass a request on to another model."""

    shape = "ask"

    async def run(self, exchange: Exchange, request: ChatRequest) -> ChatAnswer:
        return await self.services.call(self.row.model, request, parent=exchange, charge=self.row.charge)


def resources(*models: dict[str, Any]) -> dict[str, Any]:
    """Return an echo model, further models, and a key that may use all of them but ``hidden``."""
    return {
        "provider_keys": [{"name": "echo", "provider": "echo", "adapter": "echo", "api_key": "none"}],
        "models": [
            {"name": "echo", "provider": "echo", "model_name": "echo", "provider_key": "echo"},
            {"name": "hidden", "provider": "echo", "model_name": "echo", "provider_key": "echo"},
            *models,
        ],
        "api_keys": [{"name": "caller", "key": KEY, "allowed_models": ["echo", "a*"]}],
    }


def asks(name: str, model: str, **more: Any) -> dict[str, Any]:
    """Return a model that asks another."""
    return {"name": name, "ask": {"model": model, **more}}


def ends(running: RunningGateway, count: int) -> list[RequestEnded]:
    """Wait for the ends of a request and its nested calls, the innermost first."""
    return running.wait_for(RequestEnded, count)


def test_four_levels_are_allowed(gateway: GatewayFactory) -> None:
    chain = [asks("a1", "a2"), asks("a2", "a3"), asks("a3", "a4"), asks("a4", "echo")]
    running = gateway(plugins={"conductor_ask": Ask}, resources=resources(*chain))
    reply = running.chat("down we go", model="a1")
    assert reply.status == 200, reply.body
    assert reply.json()["choices"][0]["message"]["content"] == "down we go"
    found = ends(running, 5)
    assert [one.model for one in found] == ["echo", "a4", "a3", "a2", "a1"]
    assert [one.parent_id for one in found] == [one.request_id for one in found[1:]] + [""]


def test_a_fifth_level_is_refused(gateway: GatewayFactory) -> None:
    running = gateway(plugins={"conductor_ask": Ask}, resources=resources(asks("a-loop", "a-loop")))
    reply = running.chat("for ever", model="a-loop")
    assert reply.status == 503
    assert reply.json()["error"]["type"] == "config_error"
    assert "at most 4" in reply.json()["error"]["message"]
    assert len(ends(running, 5)) == 5
    assert all(one.status == 503 for one in running.of(RequestEnded))


def test_the_usage_of_every_level_is_the_caller_s(gateway: GatewayFactory) -> None:
    chain = [asks("a1", "a2"), asks("a2", "echo")]
    running = gateway(plugins={"conductor_ask": Ask}, resources=resources(*chain))
    assert running.chat("one two three", model="a1").status == 200
    for one in ends(running, 3):
        assert (one.usage.input_tokens, one.usage.output_tokens) == (3, 3)
        assert one.key_name == "caller"


def test_what_the_gateway_asks_for_itself_is_charged_to_nobody(gateway: GatewayFactory) -> None:
    kept: list[tuple[str, Usage | None]] = []

    class Kept(Reservation):
        def settle(self, usage: Usage) -> None:
            kept.append(("settled", usage.copy()))

        def release(self) -> None:
            kept.append(("released", None))

    class Keeps(Plugin[Any]):
        @hookimpl
        async def admit_request(self, exchange: Exchange) -> None:
            exchange.reserve(Kept())

    running = gateway(
        plugins={"conductor_ask": Ask, "hook_keeps": Keeps},
        resources=resources(asks("a1", "hidden", charge="gateway")),
    )
    assert running.chat("one two three", model="a1").status == 200
    child, parent = ends(running, 2)
    assert (child.key_name, child.auth_method, child.usage.total_tokens) == ("gateway", "internal", 6)
    assert (parent.key_name, parent.usage.total_tokens) == ("caller", 0)
    # The caller was answered, so the request counts; it used nothing.
    assert kept == [("settled", Usage())]


def test_access_is_decided_by_the_name_that_the_caller_used(gateway: GatewayFactory) -> None:
    running = gateway(plugins={"conductor_ask": Ask}, resources=resources(asks("a1", "hidden")))
    assert running.chat("hello", model="hidden").status == 403
    assert running.chat("hello", model="a1").status == 200


def test_an_unknown_model_of_a_nested_call_is_told(gateway: GatewayFactory) -> None:
    running = gateway(plugins={"conductor_ask": Ask}, resources=resources(asks("a1", "nobody")))
    reply = running.chat("hello", model="a1")
    assert reply.status == 404
    assert "nobody" in reply.json()["error"]["message"]


def test_a_request_is_inspected_once_and_not_again_inside(gateway: GatewayFactory) -> None:
    heard: list[str] = []

    class Listens(Guardrail[Row]):
        def check(self, text: Text) -> Verdict | None:
            heard.append(f"{text.direction} {text}")
            return None

    rows = {"guardrails": [{"name": "ears", "kind": "listens"}]}
    running = gateway(
        plugins={"conductor_ask": Ask, "guardrail_listens": Listens},
        resources={**resources(asks("a1", "a2"), asks("a2", "echo")), **rows},
    )
    assert running.chat("hello", model="a1").status == 200
    assert heard == ["input hello", "output hello"]


def test_a_hook_may_ask_a_model_too(gateway: GatewayFactory) -> None:
    answers: list[str] = []

    class Judge(Plugin[Any]):
        @hookimpl
        async def authorize(self, exchange: Exchange) -> None:
            question = Message(role="user", parts=(TextPart(text="may I"),))
            answer = await self.services.call(
                "echo", ChatRequest(model="", messages=(question,)), parent=exchange
            )
            answers.append(answer.choices[0].message.parts[0].text)  # type: ignore[union-attr]  # echo speaks

    running = gateway(plugins={"hook_judge": Judge}, resources=resources())
    assert running.chat("one", model="echo").status == 200
    assert answers == ["may I"]
    child, parent = ends(running, 2)
    assert child.usage.total_tokens == 4
    # The judge's question and the request's own answer, both on the caller's account.
    assert parent.usage.total_tokens == 4 + 2


def test_a_nested_call_meets_the_limits_of_the_model_it_asks(gateway: GatewayFactory) -> None:
    rows = resources(asks("a1", "small"))
    tight = {"name": "small", "provider": "echo", "model_name": "echo", "provider_key": "echo"}
    rows["models"].append({**tight, "rate_limit": {"tpm": 30}})
    running = gateway(plugins={"conductor_ask": Ask}, resources=rows)
    assert running.chat("hello", model="a1").status == 200
    # What it would read is reserved by its size, as for a caller's own request.
    assert running.chat("word " * 100, model="a1").status == 429
    assert running.chat("hello", model="echo").status == 200
