"""Load plugins, check them, and register them with pluggy, which owns names, signatures and cold hooks."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import pluggy

from hookway.discovery import Installed
from hookway_sdk import (
    API,
    EntryKind,
    Kind,
    Phase,
    Plugin,
    PluginError,
    RowKind,
    Service,
    Services,
    Settings,
    StartError,
    hookspecs,
    nearest_name,
)
from hookway_sdk.markers import PROJECT
from hookway_sdk.phases import RULES


def load_class(installed: Installed) -> type[Plugin[Any]]:
    """Import what an entry point names and return it as a plugin class.

    Raises:
        PluginError: it cannot be imported, is neither kind nor plugin, or was written for another SDK.
    """
    try:
        loaded = installed.entry_point.load()
    except Exception as error:
        raise PluginError(
            installed.name,
            f"cannot be imported: {type(error).__name__}: {error}; reinstall "
            f"{installed.distribution}, or set enabled: false",
        ) from error
    if not isinstance(loaded, type) or not issubclass(loaded, (Kind, Plugin)):
        raise PluginError(
            installed.name,
            f"entry point {installed.entry_point.value} is neither a kind nor a Plugin class",
        )
    if loaded.api != API:
        raise PluginError(
            installed.name,
            f"{installed.distribution} {installed.version} was written for SDK interface {loaded.api} and "
            f"this gateway has {API}; install a version of it that fits",
        )
    if issubclass(loaded, Plugin):
        return loaded
    return wrap_kind(installed.name, loaded)


def wrap_kind(name: str, kind: type[Kind]) -> type[Plugin[Any]]:
    """Make a plugin class of a single kind."""
    settings: type[Settings] = getattr(kind, "Settings", Plugin.Settings)
    members = {
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "kinds": (kind,),
        "Settings": settings,
        "needs": kind.needs,
    }
    return type(f"{kind.__name__}Plugin", (Plugin,), members)


@contextlib.contextmanager
def blaming(plugin: str, complaint: str) -> Iterator[None]:
    """Turn whatever a plugin's code raises while it is prepared into a refusal that names it.

    Raises:
        PluginError: for anything that is no refusal already.
    """
    try:
        yield
    except StartError:
        raise
    except Exception as error:
        raise PluginError(plugin, f"{complaint}: {type(error).__name__}: {error}") from error


class LoadedPlugin:
    """A plugin instance and the kinds it brought.

    Attributes:
        name: conf.d key; ``provider_openai.eu`` for a second instance.
        installed: its package.
        plugin: the instance.
        leans_on: store and services it was made with.
        entries: its kinds with one instance each.
        row_kinds: its kinds that are made per row.
    """

    def __init__(
        self,
        name: str,
        installed: Installed,
        cls: type[Plugin[Any]],
        settings: Settings,
        services: Services,
        leans_on: object = None,
    ) -> None:
        self.name = name
        self.installed = installed
        self.settings = settings
        self.services = services
        self.leans_on = leans_on
        self.started = False
        self.plugin: Plugin[Any] = cls(name, settings, services)
        self.entries: list[EntryKind[Any]] = []
        self.row_kinds: list[type[RowKind[Any]]] = []
        for kind in self.plugin.kinds:
            refuse_hook_of_own_phase(name, kind)
            if issubclass(kind, EntryKind):
                self.entries.append(kind(name, settings, services))
            elif issubclass(kind, RowKind):
                self.row_kinds.append(kind)

    async def start(self) -> None:
        """Start the plugin, then its kinds; undo what was started when one fails."""
        await self.plugin.start()
        done: list[EntryKind[Any]] = []
        try:
            for kind in self.entries:
                await kind.start()
                done.append(kind)
        except BaseException:
            for kind in reversed(done):
                await kind.stop()
            await self.plugin.stop()
            raise
        self.started = True

    async def stop(self) -> None:
        """Stop the kinds, then the plugin; everything is stopped even if one fails."""
        self.started = False
        failures: list[Exception] = []
        for part in (*reversed(self.entries), self.plugin):
            try:
                await part.stop()
            except Exception as error:
                failures.append(error)
        if failures:
            raise PluginError(self.name, f"did not stop cleanly: {failures[0]}") from failures[0]


def refuse_hook_of_own_phase(name: str, kind: type[Kind]) -> None:
    """Refuse a kind class that carries hook implementations; hooks belong on a Plugin."""
    for attribute in vars(kind).values():
        if hasattr(attribute, "hookway_priority"):
            raise PluginError(name, f"kind {kind.__name__} implements a hook; put hooks on a Plugin class")


class PluginManager:
    """pluggy's manager with our specs; checks what pluggy does not."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)

    def register(self, name: str, plugin: Plugin[Any]) -> None:
        """Register a plugin's hooks.

        Raises:
            PluginError: an unknown hook, a wrong argument, a wrong colour, or pluggy's own ordering.
        """
        self._check_arguments(name, plugin)
        try:
            self._manager.register(plugin, name=name)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(name, f"cannot be registered: {error}") from error
        for caller in self._manager.get_hookcallers(plugin) or ():
            for impl in caller.get_hookimpls():
                if impl.plugin is plugin:
                    self._check(name, caller, impl)

    def check_pending(self) -> None:
        """Refuse implementations of hooks that do not exist.

        Raises:
            PluginError: a misspelt hook.
        """
        callers: dict[str, pluggy.HookCaller] = vars(self._manager.hook)
        known = [name for name, caller in callers.items() if caller.has_spec()]
        for name, caller in callers.items():
            for impl in () if caller.has_spec() else caller.get_hookimpls():
                near = nearest_name(name, known)
                hint = f"did you mean '{near}'?" if near else f"there are {', '.join(known)}"
                raise PluginError(impl.plugin_name, f"implements hook '{name}', which does not exist; {hint}")

    def implementations(self, hook: str) -> list[pluggy.HookImpl]:
        """Return the implementations of a hook."""
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return list(caller.get_hookimpls())

    def _check_arguments(self, name: str, plugin: Plugin[Any]) -> None:
        """Refuse implementations that do not take exactly what their hook hands over."""
        for caller in vars(self._manager.hook).values():
            own = getattr(plugin, caller.name, None)
            if own is not None and caller.has_spec() and hasattr(own, "hookway_impl"):
                given, wanted = tuple(inspect.signature(own).parameters), tuple(caller.spec.argnames)
                if given != wanted:
                    raise PluginError(
                        name,
                        f"hook {caller.name} takes exactly ({', '.join(wanted)}), not ({', '.join(given)})",
                    )

    def _check(self, name: str, caller: pluggy.HookCaller, impl: pluggy.HookImpl) -> None:
        if caller.spec is None:
            return
        if impl.tryfirst or impl.trylast or impl.wrapper or impl.hookwrapper:
            raise PluginError(
                name, f"hook {caller.name} uses pluggy's ordering; use hookimpl(priority=…) of hookway_sdk"
            )
        phase: Phase | None = getattr(caller.spec.function, "hookway_phase", None)
        if phase is None:
            return
        asynchronous = RULES[phase].asynchronous
        if inspect.iscoroutinefunction(impl.function) != asynchronous:
            wanted = "async def" if asynchronous else "def"
            raise PluginError(name, f"hook {caller.name} must be written as '{wanted}'")


def provided_services(plugins: Mapping[str, LoadedPlugin]) -> dict[type, object]:
    """Return what ``service_`` plugins provide, by protocol.

    Raises:
        PluginError: two enabled plugins provide one protocol.
    """
    provided: dict[type, object] = {}
    owners: dict[type, str] = {}
    for name, loaded in plugins.items():
        for kind in loaded.entries:
            if isinstance(kind, Service):
                if kind.provides in owners:
                    raise PluginError(
                        name,
                        f"provides {kind.provides.__name__}, as {owners[kind.provides]} does; enable one",
                    )
                owners[kind.provides] = name
                provided[kind.provides] = kind
    return provided
