"""Models as a request needs them: what a name stands for, where it may go, and how long it may take."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from hookway.overrides import HeaderOverride, body_override
from hookway.resources.core_fields import KeyTls
from hookway.upstream.request import RequestHead, compile_head
from hookway.upstream.timeouts import Timeouts
from hookway.upstream.tls import TlsSettings
from hookway_sdk import (
    Candidate,
    Conductor,
    ConfigBroken,
    Deployment,
    Envelope,
    InvalidUpstreamConfig,
    ModelView,
    Provider,
    ProviderKey,
    ProviderUnavailable,
    Resource,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class UpstreamDefaults(msgspec.Struct, frozen=True):
    """Deployment-wide answers to what a model or group does not say.

    Args:
        timeout: seconds for a whole attempt, ``None`` for no deadline.
        stream_timeout: seconds for a stream's head and each gap, ``None`` to use ``timeout``.
        connect_timeout: seconds to connect, ``None`` for no deadline.
        retries: further tries at the same target while no other is left.
        tls: trust towards all upstreams.
        answer_limit: bytes of a buffered answer that are read at most.
        first_token_timeout: seconds for a stream's first event, ``None`` for no deadline of its own.
        total_timeout: seconds for a whole exchange, all its attempts together, ``None`` for no deadline.
        fallback_on_statuses: upstream statuses after which another target is tried.
    """

    timeout: float | None
    stream_timeout: float | None
    connect_timeout: float | None
    retries: int
    tls: TlsSettings
    answer_limit: int
    first_token_timeout: float | None = None
    total_timeout: float | None = None
    fallback_on_statuses: frozenset[int] = frozenset()


class Road(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One way from a client's wire to a deployment, compiled.

    Args:
        relay: client and upstream speak one wire.
        wire: the upstream's wire.
        head: request line and fixed headers; ``None`` for a provider without network.
        timeouts: deadlines of an attempt.
        explicit_timeout: the model or group set the deadline (then a timeout may be tried again).
        first_token: seconds for a stream's first event, ``None`` for no deadline of its own.
    """

    relay: bool
    wire: str
    head: RequestHead | None
    timeouts: Timeouts
    explicit_timeout: bool
    first_token: float | None


class Route(Candidate):
    """A candidate with everything the core compiled for it.

    Attributes:
        provider: the plugin that speaks its wire; ``None`` where none is installed.
        body_change: the provider key's changes to a body's top level.
        header_change: the provider key's headers.
        retries: further tries here, ``None`` where neither model nor group says.
        networks: from where it may be called, ``None`` for anywhere.
        options: what it takes from its model, its groups and the deployment-wide defaults.
    """

    __slots__ = (
        "_roads",
        "body_change",
        "closed",
        "header_change",
        "networks",
        "options",
        "provider",
        "retries",
    )

    def __init__(
        self, deployment: Deployment, provider: Provider[Any] | None, options: RouteOptions, **place: Any
    ) -> None:
        super().__init__(deployment, **place)
        self.provider = provider
        self.closed = options.closed
        overrides = deployment.key.row.request
        self.body_change: Callable[[Envelope], None] | None = body_override(overrides)
        change = HeaderOverride(overrides, options.header_prefix)
        self.header_change = change if change else None
        self.retries = options.retries
        self.networks = options.networks
        self.options = options
        self._roads: dict[tuple[str, bool], Road] = {}

    def road(self, wire: str, stream: bool) -> Road:
        """Return the way for a client's wire, compiled on first use and kept with the snapshot.

        Raises:
            GatewayError: this candidate cannot serve; the message says what to change.
        """
        found = self._roads.get((wire, stream))
        if found is None:
            found = self._roads[wire, stream] = self._compile(wire, stream)
        return found

    def _compile(self, wire: str, stream: bool) -> Road:
        if self.closed:
            raise ConfigBroken(self.closed)
        provider, deployment = self.provider, self.deployment
        if provider is None:
            word = deployment.key.provider or deployment.key.adapter or deployment.provider
            raise ProviderUnavailable(
                f"no provider plugin serves '{word}'; install and enable one, or set the key's adapter"
            )
        upstream_wire = wire if wire in provider.wires else provider.wires[0]
        head = None
        if not provider.local:
            target = provider.target(deployment, upstream_wire, stream)
            tls = key_tls(deployment.key.row.tls, self.options.defaults.tls)
            head = compile_head(target.method, target.url, target.headers, tls=tls)
        options = self.options
        return Road(
            upstream_wire == wire,
            upstream_wire,
            head,
            options.stream_timeouts if stream else options.timeouts,
            options.explicit_timeout,
            options.first_token,
        )


