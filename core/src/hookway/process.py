"""What lives as long as the process: loop-wide clocks and wheels, connections, journal, metrics, secrets."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from hookway import __version__
from hookway.config.documents import DocumentReader
from hookway.config.settings import RootSettings
from hookway.config.state_dir import StateDir
from hookway.deadlines import DeadlineWheel
from hookway.journal import Journal
from hookway.services.log import OperatorLog, PluginLog
from hookway.services.metrics import MetricRegistry
from hookway.services.root_secret import RootSecrets
from hookway.status_board import StatusBoard
from hookway.ticks import Ticks
from hookway.upstream import TcpKeepalive, TlsContexts, Transport, TransportSettings, make_transport
from hookway.upstream.http_client import HttpClient
from hookway_sdk import Brand, Clock, Event, Exchange, Random, SystemClock, native_brand


class Process:
    """The parts of a worker that survive every reload.

    Args:
        settings: the settings it starts with; what they say about these parts is read once.
        environ: environment variables.
        clock: time.
        chance: chance.
        brand: names under which it speaks.
    """

    def __init__(
        self,
        settings: RootSettings,
        environ: Mapping[str, str],
        *,
        clock: Clock | None = None,
        chance: Random | None = None,
        brand: Brand | None = None,
        log: OperatorLog | None = None,
    ) -> None:
        self.environ = environ
        self.clock: Clock = clock or SystemClock()
        self.random: Random = chance or random.Random()
        self.brand = brand or native_brand(__version__)
        self.operator_log = log or OperatorLog(settings.observability.log_level)
        self.log = PluginLog(self.operator_log, settings.observability.service_name)
        self.metrics = MetricRegistry()
        self.failures = self.metrics.counter(
            "plugin_failures_total", "Failures of plugins that were no refusals.", ("plugin", "phase")
        )
        self.state_dir = StateDir.open(settings.state_dir, environ)
        self.secrets = RootSecrets(self.state_dir.root_secret(environ))
        self.documents = DocumentReader(environ)
        self.wheel = DeadlineWheel()
        self.ticks = Ticks()
        self.tls = TlsContexts()
        self.transport: Transport = make_transport(self.wheel, transport_settings(settings), self.tls)
        self.http = HttpClient(self.transport)
        self.status = StatusBoard(self.clock)
        self.listener: Callable[[Event], None] | None = None
        self.journal = Journal(
            self.state_dir.directory("journal"),
            clock=self.clock,
            report=self._journal_trouble,
        )

    def start(self) -> None:
        """Open the journal.

        Raises:
            StartError: another process uses the directory.
        """
        self.journal.start()

    async def close(self) -> None:
        """Flush and close everything, after the last exchange is over."""
        self.ticks.close()
        await self.transport.close()
        self.journal.close()

    def emit(self, event: Event) -> None:
        """Tell the sinks of the Runtime that serves an event; nobody listens before one does."""
        if self.listener is not None:
            self.listener(event)

    def note_failure(self, plugin: str, phase: str, error: Exception, request_id: str) -> None:
        """Count and log a plugin's failure that was no refusal."""
        self.failures.add(1.0, plugin, phase)
        self.log.error(
            "plugin_failed",
            plugin=plugin,
            phase=phase,
            request_id=request_id,
            error=f"{type(error).__name__}: {error}",
        )

    def tell_trace(self, exchange: Exchange) -> None:
        """Log how a request went, for a key whose row says ``trace: true``."""
        assert exchange.trace is not None
        entries = [msgspec.to_builtins(entry) for entry in exchange.trace.entries]
        self.log.info("trace", request_id=exchange.id, status=exchange.status, entries=entries)

    def _journal_trouble(self, event: str, /, **facts: object) -> None:
        """Log what the journal reports; called on its thread."""
        self.operator_log.write("warning", "journal", event, facts)

    def plugin_directory(self, plugin: str) -> Path:
        """Return a plugin's own directory below the state directory, made on first use."""
        return self.state_dir.directory(f"plugins/{plugin}")


def transport_settings(settings: RootSettings) -> TransportSettings:
    """Return what the ``upstream`` section says about connections."""
    upstream = settings.upstream
    keepalive = None
    if upstream.tcp_keepalive_secs > 0:
        keepalive = TcpKeepalive(
            max(1, int(upstream.tcp_keepalive_secs)),
            int(upstream.tcp_keepalive_interval_secs),
            upstream.tcp_keepalive_retries,
        )
    return TransportSettings(
        idle_timeout=upstream.pool_idle_timeout_secs or None,
        max_idle_per_origin=upstream.pool_max_idle_per_host,
        tcp_keepalive=keepalive,
    )
