"""Sums over rows, for the families that have few labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hookway_plugins.sink_prometheus.exposition import AT_ONCE
from hookway_plugins.sink_prometheus.rows import RequestRow, SummaryRow, UsageRow
from hookway_plugins.sink_prometheus.sketch import Sketch, merge


class Duration:
    """A count, a sum in milliseconds, and a sketch once one was added."""

    __slots__ = ("count", "ms", "sketch")

    def __init__(self) -> None:
        self.count = 0
        self.ms = 0.0
        self.sketch: Sketch | None = None

    def add(self, count: int, ms: float, sketch: Sketch | None) -> None:
        """Add another one's."""
        self.count += count
        self.ms += ms
        if sketch:
            if self.sketch is None:
                self.sketch = {}
            merge(self.sketch, sketch)


class Sums:
    """What a scrape sums up over rows.

    Attributes:
        requests: count of ``requests_total``, by labels as they are written.
        usage_events: count of ``usage_events_emitted_total``, likewise.
        cancelled: count of ``proxy_client_cancelled_requests_total``, likewise.
        body_limit: count of ``proxy_request_body_limit_rejections_total``, likewise.
        durations: of ``request_duration_seconds``, likewise.
        consumed: tokens, by provider and model.
    """

    def __init__(self) -> None:
        self.requests: dict[str, float] = {}
        self.usage_events: dict[str, float] = {}
        self.cancelled: dict[str, float] = {}
        self.body_limit: dict[str, float] = {}
        self.durations: dict[str, Duration] = {}
        self.consumed: dict[tuple[str, str], float] = {}
        self._by_summary: dict[SummaryRow, Duration] = {}

    def add(self, rows: Iterable[RequestRow]) -> None:
        """Add rows of requests; what is summed up shows after :meth:`spread`."""
        for row in rows:
            found = self._by_summary.get(row.summary)
            if found is None:
                found = self._by_summary[row.summary] = Duration()
            found.add(row.direct + row.fallbacks, row.ms, row.sketch)

    def add_usages(self, rows: Iterable[UsageRow]) -> None:
        """Add rows of tokens."""
        for row in rows:
            if count := row.input + row.output:
                place = (row.provider, row.model)
                self.consumed[place] = self.consumed.get(place, 0) + count

    def spread(self) -> Iterator[None]:
        """Hand what was added to the families; pauses now and then."""
        for done, (summary, found) in enumerate(self._by_summary.items()):
            for series, labels in (
                (self.requests, summary.requests),
                (self.usage_events, summary.usage_events),
                (self.cancelled, summary.cancelled),
                (self.body_limit, summary.body_limit),
            ):
                if labels:
                    series[labels] = series.get(labels, 0) + found.count
            total = self.durations.setdefault(summary.request_duration, Duration())
            total.add(found.count, found.ms, found.sketch)
            if done % AT_ONCE == 0:
                yield
