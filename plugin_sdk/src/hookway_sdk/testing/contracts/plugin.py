"""What every plugin promises, whatever its kind."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
import threading
import types
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, ClassVar

import msgspec
import pytest

from hookway_sdk import hookspecs, walker
from hookway_sdk.errors import ConfigError
from hookway_sdk.kinds.base import API, EntryKind, Kind, RowKind
from hookway_sdk.markers import PROJECT
from hookway_sdk.phases import RULES, OnError, Phase
from hookway_sdk.plugin import GROUP, Plugin
from hookway_sdk.resources import Resource
from hookway_sdk.shared_resources import SHARED
from hookway_sdk.testing.services import RecordingServices, make_services
from hookway_sdk.testing.snapshots import (
    ListedCompiler,
    ListedRegistry,
    ListedSnapshot,
    make_resource,
    make_snapshot,
)

_TOKEN = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


class PluginContract:
    """Promises of every plugin. The contract of each kind is a subclass; use this one for a ``Plugin``.

    Attributes:
        plugin: the class under test.
        name: its entry-point name; found by itself where the package is installed.
        settings: its settings in the example, as conf.d has them; the required ones at least.
        row: its own fields of an example row, as a resources file has them (kinds that have rows).
        common: further common fields of that row (``name``, ``hook_point``).
        thread_seconds: how long a thread that ``stop`` told to end may take to do so.
    """

    plugin: ClassVar[type[Kind] | type[Plugin[Any]]]
    name: ClassVar[str] = ""
    settings: ClassVar[Mapping[str, Any]] = {}
    row: ClassVar[Mapping[str, Any]] = {}
    common: ClassVar[Mapping[str, Any]] = {}
    thread_seconds: ClassVar[float] = 1.0

    # ── what a subclass may override ────────────────────────────────────────────────────────

    def provided(self) -> Mapping[type, object]:
        """Return implementations of the protocols in its ``needs``."""
        return {}

    def services(self) -> RecordingServices:
        """Make the services of one instance."""
        return make_services(self.token(), provided=self.provided())

    def resources(self) -> Sequence[Resource]:
        """Return the rows of the snapshot that it compiles."""
        return ()

    def make(self, services: RecordingServices | None = None) -> Any:
        """Make one instance, as the core does."""
        services = services or self.services()
        if issubclass(self.plugin, RowKind):
            row: Any = walker.convert(self.row, self.plugin.Row)
            return self.plugin(self.token(), row, self.resource(row), services)
        assert issubclass(self.plugin, EntryKind | Plugin), f"{self.plugin.__name__} is no kind and no Plugin"
        return self.plugin(self.token(), self.read_settings(self.settings), services)

    # ── what the promises are checked with ──────────────────────────────────────────────────

    def token(self) -> str:
        """Return the entry-point name."""
        if self.name:
            return self.name
        for point in entry_points(group=GROUP):
            package = point.value.partition(":")[0]
            if point.value.endswith(f":{self.plugin.__name__}") and _within(self.plugin.__module__, package):
                return point.name
        raise AssertionError(f"no entry point names {self.plugin.__name__}; give the contract its `name`")

    def read_settings(self, value: Mapping[str, Any]) -> Any:
        """Read settings as the core does."""
        assert issubclass(self.plugin, EntryKind | Plugin)
        return walker.convert(dict(value), self.plugin.Settings)

    def registry(self) -> ListedRegistry:
        """Return what it contributes to resources."""
        registry = ListedRegistry(self.token())
        self.plugin.register_resources(registry)
        return registry

    def resource(self, row: Any) -> Resource:
        """Return the whole example row: common fields, and those of the plugin."""
        registry = self.registry()
        collection, word = next(iter([*registry.variants, *registry.shapes]), ("", ""))
        fields: dict[str, Any] = {}
        if collection in SHARED:
            shared = SHARED[collection]
            given = {shared.identity: "example", **self.common}
            if shared.variant_field:
                given.setdefault(shared.variant_field, word)
            fields = msgspec.structs.asdict(walker.convert(given, shared.row))
        fields |= msgspec.structs.asdict(row)
        return make_resource(collection or "rows", types.SimpleNamespace(**fields), name="example")

    @contextlib.asynccontextmanager
    async def running(self, services: RecordingServices | None = None) -> AsyncIterator[Any]:
        """Start an instance and stop it afterwards."""
        instance = self.make(services)
        if hasattr(instance, "start"):
            await instance.start()
        try:
            yield instance
        finally:
            if hasattr(instance, "stop"):
                await instance.stop()

    def compiled(self, instance: Any) -> ListedSnapshot:
        """Let it compile a snapshot of :meth:`resources`."""
        compiler = ListedCompiler(make_snapshot(self.resources()))
        if hasattr(instance, "compile"):
            instance.compile(compiler)
        assert not compiler.rejected, f"it refuses rows of the example: {compiler.rejected}"
        return compiler.snapshot

    # ── the promises ────────────────────────────────────────────────────────────────────────

    def test_its_name_begins_with_its_kind(self) -> None:
        token = self.token()
        assert _TOKEN.fullmatch(token), f"'{token}' is no lower-case name of at least two words"
        if issubclass(self.plugin, Kind):
            kind = self.plugin.kind
            assert kind, f"{self.plugin.__name__} derives from no kind"
            assert token.startswith(f"{kind}_"), f"'{token}' has to begin with '{kind}_'"

    def test_it_was_written_for_this_interface(self) -> None:
        assert self.plugin.api == API, f"written for interface {self.plugin.api}, this is {API}"

    def test_its_docstring_begins_with_a_line_that_says_what_it_is_for(self) -> None:
        text = vars(self.plugin).get("__doc__") or ""
        lines = inspect.cleandoc(text).splitlines()
        assert lines, f"{self.plugin.__name__} has no docstring of its own"
        assert lines[0].strip(), f"the docstring of {self.plugin.__name__} begins with an empty line"
        assert lines[1:2] in ([], [""]), f"the first line of {self.plugin.__name__}'s docstring runs on"

    def test_its_priority_and_failure_policy_are_values_of_the_sdk(self) -> None:
        if issubclass(self.plugin, Plugin):
            pytest.skip("a Plugin has none of its own; its hooks and kinds have")
        assert isinstance(self.plugin.priority, int), "priority is a number, lower runs earlier"
        assert 0 < self.plugin.priority < 1000, f"priority {self.plugin.priority} lies outside the bands"
        policy: object = self.plugin.on_error
        assert policy is None or isinstance(policy, OnError), f"on_error is {policy!r}, not an OnError"

    def test_its_settings_or_row_can_be_read_and_unknown_names_are_refused(self) -> None:
        value: Mapping[str, Any] = self.settings
        type_: Any = getattr(self.plugin, "Settings", None)
        what = "settings"
        if issubclass(self.plugin, RowKind):
            value, type_, what = self.row, self.plugin.Row, "row"
        required = {one.encode_name for one in msgspec.structs.fields(type_) if one.required}
        try:
            walker.convert(dict(value), type_)
        except ConfigError as error:
            needed = f"; the required ones are {sorted(required)}" if required else ""
            raise AssertionError(f"the example of its {what} cannot be read: {error}{needed}") from error
        found = walker.check({**value, "no_such_name_at_all": 1}, type_)
        assert found, f"its {what} take a name that nobody declared"

    def test_what_it_contributes_to_resources_is_accepted(self) -> None:
        again, first = self.registry(), self.registry()
        assert vars(again) == vars(first), "register_resources says something else each time"

    def test_its_methods_have_the_colour_and_arguments_of_their_kind(self) -> None:
        for name, mine, spec, asynchronous in _overridden(self.plugin):
            assert inspect.iscoroutinefunction(mine) == asynchronous, (
                f"{name} has to be {'async def' if asynchronous else 'def'}"
            )
            wanted, given = _parameters(spec), _parameters(mine)
            assert given[: len(wanted)] == wanted, f"{name} takes {given}, but is called with {wanted}"

    async def test_making_it_starts_nothing(self) -> None:
        before = set(threading.enumerate()), asyncio.all_tasks()
        services = self.services()
        self.make(services)
        assert set(threading.enumerate()) == before[0], "making it starts a thread; do that in start"
        assert asyncio.all_tasks() == before[1], "making it starts a task; do that in start"
        assert not services.http.calls, "making it sends a request; do that in start"
        assert not services.call.calls, "making it calls a model; do that in start"
        assert not services.directories, "making it makes its directory; do that in start"
        tasks = services.tasks
        assert not tasks.started, "making it starts background work; do that in start"
        assert not tasks.periodic, "making it starts background work; do that in start"

    async def test_it_leaves_nothing_running_behind(self) -> None:
        threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
        async with self.running():
            pass
        await asyncio.sleep(0)
        for thread in set(threading.enumerate()) - threads:
            await asyncio.to_thread(thread.join, self.thread_seconds)
            assert not thread.is_alive(), f"{thread.name} runs on after stop"
        left = {task for task in asyncio.all_tasks() - tasks if not task.done()}
        assert not left, f"stop leaves tasks running: {left}"

    async def test_it_can_be_stopped_twice(self) -> None:
        async with self.running() as instance:
            if not hasattr(instance, "stop"):
                pytest.skip("kinds with rows have no life of their own")
            await instance.stop()

    async def test_it_can_be_stopped_without_having_been_started(self) -> None:
        instance = self.make()
        if not hasattr(instance, "stop"):
            pytest.skip("kinds with rows have no life of their own")
        await instance.stop()

    async def test_two_of_it_can_run_side_by_side(self) -> None:
        async with self.running() as first, self.running() as second:
            assert first is not second, "two instances are one"

    async def test_it_asks_only_for_services_that_it_declared(self) -> None:
        declared = set(self.plugin.needs)
        missing = declared - set(self.provided())
        assert not missing, f"the contract has to give it {_names(missing)}; override `provided`"
        services = self.services()
        # A plugin that asks for what is not there fails here with LookupError; the set says what it was.
        with contextlib.suppress(LookupError):
            async with self.running(services) as instance:
                self.compiled(instance)
        undeclared = services.asked - declared
        assert not undeclared, f"add {_names(undeclared)} to its needs"


def _within(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def _names(protocols: set[type]) -> str:
    return ", ".join(sorted(protocol.__name__ for protocol in protocols))


def _overridden(plugin: type) -> Iterator[tuple[str, Any, Any, bool]]:
    """Yield name, function, specification and colour of each method that a kind or a hook defines."""
    for name, mine in inspect.getmembers(plugin, inspect.isfunction):
        if hasattr(mine, f"{PROJECT}_impl"):
            spec = getattr(hookspecs, name, None)
            assert spec is not None, f"there is no hook '{name}'"
            phase: Phase | None = spec.hookway_phase
            yield name, mine, spec, phase is not None and RULES[phase].asynchronous
        elif name != "__init__" and (spec := _of_the_sdk(plugin, name)) not in (None, mine):
            yield name, mine, spec, inspect.iscoroutinefunction(spec)


def _of_the_sdk(plugin: type, name: str) -> Any:
    """Return the method that a plugin inherits, or would inherit, from the SDK."""
    bases = (base for base in plugin.__mro__ if base.__module__.startswith("hookway_sdk."))
    return next((vars(base)[name] for base in bases if name in vars(base)), None)


def _parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]
