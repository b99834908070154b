"""Reading what a scrape answers, with the parser that Prometheus' own client brings."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

_SERIES = re.compile(r"^([a-z0-9_]+)(?:\{(.*)\})? \S+$")
_LABEL = re.compile(r'([a-z0-9_]+)="(?:[^"\\]|\\.)*"')

Labels = dict[str, str]


class Scraped:
    """An answer to a scrape; reading it fails where it is not well-formed or a series stands twice.

    Attributes:
        text: the answer.
        types: type of each family, under its name in the TYPE line.
        helps: text of each HELP line.
    """

    def __init__(self, body: bytes) -> None:
        self.text = body.decode()
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", self.text, re.MULTILINE))
        self.helps = dict(re.findall(r"^# HELP (\S+) (.*)$", self.text, re.MULTILINE))
        assert len(re.findall(r"^# TYPE ", self.text, re.MULTILINE)) == len(self.types), (
            "a family stands twice"
        )
        self._samples: dict[str, list[tuple[Labels, float]]] = {}
        seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        for family in text_string_to_metric_families(self.text):
            for sample in family.samples:
                place = (sample.name, frozenset(sample.labels.items()))
                assert place not in seen, f"{place} stands twice"
                seen.add(place)
                self._samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def find(self, name: str, **labels: str) -> list[tuple[Labels, float]]:
        """Return the series of a name that have these labels, and perhaps others."""
        return [one for one in self._samples.get(name, []) if labels.items() <= one[0].items()]

    def value(self, name: str, **labels: str) -> float:
        """Return the value of the one series that has these labels."""
        found = self.find(name, **labels)
        assert len(found) == 1, f"{name}{labels}: {found or self._samples.get(name)}"
        return found[0][1]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the series that have these labels."""
        return sum(value for _, value in self.find(name, **labels))

    def names(self) -> set[str]:
        """Return the names of all series."""
        return set(self._samples)

    def label_orders(self, name: str) -> set[tuple[str, ...]]:
        """Return the label names of a name's lines in the order in which they are written."""
        orders = set()
        for line in self.text.splitlines():
            found = _SERIES.match(line)
            if found and found[1] == name:
                orders.add(tuple(_LABEL.findall(found[2] or "")))
        return orders


@pytest.fixture(scope="session")
def read() -> Callable[[bytes], Scraped]:
    """Return a function that reads an answer to a scrape."""
    return Scraped
