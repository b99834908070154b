"""What changes while the gateway runs, and what does not: instances, Runtimes, Snapshots."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hookway.runtime import Runtime
from hookway.testing import KEY, GatewayFactory, RunningGateway
from hookway_sdk import (
    Compiler,
    ConfigApplied,
    Dialect,
    Endpoint,
    Exchange,
    Guardrail,
    Limit,
    NoSettings,
    Plugin,
    RequestEnded,
    Row,
    Service,
    Settings,
    Source,
    SourceDocument,
    SourceRow,
    Store,
    Text,
    Verdict,
    hookimpl,
)
from hookway_sdk.memory_state import MemoryState


class Word(Settings):
    """One word.

    Args:
        word: the word.
    """

    word: str = "one"


def wordy(name: str, said: list[str], start: Callable[[str], Any] | None = None) -> type[Limit[Any]]:
    """Return a limit that says its word when it starts, admits and stops."""

    class Wordy(Limit[Word]):
        async def start(self) -> None:
            said.append(f"{name} start {self.settings.word}")
            if start is not None:
                await start(self.settings.word)

        async def stop(self) -> None:
            said.append(f"{name} stop {self.settings.word}")

        async def admit_request(self, exchange: Exchange) -> None:
            said.append(f"{name} admit {self.settings.word}")

    return Wordy


def conf_d(running: RunningGateway) -> Path:
    """Return where a gateway's configuration is."""
    directory = running.gateway.control._directory
    assert directory is not None
    return directory


def rewrite(running: RunningGateway, settings: dict[str, Any]) -> None:
    """Write what conf.d says beyond what it said at the start."""
    (conf_d(running) / "90-changed.yaml").write_text(json.dumps(settings))


def reload(running: RunningGateway, settings: dict[str, Any]) -> bool:
    """Change conf.d, and say whether the change was applied."""
    rewrite(running, settings)
    return running.run(running.gateway.control.reload_everything())


def runtime_of(running: RunningGateway) -> Runtime:
    """Return what serves now."""
    return running.gateway.serve.runtime


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it did not within five seconds.
    """
    end = time.monotonic() + 5
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.002)


# ── instances ───────────────────────────────────────────────────────────────────────────────


def test_an_instance_is_reused_while_its_settings_are_equal(gateway: GatewayFactory) -> None:
    said: list[str] = []
    running = gateway(plugins={"limit_word": wordy("w", said)})
    before = runtime_of(running)
    assert reload(running, {"plugins": {"limit_word": {"word": "one"}}, "upstream": {"retries": 1}})
    after = runtime_of(running)
    assert after is not before
    assert after.plugins["limit_word"] is before.plugins["limit_word"]
    assert after.plugins["store_memory"] is before.plugins["store_memory"]
    assert said == ["w start one"]
    running.close()
    assert said == ["w start one", "w stop one"]


def test_changed_settings_make_a_new_instance_before_the_old_one_is_stopped(gateway: GatewayFactory) -> None:
    said: list[str] = []
    running = gateway(plugins={"limit_word": wordy("w", said), "limit_other": wordy("o", said)})
    assert reload(running, {"plugins": {"limit_word": {"word": "two"}}})
    until(lambda: "w stop one" in said)
    assert said == ["w start one", "o start one", "w start two", "w stop one"]
    assert running.chat("hello").status == 200
    assert "w admit two" in said


def test_a_priority_alone_changes_the_order_and_no_instance(gateway: GatewayFactory) -> None:
    said: list[str] = []
    running = gateway(plugins={"limit_a": wordy("a", said), "limit_b": wordy("b", said)})
    assert running.chat("hello").status == 200
    assert reload(running, {"plugins": {"limit_b": {"priority": 1}}})
    assert running.chat("hello").status == 200
    assert said == ["a start one", "b start one", "a admit one", "b admit one", "b admit one", "a admit one"]


def test_the_old_instance_serves_its_requests_to_the_end(gateway: GatewayFactory) -> None:
    said: list[str] = []
    waits = threading.Event()
    go: list[asyncio.Event] = []

    class Slow(Limit[Word]):
        async def start(self) -> None:
            go.append(asyncio.Event())
            said.append(f"start {self.settings.word}")

        async def stop(self) -> None:
            said.append(f"stop {self.settings.word}")

        async def admit_request(self, exchange: Exchange) -> None:
            if self.settings.word == "one":
                waits.set()
                await go[0].wait()
            said.append(f"admit {self.settings.word}")

    running = gateway(plugins={"limit_slow": Slow})
    with ThreadPoolExecutor(1) as pool:
        old = pool.submit(running.chat, "the old one")
        assert waits.wait(5)
        assert reload(running, {"plugins": {"limit_slow": {"word": "two"}}})
        assert running.chat("the new one").status == 200
        time.sleep(0.05)
        assert said == ["start one", "start two", "admit two"]
        running.run(set_event(go[0]))
        assert old.result(5).status == 200
    until(lambda: said[-1] == "stop one")
    assert said == ["start one", "start two", "admit two", "admit one", "stop one"]
    first, second = running.wait_for(RequestEnded, 2)
    assert first.revision > second.revision


async def set_event(event: asyncio.Event) -> None:
    """Set an event of the gateway's loop."""
    event.set()


