"""Make the steps of each phase from the kinds and hooks of loaded plugins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from hookway.chains import Step
from hookway.config.plugin_entries import PluginEntry
from hookway.live_exchange import LiveExchange
from hookway.manager import LoadedPlugin, PluginManager
from hookway.snapshot import CALLER_PHASES
from hookway_sdk import (
    AttemptEnded,
    Auth,
    AuthDenied,
    Cache,
    ConfigApplied,
    Exchange,
    Kind,
    Limit,
    OnError,
    Phase,
    PluginError,
    RequestEnded,
    Resilience,
    Sink,
)
from hookway_sdk.phases import RULES

EVENTS: tuple[type, ...] = (RequestEnded, AttemptEnded, AuthDenied, ConfigApplied)

SHARED_PHASES = tuple(phase for phase in Phase if phase not in CALLER_PHASES)


class StepMaker:
    """Makes steps with the priorities and policies that conf.d, the class or the phase give.

    Args:
        entries: conf.d entries by instance.
    """

    def __init__(self, entries: Mapping[str, PluginEntry]) -> None:
        self._entries = entries

    def priority(self, plugin: str, phase: Phase, declared: int) -> tuple[int, str]:
        """Return a plugin's priority in a phase, and where it came from."""
        entry = self._entries.get(plugin)
        said = entry.priority if entry is not None else None
        if isinstance(said, int):
            return said, f"conf.d plugins.{plugin}.priority"
        if said and phase in said:
            return said[phase], f"conf.d plugins.{plugin}.priority.{phase}"
        return declared, "declared"

    def policy(self, plugin: str, phase: Phase, declared: OnError | None) -> OnError:
        """Return what a failure of a plugin means in a phase."""
        entry = self._entries.get(plugin)
        if entry is not None and entry.on_error is not None:
            return entry.on_error
        return declared or RULES[phase].on_error

    def in_time(self, plugin: str, phase: Phase, call: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a call that ends in time, where conf.d sets one; a plain function cannot be interrupted."""
        entry = self._entries.get(plugin)
        seconds = entry.timeout if entry is not None else None
        if seconds is None or not RULES[phase].asynchronous:
            return call

        async def within(subject: Any) -> Any:
            async with asyncio.timeout(seconds):
                return await call(subject)

        return within

    def step(self, plugin: str, phase: Phase, kind: Kind, call: Callable[[Any], Any]) -> Step:
        """Return the step of a kind that has one instance."""
        priority, origin = self.priority(plugin, phase, kind.priority)
        call = self.in_time(plugin, phase, call)
        return Step(priority, 0, plugin, plugin, call, self.policy(plugin, phase, kind.on_error), origin)

    def kind_steps(self, plugin: str, kind: Kind) -> Iterable[tuple[Phase, Step]]:
        """Return the steps of a kind, by phase; only overridden methods become steps."""
        if isinstance(kind, Auth):
            call = authenticator(kind)
            step = self.step(plugin, Phase.AUTHENTICATE, kind, call)
            if overrides(kind, Auth, "authenticate_now") and step.call is call:
                step = msgspec.structs.replace(step, now=immediate_authenticator(kind))
            yield Phase.AUTHENTICATE, step
        elif isinstance(kind, Limit):
            yield from self.limit_steps(plugin, kind)
        elif isinstance(kind, Resilience):
            if overrides(kind, Resilience, "filter"):
                step = self.step(plugin, Phase.FILTER, kind, plan_filter(kind))
                yield Phase.FILTER, msgspec.structs.replace(step, groups_only=not kind.filters_direct)
            if overrides(kind, Resilience, "judge"):
                yield Phase.JUDGE, self.step(plugin, Phase.JUDGE, kind, attempt_judge(kind))
        elif isinstance(kind, Sink):
            yield Phase.RECORD, self.step(plugin, Phase.RECORD, kind, kind.record)

    def limit_steps(self, plugin: str, kind: Limit[Any]) -> Iterable[tuple[Phase, Step]]:
        """Return the steps of a limit; what conf.d gives a time box is always awaited."""
        if overrides(kind, Limit, "admit_request"):
            step = self.step(plugin, Phase.ADMIT_REQUEST, kind, kind.admit_request)
            if overrides(kind, Limit, "admit_request_now") and step.call == kind.admit_request:
                step = msgspec.structs.replace(step, now=kind.admit_request_now)
            yield Phase.ADMIT_REQUEST, step
        if overrides(kind, Limit, "admit_attempt"):
            step = self.step(plugin, Phase.ADMIT_ATTEMPT, kind, attempt_admission(kind))
            yield Phase.ADMIT_ATTEMPT, msgspec.structs.replace(step, groups_only=not kind.attempts_direct)

    def hook_steps(self, manager: PluginManager) -> Iterable[tuple[Phase, Step]]:
        """Return the steps of every hook implementation."""
        for phase in Phase:
            for impl in manager.implementations(phase.value):
                name = impl.plugin_name
                declared = getattr(impl.function, "hookway_priority", 500)
                priority, origin = self.priority(name, phase, declared)
                policy = self.policy(name, phase, None)
                call = self.in_time(name, phase, impl.function)
                yield phase, Step(priority, 0, name, name, call, policy, origin)


def overrides(kind: Kind, base: type[Kind], method: str) -> bool:
    """Say whether a kind's class has a method of its own."""
    return getattr(type(kind), method) is not getattr(base, method)


def authenticator(kind: Auth[Any]) -> Callable[[LiveExchange], Any]:
    """Return the step of an ``Auth`` kind; it alone is handed the credential."""

    def call(exchange: LiveExchange) -> Any:
        return kind.authenticate(exchange, exchange.credential)

    return call


def immediate_authenticator(kind: Auth[Any]) -> Callable[[LiveExchange], Any]:
    """Return the step of an ``Auth`` kind that never waits."""

    def call(exchange: LiveExchange) -> Any:
        return kind.authenticate_now(exchange, exchange.credential)

    return call


def attempt_admission(kind: Limit[Any]) -> Callable[[Exchange], Any]:
    """Return the step that admits an attempt."""

    def call(exchange: Exchange) -> Any:
        assert exchange.attempt is not None
        return kind.admit_attempt(exchange, exchange.attempt)

    return call


def plan_filter(kind: Resilience[Any]) -> Callable[[Exchange], Any]:
    """Return the step that filters a plan."""

    def call(exchange: Exchange) -> Any:
        return kind.filter(exchange, exchange.plan)

    return call


def attempt_judge(kind: Resilience[Any]) -> Callable[[Exchange], Any]:
    """Return the step that judges a failed attempt."""

    def call(exchange: Exchange) -> Any:
        assert exchange.attempt is not None
        return kind.judge(exchange, exchange.attempt)

    return call


def cache_steps(maker: StepMaker, plugin: str, cache: Cache[Any], order: int, name: str) -> dict[Phase, Step]:
    """Return the steps of one cache row."""

    async def store(exchange: Exchange) -> None:
        if exchange.reply is not None and exchange.reply.status == 200 and exchange.cache_status != "hit":
            await cache.store(exchange, exchange.reply)

    steps: dict[Phase, Step] = {}
    for phase, call in ((Phase.LOOKUP, cache.lookup), (Phase.STORE, store)):
        priority, origin = maker.priority(plugin, phase, cache.priority)
        policy = maker.policy(plugin, phase, cache.on_error)
        steps[phase] = Step(
            priority, order, f"{plugin}:{name}", plugin, maker.in_time(plugin, phase, call), policy, origin
        )
    return steps


def collect_steps(
    maker: StepMaker, plugins: Mapping[str, LoadedPlugin], manager: PluginManager
) -> dict[Phase, list[Step]]:
    """Return every step that is the same for all callers, by phase, not yet sorted."""
    steps: dict[Phase, list[Step]] = {phase: [] for phase in Phase}
    for name, loaded in plugins.items():
        for kind in loaded.entries:
            for phase, step in maker.kind_steps(name, kind):
                steps[phase].append(step)
    for phase, step in maker.hook_steps(manager):
        steps[phase].append(step)
    return steps


def record_chains(steps: Iterable[Step], plugins: Mapping[str, LoadedPlugin]) -> dict[type, tuple[Step, ...]]:
    """Return the ``record`` chain of each event type: sinks that want it, and every hook."""
    ordered = sorted(steps, key=lambda one: (one.priority, one.order, one.name))
    chains: dict[type, tuple[Step, ...]] = {}
    for event in EVENTS:
        chains[event] = tuple(step for step in ordered if wants(step, event, plugins))
    return chains


def wants(step: Step, event: type, plugins: Mapping[str, LoadedPlugin]) -> bool:
    """Say whether a step of ``record`` wants an event type."""
    for kind in plugins[step.plugin].entries if step.plugin in plugins else ():
        if isinstance(kind, Sink) and step.call == kind.record:
            return event in kind.events
    return True


def refuse_open_listener(plugins: Mapping[str, LoadedPlugin], host: str) -> None:
    """Refuse plugins that let anyone in while callers' listener is bound beyond this machine.

    Raises:
        PluginError: naming the plugin, the address and the ways out.
    """
    if host in ("127.0.0.1", "::1", "localhost"):
        return
    for name, loaded in plugins.items():
        for kind in loaded.entries:
            if isinstance(kind, Auth) and kind.loopback_only:
                raise PluginError(
                    name,
                    f"lets every caller in, and proxy.addr is {host}, which others can reach; bind a "
                    "loopback address, or use auth_keys",
                )
