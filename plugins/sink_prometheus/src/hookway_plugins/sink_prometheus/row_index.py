"""Finds the row of a request, makes it when there is none, and keeps their number bounded."""

from __future__ import annotations

from typing import Any

import msgspec

from hookway_plugins.sink_prometheus.labels import OTHER, UNKNOWN, UNRESOLVED, known, status_class
from hookway_plugins.sink_prometheus.rows import (
    LatencyKey,
    LatencyRow,
    RequestRow,
    SummaryKey,
    SummaryRow,
    UsageKey,
    UsageRow,
)
from hookway_plugins.sink_prometheus.settings import PrometheusSettings
from hookway_sdk import RequestEnded

EventKey = tuple[Any, ...]
"""What of an event decides its row, as the event has it."""

MANY = (
    "model",
    "upstream_model",
    "provider_key_id",
    "provider_key_name",
    "api_key_id",
    "team_id",
    "user_id",
    "user_name",
)
"""Labels of which there may be many values: beyond the most rows that are kept they become ``other``."""


class RowIndex:
    """The rows of requests, of tokens and of durations.

    Attributes:
        by_event: the row of what an event says; of many events that found no room it is not known.
        rows: the rows of requests.
        usages: the rows of tokens.
        latencies: the rows of durations.
    """

    def __init__(self, settings: PrometheusSettings) -> None:
        self.by_event: dict[EventKey, RequestRow] = {}
        self.rows: list[RequestRow] = []
        self.usages: list[UsageRow] = []
        self.latencies: list[LatencyRow] = []
        self._settings = settings
        self._edges: list[float] = []
        self._first_edges: list[float] = []
        self._by_labels: dict[tuple[UsageKey, bool, int], RequestRow] = {}
        self._usage_by_labels: dict[UsageKey, UsageRow] = {}
        self._latency_by_labels: dict[LatencyKey, LatencyRow] = {}
        self._summary_by_labels: dict[SummaryKey, SummaryRow] = {}

    def adopt(self, settings: PrometheusSettings) -> tuple[list[float], list[float]]:
        """Follow other settings, and return the edges of both histograms in milliseconds.

        A histogram whose edges change begins anew; everything else is kept.
        """
        self._settings = settings
        edges = [edge * 1000 for edge in settings.buckets.request_e2e_latency]
        first_edges = [edge * 1000 for edge in settings.buckets.request_ttft]
        for latency in self.latencies:
            if edges != self._edges:
                latency.counts, latency.ms = [0] * (len(edges) + 1), 0.0
            if first_edges != self._first_edges:
                latency.firsts, latency.first_ms = None, 0.0
        self._edges, self._first_edges = edges, first_edges
        for row in self.rows:
            row.sketch = (row.sketch or {}) if settings.quantiles else None
        for usage in self.usages:
            usage.first_sketch = (usage.first_sketch or {}) if settings.quantiles else None
        return edges, first_edges

    def find(self, event: RequestEnded, status: int, key: EventKey) -> RequestRow:
        """Return the row of an event that :attr:`by_event` does not know."""
        labels = usage_key(event, status)
        most = self._settings.max_rows
        row = self._by_labels.get((labels, event.stream, status))
        if row is None and len(self.rows) >= most:
            labels = beyond(labels)
            row = self._by_labels.get((labels, event.stream, status))
        if row is None:
            row = self._new_row(labels, event.stream, status, bool(event.model))
            self._by_labels[labels, event.stream, status] = row
            self.rows.append(row)
        if len(self.by_event) < 2 * most:
            self.by_event[key] = row
        return row

    def usage_row(self, event: RequestEnded) -> UsageRow:
        """Return the row for the tokens of an event that counts as no request."""
        labels = usage_key(event, event.status)
        if labels not in self._usage_by_labels and len(self.usages) >= self._settings.max_rows:
            labels = beyond(labels)
        return self._usage_row(labels)

    # ── inside ──────────────────────────────────────────────────────────────────────────────

    def _new_row(self, labels: UsageKey, stream: bool, status: int, named_model: bool) -> RequestRow:
        shared = SummaryKey(
            labels.endpoint,
            labels.inbound_protocol,
            labels.provider,
            labels.model,
            labels.provider_key_id,
            labels.provider_key_name,
            stream,
            status,
            named_model,
        )
        summary = self._summary_by_labels.get(shared)
        if summary is None:
            summary = self._summary_by_labels[shared] = SummaryRow(shared)
        streaming = "true" if stream else "false"
        place = LatencyKey(labels.endpoint, labels.model, labels.provider, status_class(status), streaming)
        row = RequestRow(self._usage_row(labels), summary, self._latency_row(place))
        row.sketch = {} if self._settings.quantiles else None
        return row

    def _usage_row(self, labels: UsageKey) -> UsageRow:
        row = self._usage_by_labels.get(labels)
        if row is None:
            row = self._usage_by_labels[labels] = UsageRow(labels)
            row.first_sketch = {} if self._settings.quantiles else None
            self.usages.append(row)
        return row

    def _latency_row(self, labels: LatencyKey) -> LatencyRow:
        row = self._latency_by_labels.get(labels)
        if row is None:
            row = self._latency_by_labels[labels] = LatencyRow(labels, len(self._edges))
            self.latencies.append(row)
        return row


def usage_key(event: RequestEnded, status: int) -> UsageKey:
    """Return the labels of an event, as values that may be written."""
    nobody = UNRESOLVED if status >= 400 else UNKNOWN
    return UsageKey(
        known(event.endpoint),
        known(event.protocol),
        known(event.provider),
        known(event.model) if event.model else nobody,
        known(event.target_model),
        known(event.provider_key_id),
        known(event.provider_key_name),
        known(event.key_id),
        known(event.team_id),
        known(event.user_id),
        known(event.user_name),
    )


def beyond(labels: UsageKey) -> UsageKey:
    """Return the labels of a row that finds no room under its own."""
    own = {name: getattr(labels, name) for name in MANY}
    changed: Any = {name: OTHER for name, value in own.items() if value not in (UNKNOWN, UNRESOLVED)}
    return msgspec.structs.replace(labels, **changed)