def test_a_plugin_that_is_switched_off_is_stopped_and_one_that_is_switched_on_is_started(
    gateway: GatewayFactory,
) -> None:
    said: list[str] = []
    running = gateway(
        {"plugins": {"limit_b": {"enabled": False}}},
        plugins={"limit_a": wordy("a", said), "limit_b": wordy("b", said)},
    )
    assert said == ["a start one"]
    assert reload(running, {"plugins": {"limit_a": {"enabled": False}, "limit_b": {"enabled": True}}})
    until(lambda: "a stop one" in said)
    assert said == ["a start one", "b start one", "a stop one"]
    assert running.chat("hello").status == 200
    assert said[-1] == "b admit one"


def test_another_store_makes_everyone_anew_who_stands_on_state(gateway: GatewayFactory) -> None:
    class Sized(Store[Word]):
        async def start(self) -> None:
            self._state = MemoryState(self.services.clock)

        def state(self) -> MemoryState:
            return self._state

    said: list[str] = []
    running = gateway(
        {"plugins": {"store_memory": {"enabled": False}}},
        plugins={"store_sized": Sized, "limit_word": wordy("w", said)},
    )
    old = runtime_of(running).plugins["limit_word"]
    assert reload(running, {"plugins": {"store_sized": {"word": "two"}}})
    runtime = runtime_of(running)
    limit, store = runtime.plugins["limit_word"], runtime.plugins["store_sized"].entries[0]
    assert isinstance(store, Sized)
    assert limit is not old
    assert limit.services.state is store.state().scope("limit_word")


class Clerk:
    """What a service provides."""


def test_another_service_makes_anew_those_who_need_it(gateway: GatewayFactory) -> None:
    class Office(Service[Word]):
        provides = Clerk

    class Needy(Limit[NoSettings]):
        needs = (Clerk,)

    running = gateway(plugins={"service_office": Office, "limit_needy": Needy, "limit_word": wordy("w", [])})
    before = runtime_of(running).plugins
    assert reload(running, {"plugins": {"service_office": {"word": "two"}}})
    after = runtime_of(running).plugins
    assert after["limit_needy"] is not before["limit_needy"]
    assert after["limit_needy"].services.get(Clerk) is after["service_office"].entries[0]
    assert after["limit_word"] is before["limit_word"]


# ── failures ────────────────────────────────────────────────────────────────────────────────


async def refuse_two(word: str) -> None:
    """Do not start with the word "two"."""
    if word == "two":
        raise ConnectionError("the service of the second word is away")


def refused(running: RunningGateway) -> ConfigApplied:
    """Return the last event of a refused configuration."""
    return [one for one in running.of(ConfigApplied) if not one.ok][-1]


