"""A Runtime: the plugins that are on, their chains and endpoints, and the snapshot they serve."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from hookway.attempts import AttemptLoop
from hookway.chains import Chain, ChainRunner, Step, sorted_chain
from hookway.config.configuration import Configuration
from hookway.guardrails import GuardrailHost
from hookway.lifecycle import Lifecycle, Stage
from hookway.live_exchange import LiveExchange
from hookway.manager import LoadedPlugin, PluginManager, blaming
from hookway.models import ModelCompiler, UpstreamDefaults
from hookway.process import Process
from hookway.resources.acceptance import ResourceSet
from hookway.resources.collections import Collection
from hookway.routing_table import RoutingTable
from hookway.row_checks import check_strategies, providers_off, unusable_trust, vendors_off
from hookway.sending import Sender
from hookway.settlement import Settlement
from hookway.snapshot import RowStep, Snapshot, SnapshotCompiler, SnapshotParts
from hookway.steps import (
    SHARED_PHASES,
    StepMaker,
    cache_steps,
    collect_steps,
    overrides,
    record_chains,
)
from hookway.upstream import TlsSettings
from hookway.usage_estimates import UsageEstimator
from hookway_sdk import (
    Admin,
    AttemptEnded,
    Cache,
    Conductor,
    ConfigBroken,
    ConfigError,
    Dialect,
    Endpoint,
    Guardrail,
    OperatorRoute,
    Phase,
    PluginError,
    Problem,
    Provider,
    RemoteGuardrail,
    Resilience,
    Resource,
    RowKind,
    Service,
    Sink,
    Strategy,
    Tokens,
)

REMOTE_TIMEOUT = 5.0
"""Seconds a remote guardrail has, where neither it nor conf.d says."""

STORE_SECONDS = 30.0
"""How long caches may take to keep one answer."""

NO_LIMIT = 10 * 365 * 86400.0
"""Seconds that stand for "no limit" where a number is needed."""


class ServedEndpoint(msgspec.Struct, eq=False):
    """An endpoint, its compiled stages, and how many requests are on them."""

    endpoint: Endpoint
    stages: tuple[Stage, ...]
    plugin: str
    in_flight: int = 0


class RowInstances:
    """Kinds that are made per row; an instance is kept while its row is equal."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[Any, RowKind[Any]]] = {}

    def get(self, plugin: LoadedPlugin, kind: type[RowKind[Any]], resource: Resource) -> RowKind[Any]:
        """Return the instance of a row, made anew if the row is new or changed.

        Raises:
            ValueError: the row cannot be used.
        """
        key = (plugin.name, f"{resource.collection}/{resource.id}")
        kept = self._kept.get(key)
        if kept is not None and kept[0] == resource.row:
            kept[1].resource = resource
            return kept[1]
        own = kind.Row(**{name: getattr(resource.row, name) for name in kind.Row.__struct_fields__})
        made = kind(plugin.name, own, resource, plugin.services)
        self._kept[key] = (resource.row, made)
        return made


