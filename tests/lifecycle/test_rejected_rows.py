"""Rows that a plugin rejects: what they guard is closed, and a lenient source serves the rest."""

from __future__ import annotations

from typing import Any

import pytest

from hookway.testing import KEY, GatewayFactory, RunningGateway
from hookway_sdk import (
    Compiler,
    ConfigError,
    NoSettings,
    Plugin,
    Registry,
    Row,
    Source,
    SourceDocument,
    SourceRow,
    hookimpl,
)

OTHER_KEY = "hw-test-key-other-0123456789abcdefghijklmno"
ECHO = {"provider": "echo", "model_name": "echo", "provider_key": "echo"}
ROWS: dict[str, list[dict[str, Any]]] = {
    "provider_keys": [{"name": "echo", "provider": "echo", "adapter": "echo", "api_key": "none"}],
    "models": [{"name": "one", **ECHO}, {"name": "two", **ECHO}],
    "api_keys": [
        {"name": "first", "key": KEY, "allowed_models": ["*"]},
        {"name": "second", "key": OTHER_KEY, "allowed_models": ["*"]},
    ],
    "curfews": [{"name": "night"}],
}


class Curfew(Row):
    """A row of a plugin's own."""

    name: str


class Listed(Source[NoSettings]):
    """The rows above, each of which may be refused alone."""

    strict = False

    async def load(self) -> SourceDocument:
        return SourceDocument({name: [SourceRow(row) for row in rows] for name, rows in ROWS.items()})


def rejecting(collection: str, name: str, *, guards: bool = True) -> type[Plugin[Any]]:
    """Return a plugin with curfews, which rejects one row."""

    class Rejects(Plugin[Any]):
        @hookimpl
        def register_resources(self, registry: Registry) -> None:
            registry.collection("curfews", Curfew)

        @hookimpl
        def compile_resources(self, compiler: Compiler) -> None:
            for row in compiler.snapshot.rows(collection):
                if row.name == name:
                    compiler.reject(row, "it is odd", guards=guards)

    return Rejects


def statuses(running: RunningGateway) -> dict[str, int]:
    """Return what each key gets from each model."""
    found = {}
    for name, key in (("first", KEY), ("second", OTHER_KEY)):
        for model in ("one", "two"):
            body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
            reply = running.post("/v1/chat/completions", body, key=key)
            if reply.status == 503:
                assert "cannot be used: it is odd" in reply.json()["error"]["message"]
            found[f"{name} {model}"] = reply.status
    return found


CASES = [
    ("models", "one", {"first one", "second one"}),
    ("provider_keys", "echo", {"first one", "first two", "second one", "second two"}),
    ("api_keys", "second", {"second one", "second two"}),
    ("curfews", "night", {"first one", "first two", "second one", "second two"}),
]


@pytest.mark.parametrize(("collection", "name", "closed"), CASES, ids=[one[0] for one in CASES])
def test_a_rejected_row_of_a_lenient_source_closes_what_it_guards(
    gateway: GatewayFactory, collection: str, name: str, closed: set[str]
) -> None:
    running = gateway(
        {"plugins": {"source_file": {"enabled": False}}},
        plugins={"source_listed": Listed, "limit_curfew": rejecting(collection, name)},
    )
    found = statuses(running)
    assert {one for one, status in found.items() if status == 503} == closed
    assert {status for one, status in found.items() if one not in closed} <= {200}


@pytest.mark.parametrize(("collection", "name"), [one[:2] for one in CASES], ids=[one[0] for one in CASES])
def test_a_rejected_row_of_a_strict_source_refuses_all_of_it(
    gateway: GatewayFactory, collection: str, name: str
) -> None:
    with pytest.raises(ConfigError, match="it is odd"):
        gateway(resources=ROWS, plugins={"limit_curfew": rejecting(collection, name)})


def test_a_rejected_row_that_guards_nothing_closes_nothing(gateway: GatewayFactory) -> None:
    running = gateway(
        {"plugins": {"source_file": {"enabled": False}}},
        plugins={"source_listed": Listed, "limit_curfew": rejecting("curfews", "night", guards=False)},
    )
    assert set(statuses(running).values()) == {200}


def test_a_rejected_row_of_a_lenient_source_stands_in_the_status(gateway: GatewayFactory) -> None:
    running = gateway(
        {"plugins": {"source_file": {"enabled": False}}},
        plugins={"source_listed": Listed, "limit_curfew": rejecting("models", "one")},
    )
    status = running.run(running.gateway.process.status.config())
    assert status.state == "degraded"
    (row,) = status.rejected
    assert (row.collection, row.name, row.kind, row.error) == ("models", "one", "parse_failed", "it is odd")
