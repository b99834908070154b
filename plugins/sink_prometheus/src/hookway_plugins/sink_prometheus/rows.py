"""What is counted, and by which labels: the objects that an ended request adds itself to."""

from __future__ import annotations

import functools

import msgspec

from hookway_plugins.sink_prometheus.families import (
    BODY_LIMIT,
    CANCELLED,
    REQUEST_DURATION,
    REQUESTS,
    USAGE_EVENTS,
    USAGE_LABELS,
)
from hookway_plugins.sink_prometheus.labels import (
    INFERENCE,
    LEFT,
    UNKNOWN,
    handler,
    outcome,
    status_class,
    usage_protocol,
    written,
)
from hookway_plugins.sink_prometheus.sketch import Sketch

TOO_LARGE = 413


class UsageKey(msgspec.Struct, frozen=True, gc=False):
    """Who used what: the values of ``USAGE_LABELS`` in their order."""

    endpoint: str
    inbound_protocol: str
    provider: str
    model: str
    upstream_model: str
    provider_key_id: str
    provider_key_name: str
    api_key_id: str
    team_id: str
    user_id: str
    user_name: str


class SummaryKey(msgspec.Struct, frozen=True, gc=False):
    """What is the same of many callers' requests.

    Args:
        named_model: they found a model for the name that they used.
    """

    endpoint: str
    inbound_protocol: str
    provider: str
    model: str
    provider_key_id: str
    provider_key_name: str
    stream: bool
    status: int
    named_model: bool


class LatencyKey(msgspec.Struct, frozen=True, gc=False):
    """The labels of the two histograms, but for ``env_id``."""

    endpoint: str
    model: str
    provider: str
    status_class: str
    streaming: str


class UsageRow:
    """Tokens, and the time to the first of them, by who used what.

    Attributes:
        model: label of the model.
        provider: label of the vendor.
        text: all its labels as they are written, without braces.
        input: tokens read.
        output: tokens written.
        firsts: streams that said anything.
        first_ms: milliseconds until they did, in all.
        first_sketch: the same as a sketch, ``None`` while no quantiles are wanted.
    """

    __slots__ = ("first_ms", "first_sketch", "firsts", "input", "model", "output", "provider", "text")

    def __init__(self, key: UsageKey) -> None:
        self.model = key.model
        self.provider = key.provider
        values = [getattr(key, name) for name in UsageKey.__struct_fields__]
        self.text = written(USAGE_LABELS, values)
        self.input = 0
        self.output = 0
        self.firsts = 0
        self.first_ms = 0.0
        self.first_sketch: Sketch | None = None


class SummaryRow:
    """Labels of families with few of them, as they are written, without braces.

    Attributes:
        inference: its requests are ones to inference endpoints.
        failed: they did not succeed.
        direct: how the labels of a request go on after those of usage.
        fallback: the same where another target than the first answered.
        duration: the same of a duration.
        requests: labels of ``requests_total``.
        request_duration: labels of ``request_duration_seconds``.
        usage_events: labels of ``usage_events_emitted_total``, ``""`` where there are none.
        cancelled: labels of ``proxy_client_cancelled_requests_total``, ``""`` where nobody left.
        body_limit: labels of ``proxy_request_body_limit_rejections_total``, ``""`` for all else.
    """

    __slots__ = (
        "body_limit",
        "cancelled",
        "direct",
        "duration",
        "failed",
        "fallback",
        "inference",
        "request_duration",
        "requests",
        "usage_events",
    )

    def __init__(self, key: SummaryKey) -> None:
        status, what = str(key.status), outcome(key.status)
        account = (key.model, key.provider_key_id, key.provider_key_name)
        self.inference = key.named_model or key.endpoint in INFERENCE
        self.failed = what != "success"
        self.direct = tail(key.stream, key.status, False)
        self.fallback = tail(key.stream, key.status, True)
        self.duration = tail(key.stream, key.status, None)
        self.requests = written(REQUESTS.labels, (key.provider, key.model, status, what))
        self.request_duration = written(REQUEST_DURATION.labels, (key.provider, key.model, status))
        self.usage_events = self.cancelled = self.body_limit = ""
        if word := handler(key.endpoint, key.named_model):
            words = (word, status_class(key.status), usage_protocol(key.inbound_protocol))
            self.usage_events = written(USAGE_EVENTS.labels, (*words, *account))
        if key.status == LEFT:
            self.cancelled = written(CANCELLED.labels, (key.endpoint, *account))
        if key.status == TOO_LARGE and key.provider == UNKNOWN:  # a provider may say 413, too
            self.body_limit = written(BODY_LIMIT.labels, (key.endpoint, key.inbound_protocol, UNKNOWN))


@functools.lru_cache(maxsize=4_096)
def tail(stream: bool, status: int, fallback: bool | None) -> str:
    """Return the labels of a request that follow those of usage; without ``is_fallback`` for ``None``."""
    between = "" if fallback is None else f',is_fallback="{str(fallback).lower()}"'
    return f',stream="{str(stream).lower()}"{between},status="{status}",outcome="{outcome(status)}"'


class LatencyRow:
    """Observations of both histograms for one set of labels.

    Attributes:
        key: its labels.
        counts: whole requests by bucket, the last for what is over every edge.
        ms: milliseconds they took in all.
        firsts: first pieces by bucket, ``None`` before the first stream.
        first_ms: milliseconds until them, in all.
    """

    __slots__ = ("counts", "first_ms", "firsts", "key", "ms")

    def __init__(self, key: LatencyKey, edges: int) -> None:
        self.key = key
        self.counts = [0] * (edges + 1)
        self.ms = 0.0
        self.firsts: list[int] | None = None
        self.first_ms = 0.0


class RequestRow:
    """Requests of one set of labels.

    Attributes:
        usage: who used what.
        summary: what is the same of many callers' requests.
        latency: where its whole duration is observed.
        direct: requests that ended at their first target, or without any.
        fallbacks: requests that ended at another one.
        ms: milliseconds until the head of the answer, in all.
        sketch: the same as a sketch, ``None`` while no quantiles are wanted.
    """

    __slots__ = ("direct", "fallbacks", "latency", "ms", "sketch", "summary", "usage")

    def __init__(self, usage: UsageRow, summary: SummaryRow, latency: LatencyRow) -> None:
        self.usage = usage
        self.summary = summary
        self.latency = latency
        self.direct = 0
        self.fallbacks = 0
        self.ms = 0.0
        self.sketch: Sketch | None = None
