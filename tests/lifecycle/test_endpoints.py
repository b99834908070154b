"""Endpoints: their own order of phases, variable segments, HEAD, and endpoints that answer by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hookway.testing import KEY, GatewayFactory, RunningGateway
from hookway_sdk import (
    BodyKind,
    Dialect,
    Endpoint,
    Event,
    Exchange,
    GatewayError,
    NoSettings,
    NotFound,
    Phase,
    Plugin,
    Principal,
    Reply,
    RequestEnded,
    RequestView,
    hookimpl,
)


class Bare(Endpoint):
    """An endpoint with an envelope."""

    protocol = "test"

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        return f'{{"fault": "{error.type}"}}'.encode()


class Thing(Bare):
    """A thing by its name."""

    method = "GET"
    path = "/things/{name}"
    body = BodyKind.NONE

    async def answer(self, exchange: Exchange) -> Reply:
        name = exchange.path.rpartition("/")[2]
        if name == "none":
            raise NotFound("there is no such thing")
        return Reply(f'{{"name": "{name}"}}'.encode(), headers=(("etag", f'"{name}"'),))


class Special(Bare):
    """One thing that has a path of its own."""

    method = "GET"
    path = "/things/special"
    body = BodyKind.NONE

    async def answer(self, exchange: Exchange) -> Reply:
        return Reply(b'{"special": true}')


class Parts(Bare):
    """Parts of things: two variable segments."""

    method = "DELETE"
    path = "/things/{name}/parts/{part}"
    body = BodyKind.NONE

    async def answer(self, exchange: Exchange) -> Reply:
        return Reply(b"", status=204)


class Thrown(Bare):
    """Takes a body; guardrails come after limits, and nothing is authorized."""

    path = "/thrown"
    order = (
        Phase.AUTHENTICATE,
        Phase.INSPECT_REQUEST,
        Phase.ADMIT_REQUEST,
        Phase.INSPECT_ANSWER,
        Phase.SETTLE,
        Phase.RECORD,
    )

    def parse(self, body: bytes, exchange: Exchange) -> RequestView:
        return RequestView("", False, {})

    async def answer(self, exchange: Exchange) -> Reply:
        return Reply(b'{"thrown": true}', status=201)


class Things(Dialect[NoSettings]):
    """All of them."""

    def endpoints(self) -> Sequence[Endpoint]:
        return [Thing(), Special(), Parts(), Thrown()]


def spy(met: list[str]) -> type[Plugin[Any]]:
    """Return a plugin that notes the phases of a request without upstream."""

    class Spy(Plugin[Any]):
        @hookimpl(priority=100)
        async def authenticate(self, exchange: Exchange) -> Principal | None:
            met.append("authenticate")
            return None

        @hookimpl
        async def resolve(self, exchange: Exchange) -> str | None:
            met.append("resolve")
            return None

        @hookimpl
        async def authorize(self, exchange: Exchange) -> None:
            met.append("authorize")

        @hookimpl
        async def admit_request(self, exchange: Exchange) -> None:
            met.append("admit_request")

        @hookimpl
        async def inspect_request(self, exchange: Exchange) -> None:
            met.append("inspect_request")

        @hookimpl
        async def lookup(self, exchange: Exchange) -> Reply | None:
            met.append("lookup")
            return None

        @hookimpl
        async def inspect_answer(self, exchange: Exchange) -> None:
            assert exchange.reply is not None
            met.append(f"inspect_answer {exchange.reply.status}")

        @hookimpl
        async def store(self, exchange: Exchange) -> None:
            met.append("store")

        @hookimpl
        def settle(self, exchange: Exchange) -> None:
            met.append("settle")

        @hookimpl
        def record(self, event: Event) -> None:
            if isinstance(event, RequestEnded):
                met.append("record")

    return Spy


@pytest.fixture
def met() -> list[str]:
    """What the spy met."""
    return []


@pytest.fixture
def running(gateway: GatewayFactory, met: list[str]) -> RunningGateway:
    """A gateway with things."""
    return gateway(plugins={"op_things": Things, "hook_spy": spy(met)})


def test_an_endpoint_that_answers_by_itself_meets_the_phases_that_concern_it(
    running: RunningGateway, met: list[str]
) -> None:
    assert running.get("/things/one").json() == {"name": "one"}
    running.wait_for(RequestEnded)
    assert met == ["authenticate", "authorize", "admit_request", "inspect_answer 200", "settle", "record"]


def test_an_endpoint_has_its_own_order(running: RunningGateway, met: list[str]) -> None:
    reply = running.post("/thrown", {"far": True})
    assert (reply.status, reply.json()) == (201, {"thrown": True})
    running.wait_for(RequestEnded)
    assert met == [
        "authenticate",
        "inspect_request",
        "admit_request",
        "inspect_answer 201",
        "settle",
        "record",
    ]


def test_the_chat_endpoint_can_be_put_into_another_order(gateway: GatewayFactory, met: list[str]) -> None:
    from hookway_plugins.dialect_openai import OpenAIDialect

    default = OpenAIDialect.endpoints

    class Turned(OpenAIDialect):
        """Guardrails before limits, as other gateways have it; no cache."""

        def endpoints(self) -> Sequence[Endpoint]:
            (chat,) = [one for one in default(self) if one.wire]
            order = [one for one in Phase if one not in (Phase.ADMIT_REQUEST, Phase.LOOKUP, Phase.STORE)]
            order.insert(order.index(Phase.INSPECT_REQUEST) + 1, Phase.ADMIT_REQUEST)
            turned = type("Turned", (type(chat),), {"order": tuple(order), "path": "/turned"})
            return [turned()]

    running = gateway(plugins={"dialect_turned": Turned, "hook_spy": spy(met)})
    body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
    assert running.post("/turned", body).status == 200
    running.wait_for(RequestEnded)
    assert met == [
        "authenticate",
        "resolve",
        "authorize",
        "inspect_request",
        "admit_request",
        "inspect_answer 200",
        "settle",
        "record",
    ]


def test_variable_segments_match_one_segment_each(running: RunningGateway) -> None:
    assert running.get("/things/blue%20bird").json() == {"name": "blue%20bird"}
    assert running.get("/things/special").json() == {"special": True}
    assert running.get("/things/").status == 404
    assert running.get("/things").status == 404
    assert running.get("/things/a/b").status == 404
    assert running.request("DELETE", "/things/a/parts/b").status == 204
    assert running.request("DELETE", "/things/a/parts/").status == 404


def test_the_label_of_a_path_with_variables_is_its_template(running: RunningGateway) -> None:
    assert running.get("/things/one?colour=blue").status == 200
    (ended,) = running.wait_for(RequestEnded)
    assert (ended.endpoint, ended.path) == ("/things/{name}", "/things/one")


def test_head_is_served_where_get_is_without_a_body(running: RunningGateway) -> None:
    got, head = running.get("/things/one"), running.request("HEAD", "/things/one")
    assert (head.status, head.body) == (200, b"")
    ignored = ("date", "x-hookway-request-id")
    assert {name: value for name, value in head.headers.items() if name not in ignored} == {
        name: value for name, value in got.headers.items() if name not in ignored
    }
    assert head.headers["content-length"] == str(len(got.body))
    assert head.headers["etag"] == '"one"'


def test_an_error_to_head_has_no_body_either(running: RunningGateway) -> None:
    reply = running.request("HEAD", "/things/none")
    assert (reply.status, reply.body) == (404, b"")
    assert running.request("HEAD", "/things/one", key=None).status == 401
    # The connection still makes sense afterwards: the length belonged to no body.
    assert running.get("/things/none").json() == {"fault": "not_found"}


def test_another_method_is_told_which_ones_there_are(running: RunningGateway) -> None:
    reply = running.post("/things/one", {})
    assert reply.status == 405
    assert reply.headers["allow"] == "GET, HEAD"
    assert running.get("/thrown").headers["allow"] == "POST"


def test_a_path_that_is_nearly_right_is_answered_with_the_right_one(running: RunningGateway) -> None:
    reply = running.post("/v1/chat/completion", {})
    assert reply.status == 404
    assert "did you mean /v1/chat/completions?" in reply.json()["error"]["message"]


def test_a_body_over_the_limit_is_refused_and_settles(gateway: GatewayFactory, met: list[str]) -> None:
    running = gateway(
        {"proxy": {"request_body_limit": 100}}, plugins={"op_things": Things, "hook_spy": spy(met)}
    )
    assert running.post("/thrown", b"x" * 101).status == 413
    (ended,) = running.wait_for(RequestEnded)
    assert (ended.status, ended.endpoint) == (413, "/thrown")
    assert met == ["settle", "record"]


def test_an_unauthenticated_request_settles_and_is_not_recorded(
    running: RunningGateway, met: list[str]
) -> None:
    assert running.get("/things/one", key=None).status == 401
    assert met == ["authenticate", "settle"]
    assert running.of(RequestEnded) == []


def test_a_caller_may_have_no_models_and_still_use_what_names_none(gateway: GatewayFactory) -> None:
    running = gateway(
        plugins={"op_things": Things},
        resources={"api_keys": [{"name": "poor", "key": KEY, "allowed_models": []}]},
    )
    assert running.get("/things/one").status == 200


@pytest.mark.parametrize(("key", "status"), [(KEY, 200), ("hw-unknown", 401)])
def test_the_credential_is_gone_once_it_was_judged(gateway: GatewayFactory, key: str, status: int) -> None:
    seen: list[Any] = []

    class Looks(Plugin[Any]):
        @hookimpl
        async def authorize(self, exchange: Exchange) -> None:
            seen.append(getattr(exchange, "credential", None))

        @hookimpl
        def settle(self, exchange: Exchange) -> None:
            seen.append(getattr(exchange, "credential", None))

    running = gateway(plugins={"op_things": Things, "hook_looks": Looks})
    assert running.get("/things/one", key=key).status == status
    assert seen == [None] * (2 if status == 200 else 1)