class RouteOptions(msgspec.Struct, frozen=True):
    """What a candidate takes from its model row, its group's row and the deployment-wide defaults."""

    timeouts: Timeouts
    stream_timeouts: Timeouts
    explicit_timeout: bool
    first_token: float | None
    retries: int | None
    defaults: UpstreamDefaults
    header_prefix: str
    closed: str = ""
    networks: tuple[Network, ...] | None = None


class CompiledModel(msgspec.Struct, frozen=True, eq=False):
    """What a model name stands for.

    Args:
        view: what plugins see of it.
        routes: candidates in row order, tiers together: higher priority first.
        networks: from where it may be called, ``None`` for anywhere.
        conductor: answers in place of the attempt loop.
        max_fallbacks: how many further candidates are tried, ``None`` for all.
        retry_on_429: an upstream 429 may be tried again.
        fallback_on_statuses: further statuses after which the next candidate is tried.
        closed: why it cannot serve.
        selective: some of its routes are not for every request (tags, networks).
        total_timeout: seconds for an exchange, all its attempts together, ``None`` for no deadline.
    """

    view: ModelView
    routes: tuple[Route, ...]
    networks: tuple[Network, ...] | None = None
    conductor: Conductor[Any] | None = None
    max_fallbacks: int | None = None
    retry_on_429: bool = False
    fallback_on_statuses: frozenset[int] = frozenset()
    closed: str = ""
    selective: bool = False
    total_timeout: float | None = None

    def reachable_from(self, address: str) -> bool:
        """Say whether a client at an address may call it; an unreadable address may not."""
        return self.networks is None or within(self.networks, address)


def within(networks: Sequence[Network], address: str) -> bool:
    """Say whether an address lies in one of the networks."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def read_networks(texts: Sequence[str]) -> tuple[Network, ...] | None:
    """Read a row's networks; empty is anywhere.

    Raises:
        ValueError: a text is no network in CIDR notation.
    """
    if not texts:
        return None
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def key_tls(own: KeyTls, defaults: TlsSettings) -> TlsSettings:
    """Return the trust for an account: the deployment's, with the row's own on top."""
    if own.ca_cert is None and own.verify:
        return defaults
    return msgspec.structs.replace(
        defaults, ca_pem=own.ca_cert or defaults.ca_pem, verify=own.verify and defaults.verify
    )


def find_provider(
    providers: Mapping[str, Provider[Any]], vendor: str, key: ProviderKey
) -> Provider[Any] | None:
    """Return the plugin for an account: by the key's vendor, then the model's, then the key's adapter."""
    for word in (key.provider, vendor, key.adapter):
        if word and word in providers:
            return providers[word]
    return None


def route_options(
    row: Any, groups: Sequence[Any], defaults: UpstreamDefaults, header_prefix: str, closed: str
) -> RouteOptions:
    """Resolve deadlines and retries: the model's, then its groups' from the inside, then the deployment's.

    An explicit 0 at model or group means "no deadline" and ends the search; a stream's 0 defers.
    """
    levels = (row, *groups)
    own = next((one.timeout for one in levels if one.timeout is not None), None)
    request = defaults.timeout if own is None else (own / 1000 or None)
    stream_own = next((one.stream_timeout for one in levels if one.stream_timeout), None)
    if stream_own is not None:
        gap: float | None = stream_own / 1000
    elif own is not None:
        gap = request
    else:
        gap = defaults.stream_timeout if defaults.stream_timeout is not None else defaults.timeout
    said = (row.retries, *(one.routing.retries for one in groups))
    retries = next((one for one in said if one is not None), None)
    connect = first_said("connect_timeout", levels, defaults.connect_timeout)
    first = first_said("first_token_timeout", levels, defaults.first_token_timeout)
    first_own = any(one.first_token_timeout for one in levels)
    head = gap if first is None or (gap is not None and gap < first) else first
    return RouteOptions(
        Timeouts(connect=connect, total=request),
        Timeouts(connect=connect, head=head, chunk=gap),
        own is not None or stream_own is not None or first_own,
        first,
        retries,
        defaults,
        header_prefix,
        closed,
        read_networks(row.allowed_cidrs),
    )


def first_said(field: str, levels: Sequence[Any], default: float | None) -> float | None:
    """Return the innermost level's milliseconds in seconds (``None`` for its 0), or the default."""
    for level in levels:
        milliseconds: int | None = getattr(level, field)
        if milliseconds is not None:
            return milliseconds / 1000 or None
    return default


