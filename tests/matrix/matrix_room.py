"""A gateway under one policy, with its witnesses, and what the tests ask of it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from matrix_book import Book, witness
from matrix_cells import Cell
from matrix_plugins.controls import BOOM, Controls
from matrix_plugins.killable_store import killable_store
from matrix_plugins.own_answers import OwnAnswers
from matrix_upstream import MatrixUpstream

from hookway.discovery import find_installed
from hookway.testing import KEY, GatewayFactory, HttpReply
from hookway_sdk import GatewayError, RequestEnded, Usage

T = TypeVar("T")

NARROW_KEY = "hw-matrix-narrow-0123456789abcdefghijklmnopqr"
"""A key that may use no model of the matrix."""

BASE: dict[str, Any] = {"op_matrix": OwnAnswers}
"""Plugins of every gateway beside witness and store."""


class Policy(msgspec.Struct, frozen=True, eq=False):
    """What one gateway of the matrix is made of.

    Args:
        name: its name.
        plugins: makes the plugin classes, from the room's controls and book.
        settings: conf.d beside the base.
        rows: further resources by collection, or what makes them from the cells.
        off: names of base plugins that are left out.
    """

    name: str
    plugins: Callable[[Room], Mapping[str, Any]] = lambda room: {}
    settings: Mapping[str, Any] = {}
    rows: Mapping[str, Any] | Callable[[list[Cell]], Mapping[str, Any]] = {}
    off: tuple[str, ...] = ()


Enter = Callable[[Policy], "Room"]
"""What the ``enter`` fixture is."""


class Room:
    """One running gateway of the matrix.

    Attributes:
        controls: switches of its plugins.
        book: what was witnessed.
        kept: what its cache holds.
    """

    def __init__(self, policy: Policy, directory: Path, upstream: MatrixUpstream, cells: list[Cell]) -> None:
        self.upstream = upstream
        self.controls = Controls()
        self.book = Book()
        self.kept: dict[str, Any] = {}
        self._factory = GatewayFactory(directory)
        self._failures: dict[tuple[str, ...], float] = {}
        brought = {
            "limit_witness": witness(self.book),
            "store_killable": killable_store(self.controls),
            **BASE,
            **policy.plugins(self),
        }
        brought = {name: cls for name, cls in brought.items() if name not in policy.off}
        settings = json.loads(json.dumps(policy.settings))
        # Failures of one cell would cool down the targets of the next.
        off = [*installed_stores(), "resilience_cooldown", "resilience_retry_budget"]
        settings.setdefault("plugins", {}).update({name: {"enabled": False} for name in off})
        rows = policy.rows(cells) if callable(policy.rows) else policy.rows
        self.running = self._factory(
            settings, resources=resources(cells, upstream.url, rows), plugins=brought
        )

    @property
    def failures(self) -> dict[tuple[str, str], int]:
        """Failures counted since :meth:`begin`, by plugin and phase."""
        now = self.running.gateway.process.failures.values
        found = {key: int(value - self._failures.get(key, 0)) for key, value in now.items()}
        return {(key[0], key[1]): value for key, value in found.items() if value}

    def counted(self, plugin: str, phase: str) -> None:
        """Wait until a failure of a plugin was counted.

        Raises:
            TimeoutError: it was not.
        """
        wait_until(lambda: (plugin, phase) in self.failures, f"no failure of {plugin} in {phase} was counted")

    def begin(self) -> None:
        """Forget what earlier tests did."""
        self.controls.reset()
        self.kept.clear()
        self.upstream.begin()
        self.running.run(self._forget())
        self.book.clear()
        self.running.events.clear()
        self._failures = dict(self.running.gateway.process.failures.values)

    def check(self) -> None:
        """Fail unless the test left everything in order: idle, and each reservation ended once."""
        self.upstream.release()
        role = self.running.gateway.serve
        wait_until(lambda: role.in_flight == 0, "the gateway did not become idle")
        self.running.run(role.runtime.drained())
        self.book.check()

    def close(self) -> None:
        """Close the gateway."""
        self._factory.close()

    # ── asking ──────────────────────────────────────────────────────────────────────────────

    def ask(
        self,
        cell: Cell,
        body: bytes | None = None,
        *,
        model: str = "sample",
        key: str | None = "",
        headers: Mapping[str, str] | None = None,
        speak: bool = True,
    ) -> HttpReply:
        """Send a cell's request, with the cell's upstream behind the gateway."""
        if speak:
            self.upstream.speak(cell)
        return self.running.request(
            cell.endpoint.method,
            cell.path(model),
            cell.body(model) if body is None else body,
            headers,
            key=key,
        )

    def meanwhile(self, ask: Callable[[], T], act: Callable[[], object]) -> T:
        """Do something while a request is under way, and return what comes of the request."""
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask)
            act()
            return asked.result(10)

    def leave(
        self, cell: Cell, until: Callable[[http.client.HTTPConnection], object], *, model: str = "sample"
    ) -> None:
        """Send a cell's request and close the connection once ``until`` has come back."""
        connection = http.client.HTTPConnection(self.running.host, self.running.port, timeout=10)
        headers = {"authorization": f"Bearer {KEY}"}
        try:
            connection.request(cell.endpoint.method, cell.path(model), cell.body(model), headers)
            until(connection)
        finally:
            connection.close()

    def ended(self, count: int = 1) -> list[RequestEnded]:
        """Wait for the ends of requests that clients sent, nested calls left out."""
        wait_until(lambda: len(self._ended()) >= count, f"{count} ends of requests did not come")
        return self._ended()

    def refuses(self, reply: HttpReply, cell: Cell, error: GatewayError) -> None:
        """Fail unless an answer is a certain error in the dialect's own envelope.

        Raises:
            AssertionError: it is another answer, or it says what no caller may read.
        """
        request_id = reply.headers[self.running.gateway.process.brand.request_id_header]
        assert (reply.status, reply.body) == (error.status, cell.endpoint.error_body(error, request_id))
        assert reply.headers["content-type"].startswith("application/json")
        quiet(reply)

    # ── inside ──────────────────────────────────────────────────────────────────────────────

    def _ended(self) -> list[RequestEnded]:
        return [one for one in self.running.of(RequestEnded) if not one.parent_id]

    async def _forget(self) -> None:
        """Empty the store, where it is the matrix's own."""
        loaded = self.running.gateway.serve.runtime.plugins.get("store_killable")
        if loaded is not None:
            loaded.entries[0].memory.clear()  # type: ignore[attr-defined]  # it is the killable store


