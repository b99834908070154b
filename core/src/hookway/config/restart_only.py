"""Settings that are read once: a reload that changes them says so, since nothing would happen otherwise."""

from __future__ import annotations

from typing import Any

import msgspec

from hookway.config.settings import RootSettings

READ_ONCE = (
    "proxy.addr",
    "proxy.tls",
    "proxy.line_limit",
    "proxy.header_limit",
    "proxy.head_timeout",
    "proxy.real_ip",
    "admin",
    "observability.service_name",
    "observability.metrics",
    "upstream.tcp_keepalive_secs",
    "upstream.tcp_keepalive_interval_secs",
    "upstream.tcp_keepalive_retries",
    "upstream.pool_idle_timeout_secs",
    "upstream.pool_max_idle_per_host",
    "downstream.idle_timeout_secs",
    "state_dir",
)
"""Keys, or whole sections, that a running process does not read again."""


def waiting_for_restart(old: RootSettings, new: RootSettings) -> list[str]:
    """Return the keys that differ and take effect at the next start only."""
    return [key for key in READ_ONCE if value_at(old, key) != value_at(new, key)]


def value_at(settings: msgspec.Struct, key: str) -> Any:
    """Return the value of a dotted key."""
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value
