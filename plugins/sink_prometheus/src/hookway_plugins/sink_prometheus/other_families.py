"""Families that no request adds to: targets, credentials, the configuration, other plugins, the process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hookway_plugins.sink_prometheus import families
from hookway_plugins.sink_prometheus.exposition import (
    block,
    edge_words,
    histogram_lines,
    number,
    value_lines,
    values,
)
from hookway_plugins.sink_prometheus.families import FamilySpec
from hookway_plugins.sink_prometheus.labels import known, written
from hookway_plugins.sink_prometheus.outcomes import Outcomes
from hookway_plugins.sink_prometheus.tally import Tally
from hookway_sdk import ConfigStatus, FamilyView, ModelStatus

OWN_NAMES = frozenset(one.name for one in families.FAMILIES)
HEALTHY, DOWN = 0, 2


def outcome_families(outcomes: Outcomes, prefix: str) -> Iterator[str]:
    """Yield what came of attempts and of credentials."""
    attempts = list(outcomes.attempts.items())
    for spec, word in (
        (families.DEPLOYMENT_REQUESTS, "sent"),
        (families.DEPLOYMENT_SUCCESSES, "successes"),
        (families.DEPLOYMENT_FAILURES, "failures"),
    ):
        yield from counted(prefix, spec, ((place, getattr(row, word)) for place, row in attempts))
    yield from counted(prefix, families.FALLBACKS, outcomes.fallbacks.items())
    yield from counted(prefix, families.FAILED_FALLBACKS, outcomes.failed_fallbacks.items())
    decisions = {(known(method), "allow", "none"): count for method, count in outcomes.allowed.items()}
    decisions |= {(known(how), "deny", why): count for (how, why), count in outcomes.denied.items()}
    yield from counted(prefix, families.AUTH_DECISIONS, decisions.items())


def counted(prefix: str, spec: FamilySpec, counts: Iterable[tuple[Sequence[str], float]]) -> Iterator[str]:
    """Yield a family given its counts by values of labels; those that are written alike are one series."""
    series: dict[str, float] = {}
    for place, count in counts:
        if count:
            labels = written(spec.labels, map(known, place))
            series[labels] = series.get(labels, 0) + count
    return values(prefix, spec, series.items())


def model_families(models: Iterable[ModelStatus], prefix: str) -> Iterator[str]:
    """Yield the state of every target."""
    spec = families.DEPLOYMENT_STATE
    states = (
        (
            written(spec.labels, map(known, (one.provider, one.name, one.model_name, one.provider_key_id))),
            HEALTHY if one.status == "healthy" else DOWN,
        )
        for one in models
        if one.status != "not_applicable"
    )
    return values(prefix, spec, states)


def config_families(status: ConfigStatus, tally: Tally, prefix: str) -> Iterator[str]:
    """Yield the state of the configuration."""
    if status.last_reload_ok is not None:
        well = status.last_reload_ok and not status.rejected and all(one.reachable for one in status.sources)
        yield from values(prefix, families.CONFIG_RELOAD_OK, [("", int(well))])
    if status.last_success_at:
        yield from values(prefix, families.CONFIG_RELOAD_TIME, [("", status.last_success_at)])
    if status.reloads:
        yield from values(prefix, families.CONFIG_RELOADS, [("", status.reloads)])
    failures = (((reason,), count) for reason, count in status.failures.items())
    yield from counted(prefix, families.CONFIG_FAILURES, failures)
    rejected: dict[str, int] = {}
    stale: dict[str, int] = {}
    for row in status.rejected:
        kind = known(row.collection)
        rejected[kind] = rejected.get(kind, 0) + 1
        if row.stale_since is not None:
            stale[kind] = stale.get(kind, 0) + 1
    for spec, found, seen in (
        (families.CONFIG_REJECTED, rejected, tally.rejected_kinds),
        (families.CONFIG_STALE, stale, tally.stale_kinds),
    ):
        seen.update(found)
        kinds = ((written(spec.labels, (kind,)), found.get(kind, 0)) for kind in sorted(seen))
        yield from values(prefix, spec, kinds)
    yield from hash_family(status, tally, prefix)


def hash_family(status: ConfigStatus, tally: Tally, prefix: str) -> Iterator[str]:
    """Yield the hash of the configuration that serves, and of the one that a scrape saw before it."""
    spec = families.CONFIG_HASH
    serving = status.applied.config_hash if status.applied is not None else ""
    if serving and tally.hashes[:1] != (serving,):
        tally.hashes = (serving, *tally.hashes[:1])
    told = ((written(spec.labels, (one,)), int(one == serving)) for one in tally.hashes)
    return values(prefix, spec, told)


def foreign_families(found: Iterable[FamilyView], prefix: str) -> Iterator[str]:
    """Yield the families of the core and of other plugins; what their labels say is theirs to choose."""
    for view in found:
        name = prefix + view.name
        lines = (
            foreign_histograms(name, view)
            if view.kind == "histogram"
            else value_lines(name, foreign_values(view))
        )
        yield from block(name, view.kind, view.help, lines)


def foreign_values(view: FamilyView) -> Iterator[tuple[str, float]]:
    """Yield the series of a counter or gauge; a counter that nobody moved yet has none."""
    for labels, value in list(view.values.items()):
        if value or view.kind != "counter":
            yield written(view.labels, labels), value


def foreign_histograms(name: str, view: FamilyView) -> Iterator[str]:
    """Yield the series of a histogram."""
    edges = edge_words(view.buckets)
    for labels, seen in list(view.histograms.items()):
        if seen.count:
            yield histogram_lines(name, written(view.labels, labels), edges, seen.counts, number(seen.sum))
