"""Metric families: declared once, kept by the process, read by a sink when it is scraped."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence

import msgspec

from hookway_sdk import PluginError

MAX_SERIES = 2_000
"""Label combinations kept of a family; further ones are counted under ``other``."""

DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Declaration(msgspec.Struct, frozen=True):
    """What a family is.

    Args:
        kind: ``counter``, ``gauge`` or ``histogram``.
        name: without the brand's prefix.
        help: one sentence.
        labels: label names in order.
        buckets: upper edges of a histogram, ascending, without infinity.
    """

    kind: str
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Histogram:
    """Observations of one series: counts by bucket, their number and their sum."""

    __slots__ = ("count", "counts", "sum")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * (buckets + 1)
        self.count = 0
        self.sum = 0.0


class MetricFamily:
    """See :class:`hookway_sdk.Family`."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.values: dict[tuple[str, ...], float] = {}
        self.histograms: dict[tuple[str, ...], Histogram] = {}

    def add(self, amount: float = 1.0, *labels: str) -> None:
        """Add to a counter, or move a gauge."""
        if self.declaration.kind == "counter" and amount < 0:
            raise ValueError(f"counter {self.declaration.name} cannot go down")
        key = self._key(labels, self.values)
        self.values[key] = self.values.get(key, 0.0) + amount

    def set(self, value: float, *labels: str) -> None:
        """Set a gauge."""
        self.values[self._key(labels, self.values)] = value

    def observe(self, value: float, *labels: str) -> None:
        """Add an observation to a histogram."""
        key = self._key(labels, self.histograms)
        found = self.histograms.get(key)
        if found is None:
            found = self.histograms[key] = Histogram(len(self.declaration.buckets))
        found.counts[bisect.bisect_left(self.declaration.buckets, value)] += 1
        found.count += 1
        found.sum += value

    def _key(self, labels: tuple[str, ...], series: object) -> tuple[str, ...]:
        if len(labels) != len(self.declaration.labels):
            raise ValueError(
                f"metric {self.declaration.name} has labels {self.declaration.labels}, not {len(labels)}"
            )
        known = self.values if series is self.values else self.histograms
        if labels in known or len(known) < MAX_SERIES:
            return labels
        return ("other",) * len(labels)


class MetricRegistry:
    """See :class:`hookway_sdk.Metrics`; one per process, since counts outlive a Runtime."""

    def __init__(self) -> None:
        self._families: dict[str, MetricFamily] = {}

    def counter(self, name: str, help: str, labels: Sequence[str] = ()) -> MetricFamily:
        """Declare a counter."""
        if not name.endswith("_total"):
            raise ValueError(f"the name of counter {name} has to end in _total")
        return self._declare(Declaration("counter", name, help, tuple(labels)))

    def gauge(self, name: str, help: str, labels: Sequence[str] = ()) -> MetricFamily:
        """Declare a gauge."""
        return self._declare(Declaration("gauge", name, help, tuple(labels)))

    def histogram(
        self, name: str, help: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = ()
    ) -> MetricFamily:
        """Declare a histogram."""
        edges = tuple(buckets) or DEFAULT_BUCKETS
        if list(edges) != sorted(set(edges)):
            raise ValueError(f"the buckets of {name} have to ascend")
        return self._declare(Declaration("histogram", name, help, tuple(labels), edges))

    def families(self) -> Iterator[MetricFamily]:
        """Return every family, for a sink that exposes them."""
        return iter(tuple(self._families.values()))

    def _declare(self, declaration: Declaration) -> MetricFamily:
        found = self._families.get(declaration.name)
        if found is None:
            found = self._families[declaration.name] = MetricFamily(declaration)
        elif (found.declaration.kind, found.declaration.labels) != (declaration.kind, declaration.labels):
            raise PluginError(
                declaration.name,
                f"metric {declaration.name} is declared twice with different kinds or labels",
            )
        return found
