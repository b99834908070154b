"""The promises of every sink, of every route for operators, and of every plugin."""

from __future__ import annotations

from hookway_plugins.sink_prometheus import PrometheusSink
from hookway_plugins.sink_prometheus.plugin import MetricsRoute, RequestCounter
from hookway_sdk.testing.contracts.admin import AdminContract
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.testing.contracts.sink import SinkContract

RICH = {
    "path": "stats",
    "quantiles": True,
    "max_rows": 5,
    "env_id": "blue",
    "buckets": {"request_e2e_latency": [1, 2], "request_ttft": [0.5]},
    "client_type_rules": [{"pattern": "^acme-", "client": "acme"}],
}


class TestPlugin(PluginContract):
    plugin = PrometheusSink
    settings = RICH


class TestSink(SinkContract):
    plugin = RequestCounter
    name = "sink_prometheus"


class TestSinkWithEverySetting(SinkContract):
    plugin = RequestCounter
    name = "sink_prometheus"
    settings = RICH


class TestRoute(AdminContract):
    plugin = MetricsRoute
    name = "admin_metrics"


class TestRouteWithEverySetting(AdminContract):
    plugin = MetricsRoute
    name = "admin_metrics"
    settings = RICH