def installed_stores() -> list[str]:
    """Return the stores that are installed; exactly one store can be on, and the matrix brings its own."""
    found = find_installed()
    return [name for name, one in found.items() if one.manifest is not None and "store" in one.manifest.kinds]


def resources(cells: list[Cell], url: str, further: Mapping[str, Any]) -> dict[str, Any]:
    """Return two models and a group of both for each wire, a good key and a narrow one, and further rows."""
    models: list[dict[str, Any]] = []
    for cell in {one.endpoint.wire: one for one in cells if one.has_upstream}.values():
        account = {"key": "sk-matrix", "api_base": f"{url}/v1", "retries": 0}
        models += [
            {"name": cell.model("sample"), "model": f"{cell.adapter}/up-a", **account},
            {"name": cell.model("other"), "model": f"{cell.adapter}/up-b", **account},
            {
                "name": cell.model("pair"),
                "routing": {"targets": [{"model": cell.model("sample")}, {"model": cell.model("other")}]},
            },
        ]
    # What an endpoint without upstream names in its path is any model that exists.
    models.append({"name": "sample@any", "model": "openai/up-a", "key": "sk-matrix", "api_base": f"{url}/v1"})
    keys = [
        {"name": "good", "key": KEY, "allowed_models": ["*"]},
        {"name": "narrow", "key": NARROW_KEY, "allowed_models": ["nothing-*"]},
    ]
    rows: dict[str, Any] = {"models": models, "api_keys": keys}
    for name, more in further.items():
        rows[name] = [*rows.get(name, []), *more]
    return rows


def quiet(reply: HttpReply) -> None:
    """Fail if an answer shows a traceback, or what a crashing plugin said."""
    shown = reply.body.decode() + json.dumps(reply.headers)
    assert "Traceback" not in shown
    assert 'File \\"' not in shown
    assert BOOM not in shown


def wait_until(holds: Callable[[], bool], complaint: str, seconds: float = 5.0) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it did not in time.
    """
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(complaint)
        time.sleep(0.002)


def counts(usage: Usage) -> dict[str, Any]:
    """Return what was counted, for comparing usage without its ``estimated`` mark."""
    found: dict[str, Any] = msgspec.structs.asdict(usage)
    return {name: value for name, value in found.items() if value and name != "estimated"}
