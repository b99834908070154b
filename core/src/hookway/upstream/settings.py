"""Settings of the upstream transport as a whole; the ``upstream`` section of the configuration fills them."""

from __future__ import annotations

import msgspec


class TcpKeepalive(msgspec.Struct, frozen=True):
    """How TCP finds out that a silent peer is gone.

    Args:
        idle: seconds of silence before the first probe.
        interval: seconds between probes.
        probes: unanswered ones until the connection is broken.
    """

    idle: int = 60
    interval: int = 30
    probes: int = 5


class TransportSettings(msgspec.Struct, frozen=True):
    """Bounds and pools.

    Args:
        idle_timeout: seconds an unused connection is kept; None keeps it until the provider closes it.
        max_idle_per_origin: unused connections kept for one origin; None keeps all.
        max_connections_per_origin: connections to one origin, used or not; None sets no bound. Requests
            beyond it wait, within their connect deadline.
        tcp_keepalive: None leaves it off.
        header_bytes: the largest head of an answer that is accepted.
        header_count: the most fields in it.
    """

    idle_timeout: float | None = 30.0
    max_idle_per_origin: int | None = None
    max_connections_per_origin: int | None = None
    tcp_keepalive: TcpKeepalive | None = TcpKeepalive()
    header_bytes: int = 64 * 1024
    header_count: int = 256
