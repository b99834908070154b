"""Services that remember what a plugin did with them: log, metrics, and tasks that a test runs by hand."""

from __future__ import annotations

import bisect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from hookway_sdk.status import ConfigStatus, ModelStatus


class LogLine(msgspec.Struct, frozen=True):
    """One line of a log: level, name of the event, fields."""

    level: str
    event: str
    fields: dict[str, Any]


class RecordingLog:
    """A log that keeps its lines.

    Attributes:
        lines: what was logged, in order.
    """

    def __init__(self) -> None:
        self.lines: list[LogLine] = []

    def debug(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.lines.append(LogLine("debug", event, fields))

    def info(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.lines.append(LogLine("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.lines.append(LogLine("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.lines.append(LogLine("error", event, fields))

    def events(self, level: str = "") -> list[str]:
        """Return the names of the events of one level, or of all."""
        return [line.event for line in self.lines if not level or line.level == level]


class RecordingFamily:
    """A metric family that keeps its values.

    Attributes:
        kind: ``counter``, ``gauge`` or ``histogram``.
        name: without the brand's prefix.
        help: one sentence.
        labels: names of its labels.
        buckets: upper bounds of a histogram.
        values: of a counter or gauge, by label values.
        observations: of a histogram, by label values, in order.
    """

    def __init__(
        self, kind: str, name: str, help: str, labels: tuple[str, ...], buckets: tuple[float, ...] = ()
    ) -> None:
        self.kind = kind
        self.name = name
        self.help = help
        self.labels = labels
        self.buckets = buckets
        self.values: dict[tuple[str, ...], float] = {}
        self.observations: dict[tuple[str, ...], list[float]] = {}
        self.followed: dict[tuple[str, ...], Callable[[], float]] = {}

    def add(self, amount: float = 1.0, *labels: str) -> None:
        """Add to a counter, or move a gauge."""
        self._expect(labels, "counter", "gauge")
        if self.kind == "counter" and amount < 0:
            raise ValueError(f"counter '{self.name}' cannot go down by {-amount}")
        self.values[labels] = self.values.get(labels, 0.0) + amount

    def set(self, value: float, *labels: str) -> None:
        """Set a gauge."""
        self._expect(labels, "gauge")
        self.values[labels] = value

    def observe(self, value: float, *labels: str) -> None:
        """Add an observation to a histogram."""
        self._expect(labels, "histogram")
        self.observations.setdefault(labels, []).append(value)

    def bind(self, *labels: str) -> RecordingSeries:
        """Return one series."""
        if len(labels) != len(self.labels):
            raise ValueError(f"'{self.name}' has the labels {self.labels}, but was given {labels}")
        return RecordingSeries(self, labels)

    def follow(self, read: Callable[[], float], *labels: str) -> None:
        """Ask for a series' value when it is read."""
        self._expect(labels, "counter", "gauge")
        self.followed[labels] = read

    def update(self) -> None:
        """Ask for the values of the series that are followed."""
        for labels, read in self.followed.items():
            self.values[labels] = read()

    @property
    def histograms(self) -> dict[tuple[str, ...], RecordedHistogram]:
        """What the series of a histogram have seen."""
        return {
            labels: RecordedHistogram(self.buckets, observed)
            for labels, observed in self.observations.items()
        }

    def _expect(self, labels: tuple[str, ...], *kinds: str) -> None:
        if self.kind not in kinds:
            raise ValueError(f"'{self.name}' is a {self.kind}, not a {' or a '.join(kinds)}")
        if len(labels) != len(self.labels):
            raise ValueError(f"'{self.name}' has the labels {self.labels}, but was given {labels}")


class RecordingSeries:
    """One series of a family."""

    def __init__(self, family: RecordingFamily, labels: tuple[str, ...]) -> None:
        self._family = family
        self._labels = labels

    def add(self, amount: float = 1.0) -> None:
        """Add to a counter, or move a gauge."""
        self._family.add(amount, *self._labels)

    def set(self, value: float) -> None:
        """Set a gauge."""
        self._family.set(value, *self._labels)

    def observe(self, value: float) -> None:
        """Add an observation to a histogram."""
        self._family.observe(value, *self._labels)


class RecordedHistogram:
    """What one series of a histogram has seen.

    Attributes:
        counts: observations by bucket, not cumulated; the last is for what is over every edge.
        count: how many there were.
        sum: their sum.
    """

    def __init__(self, buckets: Sequence[float], observed: Sequence[float]) -> None:
        self.counts = [0] * (len(buckets) + 1)
        for value in observed:
            self.counts[bisect.bisect_left(buckets, value)] += 1
        self.count = len(observed)
        self.sum = sum(observed)


class RecordingMetrics:
    """Metric families that keep their values.

    Attributes:
        declared: families by name.
    """

    def __init__(self) -> None:
        self.declared: dict[str, RecordingFamily] = {}

    def families(self) -> list[RecordingFamily]:
        """Return every family, brought up to date."""
        for family in self.declared.values():
            family.update()
        return list(self.declared.values())

    def counter(self, name: str, help: str, labels: Sequence[str] = ()) -> RecordingFamily:
        """Declare a counter; its name ends in ``_total``."""
        if not name.endswith("_total"):
            raise ValueError(f"counter '{name}' has to end in '_total'")
        return self._declare(RecordingFamily("counter", name, help, tuple(labels)))

    def gauge(self, name: str, help: str, labels: Sequence[str] = ()) -> RecordingFamily:
        """Declare a gauge."""
        return self._declare(RecordingFamily("gauge", name, help, tuple(labels)))

    def histogram(
        self, name: str, help: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = ()
    ) -> RecordingFamily:
        """Declare a histogram."""
        return self._declare(RecordingFamily("histogram", name, help, tuple(labels), tuple(buckets)))

    def value(self, name: str, *labels: str) -> float:
        """Return a counter's or gauge's value, 0.0 where nothing was ever added."""
        self.declared[name].update()
        return self.declared[name].values.get(labels, 0.0)

    def observed(self, name: str, *labels: str) -> list[float]:
        """Return a histogram's observations."""
        return self.declared[name].observations.get(labels, [])

    def _declare(self, family: RecordingFamily) -> RecordingFamily:
        known = self.declared.setdefault(family.name, family)
        if (known.kind, known.labels) != (family.kind, family.labels):
            raise ValueError(f"'{family.name}' was declared as a {known.kind} with the labels {known.labels}")
        return known


class WrittenStatus:
    """A status that says what a test writes into it.

    Attributes:
        ready: whether a configuration serves.
        configuration: what :meth:`config` returns.
        listed: what :meth:`models` returns.
    """

    def __init__(self) -> None:
        self.ready = True
        self.configuration = ConfigStatus()
        self.listed: list[ModelStatus] = []

    async def config(self) -> ConfigStatus:
        """Return what was written."""
        return self.configuration

    async def models(self) -> Sequence[ModelStatus]:
        """Return what was written."""
        return self.listed


class ManualTasks:
    """Background work that runs when the test says so.

    Attributes:
        started: by name, what :meth:`start` was given.
        periodic: by name, seconds and what :meth:`every` was given.
        ticking: what :meth:`on_tick` was given.
    """

    def __init__(self) -> None:
        self.started: dict[str, Callable[[], Awaitable[None]]] = {}
        self.periodic: dict[str, tuple[float, Callable[[], Awaitable[None]]]] = {}
        self.ticking: list[Callable[[], None]] = []

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Note work for :meth:`run`."""
        self._refuse_second(name)
        self.started[name] = work

    def every(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Note work for :meth:`run_every`."""
        self._refuse_second(name)
        if seconds <= 0:
            raise ValueError(f"task '{name}' cannot run every {seconds} s")
        self.periodic[name] = (seconds, work)

    def on_tick(self, work: Callable[[], None]) -> None:
        """Note work for :meth:`run_ticks`."""
        self.ticking.append(work)

    async def run(self, name: str) -> None:
        """Run started work until it returns or raises."""
        await self.started[name]()

    async def run_every(self, name: str = "", times: int = 1) -> None:
        """Run periodic work once, or a number of times; without a name, all of it."""
        for _ in range(times):
            for work in [self.periodic[name]] if name else list(self.periodic.values()):
                await work[1]()

    def run_ticks(self, times: int = 1) -> None:
        """Let the worker tick."""
        for _ in range(times):
            for work in self.ticking:
                work()

    def _refuse_second(self, name: str) -> None:
        if name in self.started or name in self.periodic:
            raise ValueError(f"a task '{name}' runs already")
