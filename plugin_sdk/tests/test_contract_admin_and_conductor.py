"""The contracts of admin plugins and conductors hold for honest ones, and can be broken."""

from __future__ import annotations

from typing import Any

from breaking import Case, broken, each_case, failure, promises, shown
from reference_plugins import Doors, Panel

from hookway_sdk import ChatAnswer, Choice, Guard, Message, OperatorReply, OperatorRoute
from hookway_sdk.testing import AdminContract, ConductorContract, PluginContract


class TestAdmin(AdminContract):
    plugin = Doors
    name = "admin_doors"
    paths = {"/notes/{id}": "/notes/1"}  # noqa: RUF012


async def _fail(request: Any) -> Any:
    return OperatorReply(b"{}", 500)


async def _say_html(request: Any) -> Any:
    return OperatorReply(b"<html>")


async def _crash(request: Any) -> Any:
    return OperatorReply(request.body.decode().encode())


async def _nothing(request: Any) -> Any:
    return None


async def _good(request: Any) -> Any:
    return OperatorReply(b"{}")


def _routes(*routes: OperatorRoute) -> Any:
    return broken(TestAdmin, routes=lambda self: routes)


ADMIN: list[Case] = [
    ("test_it_has_routes_and_none_twice", _routes()),
    ("test_it_has_routes_and_none_twice", _routes(*[OperatorRoute("admin", "GET", "/a", _good)] * 2)),
    ("test_its_routes_are_well_formed", _routes(OperatorRoute("proxy", "GET", "/a", _good))),
    ("test_its_routes_are_well_formed", _routes(OperatorRoute("admin", "get", "/a", _good))),
    ("test_its_routes_are_well_formed", _routes(OperatorRoute("admin", "GET", "a", _good))),
    ("test_its_routes_are_well_formed", _routes(OperatorRoute("admin", "GET", "/a?b=1", _good))),
    ("test_its_routes_are_well_formed", _routes(OperatorRoute("admin", "GET", "/a", lambda request: None))),
    (
        "test_what_changes_something_asks_for_an_admin_key",
        _routes(OperatorRoute("admin", "DELETE", "/a", _good, Guard.NONE)),
    ),
    ("test_what_can_be_read_answers", _routes(OperatorRoute("admin", "GET", "/a", _fail))),
    ("test_what_can_be_read_answers", _routes(OperatorRoute("admin", "GET", "/a", _say_html))),
    ("test_what_can_be_read_answers", _routes(OperatorRoute("admin", "GET", "/a", _nothing))),
    ("test_a_body_that_makes_no_sense_is_refused", _routes(OperatorRoute("admin", "POST", "/a", _crash))),
    ("test_a_body_that_makes_no_sense_is_refused", _routes(OperatorRoute("admin", "POST", "/a", _fail))),
]


class TestConductor(ConductorContract):
    plugin = Panel
    name = "conductor_panel"


async def _answer_empty(self: Any, exchange: Any, request: Any) -> Any:
    return ChatAnswer()


async def _answer_wordless(self: Any, exchange: Any, request: Any) -> Any:
    return ChatAnswer(choices=(Choice(message=Message(role="assistant")),))


async def _answer_alone(self: Any, exchange: Any, request: Any) -> Any:
    return TestConductor().answer(type("Call", (), {"model": "none"})())


async def _ask_for_nobody(self: Any, exchange: Any, request: Any) -> Any:
    return await self.services.call("first", request, parent=None)


async def _change_the_request(self: Any, exchange: Any, request: Any) -> Any:
    request.sampling.n = 3
    return await Panel.run(self, exchange, request)


async def _hide_failures(self: Any, exchange: Any, request: Any) -> Any:
    try:
        return await Panel.run(self, exchange, request)
    except Exception:
        return ChatAnswer(choices=(Choice(message=Message(role="assistant")),))


async def _crash_on_silence(self: Any, exchange: Any, request: Any) -> Any:
    answer = await self.services.call("first", request, parent=exchange)
    answer.choices[0].message.parts[0]
    return answer


def _run(run: Any) -> Any:
    return broken(TestConductor, run=run)


CONDUCTOR: list[Case] = [
    ("test_its_shape_is_known_to_models", broken(TestConductor, shape="")),
    (
        "test_its_shape_is_known_to_models",
        broken(TestConductor, register_resources=classmethod(lambda cls, reg: None)),
    ),
    ("test_it_answers_with_something_to_read", _run(_answer_empty)),
    ("test_it_answers_with_something_to_read", _run(_answer_wordless)),
    ("test_models_are_asked_on_behalf_of_the_request", _run(_answer_alone)),
    ("test_models_are_asked_on_behalf_of_the_request", _run(_ask_for_nobody)),
    ("test_it_leaves_the_request_as_it_was", _run(_change_the_request)),
    ("test_it_ends_with_a_gateway_error_when_no_model_answers", _run(_hide_failures)),
    ("test_answers_without_words_are_survived", _run(_crash_on_silence)),
]


@each_case([*ADMIN, *CONDUCTOR])
def test_a_broken_plugin_fails(promise: str, contract: type[PluginContract]) -> None:
    assert failure(contract, promise) is not None


def test_every_promise_can_be_broken() -> None:
    assert promises(AdminContract, PluginContract) == {promise for promise, _ in ADMIN}
    assert promises(ConductorContract, PluginContract) == {promise for promise, _ in CONDUCTOR}


def test_routes_whose_segments_are_unknown_are_not_called() -> None:
    contract = shown(_routes(OperatorRoute("admin", "GET", "/a/{id}", _fail)), paths={})
    assert failure(contract, "test_what_can_be_read_answers") is None