class Runtime:
    """Everything that one conf.d configuration made; its snapshot changes with resources.

    Attributes:
        process: what outlives it.
        configuration: what it was made from.
        plugins: loaded plugins by instance name.
        collections: the resource model.
        routes: endpoints by method and path.
        served: the same endpoints, as they were named.
        operator_routes: operators' routes by listener, method and path.
        snapshot: the resources that serve now.
        id_headers: headers from which a caller's request id is adopted.
        body_limit: bytes of a request's body.
        body_timeout: seconds between two pieces of it.
        lifecycle: runs exchanges.
    """

    snapshot: Snapshot

    def __init__(
        self,
        process: Process,
        configuration: Configuration,
        plugins: Mapping[str, LoadedPlugin],
        manager: PluginManager,
        collections: Mapping[str, Collection],
        off: Mapping[str, str],
        off_adapters: Mapping[str, str],
    ) -> None:
        self.process = process
        self.configuration = configuration
        self.settings = configuration.settings
        self.brand = process.brand
        self.plugins = plugins
        self.manager = manager
        self.collections = collections
        self.off = off
        self.off_adapters = off_adapters
        accepted = self.settings.proxy.request_id.accept_headers
        self.id_headers = (process.brand.request_id_header,) if accepted is None else accepted
        self.body_limit = self.settings.proxy.request_body_limit or sys.maxsize
        self.body_timeout = self.settings.proxy.body_timeout or NO_LIMIT
        self.rows = RowInstances()
        self._in_flight = 0
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self._storing: set[asyncio.Task[None]] = set()
        self.maker = StepMaker(self.settings.plugins)
        self.steps = collect_steps(self.maker, plugins, manager)
        self.runner = ChainRunner(process.note_failure)
        self.strategies: dict[str, Strategy[Any]] = self._by_name(Strategy, "strategy_")
        self.providers = self._providers()
        self.defaults = upstream_defaults(configuration)
        self.sender = self._sender()
        self.settlement = Settlement(
            self.runner,
            sorted_chain(self.steps[Phase.SETTLE]),
            record_chains(self.steps[Phase.RECORD], plugins),
            process.journal.append,
            process.clock,
            process.ticks.touch,
            process.note_failure,
            process.tell_trace,
        )
        self.lifecycle = self._lifecycle()
        self.nested_stages = self.lifecycle.nested_stages()
        self.routes: RoutingTable[ServedEndpoint] = RoutingTable()
        self.served: list[ServedEndpoint] = []
        self.operator_routes: dict[str, RoutingTable[OperatorRoute]] = {}

    def open(self) -> None:
        """Ask the started plugins for what they serve to callers and to operators.

        Raises:
            PluginError: two plugins serve one path.
        """
        for name, loaded in self.plugins.items():
            for kind in loaded.entries:
                if isinstance(kind, Dialect):
                    with blaming(name, "cannot name its endpoints"):
                        endpoints = kind.endpoints()
                    for endpoint in endpoints:
                        served = ServedEndpoint(endpoint, self.lifecycle.stages(endpoint), name)
                        self.routes.add(endpoint.method, endpoint.path, served, name)
                        self.served.append(served)
                elif isinstance(kind, Admin):
                    with blaming(name, "cannot name its routes"):
                        routes = kind.routes()
                    for route in routes:
                        table = self.operator_routes.setdefault(route.listener, RoutingTable())
                        table.add(route.method, route.path, route, name)

    # ── requests ────────────────────────────────────────────────────────────────────────────

    def entered(self) -> None:
        """Count a request in."""
        self._in_flight += 1
        if self._in_flight == 1:
            self._idle.clear()

    def left(self) -> None:
        """Count a request out."""
        self._in_flight -= 1
        if self._in_flight == 0:
            self._idle.set()

    @property
    def busy(self) -> bool:
        """Whether a request runs on it, or an answer is being kept."""
        return self._in_flight > 0 or bool(self._storing)

    async def drained(self) -> None:
        """Wait until no request runs on it, and every answer is kept."""
        while self.busy:
            await self._idle.wait()
            await asyncio.gather(*self._storing, return_exceptions=True)

    def abandon(self) -> None:
        """Keep no more answers: the process ends."""
        for task in self._storing:
            task.cancel()

    def after(self, exchange: LiveExchange, chain: Chain) -> None:
        """Let caches keep a good answer that has left, of endpoints that look into them only.

        Beside the connection: neither a slow cache nor a client that leaves keeps the other from going on.
        """
        endpoint = exchange.endpoint
        if exchange.error is not None or exchange.reply is None:
            return
        if endpoint.wire and Phase.STORE in endpoint.order:
            task = asyncio.get_running_loop().create_task(self._store(exchange, chain))
            self._storing.add(task)
            task.add_done_callback(self._storing.discard)

    async def _store(self, exchange: LiveExchange, chain: Chain) -> None:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self.runner.notify(Phase.STORE, chain, exchange)
        except TimeoutError as error:
            self.process.note_failure("core", Phase.STORE.value, error, exchange.id)

    # ── snapshots ───────────────────────────────────────────────────────────────────────────

    def make_snapshot(self, resources: ResourceSet, revision: int, strict: frozenset[str]) -> Snapshot:
        """Compile resources.

        Args:
            strict: sources of which one bad row refuses everything.

        Raises:
            ConfigError: rows that passed their schema and cannot be used.
        """
        check_strategies(resources, self.strategies)
        rejected = unusable_trust(resources, self.process.tls, self.defaults.tls)
        closed_for_all = [reason for (name, _), reason in resources.closed.items() if name == "guardrails"]
        conductors = self._conductors(resources, rejected)
        closed = (
            resources.closed
            | vendors_off(resources, self.settings.vendors)
            | providers_off(resources, self.providers, self.off_adapters)
        )
        parts = SnapshotParts(
            resources,
            ModelCompiler(
                resources.rows.get("models", ()),
                resources.rows.get("provider_keys", ()),
                self.providers,
                self.defaults,
                self.brand.header_prefix,
                closed,
            ),
            conductors,
            self.steps,
            self._row_steps(resources, rejected, closed_for_all),
            closed_for_all[0] if closed_for_all else "",
        )
        snapshot = Snapshot(revision, parts)
        compiler = SnapshotCompiler(snapshot, closed)
        for loaded in self.plugins.values():
            for kind in loaded.entries:
                with blaming(loaded.name, "cannot compile resources"):
                    kind.compile(compiler)
        for impl in self.manager.implementations("compile_resources"):
            with blaming(impl.plugin_name, "cannot compile resources"):
                impl.function(compiler)
        snapshot.rejected = [*rejected, *compiler.rejected]
        refuse_strict(snapshot.rejected, strict)
        return snapshot

    def _row_steps(
        self, resources: ResourceSet, rejected: list[tuple[Resource, str]], closed: list[str]
    ) -> Sequence[RowStep]:
        """Return the steps of guardrail and cache rows; a guardrail that cannot run closes everything."""
        steps: list[RowStep] = []
        for collection, field in (("guardrails", "kind"), ("cache_policies", "backend")):
            for resource in resources.rows.get(collection, ()):
                if not resource.row.enabled:
                    continue
                loaded, kind = self._row_kind(collection, getattr(resource.row, field))
                try:
                    made = self.rows.get(loaded, kind, resource)
                except ValueError as error:
                    rejected.append((resource, str(error)))
                    if collection == "guardrails":
                        closed.append(f"guardrail '{resource.name}' cannot run: {error}")
                    continue
                steps.append(self._steps_of_row(loaded.name, made))
        return steps

    def _steps_of_row(self, plugin: str, made: RowKind[Any]) -> RowStep:
        if isinstance(made, Cache):
            row = made.resource.row
            return RowStep(made, cache_steps(self.maker, plugin, made, row.order, row.name))
        assert isinstance(made, (Guardrail, RemoteGuardrail))
        entry = self.settings.plugins.get(plugin)
        said = entry.timeout if entry is not None else None
        on_error = entry.on_error if entry is not None else None
        own: float = getattr(made, "timeout", REMOTE_TIMEOUT)
        deadline = own if said is None else said
        priority, origin = self.maker.priority(plugin, Phase.INSPECT_REQUEST, made.priority)
        steps = GuardrailHost(made, deadline).steps(plugin, priority, origin, on_error)
        answer_priority, answer_origin = self.maker.priority(plugin, Phase.INSPECT_ANSWER, made.priority)
        if Phase.INSPECT_ANSWER in steps:
            steps[Phase.INSPECT_ANSWER] = msgspec.structs.replace(
                steps[Phase.INSPECT_ANSWER], priority=answer_priority, origin=answer_origin
            )
        return RowStep(made, steps)

    def _row_kind(self, collection: str, word: str) -> tuple[LoadedPlugin, type[RowKind[Any]]]:
        """Return the plugin and class that serve a kind of row."""
        prefix = "guardrail_" if collection == "guardrails" else "cache_"
        bases = (Guardrail, RemoteGuardrail) if collection == "guardrails" else (Cache,)
        for loaded in self.plugins.values():
            for kind in loaded.row_kinds:
                if issubclass(kind, bases) and loaded.name.removeprefix(prefix) == word:
                    return loaded, kind
        raise ConfigBroken(f"no plugin serves {collection} of kind '{word}'")

    def _conductors(
        self, resources: ResourceSet, rejected: list[tuple[Resource, str]]
    ) -> Mapping[str, Conductor[Any]]:
        """Return the conductors of models that have a plugin's shape."""
        found: dict[str, Conductor[Any]] = {}
        for loaded in self.plugins.values():
            for kind in loaded.row_kinds:
                if not issubclass(kind, Conductor):
                    continue
                for resource in resources.rows.get("models", ()):
                    fields = getattr(resource.row, kind.shape, None)
                    if fields is None:
                        continue
                    try:
                        found[resource.id] = kind(loaded.name, fields, resource, loaded.services)
                    except ValueError as error:
                        rejected.append((resource, str(error)))
        return found

    # ── making ──────────────────────────────────────────────────────────────────────────────

    def _by_name(self, base: type[Strategy[Any]], prefix: str) -> dict[str, Strategy[Any]]:
        found: dict[str, Strategy[Any]] = {}
        for name, loaded in self.plugins.items():
            for kind in loaded.entries:
                if isinstance(kind, base):
                    word = name.removeprefix(prefix)
                    if word in found:
                        raise PluginError(name, f"serves strategy '{word}', as {found[word].name} does")
                    found[word] = kind
        return found

    def _providers(self) -> dict[str, Provider[Any]]:
        """Return providers by the vendor and adapter words they serve.

        Raises:
            PluginError: two serve one word.
        """
        found: dict[str, Provider[Any]] = {}
        for name, loaded in self.plugins.items():
            suffix = name.partition(".")[2]
            for kind in loaded.entries:
                if not isinstance(kind, Provider):
                    continue
                for adapter in kind.adapters:
                    word = f"{adapter}.{suffix}" if suffix else adapter
                    if word in found:
                        raise PluginError(name, f"serves '{word}', as {found[word].name} does; disable one")
                    found[word] = kind
        return found

    def _sender(self) -> Sender:
        process = self.process
        return Sender(
            process.transport,
            process.wheel,
            process.clock,
            process.random,
            self.defaults,
            self.brand.request_id_header,
            self.settings.downstream.sse_keepalive_interval_secs,
        )

    def _lifecycle(self) -> Lifecycle:
        ended: list[tuple[str, Callable[..., None]]] = []
        for name, loaded in self.plugins.items():
            for kind in loaded.entries:
                if isinstance(kind, Resilience) and overrides(kind, Resilience, "ended"):
                    ended.append((name, kind.ended))
                elif isinstance(kind, Sink) and overrides(kind, Sink, "attempt_ended"):
                    ended.append((name, kind.attempt_ended))
        attempts = AttemptLoop(
            self.sender,
            self.runner,
            self.strategies,
            ended,
            self.settlement.emit if self.settlement.wants(AttemptEnded) else None,
            self.process.note_failure,
            UsageEstimator(self._tokens()),
        )
        shared = {phase: sorted_chain(self.steps[phase]) for phase in SHARED_PHASES}
        return Lifecycle(attempts, self.settlement, self.runner, shared)

    def _tokens(self) -> Tokens | None:
        """Return the tokenizer, if a plugin provides one."""
        for loaded in self.plugins.values():
            for kind in loaded.entries:
                if isinstance(kind, Service) and kind.provides is Tokens:
                    return cast("Tokens", kind)
        return None

    def chain_of(self, phase: Phase) -> tuple[Step, ...]:
        """Return a phase's steps that are the same for every caller, for ``hookway hooks``."""
        return sorted_chain(self.steps[phase])