class ModelCompiler:
    """Compiles the ``models`` and ``provider_keys`` of one set of resources."""

    def __init__(
        self,
        models: Sequence[Resource],
        keys: Sequence[Resource],
        providers: Mapping[str, Provider[Any]],
        defaults: UpstreamDefaults,
        header_prefix: str,
        closed: Mapping[tuple[str, str], str],
    ) -> None:
        self._rows = {one.name: one for one in models}
        self._wildcards = sorted(
            (one for one in models if "*" in one.name), key=lambda one: len(one.name), reverse=True
        )
        self._keys = {one.id: provider_key(one) for one in keys}
        self._providers = providers
        self._defaults = defaults
        self._header_prefix = header_prefix
        self._closed = closed

    def compile(self, name: str, conductors: Mapping[str, Conductor[Any]]) -> CompiledModel | None:
        """Compile what a requested name stands for; ``None`` if nothing."""
        row, captured = self._lookup(name)
        if row is None:
            return None
        closed = self._closed.get(("models", row.id), "")
        routing = row.row.routing
        conductor = conductors.get(row.id)
        shape = "routing" if routing else (conductor.shape if conductor else "direct")
        view = ModelView(row.id, row.name, name, shape, routing.strategy if routing else "", row.row)
        networks = read_networks(row.row.allowed_cidrs)
        total = first_said("total_timeout", (row.row,), self._defaults.total_timeout)
        if conductor is not None or (closed and routing is None):
            return CompiledModel(view, (), networks, conductor, closed=closed)
        if routing is None:
            route = self._route(row, captured, (), {})
            return CompiledModel(view, (route,), networks, closed=closed, total_timeout=total)
        routes = tuple(self._routes(row))
        return CompiledModel(
            view,
            routes,
            networks,
            None,
            routing.max_fallbacks,
            routing.retry_on_429,
            frozenset(routing.fallback_on_statuses),
            closed,
            any(route.tags or route.networks is not None for route in routes),
            total,
        )

    def _lookup(self, name: str) -> tuple[Resource | None, str]:
        """Find a row by its name, or the wildcard with the longest literal part, and what its star took.

        A star stands for at least one character: nothing would be left to name the model upstream.
        """
        if "*" in name:
            return None, ""  # a pattern is no model
        row = self._rows.get(name)
        if row is not None:
            return row, ""
        for wildcard in self._wildcards:
            head, _, tail = wildcard.name.partition("*")
            if len(name) > len(head + tail) and name.startswith(head) and name.endswith(tail):
                return wildcard, name[len(head) : len(name) - len(tail)]
        return None, ""

    def _routes(self, group: Resource, outer: tuple[Resource, ...] = ()) -> list[Route]:
        """Return a group's candidates, groups within it written out, higher priorities first."""
        groups = (group, *outer)
        routes: list[Route] = []
        closed = ""
        for target in group.row.routing.targets:
            place = {"weight": max(1, target.weight), "priority": target.priority, "tags": tuple(target.tags)}
            row, captured = self._lookup(target.model)
            if row is None:
                raise InvalidUpstreamConfig(f'routing target "{target.model}" does not resolve to a model')
            if row in groups:
                raise InvalidUpstreamConfig(f'model group "{row.name}" contains itself')
            if row.row.routing is not None:
                inside = self._routes(row, groups)
                routes += [Route(one.deployment, one.provider, one.options, **place) for one in inside]
            elif row.row.provider is not None:
                routes.append(self._route(row, captured, groups, place))
            elif (closed := self._closed.get(("models", row.id), "")) == "":
                raise InvalidUpstreamConfig(f'routing target "{row.name}" is no deployment and no group')
        if not routes:
            raise ConfigBroken(closed)
        for position, route in enumerate(routes):
            route.position = position
        return sorted(routes, key=lambda one: -one.priority)

    def _route(
        self, row: Resource, captured: str, groups: tuple[Resource, ...], place: Mapping[str, Any]
    ) -> Route:
        key = self._keys.get(row.row.provider_key_id)
        if key is None:
            raise InvalidUpstreamConfig(
                f'model "{row.name}" references unknown provider_key_id "{row.row.provider_key_id}"'
            )
        template = row.row.model_name or captured
        upstream_model = template.replace("*", captured, 1) if captured else template
        deployment = Deployment(row.id, row.name, upstream_model, row.row.provider, key, row.row)
        closed = self._closed.get(("models", row.id), "") or self._closed.get(("provider_keys", key.id), "")
        levels = [one.row for one in groups]
        options = route_options(row.row, levels, self._defaults, self._header_prefix, closed)
        provider = find_provider(self._providers, row.row.provider, key)
        return Route(deployment, provider, options, **place)


def provider_key(resource: Resource) -> ProviderKey:
    """Return what providers see of an account."""
    row = resource.row
    return ProviderKey(
        resource.id, resource.name, row.provider, row.adapter or "", row.api_base or "", row.api_key, row
    )
