"""Families that are derived from the rows of requests and of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from hookway_plugins.sink_prometheus import families
from hookway_plugins.sink_prometheus.exposition import (
    AT_ONCE,
    edge_words,
    family,
    histogram_lines,
    seconds,
    summary_lines,
    values,
)
from hookway_plugins.sink_prometheus.families import FamilySpec
from hookway_plugins.sink_prometheus.labels import known, written
from hookway_plugins.sink_prometheus.rows import LatencyRow, RequestRow, UsageRow
from hookway_plugins.sink_prometheus.sums import Duration, Sums
from hookway_plugins.sink_prometheus.tally import Tally


def row_families(tally: Tally, prefix: str) -> Iterator[str]:
    """Yield every family that is derived from rows, in pieces; an empty piece is a chance to pause."""
    # Lists only grow, and what they get while a scrape pauses is for the next one.
    rows = tally.index.rows[:]
    usages = tally.index.usages[:]
    sums = Sums()
    for start in range(0, len(rows), AT_ONCE):
        sums.add(rows[start : start + AT_ONCE])
        yield ""
    for start in range(0, len(usages), AT_ONCE):
        sums.add_usages(usages[start : start + AT_ONCE])
        yield ""
    for _ in sums.spread():
        yield ""
    yield from values(prefix, families.REQUESTS, sums.requests.items())
    yield from duration_summary(prefix, families.REQUEST_DURATION, sums.durations.items())
    yield from request_families(prefix, rows)
    yield from token_families(prefix, usages, sums)
    yield from values(prefix, families.TOKENS_BY_CLIENT, client_tokens(tally))
    yield from values(prefix, families.CANCELLED, sums.cancelled.items())
    yield from values(prefix, families.BODY_LIMIT, sums.body_limit.items())
    yield from values(prefix, families.USAGE_EVENTS, sums.usage_events.items())
    yield from latency_families(tally, prefix)


def request_families(prefix: str, rows: Sequence[RequestRow]) -> Iterator[str]:
    """Yield the families that have a series for every row."""
    inference = [row for row in rows if row.summary.inference]
    chosen: tuple[tuple[FamilySpec, Sequence[RequestRow]], ...] = (
        (families.PROXY_REQUESTS, rows),
        (families.PROXY_FAILED, [row for row in rows if row.summary.failed]),
        (families.LLM_REQUESTS, inference),
    )
    for spec, those in chosen:
        yield from family(prefix, spec, request_lines(prefix + spec.name, those))
    for spec, those in ((families.PROXY_DURATION, rows), (families.LLM_DURATION, inference)):
        yield from family(prefix, spec, duration_lines(prefix + spec.name, those))


def request_lines(name: str, rows: Iterable[RequestRow]) -> Iterator[str]:
    """Yield the lines of a family of requests."""
    before = name + "{"
    for row in rows:
        labels, summary = row.usage.text, row.summary
        if row.direct:
            yield f"{before}{labels}{summary.direct}}} {row.direct}\n"
        if row.fallbacks:
            yield f"{before}{labels}{summary.fallback}}} {row.fallbacks}\n"


def duration_lines(name: str, rows: Iterable[RequestRow]) -> Iterator[str]:
    """Yield the lines of a family of durations."""
    for row in rows:
        labels = row.usage.text + row.summary.duration
        yield summary_lines(name, labels, row.ms, row.direct + row.fallbacks, row.sketch)


def duration_summary(prefix: str, spec: FamilySpec, series: Iterable[tuple[str, Duration]]) -> Iterator[str]:
    """Yield a summary, given its labels as they are written, and what was seen."""
    name = prefix + spec.name
    lines = (summary_lines(name, labels, one.ms, one.count, one.sketch) for labels, one in series)
    return family(prefix, spec, lines)


def token_families(prefix: str, usages: Sequence[UsageRow], sums: Sums) -> Iterator[str]:
    """Yield what is derived from the rows of tokens."""
    counts: tuple[tuple[FamilySpec, Callable[[UsageRow], int]], ...] = (
        (families.LLM_INPUT, lambda row: row.input),
        (families.LLM_OUTPUT, lambda row: row.output),
        (families.LLM_TOTAL, lambda row: row.input + row.output),
    )
    for spec, count in counts:
        series = ((row.text, found) for row in usages if (found := count(row)))
        yield from values(prefix, spec, series)
    name = prefix + families.LLM_TTFT.name
    firsts = (
        summary_lines(name, row.text, row.first_ms, row.firsts, row.first_sketch)
        for row in usages
        if row.firsts
    )
    yield from family(prefix, families.LLM_TTFT, firsts)
    spec = families.TOKENS_CONSUMED
    consumed = ((written(spec.labels, place), count) for place, count in sums.consumed.items())
    yield from values(prefix, spec, consumed)


def client_tokens(tally: Tally) -> Iterator[tuple[str, float]]:
    """Yield tokens by kind of client and model."""
    labels = families.TOKENS_BY_CLIENT.labels
    for (word, model), (read, wrote) in list(tally.clients.items()):
        for token_type, count in (("input", read), ("output", wrote), ("total", read + wrote)):
            if count:
                yield written(labels, (word, model, token_type)), count


def latency_families(tally: Tally, prefix: str) -> Iterator[str]:
    """Yield both histograms of whole requests."""
    rows = tally.index.latencies[:]
    env_id = known(tally.settings.env_id)
    # The edges are looked up for each row: settings may change while a scrape pauses.

    def whole(name: str) -> Iterator[str]:
        for row in rows:
            if any(row.counts):
                edges = edge_words(tally.settings.buckets.request_e2e_latency)
                yield histogram_lines(name, labels_of(row, env_id), edges, row.counts, seconds(row.ms))

    def first(name: str) -> Iterator[str]:
        for row in rows:
            if row.firsts is not None:
                edges = edge_words(tally.settings.buckets.request_ttft)
                yield histogram_lines(name, labels_of(row, env_id), edges, row.firsts, seconds(row.first_ms))

    yield from family(prefix, families.E2E_LATENCY, whole(prefix + families.E2E_LATENCY.name))
    yield from family(prefix, families.TTFT, first(prefix + families.TTFT.name))


def labels_of(row: LatencyRow, env_id: str) -> str:
    """Return the labels of a histogram's series as they are written."""
    key = row.key
    found = (env_id, key.endpoint, key.model, key.provider, key.status_class, key.streaming)
    return written(families.LATENCY_LABELS, found)
