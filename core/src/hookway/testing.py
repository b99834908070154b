"""Test a plugin against a real gateway: the ``gateway`` fixture (a pytest plugin, through ``pytest11``).

::

    def test_it_is_blocked(gateway):
        running = gateway(plugins={"guardrail_shout": Shout}, resources={"guardrails": [...]})
        answer = running.post("/v1/chat/completions", {"model": "echo", "messages": [...]})
        assert answer.status == 422

The gateway listens on a free loopback port and runs on a loop of its own in a thread, so that it can
be driven by blocking and asynchronous clients alike.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from hookway.cli.serve import loop_factory
from hookway.discovery import Installed, find_installed
from hookway.gateway import Gateway
from hookway.services.log import OperatorLog
from hookway_sdk import (
    AttemptEnded,
    AuthDenied,
    Clock,
    ConfigApplied,
    Event,
    Kind,
    Plugin,
    Random,
    RequestEnded,
    Sink,
)

T = TypeVar("T")

KEY = "hw-test-key-0123456789abcdefghijklmnopqrstuv"
"""The first caller key of every gateway under test."""

ECHO = {"name": "echo", "model": "echo/echo", "key": "none"}
"""The row of a model that answers without a provider."""

RECORDER = "sink_recorder"


class TestEntryPoint(msgspec.Struct, frozen=True):
    """An entry point to a class that no package installed."""

    __test__ = False

    name: str
    loaded: Any

    @property
    def value(self) -> str:
        """Where the class is."""
        return f"{self.loaded.__module__}:{self.loaded.__qualname__}"

    def load(self) -> Any:
        """Return the class."""
        return self.loaded


class HttpReply(msgspec.Struct):
    """An answer of the gateway."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)