def upstream_defaults(configuration: Configuration) -> UpstreamDefaults:
    """Return what the ``upstream`` section says about attempts; 0 is "none" there."""
    upstream = configuration.settings.upstream
    tls = upstream.tls
    return UpstreamDefaults(
        timeout=upstream.timeout_ms / 1000 or None,
        stream_timeout=upstream.stream_timeout_ms / 1000 or None,
        connect_timeout=upstream.connect_timeout_ms / 1000 or None,
        first_token_timeout=upstream.first_token_timeout_ms / 1000 or None,
        total_timeout=upstream.total_timeout_ms / 1000 or None,
        retries=upstream.retries,
        fallback_on_statuses=frozenset(upstream.fallback_on_statuses),
        tls=TlsSettings(
            ca_file=tls.ca_file,
            client_cert_file=tls.client_cert_file,
            client_key_file=tls.client_key_file,
            verify=tls.verify,
        ),
        answer_limit=upstream.answer_limit,
    )


def refuse_strict(rejected: Sequence[tuple[Resource, str]], strict: frozenset[str]) -> None:
    """Refuse a snapshot in which rows of strict sources cannot be used.

    Raises:
        ConfigError: with all of them.
    """
    problems = [
        Problem(key=f'{one.collection} "{one.name}"', message=reason, place=one.place)
        for one, reason in rejected
        if one.source in strict
    ]
    if problems:
        raise ConfigError(problems)
