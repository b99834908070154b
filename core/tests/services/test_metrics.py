"""Metric families: declared once, bounded in their labels, strict about what they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway.services.metrics import DEFAULT_BUCKETS, MAX_SERIES, MetricRegistry
from hookway_sdk import PluginError


@pytest.fixture
def registry() -> MetricRegistry:
    return MetricRegistry()


def test_a_counter_adds_up_by_labels(registry: MetricRegistry) -> None:
    family = registry.counter("requests_total", "Requests.", ["model", "status"])
    family.add(1.0, "a", "200")
    family.add(2.5, "a", "200")
    family.add(1.0, "b", "500")
    assert family.values == {("a", "200"): 3.5, ("b", "500"): 1.0}


def test_a_counter_cannot_go_down(registry: MetricRegistry) -> None:
    with pytest.raises(ValueError, match="requests_total cannot go down"):
        registry.counter("requests_total", "Requests.").add(-1.0)


def test_the_name_of_a_counter_says_so(registry: MetricRegistry) -> None:
    with pytest.raises(ValueError, match="has to end in _total"):
        registry.counter("requests", "Requests.")


def test_a_gauge_moves_and_is_set(registry: MetricRegistry) -> None:
    family = registry.gauge("in_flight", "Requests in flight.")
    family.add(2.0)
    family.add(-1.0)
    assert family.values == {(): 1.0}
    family.set(7.0)
    assert family.values == {(): 7.0}


def test_a_histogram_counts_by_bucket_its_edges_included(registry: MetricRegistry) -> None:
    family = registry.histogram("seconds", "Time.", ["model"], buckets=[1.0, 2.0])
    for value in (0.5, 1.0, 1.5, 2.0, 99.0):
        family.observe(value, "a")
    found = family.histograms["a",]
    assert (found.counts, found.count, found.sum) == ([2, 2, 1], 5, 104.0)


@given(st.lists(st.floats(0, 1000), max_size=50))
def test_a_histogram_loses_no_observation(values: list[float]) -> None:
    family = MetricRegistry().histogram("seconds", "Time.")
    for value in values:
        family.observe(value)
    if values:
        found = family.histograms[()]
        assert sum(found.counts) == found.count == len(values)
        for index, edge in enumerate(DEFAULT_BUCKETS):
            assert sum(found.counts[: index + 1]) == sum(value <= edge for value in values)


@pytest.mark.parametrize("buckets", [[2.0, 1.0], [1.0, 1.0]])
def test_buckets_have_to_ascend(registry: MetricRegistry, buckets: list[float]) -> None:
    with pytest.raises(ValueError, match="have to ascend"):
        registry.histogram("seconds", "Time.", buckets=buckets)


# ── labels ──────────────────────────────────────────────────────────────────────────────────


def test_the_number_of_label_values_has_to_fit(registry: MetricRegistry) -> None:
    counter = registry.counter("requests_total", "Requests.", ["model"])
    histogram = registry.histogram("seconds", "Time.", ["model"])
    for labels in ((), ("a", "b")):
        with pytest.raises(ValueError, match="has labels"):
            counter.add(1.0, *labels)
        with pytest.raises(ValueError, match="has labels"):
            histogram.observe(1.0, *labels)


def test_label_values_are_bounded_and_nothing_is_lost(registry: MetricRegistry) -> None:
    family = registry.counter("requests_total", "Requests.", ["model", "key"])
    for number in range(MAX_SERIES + 500):
        family.add(1.0, f"model-{number}", "k")
    assert len(family.values) == MAX_SERIES + 1
    assert family.values["other", "other"] == 500.0
    family.add(1.0, "model-0", "k")
    assert family.values["model-0", "k"] == 2.0
    assert sum(family.values.values()) == MAX_SERIES + 501


def test_series_of_histograms_are_bounded_too(registry: MetricRegistry) -> None:
    family = registry.histogram("seconds", "Time.", ["model"])
    for number in range(MAX_SERIES + 5):
        family.observe(1.0, f"model-{number}")
    assert len(family.histograms) == MAX_SERIES + 1
    assert family.histograms["other",].count == 5


# ── declared twice ──────────────────────────────────────────────────────────────────────────


def test_the_same_declaration_is_the_same_family(registry: MetricRegistry) -> None:
    first = registry.counter("requests_total", "Requests.", ["model"])
    first.add(1.0, "a")
    assert registry.counter("requests_total", "Other words.", ("model",)) is first
    assert [family.declaration.name for family in registry.families()] == ["requests_total"]


def test_another_kind_or_other_labels_under_one_name_are_refused(registry: MetricRegistry) -> None:
    registry.gauge("seconds_total", "Time.", ["model"])
    with pytest.raises(PluginError, match="declared twice with different kinds, labels or buckets"):
        registry.counter("seconds_total", "Time.", ["model"])
    with pytest.raises(PluginError, match="declared twice with different kinds, labels or buckets"):
        registry.gauge("seconds_total", "Time.", ["model", "key"])


def test_a_family_declared_while_they_are_listed_breaks_nothing(registry: MetricRegistry) -> None:
    registry.counter("a_total", "A.")
    listed = registry.families()
    registry.counter("b_total", "B.")
    assert [one.name for one in listed] == ["a_total"]


def test_a_bound_series_counts_with_its_family(registry: MetricRegistry) -> None:
    family = registry.counter("a_total", "A.", ["model"])
    series = family.bind("m")
    assert family.values == {("m",): 0.0}
    series.add()
    series.add(2.0)
    family.add(1.0, "m")
    assert family.values == {("m",): 4.0}
    with pytest.raises(ValueError, match="cannot go down"):
        series.add(-1.0)
    seconds = registry.histogram("seconds", "Time.", ["model"], buckets=(1.0, 2.0)).bind("m")
    for value in (0.5, 1.5, 9.0):
        seconds.observe(value)
    (found,) = registry.families()[1].histograms.values()
    assert (found.counts, found.count, found.sum) == ([1, 1, 1], 3, 11.0)


def test_other_buckets_of_a_known_histogram_are_refused(registry: MetricRegistry) -> None:
    registry.histogram("seconds", "Time.", buckets=(1.0, 2.0))
    with pytest.raises(PluginError, match="buckets"):
        registry.histogram("seconds", "Time.", buckets=(1.0, 3.0))


def test_families_are_brought_up_to_date_before_they_are_read(registry: MetricRegistry) -> None:
    gauge = registry.gauge("running", "What runs.")
    registry.before_reading(lambda: gauge.set(7.0))
    assert registry.families()[0].values == {(): 7.0}
