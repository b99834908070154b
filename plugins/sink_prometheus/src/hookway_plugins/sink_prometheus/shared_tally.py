"""Finds the counts of a process, which outlive the instances that add to them."""

from __future__ import annotations

import weakref

from hookway_plugins.sink_prometheus.settings import PrometheusSettings
from hookway_plugins.sink_prometheus.tally import Tally
from hookway_sdk import Metrics, Services

_TALLIES: weakref.WeakKeyDictionary[Metrics, dict[str, Tally]] = weakref.WeakKeyDictionary()
# There is one `Metrics` for each process, and for each gateway of a test; counts live exactly as long. A
# tally must never refer to its `Metrics`, which would then never go.


def tally_of(services: Services, settings: PrometheusSettings) -> Tally:
    """Return the counts of a plugin's instance name, which both of its kinds share, made at first use.

    Args:
        settings: what the first instance wants; a later one's are adopted when it is used.
    """
    tallies = _TALLIES.setdefault(services.metrics, {})
    found = tallies.get(services.plugin)
    if found is None:
        found = tallies[services.plugin] = Tally(settings)
    return found
