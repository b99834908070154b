"""Metric families: declared by plugins, kept by the process, read by a sink when it is scraped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol


class Family(Protocol):
    """A metric family of a plugin, declared once; the same name and labels are the same family."""

    def add(self, amount: float = 1.0, *labels: str) -> None:
        """Add to a counter, or move a gauge; label values in the declared order."""

    def set(self, value: float, *labels: str) -> None:
        """Set a gauge."""

    def observe(self, value: float, *labels: str) -> None:
        """Add an observation to a histogram."""

    def bind(self, *labels: str) -> Series:
        """Return one series, for whoever changes it often; the series exists from now on."""

    def follow(self, read: Callable[[], float], *labels: str) -> None:
        """Ask for a series' value when somebody reads it, for what changes often and is read seldom.

        The last one who follows a series is asked. What ``read`` holds lives until then.
        """


class Series(Protocol):
    """One series of a family: its labels are settled."""

    def add(self, amount: float = 1.0) -> None:
        """Add to a counter, or move a gauge."""

    def set(self, value: float) -> None:
        """Set a gauge."""

    def observe(self, value: float) -> None:
        """Add an observation to a histogram."""


class HistogramView(Protocol):
    """What one series of a histogram has seen.

    Attributes:
        counts: observations by bucket, not cumulated; the last is for what is over every edge.
        count: how many there were.
        sum: their sum.
    """

    @property
    def counts(self) -> Sequence[int]: ...
    @property
    def count(self) -> int: ...
    @property
    def sum(self) -> float: ...


class FamilyView(Protocol):
    """A family as a sink reads it.

    Attributes:
        kind: ``counter``, ``gauge`` or ``histogram``.
        name: without the brand's prefix.
        help: one sentence.
        labels: label names in order.
        buckets: upper edges of a histogram, ascending, without infinity.
        values: of a counter or gauge, by label values.
        histograms: of a histogram, by label values.
    """

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def help(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def buckets(self) -> tuple[float, ...]: ...
    @property
    def values(self) -> Mapping[tuple[str, ...], float]: ...
    @property
    def histograms(self) -> Mapping[tuple[str, ...], HistogramView]: ...


class Metrics(Protocol):
    """Declares metric families; names get the brand's prefix. They live as long as the process."""

    def families(self) -> Sequence[FamilyView]:
        """Return every family of the process, the core's and all plugins', brought up to date, for a sink."""

    def counter(self, name: str, help: str, labels: Sequence[str] = ()) -> Family:
        """Declare a counter; its name ends in ``_total``."""

    def gauge(self, name: str, help: str, labels: Sequence[str] = ()) -> Family:
        """Declare a gauge."""

    def histogram(
        self, name: str, help: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = ()
    ) -> Family:
        """Declare a histogram."""
