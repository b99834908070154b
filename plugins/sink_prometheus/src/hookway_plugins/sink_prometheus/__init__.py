"""Metrics in Prometheus' text format on the metrics listener."""

from hookway_plugins.sink_prometheus.plugin import PrometheusSink

__all__ = ["PrometheusSink"]
