"""Every metric family of this plugin: name, type, labels, help. What is rendered and what is documented."""

from __future__ import annotations

from typing import Literal

import msgspec

USAGE_LABELS = (
    "endpoint",
    "inbound_protocol",
    "provider",
    "model",
    "upstream_model",
    "provider_key_id",
    "provider_key_name",
    "api_key_id",
    "team_id",
    "user_id",
    "user_name",
)
"""Who used which model at which account."""

REQUEST_LABELS = (*USAGE_LABELS, "stream", "is_fallback", "status", "outcome")
"""The same, and what came of it."""

DURATION_LABELS = (*USAGE_LABELS, "stream", "status", "outcome")
"""As requests, whether or not another target than the first answered."""

DEPLOYMENT_LABELS = ("provider", "model", "upstream_model", "provider_key_id")

LATENCY_LABELS = ("env_id", "endpoint", "model", "provider", "status_class", "streaming")

ACCOUNT_LABELS = ("model", "provider_key_id", "provider_key_name")

TO_THE_HEAD = "a stream counts until its head is ready"
ATTEMPTS = "attempts that were sent, retries and nested calls included"


class FamilySpec(msgspec.Struct, frozen=True):
    """One family.

    Args:
        name: without the brand's prefix.
        type: its type in the exposition.
        labels: label names in the order in which they are rendered.
        help: one sentence.
        note: what else a reader of the reference should know, ``""`` for nothing.
    """

    name: str
    type: Literal["counter", "gauge", "histogram", "summary"]
    labels: tuple[str, ...]
    help: str
    note: str = ""


