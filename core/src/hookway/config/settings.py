"""The root settings: what may stand in conf.d beside the plugins' own settings.

Keys and defaults follow ``contracts/aisix-ops.md`` 1.2. Where native differs: listeners bind loopback
addresses, bodies are bounded, draining lasts 5 seconds at least instead of 30, and durations and sizes
may be written with units.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from hookway.config.addresses import Address, HeaderName, IdHeaderName, Network
from hookway.config.plugin_entries import PluginEntry, PluginWords
from hookway_sdk.durations import Milliseconds, Seconds, Size
from hookway_sdk.settings import Settings, also, checked
from hookway_sdk.walker import schema

FileName = Annotated[str, msgspec.Meta(min_length=1)]
_KIB = 1024
_MIB = 1024 * _KIB


class ListenerTls(Settings):
    """Certificate of a listener.

    Args:
        cert_file: PEM file with the certificate and its chain.
        key_file: PEM file with its private key.
    """

    cert_file: FileName
    key_file: FileName


class RequestIdSettings(Settings):
    """Request ids.

    Args:
        accept_headers: headers from which a caller's id is adopted, in order; an empty list adopts
            none; by default the gateway's own request id header.
    """

    accept_headers: tuple[IdHeaderName, ...] | None = None


class RealIpSettings(Settings):
    """Where the client's address comes from when proxies stand in between.

    Args:
        trusted_proxies: networks whose word about the client is taken.
        recursive: whether the first address that is not trusted counts, from the right, instead of
            the rightmost.
        header: the header in which proxies name the client.
    """

    trusted_proxies: tuple[Network, ...] = ()
    recursive: bool = False
    header: HeaderName = HeaderName("x-forwarded-for")


class ProxySettings(Settings):
    """The listener for callers.

    Args:
        addr: where it binds.
        tls: serves HTTPS when given.
        request_body_limit: largest request body; 0 is no limit.
        line_limit: longest request line.
        header_limit: largest single header.
        head_timeout: longest time for a request's head once it has begun, then 408; 0 is no limit.
        body_timeout: longest wait for the next part of a request's body, then 408; 0 is no limit.
        request_id: adoption of callers' request ids.
        real_ip: the client's address behind proxies.
    """

    addr: Address = Address("127.0.0.1", 3000)
    tls: ListenerTls | None = None
    request_body_limit: Annotated[Size, also("request_body_limit_bytes")] = 64 * _MIB
    line_limit: Annotated[Size, msgspec.Meta(ge=_KIB, le=_MIB)] = 8 * _KIB
    header_limit: Annotated[Size, msgspec.Meta(ge=_KIB, le=_MIB)] = 16 * _KIB
    head_timeout: Seconds = 30.0
    body_timeout: Seconds = 60.0
    request_id: RequestIdSettings = RequestIdSettings()
    real_ip: RealIpSettings = RealIpSettings()


class AdminSettings(Settings):
    """The listener for operators.

    Args:
        enabled: whether it may be bound; it is when a plugin serves something there.
        addr: where it binds.
        tls: serves HTTPS when given.
    """

    enabled: bool = True
    addr: Address = Address("127.0.0.1", 3001)
    tls: ListenerTls | None = None


class PrometheusSettings(Settings):
    """The listener for metrics and status.

    Args:
        enabled: whether it may be bound; it is when a plugin serves something there.
        addr: where it binds.
    """

    enabled: bool = True
    addr: Address = Address("127.0.0.1", 3002)


class MetricsSettings(Settings):
    """Metrics.

    Args:
        prometheus: the listener that serves them.
    """

    prometheus: PrometheusSettings = PrometheusSettings()


class ObservabilitySettings(Settings):
    """What the gateway says about itself.

    Args:
        service_name: its name in logs, metrics and traces.
        log_level: least severe records that are logged.
        access_log: whether a line is written for every request.
        metrics: metrics and status.
    """

    service_name: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] = "hookway"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    access_log: bool = True
    metrics: MetricsSettings = MetricsSettings()


class UpstreamTls(Settings):
    """Trust towards providers, for all of them.

    Args:
        ca_file: PEM file with the certificate authorities to trust instead of the system's.
        client_cert_file: PEM file with a client certificate.
        client_key_file: PEM file with its private key.
        verify: whether certificates and host names are verified.
    """

    ca_file: FileName | None = None
    client_cert_file: FileName | None = None
    client_key_file: FileName | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        if (self.client_cert_file is None) != (self.client_key_file is None):
            missing = "client_key_file" if self.client_key_file is None else "client_cert_file"
            raise ValueError(f"client_cert_file and client_key_file go together; {missing} is missing")


class UpstreamSettings(Settings):
    """Connections to providers; models and provider keys may say otherwise.

    Args:
        timeout_ms: longest time of a request; 0 is no limit.
        stream_timeout_ms: longest time of a streamed request; 0 takes timeout_ms.
        connect_timeout_ms: longest time to connect; 0 is no limit.
        first_token_timeout_ms: longest time until a stream's first event; 0 leaves it to the time between
            two reads.
        total_timeout_ms: longest time of a request with all its attempts; 0 is no limit.
        tcp_keepalive_secs: idle time before the first keep-alive probe; 0 sends none.
        tcp_keepalive_interval_secs: time between probes; 0 is the system's.
        tcp_keepalive_retries: unanswered probes after which a connection is dead; 0 is the system's.
        pool_idle_timeout_secs: time after which an idle connection is closed; 0 is never.
        pool_max_idle_per_host: idle connections kept for a host; null is no limit.
        retries: further attempts on the same target, unless the model says otherwise.
        fallback_on_statuses: statuses of a provider that concern its account and not the request, so that
            the next target of a group is tried; groups may name further ones.
        answer_limit: largest answer that is not streamed.
        tls: certificates.
    """

    timeout_ms: Annotated[Milliseconds, also(timeout=1000)] = 6_000_000
    stream_timeout_ms: Annotated[Milliseconds, also(stream_timeout=1000)] = 0
    connect_timeout_ms: Annotated[Milliseconds, also(connect_timeout=1000)] = 5000
    first_token_timeout_ms: Annotated[Milliseconds, also(first_token_timeout=1000)] = 0
    total_timeout_ms: Annotated[Milliseconds, also(total_timeout=1000)] = 0
    tcp_keepalive_secs: Annotated[Seconds, also("tcp_keepalive"), msgspec.Meta(le=32767)] = 60.0
    tcp_keepalive_interval_secs: Annotated[
        Seconds, also("tcp_keepalive_interval"), msgspec.Meta(le=32767)
    ] = 30.0
    tcp_keepalive_retries: Annotated[int, msgspec.Meta(ge=0, le=127)] = 5
    pool_idle_timeout_secs: Annotated[Seconds, also("pool_idle_timeout")] = 30.0
    pool_max_idle_per_host: Annotated[int, msgspec.Meta(ge=0)] | None = None
    retries: Annotated[int, msgspec.Meta(ge=0, le=100)] = 2
    fallback_on_statuses: tuple[Annotated[int, msgspec.Meta(ge=400, le=599)], ...] = (
        401,
        402,
        403,
        404,
        408,
        429,
    )
    answer_limit: Annotated[Size, msgspec.Meta(ge=_KIB)] = 64 * _MIB
    tls: UpstreamTls = UpstreamTls()


class DownstreamSettings(Settings):
    """Connections of callers.

    Args:
        idle_timeout_secs: time after which a connection between two requests is closed; 0 is never.
        sse_keepalive_interval_secs: silence on a stream after which a comment is sent; 0 is never.
    """

    idle_timeout_secs: Annotated[Seconds, also("idle_timeout")] = 0.0
    sse_keepalive_interval_secs: Annotated[Seconds, also("sse_keepalive_interval")] = 15.0


class ShutdownSettings(Settings):
    """How the gateway ends.

    Args:
        min_drain_secs: shortest time in which it still accepts connections while it reports that it
            is not ready; load balancers need it, so it is 30 in the contract, and 5 here.
        max_drain_secs: longest time from the signal on in which it waits for requests to end, once
            ``min_drain_secs`` are over; what runs then is cancelled and settled, which whoever kills it
            would not do. 0 waits without limit.
    """

    min_drain_secs: Annotated[Seconds, also("min_drain")] = 5.0
    max_drain_secs: Annotated[Seconds, also("max_drain")] = 0.0


def _one_worker(workers: int) -> None:
    if workers != 1:
        raise ValueError("is not supported yet; this version serves from one process, so it is 1")


class RootSettings(Settings):
    """Everything in conf.d.

    Args:
        proxy: the listener for callers.
        admin: the listener for operators.
        observability: logs, metrics and status.
        upstream: connections to providers.
        downstream: connections of callers.
        shutdown: how the gateway ends.
        state_dir: directory for what outlives the process; by default hookway below
            $XDG_STATE_HOME, or below ~/.local/state.
        workers: serving processes; only 1 for now.
        plugins: plugins by name, with their settings.
        vendors: vendors by name; false switches one off.
    """

    proxy: ProxySettings = ProxySettings()
    admin: AdminSettings = AdminSettings()
    observability: ObservabilitySettings = ObservabilitySettings()
    upstream: UpstreamSettings = UpstreamSettings()
    downstream: DownstreamSettings = DownstreamSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    state_dir: FileName | None = None
    workers: Annotated[int, msgspec.Meta(ge=1), checked(_one_worker)] = 1
    plugins: dict[str, PluginEntry] = msgspec.field(default_factory=dict)
    vendors: dict[str, bool] = msgspec.field(default_factory=dict)


ROOT_KEYS = RootSettings.__struct_fields__


def root_schema() -> dict[str, Any]:
    """Return the JSON Schema of a file in conf.d; what plugins add to their entries stays open."""
    written = schema(RootSettings)
    entry = schema(PluginWords)["$defs"]["PluginWords"]
    written["$defs"]["PluginEntry"] = {**entry, "type": ["object", "null"], "additionalProperties": True}
    return written
