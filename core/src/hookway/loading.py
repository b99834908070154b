"""Make a Runtime: load what conf.d switches on, reuse what did not change, start it, or undo everything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from hookway.config.configuration import Configuration
from hookway.config.plugin_entries import PluginEntry
from hookway.discovery import Installed, unknown_plugins
from hookway.manager import LoadedPlugin, PluginManager, blaming, load_class, provided_services
from hookway.process import Process
from hookway.resources.collections import ResourceRegistry
from hookway.runtime import Runtime
from hookway.services.log import PluginLog
from hookway.services.tasks import PluginTasks
from hookway.steps import refuse_open_listener
from hookway_sdk import (
    Caller,
    ConfigError,
    Place,
    Plugin,
    PluginError,
    Problem,
    Service,
    ServiceMissing,
    Services,
    Settings,
    StateUnavailable,
    Store,
)
from hookway_sdk.state import State
from hookway_sdk.walker import Path, as_problems, check

ACCESS_LOG = "sink_access_log"
"""The plugin that ``observability.access_log: false`` switches off, as other gateways have it."""

START_TIMEOUT = 30.0
"""Seconds an instance has to start."""


class NoState:
    """Stands in for state while no store is on: whoever needs state gets a refusal, not a free ride."""

    epoch = 0

    async def apply(self, ops: Any) -> Any:
        """Refuse."""
        raise StateUnavailable("no store plugin is enabled; enable store_memory")

    def post(self, ops: Any) -> None:
        """Refuse."""
        raise StateUnavailable("no store plugin is enabled; enable store_memory")

    async def flush(self) -> None:
        """There is nothing to wait for."""

    async def ping(self) -> None:
        """Refuse."""
        raise StateUnavailable("no store plugin is enabled; enable store_memory")

    def scope(self, name: str) -> State:
        """Return itself."""
        return self


class Ground(msgspec.Struct):
    """What instances stand on: another store, or another service they need, makes them anew.

    Args:
        state: shared state.
        store: whose state it is, ``None`` while no store is on.
        provided: services by protocol.
    """

    state: State
    store: Store[Any] | None = None
    provided: Mapping[type, object] = {}


class Draft(msgspec.Struct):
    """A plugin that is on, before it is made."""

    entry: PluginEntry
    installed: Installed
    cls: type[Plugin[Any]]
    settings: Settings

    @property
    def needs(self) -> set[type]:
        """Services that the plugin and its kinds cannot do without."""
        return {*self.cls.needs, *(one for kind in self.cls.kinds for one in kind.needs)}


class RuntimeLoader:
    """Makes Runtimes of one process.

    Args:
        process: what outlives them.
        installed: the installed plugins.
        calls: the nested-call service.
    """

    def __init__(self, process: Process, installed: Mapping[str, Installed], calls: Caller) -> None:
        self._process = process
        self.installed = installed
        self._calls = calls
        self._tasks: dict[int, PluginTasks] = {}
        self._candidate: tuple[Configuration, Runtime] | None = None

    async def load(self, configuration: Configuration, previous: Runtime | None = None) -> Runtime:
        """Make and start a Runtime; a failure stops what was started and leaves the previous one alone.

        Asked twice for one configuration (by both roles of a process), it answers with one Runtime.

        Raises:
            StartError: a plugin is unknown, cannot be loaded, configured or started.
        """
        if self._candidate is not None and self._candidate[0] is configuration:
            return self._candidate[1]
        runtime = await self._load(configuration, previous)
        self._candidate = (configuration, runtime)
        return runtime

    async def forget(self, configuration: Configuration, current: Runtime | None) -> None:
        """Stop what only a refused configuration uses; harmless when it is in use or was forgotten."""
        if self._candidate is None or self._candidate[0] is not configuration:
            return
        runtime = self._candidate[1]
        self._candidate = None
        if runtime is not current:
            kept = {id(one) for one in current.plugins.values()} if current is not None else set()
            await self.stop(one for one in runtime.plugins.values() if id(one) not in kept)

    async def _load(self, configuration: Configuration, previous: Runtime | None) -> Runtime:
        silent = not configuration.settings.observability.access_log
        entries = {
            name: entry
            for name, entry in configuration.settings.plugins.items()
            if not (silent and entry.plugin == ACCESS_LOG)
        }
        if problems := entry_problems(self.installed, entries, configuration.places):
            raise ConfigError(problems)
        drafts = self._drafts(entries, configuration)
        started: list[LoadedPlugin] = []
        try:
            plugins = await self._instances(drafts, previous, started)
            runtime = self._assemble(configuration, plugins)
            refuse_open_listener(plugins, configuration.settings.proxy.addr.host)
            runtime.open()
        except BaseException:
            await self.stop(reversed(started))
            raise
        return runtime

    async def stop(self, plugins: Iterable[LoadedPlugin]) -> None:
        """Stop instances and their tasks; failures are logged, since nothing depends on them any more."""
        for loaded in plugins:
            try:
                await asyncio.wait_for(loaded.stop(), START_TIMEOUT)
            except Exception as error:
                self._process.log.error("plugin_did_not_stop", plugin=loaded.name, error=str(error))
            tasks = self._tasks.pop(id(loaded), None)
            if tasks is not None:
                await tasks.stop()

    # ── inside ──────────────────────────────────────────────────────────────────────────────

    def _drafts(self, entries: Mapping[str, PluginEntry], configuration: Configuration) -> dict[str, Draft]:
        """Import the plugins that are on and read their settings.

        Raises:
            PluginError: one cannot be imported.
        """
        drafts: dict[str, Draft] = {}
        for name, entry in entries.items():
            installed = self.installed.get(entry.plugin)
            if installed is not None and entry.enabled:
                cls = load_class(installed)
                drafts[name] = Draft(
                    entry, installed, cls, configuration.plugin_settings(entry, cls.Settings)
                )
        return drafts

    async def _instances(
        self, drafts: Mapping[str, Draft], previous: Runtime | None, started: list[LoadedPlugin]
    ) -> dict[str, LoadedPlugin]:
        """Make and start instances: the store first, then services, then everyone else."""
        plugins: dict[str, LoadedPlugin] = {}
        ground = Ground(NoState())
        for rank in (Store, Service, None):
            for name, draft in drafts.items():
                if name in plugins or not brings(draft, rank):
                    continue
                if rank is None:
                    self._check_needs(name, draft, ground.provided)
                plugins[name] = await self._instance(name, draft, previous, ground, started)
            if rank is Store and (store := self._store(plugins)) is not None:
                ground = Ground(store.state(), store)
            if rank is Service:
                ground.provided = provided_services(plugins)
        return {name: plugins[name] for name in drafts}

    async def _instance(
        self,
        name: str,
        draft: Draft,
        previous: Runtime | None,
        ground: Ground,
        started: list[LoadedPlugin],
    ) -> LoadedPlugin:
        """Reuse the previous instance while nothing about it changed; else make one and start it."""
        old = previous.plugins.get(name) if previous is not None else None
        leans_on = (ground.store, {need: ground.provided.get(need) for need in draft.needs})
        if (
            old is not None
            and old.settings == draft.settings
            and same_package(old.installed, draft.installed)
            and old.leans_on == leans_on
        ):
            return old
        services, tasks = self._services(name, ground)
        box = asyncio.timeout(START_TIMEOUT)
        try:
            with blaming(name, "did not start"):
                loaded = LoadedPlugin(name, draft.installed, draft.cls, draft.settings, services, leans_on)
                async with box:
                    await loaded.start()
        except BaseException as error:
            await tasks.stop()
            if box.expired():
                raise PluginError(name, f"did not start within {START_TIMEOUT:g} s") from error
            raise
        self._tasks[id(loaded)] = tasks
        started.append(loaded)
        return loaded

    def _services(self, name: str, ground: Ground) -> tuple[Services, PluginTasks]:
        process = self._process
        log = PluginLog(process.operator_log, name)

        def failed(task: str, error: Exception) -> None:
            process.failures.add(1.0, name, "task")

        tasks = PluginTasks(process.ticks, log, failed)
        services = Services(
            name,
            http=process.http,
            call=self._calls,
            state=ground.state.scope(name),
            tasks=tasks,
            metrics=process.metrics,
            log=log,
            documents=process.documents,
            secrets=process.secrets,
            clock=process.clock,
            random=process.random,
            state_dir=lambda: process.plugin_directory(name),
            brand=process.brand,
            status=process.status,
            emit=process.emit,
            provided=ground.provided,
        )
        return services, tasks

    def _store(self, plugins: Mapping[str, LoadedPlugin]) -> Store[Any] | None:
        """Return the one store that is on.

        Raises:
            PluginError: two stores are on.
        """
        stores = [
            (name, kind)
            for name, loaded in plugins.items()
            for kind in loaded.entries
            if isinstance(kind, Store)
        ]
        if len(stores) > 1:
            names = " and ".join(name for name, _ in stores)
            raise PluginError(stores[1][0], f"{names} are both enabled; state lives in exactly one store")
        return stores[0][1] if stores else None

    def _check_needs(self, name: str, draft: Draft, provided: Mapping[type, object]) -> None:
        """Refuse a plugin whose services nobody provides.

        Raises:
            ServiceMissing: naming the service and the package to install.
        """
        for need in draft.needs:
            if need not in provided:
                word = need.__name__.lower()
                raise ServiceMissing(
                    name,
                    f"needs the service {need.__name__}, which no enabled plugin provides; enable or install "
                    f"one (pip install hookway-service-{word})",
                )

    def _assemble(self, configuration: Configuration, plugins: Mapping[str, LoadedPlugin]) -> Runtime:
        manager = PluginManager()
        for name in reversed(list(plugins)):
            manager.register(name, plugins[name].plugin)
        manager.check_pending()
        registry = ResourceRegistry()
        registered: set[str] = set()
        for impl in manager.implementations("register_resources"):
            registry.plugin = impl.plugin_name.partition(".")[0]
            if registry.plugin not in registered:
                registered.add(registry.plugin)
                with blaming(impl.plugin_name, "cannot register resources"):
                    impl.function(registry)
        off = self._off(configuration, registered)
        for name in off:
            manifest = self.installed[name].manifest
            if manifest is not None:
                registry.plugin_is_off(manifest)
        adapters = self._off_adapters(configuration, off)
        return Runtime(self._process, configuration, plugins, manager, registry.compose(), off, adapters)

    def _off_adapters(self, configuration: Configuration, off: Mapping[str, str]) -> dict[str, str]:
        """Return the wire families of providers that are off, unless the operator wants them ignored."""
        entries = configuration.settings.plugins
        found: dict[str, str] = {}
        for name in off:
            manifest = self.installed[name].manifest
            ignored = name in entries and entries[name].dormant == "ignore"
            if manifest is not None and not ignored:
                found |= dict.fromkeys(manifest.adapters, name)
        return found

    def _off(self, configuration: Configuration, on: set[str]) -> dict[str, str]:
        """Return the installed plugins that are off, and why."""
        entries = configuration.settings.plugins
        off: dict[str, str] = {}
        for name in self.installed:
            if name not in on:
                off[name] = "enabled: false" if name in entries else "not in conf.d"
        return off


def entry_problems(
    installed: Mapping[str, Installed], entries: Mapping[str, PluginEntry], places: Mapping[Path, Place]
) -> list[Problem]:
    """Return what is wrong with plugins' entries: unknown names, and settings of those that are on."""
    problems = unknown_plugins(entries, installed, places)
    for entry in entries.values():
        if entry.enabled and entry.plugin in installed:
            try:
                settings = load_class(installed[entry.plugin]).Settings
            except PluginError:
                continue  # told by itself, once the rest is right
            problems += as_problems(check(entry.settings, settings, path=entry.path), places)
    return problems


def brings(draft: Draft, rank: type | None) -> bool:
    """Say whether a plugin brings a kind of a rank; the last rank takes everyone."""
    return rank is None or any(issubclass(kind, rank) for kind in draft.cls.kinds)


def same_package(left: Installed, right: Installed) -> bool:
    """Say whether two discoveries found the same code."""
    return (left.version, left.entry_point.value) == (right.version, right.entry_point.value)