REQUESTS = FamilySpec(
    "requests_total", "counter", ("provider", "model", "status", "outcome"), "Requests that ended."
)
REQUEST_DURATION = FamilySpec(
    "request_duration_seconds",
    "summary",
    ("provider", "model", "status"),
    "Seconds that requests took.",
    TO_THE_HEAD,
)
PROXY_REQUESTS = FamilySpec(
    "proxy_requests_total", "counter", REQUEST_LABELS, "Requests that ended, by everything known of them."
)
PROXY_FAILED = FamilySpec(
    "proxy_failed_requests_total",
    "counter",
    REQUEST_LABELS,
    "Requests that ended without success.",
    "refusals of credentials are in `auth_decisions_total` alone",
)
PROXY_DURATION = FamilySpec(
    "proxy_request_duration_seconds",
    "summary",
    DURATION_LABELS,
    "Seconds that requests took, by everything known of them.",
    TO_THE_HEAD,
)
LLM_REQUESTS = FamilySpec(
    "llm_requests_total",
    "counter",
    REQUEST_LABELS,
    "Requests to inference endpoints that ended.",
    "the known inference paths, and whatever named a model",
)
LLM_DURATION = FamilySpec(
    "llm_request_duration_seconds",
    "summary",
    DURATION_LABELS,
    "Seconds that requests to inference endpoints took.",
    TO_THE_HEAD,
)
LLM_INPUT = FamilySpec(
    "llm_input_tokens_total",
    "counter",
    USAGE_LABELS,
    "Tokens read, cached ones included.",
    "estimated counts are counted like reported ones",
)
LLM_OUTPUT = FamilySpec("llm_output_tokens_total", "counter", USAGE_LABELS, "Tokens written.")
LLM_TOTAL = FamilySpec("llm_total_tokens_total", "counter", USAGE_LABELS, "Tokens read and written.")
LLM_TTFT = FamilySpec(
    "llm_time_to_first_token_seconds",
    "summary",
    USAGE_LABELS,
    "Seconds until the first piece of a stream.",
)
TOKENS_CONSUMED = FamilySpec(
    "tokens_consumed_total", "counter", ("provider", "model"), "Tokens read and written, by model."
)
TOKENS_BY_CLIENT = FamilySpec(
    "llm_tokens_by_client_total",
    "counter",
    ("client_type", "model", "token_type"),
    "Tokens by kind of client; token_type is input, output or total.",
)
CANCELLED = FamilySpec(
    "proxy_client_cancelled_requests_total",
    "counter",
    ("endpoint", *ACCOUNT_LABELS),
    "Requests whose caller left before the head of the answer was written.",
)
BODY_LIMIT = FamilySpec(
    "proxy_request_body_limit_rejections_total",
    "counter",
    ("endpoint", "inbound_protocol", "outcome"),
    "Requests refused because their body was over the limit.",
    "`outcome` is `unknown`: what became of the rest of the body is not told",
)
DEPLOYMENT_REQUESTS = FamilySpec(
    "deployment_requests_total", "counter", DEPLOYMENT_LABELS, "Attempts at a target.", ATTEMPTS
)
DEPLOYMENT_SUCCESSES = FamilySpec(
    "deployment_success_responses_total", "counter", DEPLOYMENT_LABELS, "Attempts that succeeded."
)
DEPLOYMENT_FAILURES = FamilySpec(
    "deployment_failure_responses_total",
    "counter",
    DEPLOYMENT_LABELS,
    "Attempts that failed.",
    "an attempt whose caller left is neither a success nor a failure",
)
DEPLOYMENT_STATE = FamilySpec(
    "deployment_state",
    "gauge",
    DEPLOYMENT_LABELS,
    "0 for a healthy target, 2 for one that cools down or failed its check.",
    "read when scraped",
)
FALLBACKS = FamilySpec(
    "routing_successful_fallbacks_total",
    "counter",
    ("model", "fallback_model"),
    "Fallback attempts that answered.",
)
FAILED_FALLBACKS = FamilySpec(
    "routing_failed_fallbacks_total",
    "counter",
    ("model", "fallback_model"),
    "Fallback attempts that did not answer.",
)
USAGE_EVENTS = FamilySpec(
    "usage_events_emitted_total",
    "counter",
    ("handler", "status_code", "inbound_protocol", *ACCOUNT_LABELS),
    "Requests whose usage was recorded; status_code is a class.",
)
AUTH_DECISIONS = FamilySpec(
    "auth_decisions_total",
    "counter",
    ("method", "result", "reason"),
    "Credentials that were let in (allow) or turned away (deny).",
    "a request that is let in is counted when it ends",
)
E2E_LATENCY = FamilySpec(
    "request_e2e_latency_seconds",
    "histogram",
    LATENCY_LABELS,
    "Seconds that whole requests took, to the end of a stream.",
    "edges: `buckets.request_e2e_latency`",
)
TTFT = FamilySpec(
    "request_ttft_seconds",
    "histogram",
    LATENCY_LABELS,
    "Seconds until the first piece of a stream, by model.",
    "edges: `buckets.request_ttft`",
)
CONFIG_RELOAD_OK = FamilySpec(
    "config_last_reload_successful",
    "gauge",
    (),
    "1 if the last load worked, 0 while rows are rejected or a source cannot be read.",
    "read when scraped",
)
CONFIG_RELOAD_TIME = FamilySpec(
    "config_last_reload_success_timestamp_seconds",
    "gauge",
    (),
    "When the last load that worked was made, in seconds since 1970.",
)
CONFIG_RELOADS = FamilySpec("config_reloads_total", "counter", (), "Loads of the configuration.")
CONFIG_FAILURES = FamilySpec(
    "config_reload_failures_total",
    "counter",
    ("reason",),
    "Loads that were refused; reason is fetch, parse or validate.",
)
CONFIG_REJECTED = FamilySpec(
    "config_rejected_resources",
    "gauge",
    ("kind",),
    "Rows that do not serve.",
    "a kind without any, after it had some, stays at 0",
)
CONFIG_STALE = FamilySpec(
    "config_stale_served_resources",
    "gauge",
    ("kind",),
    "Rows whose last good value serves in place of a rejected one.",
)
CONFIG_HASH = FamilySpec(
    "config_hash_info",
    "gauge",
    ("hash",),
    "1 for the configuration that serves, 0 for the one before it.",
)

FAMILIES: tuple[FamilySpec, ...] = (
    REQUESTS,
    REQUEST_DURATION,
    PROXY_REQUESTS,
    PROXY_FAILED,
    PROXY_DURATION,
    LLM_REQUESTS,
    LLM_DURATION,
    LLM_INPUT,
    LLM_OUTPUT,
    LLM_TOTAL,
    LLM_TTFT,
    TOKENS_CONSUMED,
    TOKENS_BY_CLIENT,
    CANCELLED,
    BODY_LIMIT,
    DEPLOYMENT_REQUESTS,
    DEPLOYMENT_SUCCESSES,
    DEPLOYMENT_FAILURES,
    DEPLOYMENT_STATE,
    FALLBACKS,
    FAILED_FALLBACKS,
    USAGE_EVENTS,
    AUTH_DECISIONS,
    E2E_LATENCY,
    TTFT,
    CONFIG_RELOAD_OK,
    CONFIG_RELOAD_TIME,
    CONFIG_RELOADS,
    CONFIG_FAILURES,
    CONFIG_REJECTED,
    CONFIG_STALE,
    CONFIG_HASH,
)
"""All of them, in the order of the reference."""