def test_a_start_that_fails_undoes_everything_and_the_old_runtime_serves_on(gateway: GatewayFactory) -> None:
    said: list[str] = []
    running = gateway(
        plugins={
            "limit_a": wordy("a", said),
            "limit_b": wordy("b", said, refuse_two),
            "limit_c": wordy("c", said),
        }
    )
    before = runtime_of(running)
    changed = {name: {"word": "two"} for name in ("limit_a", "limit_b", "limit_c")}
    assert not reload(running, {"plugins": changed})
    assert runtime_of(running) is before
    assert said[3:] == ["a start two", "b start two", "a stop two"]
    assert running.chat("hello").status == 200
    assert said[6:] == ["a admit one", "b admit one", "c admit one"]
    (problem,) = refused(running).problems
    assert "plugin 'limit_b': did not start" in problem
    assert "away" in problem
    # And it can be mended.
    assert reload(running, {"plugins": {"limit_a": {"word": "two"}}})
    assert running.chat("hello").status == 200
    assert "a admit two" in said


@pytest.mark.parametrize(
    "settings",
    [
        {"plugins": {"limit_word": {"ward": "two"}}},
        {"plugins": {"limit_ward": {}}},
        {"proxies": {}},
    ],
    ids=["setting", "plugin", "root key"],
)
def test_a_wrong_conf_d_starts_nothing(gateway: GatewayFactory, settings: dict[str, Any]) -> None:
    said: list[str] = []
    running = gateway(plugins={"limit_word": wordy("w", said), "limit_other": wordy("o", said)})
    before = runtime_of(running)
    changed = {**settings.get("plugins", {}), "limit_other": {"word": "two"}}
    assert not reload(running, {**settings, "plugins": changed})
    assert runtime_of(running) is before
    assert said == ["w start one", "o start one"]
    assert any("90-changed.yaml:1" in line for line in refused(running).problems)
    assert running.chat("hello").status == 200


def test_resources_that_do_not_fit_the_new_conf_d_undo_it(gateway: GatewayFactory) -> None:
    said: list[str] = []
    running = gateway(
        plugins={"guardrail_calm": Calm, "limit_word": wordy("w", said)},
        resources={**models("one"), "guardrails": [{"name": "calm", "kind": "calm", "mood": "good"}]},
    )
    before = runtime_of(running)
    off = {"dialect_openai": {"enabled": False}, "guardrail_calm": {"enabled": False}}
    assert not reload(running, {"plugins": {**off, "limit_word": {"word": "two"}}})
    assert runtime_of(running) is before
    until(lambda: "w stop two" in said)
    assert said == ["w start one", "w start two", "w stop two"]
    assert "guardrails" in " ".join(refused(running).problems)
    assert running.chat("hello", model="one").status == 200


# ── snapshots ───────────────────────────────────────────────────────────────────────────────


class CalmRow(Row):
    """Fields of a calm guardrail.

    Args:
        mood: how it feels.
    """

    mood: str = "good"


class Calm(Guardrail[CalmRow]):
    """Object to nothing, unless the mood is impossible."""

    def prepare(self) -> None:
        if self.row.mood == "impossible":
            raise ValueError("nobody can be in that mood")

    def check(self, text: Text) -> Verdict | None:
        return None


def models(*names: str) -> dict[str, Any]:
    """Return resources with echo models."""
    return {
        "provider_keys": [{"name": "echo", "provider": "echo", "adapter": "echo", "api_key": "none"}],
        "models": [
            {"name": name, "provider": "echo", "model_name": "echo", "provider_key": "echo"} for name in names
        ],
        "api_keys": [{"name": "caller", "key": KEY, "allowed_models": ["*"]}],
    }


def change(gateway: GatewayFactory, running: RunningGateway, resources: dict[str, Any]) -> bool:
    """Change the resources, and say whether the change was applied."""
    gateway.write_resources(0, resources)
    return running.run(running.gateway.control.reload(None))


