"""Counts what ends, and serves the counts to Prometheus."""

from __future__ import annotations

from collections.abc import Sequence

from hookway_plugins.sink_prometheus.exposition import CONTENT_TYPE
from hookway_plugins.sink_prometheus.scraper import Scraper
from hookway_plugins.sink_prometheus.settings import PrometheusSettings
from hookway_plugins.sink_prometheus.shared_tally import tally_of
from hookway_sdk import (
    Admin,
    Attempt,
    AuthDenied,
    Event,
    Exchange,
    Guard,
    OperatorReply,
    OperatorRequest,
    OperatorRoute,
    Plugin,
    RequestEnded,
    Services,
    Sink,
)


class RequestCounter(Sink[PrometheusSettings]):
    """Counts requests, attempts and refused credentials.

    Attempts are counted as they end, and not by their events, whose making would cost more than the counting.
    """

    events = (RequestEnded, AuthDenied)

    def __init__(self, name: str, settings: PrometheusSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._tally = tally_of(services, settings)
        self._number = self._tally.enrol()

    def attempt_ended(self, exchange: Exchange, attempt: Attempt) -> None:
        """Add an attempt to the counts."""
        self._tally.outcomes.attempted(exchange, attempt)

    def record(self, event: Event) -> None:
        """Add an event to the counts."""
        tally = self._tally
        if tally.generation < self._number:
            tally.adopt(self._number, self.settings)
        if isinstance(event, RequestEnded):
            tally.ended(event)
        elif isinstance(event, AuthDenied):
            tally.outcomes.refused(event)


class MetricsRoute(Admin[PrometheusSettings]):
    """Serves the counts, and every metric family of the gateway, to whoever reaches the listener."""

    def __init__(self, name: str, settings: PrometheusSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._tally = tally_of(services, settings)
        self._number = self._tally.enrol()
        self._scraper = Scraper(services, self._tally)

    def routes(self) -> Sequence[OperatorRoute]:
        """Return the route of the metrics."""
        return [OperatorRoute("metrics", "GET", self.settings.route, self.metrics, Guard.NONE)]

    async def metrics(self, request: OperatorRequest) -> OperatorReply:
        """Answer a scrape."""
        self._tally.adopt(self._number, self.settings)
        return OperatorReply(await self._scraper.scrape(), content_type=CONTENT_TYPE)


class PrometheusSink(Plugin[PrometheusSettings]):
    """Metrics in Prometheus' text format on the metrics listener."""

    kinds = (RequestCounter, MetricsRoute)
