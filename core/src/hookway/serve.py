"""The serving role: listeners, the Runtime that serves, and the end of both."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path

from hookway.config.addresses import Address
from hookway.config.restart_only import waiting_for_restart
from hookway.config.settings import AdminSettings, ListenerTls, PrometheusSettings, ProxySettings
from hookway.health import Health
from hookway.link import Update
from hookway.loading import RuntimeLoader
from hookway.process import Process
from hookway.runtime import Runtime
from hookway.server.answers import HeadWriter
from hookway.server.client_context import RealAddress, new_request_id
from hookway.server.fallback_errors import fallback_body
from hookway.server.operators import OperatorListener
from hookway.server.protocol import NO_LIMIT, ConnectionSettings, GatewayServer
from hookway.server.reception import Reception
from hookway.snapshot import Snapshot
from hookway_sdk import ConfigApplied, StartError

READ_BUFFER = 256 * 1024
"""Bytes of a request body that are buffered before the client has to wait."""

POLL = 0.05
"""Seconds between looks at the number of requests in flight while draining."""


DEFAULTS = (AdminSettings().addr, PrometheusSettings().addr)
"""Where operators' listeners are bound while nobody says otherwise."""


class DefaultTaken(StartError):
    """A default address of operators cannot be bound."""


class ServeRole:
    """One serving worker.

    Attributes:
        runtime: what serves requests that begin now.
        in_flight: requests whose answer is not complete.
        draining: answers close their connections.
        health: what probes report.
    """

    runtime: Runtime

    def __init__(self, process: Process, loader: RuntimeLoader) -> None:
        self.process = process
        self.wheel = process.wheel
        self.ticks = process.ticks
        self.clock = process.clock
        self.health = Health()
        self.in_flight = 0
        self._loader = loader
        self._prepared: dict[int, tuple[Runtime, Snapshot]] = {}
        self._servers: list[asyncio.Server] = []
        self._gateway: GatewayServer | None = None
        self._operators: dict[str, OperatorListener] = {}
        self.operator_addresses: dict[str, Address] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._old: set[Runtime] = set()
        self._started = False
        self._in_flight_gauge = process.metrics.gauge(
            "proxy_in_flight_requests",
            "Requests whose answer is not complete.",
            ("endpoint", "inbound_protocol"),
        )
        process.metrics.before_reading(self._count_in_flight)

    @property
    def current(self) -> Runtime | None:
        """What serves now, ``None`` before the first configuration."""
        return self.runtime if self._started else None

    @property
    def draining(self) -> bool:
        """Whether the process is ending."""
        return self.health.draining

    # ── configuration ───────────────────────────────────────────────────────────────────────

    async def prepare(self, update: Update) -> None:
        """Make what an update needs (see :class:`hookway.link.Worker`)."""
        current = self.current
        if update.configuration is not None:
            runtime = await self._loader.load(update.configuration, current)
        elif current is not None:
            runtime = current
        else:
            raise StartError("the first update has to bring a configuration")
        snapshot = runtime.make_snapshot(update.resources, update.revision, update.strict)
        self._prepared[update.revision] = (runtime, snapshot)

    def commit(self, revision: int) -> None:
        """Use what was prepared."""
        runtime, snapshot = self._prepared.pop(revision)
        runtime.snapshot = snapshot
        previous = self.current
        fresh = runtime is not previous
        self.runtime = runtime
        self._started = True
        self.health.configured = True
        self.process.listener = runtime.settlement.emit
        if fresh and previous is not None:
            self._settle_settings(previous, runtime)
            task = asyncio.get_running_loop().create_task(self._retire(previous))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        self.process.emit(
            ConfigApplied(
                at=self.clock.now(),
                kind="runtime" if fresh else "snapshot",
                revision=revision,
                ok=True,
                counts=snapshot.resources.counts(),
            )
        )

    def _settle_settings(self, old: Runtime, new: Runtime) -> None:
        """Apply what can change while it runs, and say what waits for the next start."""
        self.process.operator_log.set_level(new.settings.observability.log_level)
        waiting = waiting_for_restart(old.settings, new.settings)
        if waiting:
            self.process.log.warning("settings take effect at the next start", keys=waiting)

    async def discard(self, revision: int) -> None:
        """Forget what was prepared."""
        runtime, _ = self._prepared.pop(revision)
        await self._loader.forget(runtime.configuration, self.current)

    async def _retire(self, old: Runtime) -> None:
        """Serve what is new to operators, and stop what only an old Runtime used after its last request."""
        try:
            await self._listen_for_operators()
        except StartError as error:
            self.process.log.error("operators_not_served", error=str(error))
        self._old.add(old)
        await old.drained()
        self._old.discard(old)
        kept = {id(one) for one in self.runtime.plugins.values()}
        await self._loader.stop(one for one in old.plugins.values() if id(one) not in kept)

    def _count_in_flight(self) -> None:
        """Bring the gauge up to date: old Runtimes may still serve what began on them."""
        counts: dict[tuple[str, ...], int] = {}
        for runtime in (self.runtime, *self._old) if self._started else ():
            for one in runtime.served:
                at: tuple[str, ...] = (one.endpoint.path, one.endpoint.protocol)
                counts[at] = counts.get(at, 0) + one.in_flight
        for labels in {*counts, *self._in_flight_gauge.values}:
            self._in_flight_gauge.set(counts.get(labels, 0), *labels)

    # ── listeners ───────────────────────────────────────────────────────────────────────────

    async def listen(self) -> Address:
        """Bind the callers' listener and those of operators that anyone serves.

        Returns:
            The address that callers reach.

        Raises:
            StartError: an address cannot be bound, or a certificate cannot be read.
        """
        settings = self.runtime.settings
        proxy = settings.proxy
        brand = self.process.brand
        heads = HeadWriter(brand.server, brand.request_id_header, self.process.note_failure)
        real_ip = proxy.real_ip
        real_address = RealAddress(
            [one.network for one in real_ip.trusted_proxies], str(real_ip.header), real_ip.recursive
        )
        reception = Reception(self, heads, real_address)
        connections = ConnectionSettings(
            reception.handle,
            heads,
            fallback_body,
            new_request_id,
            self.wheel,
            proxy.head_timeout,
            lambda error: self.process.note_failure("core", "reception", error, ""),
        )
        self._gateway = GatewayServer(connections, **server_options(self.runtime, proxy))
        address = await self._bind(self._gateway, proxy.addr, proxy.tls)
        try:
            await self._listen_for_operators()
        except DefaultTaken as error:
            # A second gateway on one machine serves its callers, too.
            self.process.log.warning("operators_not_served", error=str(error))
        return address

    async def _listen_for_operators(self) -> None:
        settings = self.runtime.settings
        admin, metrics = settings.admin, settings.observability.metrics.prometheus
        for name, enabled, addr, tls in (
            ("admin", admin.enabled, admin.addr, admin.tls),
            ("metrics", metrics.enabled, metrics.addr, None),
        ):
            if enabled and name in self.runtime.operator_routes and name not in self._operators:
                listener = self._operators[name] = OperatorListener(name, lambda: self.runtime, self.health)
                try:
                    self.operator_addresses[name] = await self._bind(listener.server(), addr, tls)
                except StartError as error:
                    del self._operators[name]  # the next reload tries again
                    if addr in DEFAULTS:
                        raise DefaultTaken(
                            f"{error}; nobody chose this address, so callers are served"
                        ) from error
                    raise

    async def _bind(
        self, factory: Callable[[], asyncio.BaseProtocol], addr: Address, tls: ListenerTls | None
    ) -> Address:
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                factory, addr.host, addr.port, ssl=server_context(tls) if tls else None, backlog=1024
            )
        except OSError as error:
            raise StartError(
                f"cannot listen on {addr.host}:{addr.port}: {error.strerror or error}; is another gateway "
                "running, or is the address not this machine's?"
            ) from error
        self._servers.append(server)
        bound = server.sockets[0].getsockname()
        return Address(str(bound[0]), int(bound[1]))

    # ── the end ─────────────────────────────────────────────────────────────────────────────

    async def drain(self, at_least: float, at_most: float = 0.0) -> None:
        """Report not ready, go on accepting for a while, and wait until nothing is in flight.

        Args:
            at_least: seconds in which connections are still accepted.
            at_most: seconds after which it waits no longer, 0 for no limit.
        """
        began = self.clock.monotonic()
        self.health.draining = True
        self.process.log.info("draining", in_flight=self.in_flight, accepting_for=at_least)
        await asyncio.sleep(at_least)
        since = self.clock.monotonic()
        while self.in_flight or self.runtime.busy:
            await asyncio.sleep(POLL)
            if 0 < at_most < self.clock.monotonic() - began:
                self.process.log.warning("drain_timed_out", in_flight=self.in_flight, seconds=at_most)
                return
            if self.clock.monotonic() - since > 5:
                since = self.clock.monotonic()
                self.process.log.info("still_draining", in_flight=self.in_flight)
        self.process.log.info("drain complete")

    async def close(self) -> None:
        """Close listeners, connections and plugins; what is still in flight is cancelled and settled."""
        for server in self._servers:
            server.close()
        if self._gateway is not None:
            with contextlib.suppress(TimeoutError):
                await self._gateway.shutdown(1.0)
        for listener in self._operators.values():
            await listener.close()
        if self._started:
            for runtime in (self.runtime, *self._old):
                runtime.abandon()
        if self._retiring:
            await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._started:
            await self._loader.stop(reversed(list(self.runtime.plugins.values())))


def server_options(runtime: Runtime, proxy: ProxySettings) -> dict[str, object]:
    """Return aiohttp's options for the callers' listener."""
    idle = runtime.settings.downstream.idle_timeout_secs
    return {
        "keepalive_timeout": idle or NO_LIMIT,
        "max_line_size": proxy.line_limit,
        "max_field_size": proxy.header_limit,
        "read_bufsize": READ_BUFFER,
    }


def server_context(tls: ListenerTls) -> ssl.SSLContext:
    """Return a listener's TLS context.

    Raises:
        StartError: a file cannot be read, or they do not fit.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(Path(tls.cert_file), Path(tls.key_file))
    except (OSError, ssl.SSLError) as error:
        raise StartError(
            f"the certificate {tls.cert_file} with key {tls.key_file} cannot be used: {error}"
        ) from error
    return context