def test_changed_resources_make_a_snapshot_and_no_runtime(gateway: GatewayFactory) -> None:
    said: list[str] = []
    running = gateway(plugins={"limit_word": wordy("w", said)}, resources=models("one"))
    runtime, snapshot = runtime_of(running), runtime_of(running).snapshot
    assert running.chat("hello", model="two").status == 404
    assert change(gateway, running, models("one", "two"))
    assert runtime_of(running) is runtime
    assert runtime.snapshot is not snapshot
    assert running.chat("hello", model="two").status == 200
    assert said[0] == "w start one"
    assert [line for line in said if "start" in line or "stop" in line] == ["w start one"]
    assert running.of(ConfigApplied)[-1].kind == "snapshot"
    assert running.of(ConfigApplied)[-1].counts["models"] == 2


def test_a_request_ends_with_the_snapshot_it_began_with(gateway: GatewayFactory) -> None:
    waits, go = threading.Event(), threading.Event()

    class Waits(Plugin[NoSettings]):
        @hookimpl
        async def authenticate(self, exchange: Exchange) -> None:
            if exchange.headers.get("x-wait"):
                waits.set()
                await asyncio.to_thread(go.wait, 5)

    running = gateway(
        {"plugins": {"hook_waits": {"priority": 1}}}, plugins={"hook_waits": Waits}, resources=models("one")
    )
    body = {"model": "one", "messages": [{"role": "user", "content": "hello"}]}
    with ThreadPoolExecutor(1) as pool:
        old = pool.submit(running.post, "/v1/chat/completions", body, headers={"x-wait": "1"})
        assert waits.wait(5)
        assert change(gateway, running, models("two"))
        assert running.chat("hello", model="one").status == 404
        go.set()
        assert old.result(5).status == 200
    newer, older = running.wait_for(RequestEnded, 2)
    assert newer.revision == older.revision + 1


def test_only_changed_rows_are_made_anew(gateway: GatewayFactory) -> None:
    made: list[str] = []

    class Counting(Calm):
        def prepare(self) -> None:
            made.append(f"{self.resource.name} {self.row.mood}")

    def rows(**moods: str) -> dict[str, Any]:
        guardrails = [{"name": name, "kind": "calm", "mood": mood} for name, mood in moods.items()]
        return {**models("one"), "guardrails": guardrails}

    running = gateway(plugins={"guardrail_calm": Counting}, resources=rows(a="good", b="good"))
    assert made == ["a good", "b good"]
    assert change(gateway, running, rows(a="good", b="bad", c="new"))
    assert made == ["a good", "b good", "b bad", "c new"]


def test_resources_that_cannot_be_used_leave_the_old_ones(gateway: GatewayFactory) -> None:
    running = gateway(
        plugins={"guardrail_calm": Calm},
        resources={**models("one"), "guardrails": [{"name": "calm", "kind": "calm"}]},
    )
    snapshot = runtime_of(running).snapshot
    bad = {**models("one"), "guardrails": [{"name": "calm", "kind": "calm", "mood": "impossible"}]}
    assert not change(gateway, running, bad)
    assert runtime_of(running).snapshot is snapshot
    (problem,) = refused(running).problems[1:]
    assert 'guardrails "calm"' in problem
    assert "nobody can be in that mood" in problem
    assert "resources.yaml:1" in problem
    assert running.chat("hello", model="one").status == 200


def failing(name: str) -> tuple[type[Any], list[bool]]:
    """Return a plugin one of whose cold methods fails while the switch is on, and the switch."""
    on: list[bool] = []

    class Compiles(Plugin[NoSettings]):
        @hookimpl
        def compile_resources(self, compiler: Compiler) -> None:
            if on:
                raise KeyError("a bug in compile_resources")

    class KindCompiles(Limit[NoSettings]):
        def compile(self, compiler: Compiler) -> None:
            if on:
                raise KeyError("a bug in compile")

    class Reads(Source[NoSettings]):
        yields = True

        async def load(self) -> SourceDocument:
            if on:
                raise KeyError("a bug in load")
            return SourceDocument({})

    return {"compile_resources": Compiles, "compile": KindCompiles, "load": Reads}[name], on


