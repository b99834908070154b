"""The access log: one JSON line for each request."""

from hookway_plugins.sink_access_log.plugin import AccessLogSink

__all__ = ["AccessLogSink"]
