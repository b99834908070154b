"""Metric families: declared once, kept by the process, read by a sink when it is scraped."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping, Sequence

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


class MetricSeries:
    """See :class:`hookway_sdk.Series`; writes into its family's tables."""

    __slots__ = ("_buckets", "_counter", "_histogram", "_labels", "_values")

    def __init__(self, family: MetricFamily, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._values = family.values
        self._buckets = family.buckets
        self._counter = family.kind == "counter"
        self._histogram: Histogram | None = None
        if family.kind == "histogram":
            self._histogram = family.histograms.setdefault(labels, Histogram(len(family.buckets)))
        else:
            family.values.setdefault(labels, 0.0)

    def add(self, amount: float = 1.0) -> None:
        """Add to a counter, or move a gauge."""
        if self._counter and amount < 0:
            raise ValueError(f"a counter cannot go down by {-amount}")
        self._values[self._labels] += amount

    def set(self, value: float) -> None:
        """Set a gauge."""
        self._values[self._labels] = value

    def observe(self, value: float) -> None:
        """Add an observation to a histogram."""
        found = self._histogram
        assert found is not None, "only a histogram observes"
        found.counts[bisect.bisect_left(self._buckets, value)] += 1
        found.count += 1
        found.sum += value


class MetricFamily:
    """See :class:`hookway_sdk.Family` and :class:`hookway_sdk.FamilyView`."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.kind = declaration.kind
        self.name = declaration.name
        self.help = declaration.help
        self.labels = declaration.labels
        self.buckets = declaration.buckets
        self.values: dict[tuple[str, ...], float] = {}
        self.histograms: dict[tuple[str, ...], Histogram] = {}
        self.followed: dict[tuple[str, ...], Callable[[], float]] = {}

    def add(self, amount: float = 1.0, *labels: str) -> None:
        """Add to a counter, or move a gauge."""
        if self.kind == "counter" and amount < 0:
            raise ValueError(f"counter {self.name} cannot go down")
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
            found = self.histograms[key] = Histogram(len(self.buckets))
        found.counts[bisect.bisect_left(self.buckets, value)] += 1
        found.count += 1
        found.sum += value

    def bind(self, *labels: str) -> MetricSeries:
        """Return one series."""
        known = self.histograms if self.kind == "histogram" else self.values
        return MetricSeries(self, self._key(labels, known))

    def follow(self, read: Callable[[], float], *labels: str) -> None:
        """Ask for a series' value when somebody reads it."""
        key = self._key(labels, self.values)
        self.values.setdefault(key, 0.0)
        self.followed[key] = read

    def update(self) -> None:
        """Ask for the values of the series that are followed."""
        for labels, read in self.followed.items():
            self.values[labels] = read()

    def _key(self, labels: tuple[str, ...], known: Mapping[tuple[str, ...], object]) -> tuple[str, ...]:
        if len(labels) != len(self.labels):
            raise ValueError(f"metric {self.name} has labels {self.labels}, not {len(labels)}")
        if labels in known or len(known) < MAX_SERIES:
            return labels
        return ("other",) * len(labels)


class MetricRegistry:
    """See :class:`hookway_sdk.Metrics`; one per process, since counts outlive a Runtime."""

    def __init__(self) -> None:
        self._families: dict[str, MetricFamily] = {}
        self._updates: list[Callable[[], None]] = []

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

    def families(self) -> Sequence[MetricFamily]:
        """Return every family, brought up to date, for a sink that exposes them."""
        for update in self._updates:
            update()
        families = tuple(self._families.values())
        for family in families:
            if family.followed:
                family.update()
        return families

    def before_reading(self, update: Callable[[], None]) -> None:
        """Call a function of the core's each time that families are about to be read."""
        self._updates.append(update)

    def _declare(self, declaration: Declaration) -> MetricFamily:
        found = self._families.get(declaration.name)
        if found is None:
            found = self._families[declaration.name] = MetricFamily(declaration)
        elif (found.kind, found.labels, found.buckets) != (
            declaration.kind,
            declaration.labels,
            declaration.buckets,
        ):
            raise PluginError(
                declaration.name,
                f"metric {declaration.name} is declared twice with different kinds, labels or buckets; "
                "counts outlive a reload, so new buckets take effect at the next start",
            )
        return found
