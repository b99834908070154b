"""Which endpoint a method and a path lead to, and that nobody takes another's."""

from __future__ import annotations

import pytest

from hookway.routing_table import RoutingTable
from hookway_sdk import PluginError


@pytest.fixture
def table() -> RoutingTable[str]:
    made: RoutingTable[str] = RoutingTable()
    made.add("GET", "/v1/models", "list", "dialect_one")
    made.add("POST", "/v1/chat", "chat", "dialect_one")
    made.add("GET", "/v1/models/{id}", "one", "dialect_one")
    made.add("DELETE", "/v1/models/{id}", "delete", "dialect_two")
    made.add("GET", "/v1/{kind}/{id}/events", "events", "dialect_two")
    return made


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("GET", "/v1/models", "list"),
        ("HEAD", "/v1/models", "list"),
        ("POST", "/v1/chat", "chat"),
        ("HEAD", "/v1/chat", None),
        ("GET", "/v1/chat", None),
        ("GET", "/v1/models/gpt-4o", "one"),
        ("HEAD", "/v1/models/gpt-4o", "one"),
        ("DELETE", "/v1/models/a%2Fb", "delete"),
        ("POST", "/v1/models/gpt-4o", None),
        ("GET", "/v1/jobs/7/events", "events"),
        ("GET", "/v1/models/", None),
        ("GET", "/v1/models/a/b", None),
        ("GET", "/v1//7/events", None),
        ("GET", "/v1/Models", None),
        ("GET", "/v1/models/{id}", "one"),
        ("GET", "", None),
        ("GET", "/", None),
        ("get", "/v1/models", None),
    ],
)
def test_a_method_and_a_path_lead_to_one_target(
    table: RoutingTable[str], method: str, path: str, target: str | None
) -> None:
    assert table.find(method, path) == target


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/models", ["GET", "HEAD"]),
        ("/v1/chat", ["POST"]),
        ("/v1/models/x", ["DELETE", "GET", "HEAD"]),
        ("/nothing", []),
    ],
)
def test_a_path_knows_its_methods(table: RoutingTable[str], path: str, methods: list[str]) -> None:
    assert table.allowed(path) == methods


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/models/{id}"])
def test_two_plugins_cannot_serve_one_path(table: RoutingTable[str], path: str) -> None:
    method = "POST" if path == "/v1/chat" else "GET"
    with pytest.raises(PluginError, match=f"dialect_three.*serves {method} .*, as dialect_one does"):
        table.add(method, path, "mine", "dialect_three")


def test_two_names_for_one_segment_are_one_path(table: RoutingTable[str]) -> None:
    with pytest.raises(PluginError, match=r"serves GET /v1/models/\{model\}, as dialect_one does"):
        table.add("GET", "/v1/models/{model}", "mine", "dialect_three")
    table.add("PUT", "/v1/models/{model}", "put", "dialect_three")
    assert table.find("PUT", "/v1/models/x") == "put"
    assert table.find("GET", "/v1/models/x") == "one"


@pytest.mark.parametrize("first", ["HEAD", "GET"])
def test_a_head_of_its_own_is_served_whoever_came_first(first: str) -> None:
    made: RoutingTable[str] = RoutingTable()
    for method in (first, "GET" if first == "HEAD" else "HEAD"):
        made.add(method, "/a", method.lower(), "dialect_one")
    assert (made.find("GET", "/a"), made.find("HEAD", "/a")) == ("get", "head")


def test_an_exact_path_wins_and_leaves_other_methods_to_the_pattern(table: RoutingTable[str]) -> None:
    table.add("POST", "/v1/models/search", "search", "dialect_two")
    assert table.find("POST", "/v1/models/search") == "search"
    assert table.find("GET", "/v1/models/search") == "one"
    assert table.allowed("/v1/models/search") == ["DELETE", "GET", "HEAD", "POST"]


def test_the_nearest_path_is_found(table: RoutingTable[str]) -> None:
    assert table.nearest("/v1/model") == "/v1/models"
    assert table.nearest("/zzz") == ""


def test_every_route_is_listed_with_its_owner(table: RoutingTable[str]) -> None:
    assert set(table.items()) == {
        ("GET", "/v1/models", "dialect_one"),
        ("POST", "/v1/chat", "dialect_one"),
        ("GET", "/v1/models/{id}", "dialect_one"),
        ("DELETE", "/v1/models/{id}", "dialect_two"),
        ("GET", "/v1/{kind}/{id}/events", "dialect_two"),
    }