@pytest.mark.parametrize("name", ["compile_resources", "compile", "load"])
def test_a_plugin_that_crashes_over_new_resources_leaves_the_old_ones(
    gateway: GatewayFactory, name: str
) -> None:
    plugin, on = failing(name)
    running = gateway(plugins={"hook_fails": plugin}, resources=models("one"))
    snapshot = runtime_of(running).snapshot
    on.append(True)
    assert not change(gateway, running, models("one", "two"))
    assert runtime_of(running).snapshot is snapshot
    assert any("plugin 'hook_fails'" in line for line in refused(running).problems)
    on.clear()
    assert change(gateway, running, models("one", "two"))
    assert running.chat("hello", model="two").status == 200


def test_a_source_that_reports_a_change_is_read_again(gateway: GatewayFactory) -> None:
    tell: list[Callable[[], None]] = []
    names = ["one"]

    class Listed(Source[NoSettings]):
        async def load(self) -> SourceDocument:
            rows = {name: [SourceRow(row) for row in some] for name, some in models(*names).items()}
            return SourceDocument(rows)

        async def watch(self, changed: Callable[[], None]) -> None:
            tell.append(changed)

    running = gateway({"plugins": {"source_file": {"enabled": False}}}, plugins={"source_listed": Listed})
    assert running.chat("hello", model="one").status == 200
    names[:] = ["one", "two"]
    running.run(call(tell[0]))
    until(lambda: running.chat("hello", model="two").status == 200)
    assert len(tell) == 1


async def call(function: Callable[[], None]) -> None:
    """Call a function on the gateway's loop."""
    function()


def test_a_new_instance_of_a_source_is_watched_and_the_old_one_no_more(gateway: GatewayFactory) -> None:
    watched: list[str] = []

    class Worded(Source[Word]):
        async def load(self) -> SourceDocument:
            return SourceDocument({})

        async def watch(self, changed: Callable[[], None]) -> None:
            watched.append(self.settings.word)

    running = gateway(plugins={"source_worded": Worded})
    words = [f"word-{number}" for number in range(12)]
    for word in words:
        assert reload(running, {"plugins": {"source_worded": {"word": word}}})
        until(lambda: not running.gateway.serve._retiring)
    assert watched == ["one", *words]


# ── endpoints ───────────────────────────────────────────────────────────────────────────────


def test_endpoints_come_and_go_with_their_plugin(gateway: GatewayFactory) -> None:
    running = gateway()
    assert reload(running, {"plugins": {"dialect_openai": {"enabled": False}}})
    assert running.chat("hello").status == 404
    assert reload(running, {"plugins": {"dialect_openai": {"enabled": True}}})
    assert running.chat("hello").status == 200


def test_a_dialect_that_cannot_name_its_endpoints_is_refused(gateway: GatewayFactory) -> None:
    class Confused(Dialect[Word]):
        def endpoints(self) -> Sequence[Endpoint]:
            if self.settings.word == "two":
                raise IndexError("no endpoint today")
            return []

    running = gateway(plugins={"dialect_confused": Confused})
    before = runtime_of(running)
    assert not reload(running, {"plugins": {"dialect_confused": {"word": "two"}}})
    assert runtime_of(running) is before
    assert "plugin 'dialect_confused'" in " ".join(refused(running).problems)


# ── the end ─────────────────────────────────────────────────────────────────────────────────


def test_a_plugin_that_fails_to_stop_keeps_nobody_from_stopping(gateway: GatewayFactory) -> None:
    said: list[str] = []

    class Sticks(Limit[NoSettings]):
        async def start(self) -> None:
            self.services.tasks.on_tick(self._tick)
            self._open = True

        async def stop(self) -> None:
            self._open = False
            raise OSError("the disk is full")

        def _tick(self) -> None:
            if not self._open:
                raise ValueError("the file is closed")

    running = gateway(
        plugins={"limit_a": wordy("a", said), "limit_sticks": Sticks, "limit_z": wordy("z", said)}
    )
    running.close()
    assert said == ["a start one", "z start one", "z stop one", "a stop one"]
    errors = [line for line in running.log if line["level"] == "error"]
    assert [(line["event"], "limit_sticks" in line.values()) for line in errors] == [
        ("plugin_did_not_stop", True),
        ("task_failed", True),
    ]
