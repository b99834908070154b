"""What an ``admin_`` plugin promises."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from hookway_sdk.endpoint import Guard, OperatorReply, OperatorRequest, OperatorRoute
from hookway_sdk.kinds.admin import Admin
from hookway_sdk.testing.contracts.garbage import GARBAGE
from hookway_sdk.testing.contracts.plugin import PluginContract

LISTENERS = ("admin", "metrics")
READING = ("GET", "HEAD")
METHODS = (*READING, "POST", "PUT", "PATCH", "DELETE")


class AdminContract(PluginContract):
    """Promises of routes for operators.

    Attributes:
        paths: for a path with ``{name}`` segments, one that exists.
    """

    plugin: ClassVar[type[Admin[Any]]]
    paths: ClassVar[Mapping[str, str]] = {}

    def request(self, route: OperatorRoute, body: bytes = b"") -> OperatorRequest:
        """Return a request for a route."""
        path = self.paths.get(route.path, route.path)
        return OperatorRequest(route.method, path, "", {"accept": "*/*"}, body, "127.0.0.1")

    async def test_it_has_routes_and_none_twice(self) -> None:
        async with self.running() as admin:
            routes = [(route.listener, route.method, route.path) for route in admin.routes()]
            assert routes, "it has no routes"
            assert len(set(routes)) == len(routes), "a route stands twice"

    async def test_its_routes_are_well_formed(self) -> None:
        async with self.running() as admin:
            for route in admin.routes():
                assert route.listener in LISTENERS, f"there is no listener '{route.listener}'"
                assert route.method in METHODS, f"'{route.method}' is no method in capitals"
                assert route.path.startswith("/"), f"'{route.path}' does not begin with a slash"
                assert "?" not in route.path, f"'{route.path}' holds a query"
                assert inspect.iscoroutinefunction(route.handler), f"{route.path}: the handler is `async def`"

    async def test_what_changes_something_asks_for_an_admin_key(self) -> None:
        async with self.running() as admin:
            for route in admin.routes():
                if route.method not in READING:
                    assert route.guard is Guard.ADMIN, f"anyone may {route.method} {route.path}"

    async def test_what_can_be_read_answers(self) -> None:
        async with self.running() as admin:
            for route in admin.routes():
                if route.method in READING and self._can_be_called(route):
                    reply = await route.handler(self.request(route))
                    self._assert_reply(route, reply)
                    assert reply.status < 500, f"{route.path} answers {reply.status}"

    async def test_a_body_that_makes_no_sense_is_refused(self) -> None:
        async with self.running() as admin:
            for route in admin.routes():
                if route.method in READING or not self._can_be_called(route):
                    continue
                for body in GARBAGE:
                    reply = await route.handler(self.request(route, body))
                    self._assert_reply(route, reply)
                    assert reply.status < 500, f"{route.method} {route.path} fails on {body[:30]!r}"

    def _can_be_called(self, route: OperatorRoute) -> bool:
        return "{" not in self.paths.get(route.path, route.path)

    def _assert_reply(self, route: OperatorRoute, reply: object) -> None:
        assert isinstance(reply, OperatorReply), f"{route.path} answers {reply!r}"
        assert 200 <= reply.status <= 599, f"{route.path} answers {reply.status}"
        body = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
        if reply.content_type.startswith("application/json"):
            try:
                msgspec.json.decode(body)
            except msgspec.DecodeError as error:
                raise AssertionError(f"{route.path} says JSON and answers {body[:80]!r}") from error
