"""A complete :class:`~hookway_sdk.services.Services` for unit tests, without a gateway.

::

    services = make_services("limit_rate")
    plugin = LimitRate("limit_rate", LimitRateSettings(), services)
    services.clock.advance(60)
    services.tasks.run_ticks()
    assert services.log.events("warning") == []

Nothing runs by itself: time stands still, background work waits for ``services.tasks``, and HTTP and
nested calls are refused unless a function answers them.
"""

from __future__ import annotations

import random as chance
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path

from hookway_sdk.brand import Brand, native_brand
from hookway_sdk.clock import Random
from hookway_sdk.events import Event
from hookway_sdk.memory_state import MemoryState
from hookway_sdk.services import Documents, P, Secrets, Services
from hookway_sdk.state import State
from hookway_sdk.testing.fake_clock import FakeClock
from hookway_sdk.testing.recorders import ManualTasks, RecordingLog, RecordingMetrics, WrittenStatus
from hookway_sdk.testing.scripted_services import (
    CallScript,
    HmacSecrets,
    HttpScript,
    ScriptedCaller,
    ScriptedDocuments,
    ScriptedHttp,
)


class RecordingServices(Services):
    """Services that remember what a plugin did with them.

    Attributes:
        http: answers by a script; ``http.calls`` are the requests.
        call: answers by a script; ``call.calls`` are the nested calls.
        tasks: background work, run by hand.
        metrics: families with their values.
        log: the lines.
        clock: stands still until ``clock.advance``.
        status: says what is written into it.
        emitted: the events the plugin told the sinks.
        asked: the protocols it asked :meth:`get` for.
        directories: the state directory, once the plugin asked for it; at most one.
    """

    __slots__ = ("asked", "directories", "emitted")

    http: ScriptedHttp
    call: ScriptedCaller
    tasks: ManualTasks
    metrics: RecordingMetrics
    log: RecordingLog
    clock: FakeClock
    status: WrittenStatus
    emitted: list[Event]
    asked: set[type]
    directories: list[Path]

    def get(self, protocol: type[P]) -> P:
        """Return what the test provides under a protocol, and note that it was asked for."""
        self.asked.add(protocol)
        return super().get(protocol)


class _StateDirectory:
    """A directory that is made on first use and removed with the services."""

    def __init__(self, given: Path | None) -> None:
        self.given = given
        self.made: list[Path] = []

    def __call__(self) -> Path:
        if not self.made:
            self.made.append(self.given or self._temporary())
        self.made[0].mkdir(parents=True, exist_ok=True)
        return self.made[0]

    def _temporary(self) -> Path:
        made = tempfile.mkdtemp(prefix="hookway-test-")
        weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
        return Path(made)


def make_services(
    plugin: str = "test",
    *,
    http: HttpScript | ScriptedHttp | None = None,
    call: CallScript | ScriptedCaller | None = None,
    state: State | None = None,
    documents: Documents | None = None,
    secrets: Secrets | None = None,
    clock: FakeClock | None = None,
    random: Random | None = None,
    state_dir: Path | None = None,
    brand: Brand | None = None,
    provided: Mapping[type, object] | None = None,
) -> RecordingServices:
    """Make services for one plugin instance.

    Args:
        plugin: its entry-point name.
        http: a function from :class:`HttpCall` to an answer; without it every request fails.
        call: a function from :class:`NestedCall` to an answer; without it every call fails.
        state: used as it is; give one instance's ``services.state`` to the next to test a reload.
        documents: default reads JSON only (:class:`ScriptedDocuments`).
        secrets: default signs with HMAC under a fixed root secret.
        clock: default shows one fixed moment.
        random: default is seeded, so that every run draws the same; ``ScriptedRandom`` loads the dice.
        state_dir: default is a temporary directory that goes with the services.
        brand: default is the native one.
        provided: implementations of the protocols in the plugin's ``needs``.
    """
    clock = clock or FakeClock()
    emitted: list[Event] = []
    directory = _StateDirectory(state_dir)
    services = RecordingServices(
        plugin,
        http=http if isinstance(http, ScriptedHttp) else ScriptedHttp(http),
        call=call if isinstance(call, ScriptedCaller) else ScriptedCaller(call),
        state=MemoryState(clock).scope(plugin) if state is None else state,
        tasks=ManualTasks(),
        metrics=RecordingMetrics(),
        log=RecordingLog(),
        documents=documents or ScriptedDocuments(),
        secrets=secrets or HmacSecrets(),
        clock=clock,
        random=random or chance.Random(0),
        state_dir=directory,
        brand=brand or native_brand("test"),
        status=WrittenStatus(),
        emit=emitted.append,
        provided=provided or {},
    )
    services.emitted = emitted
    services.asked = set()
    services.directories = directory.made
    return services