class RunningGateway:
    """A gateway under test.

    Attributes:
        url: its address, without a path.
        key: a caller key that may use every model.
        events: every event so far, in order.
        log: every line of the operator's log so far.
        gateway: the gateway itself, for white-box looks.
    """

    def __init__(self, make: Callable[[OperatorLog], Gateway], events: list[Event], key: str) -> None:
        self.key = key
        self.events = events
        self._lines = LogLines()
        self._loop = loop_factory()()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway under test", daemon=True)
        self._thread.start()
        try:
            self.gateway = self.run(self._start(make))
        except BaseException:
            self._end_loop()
            raise
        address = self.gateway.address
        self.host, self.port = address.host, address.port
        self.url = f"http://{address.host}:{address.port}"

    @property
    def log(self) -> list[dict[str, Any]]:
        """Every line of the operator's log so far."""
        return [json.loads(line) for line in self._lines.text.splitlines()]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the gateway's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        key: str | None = "",
    ) -> HttpReply:
        """Send one request; ``key=None`` sends no credential, other bodies than bytes are sent as JSON."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {} if key is None else {"authorization": f"Bearer {key or self.key}"}
        try:
            connection.request(method, path, data, {**sent, **(headers or {})})
            answer = connection.getresponse()
            lines = {name.lower(): value for name, value in answer.getheaders()}
            return HttpReply(answer.status, lines, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> HttpReply:
        """Send a GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any, **options: Any) -> HttpReply:
        """Send a POST."""
        return self.request("POST", path, body, **options)

    def operator(self, path: str, *, listener: str = "metrics", method: str = "GET") -> HttpReply:
        """Ask a route of the operators' listener ``metrics`` or ``admin``."""
        address = self.gateway.serve.operator_addresses[listener]
        connection = http.client.HTTPConnection(address.host, address.port, timeout=30)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            lines = {name.lower(): value for name, value in answer.getheaders()}
            return HttpReply(answer.status, lines, answer.read())
        finally:
            connection.close()

    def reload(self, settings: Mapping[str, Any] | None = None) -> bool:
        """Read conf.d and the sources again, with a further conf.d file; say whether it was applied."""
        if settings is not None:
            directory = self.gateway.directory
            assert directory is not None
            (directory / "90-reload.yaml").write_text(json.dumps(settings))
        return self.run(self.gateway.control.reload_everything())

    def chat(self, text: str, *, model: str = "echo", **members: Any) -> HttpReply:
        """Send one user message to the chat endpoint of the OpenAI dialect."""
        messages = [{"role": "user", "content": text}]
        return self.post("/v1/chat/completions", {"model": model, "messages": messages, **members})

    def of(self, kind: type[T]) -> list[T]:
        """Return the events of one type so far."""
        return [event for event in tuple(self.events) if isinstance(event, kind)]

    def wait_for(self, kind: type[T], count: int = 1) -> list[T]:
        """Wait until there are that many events of a type, and return them.

        Raises:
            TimeoutError: they did not come within five seconds.
        """
        for _ in range(500):
            found = self.of(kind)
            if len(found) >= count:
                return found
            threading.Event().wait(0.01)
        raise TimeoutError(f"{count} events of {kind.__name__} did not come; there are {len(self.of(kind))}")

    def close(self) -> None:
        """Stop the gateway and its loop; harmless the second time."""
        if self._loop.is_closed():
            return
        try:
            self.run(self.gateway.close())
        finally:
            self._end_loop()

    async def _start(self, make: Callable[[OperatorLog], Gateway]) -> Gateway:
        gateway = make(OperatorLog("debug", self._lines, readable=False))
        await gateway.start()
        return gateway

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class LogLines(io.TextIOBase):
    """A stream that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def write(self, text: str) -> int:
        """Keep text."""
        self.text += text
        return len(text)


def recorder(events: list[Event]) -> type[Sink[Any]]:
    """Return a sink that keeps every event."""

    class Recorder(Sink[Any]):
        """Keep every event for a test."""

        events = (RequestEnded, AttemptEnded, AuthDenied, ConfigApplied)

        def record(self, event: Event) -> None:
            """Keep it."""
            kept.append(event)

    kept = events
    return Recorder


class GatewayFactory:
    """Starts gateways under test and closes them at the end; what the ``gateway`` fixture is."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[RunningGateway] = []

    def __call__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        resources: Mapping[str, Any] | None = None,
        plugins: Mapping[str, type[Kind] | type[Plugin[Any]]] | None = None,
        only: tuple[str, ...] | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        chance: Random | None = None,
    ) -> RunningGateway:
        """Start a gateway.

        Args:
            settings: what a conf.d file would say.
            resources: what ``resources.yaml`` would say; without it the embedded rows serve. Rows that say
                nothing of ``models`` are joined by the model ``echo``.
            plugins: classes to install and switch on for this gateway, by plugin name.
            only: names of the installed plugins that are on; without it the shipped defaults are.
            environ: environment variables beside the first key's.
            clock: time.
            chance: chance.

        Raises:
            StartError: it does not start.
        """
        home = self._directory / f"gateway{len(self._running)}"
        events: list[Event] = []
        brought = {RECORDER: recorder(events), **(plugins or {})}
        installed = self._installed(brought)
        if resources is not None and "models" not in resources and only is None:
            resources = {"models": [ECHO], **resources}
        self._write(home, dict(settings or {}), resources, brought, installed, only)
        variables = {"HOOKWAY_KEY": KEY, **(environ or {})}

        def make(log: OperatorLog) -> Gateway:
            return Gateway(
                home / "conf.d", variables, installed=installed, clock=clock, chance=chance, log=log
            )

        running = RunningGateway(make, events, KEY)
        self._running.append(running)
        return running

    def write_resources(self, running: int, resources: Mapping[str, Any]) -> None:
        """Replace the resources file of the n-th gateway."""
        path = self._directory / f"gateway{running}" / "resources.yaml"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(resources))
        fresh.replace(path)

    def close(self) -> None:
        """Close every gateway."""
        for running in self._running:
            running.close()

    def _installed(self, brought: Mapping[str, Any]) -> dict[str, Installed]:
        """Return what is installed, and the classes of this test beside it."""
        return find_installed() | {
            name: Installed(name, "this test", "0", TestEntryPoint(name, cls))
            for name, cls in brought.items()
        }

    def _write(
        self,
        home: Path,
        settings: dict[str, Any],
        resources: Mapping[str, Any] | None,
        brought: Mapping[str, Any],
        installed: Mapping[str, Installed],
        only: tuple[str, ...] | None,
    ) -> None:
        """Write conf.d and the resources file."""
        (home / "conf.d").mkdir(parents=True, exist_ok=True)
        entries: dict[str, Any] = {name: {} for name in brought}
        if only is not None:
            entries |= {name: {"enabled": name in only} for name in installed if name not in brought}
        if "source_file" in installed and (only is None or "source_file" in only):
            entries["source_file"] = {"path": str(home / "resources.yaml")}
            (home / "resources.yaml").write_text(json.dumps(resources or {}))
        for name, said in settings.pop("plugins", {}).items():
            entries[name] = {**entries.get(name, {}), **said}
        if "sink_access_log" in installed and (only is None or "sink_access_log" in only):
            own_log = entries.get("sink_access_log", {})
            entries["sink_access_log"] = {"path": str(home / "access.log"), **own_log}
        own = {
            "proxy": {"addr": "127.0.0.1:0"},
            "admin": {"addr": "127.0.0.1:0"},
            "observability": {"metrics": {"prometheus": {"addr": "127.0.0.1:0"}}},
            "shutdown": {"min_drain_secs": 0},
            "state_dir": str(home / "state"),
            "plugins": entries,
        }
        (home / "conf.d" / "10-test.yaml").write_text(json.dumps(own))
        (home / "conf.d" / "20-test.yaml").write_text(json.dumps(settings))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayFactory]:
    """Start gateways with plugins and resources of the test's own; they are closed at its end."""
    factory = GatewayFactory(tmp_path)
    try:
        yield factory
    finally:
        factory.close()
