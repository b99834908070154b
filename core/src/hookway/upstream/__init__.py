"""Towards the providers: one transport per worker, its connections, and their deadlines.

::

    transport = make_transport(wheel)
    head = compile_head("POST", "https://api.example/v1/chat/completions", [("authorization", "Bearer …")])
    response = await transport.open(UpstreamRequest(head, body=body), Timeouts(connect=5, head=60))
    body = await response.read(limit=8 << 20)               # or response.start(receiver)
"""

from __future__ import annotations

import importlib.util

from hookway.deadlines import DeadlineWheel
from hookway.upstream.request import Origin, RequestHead, UpstreamRequest, compile_head
from hookway.upstream.response import Headers, Receiver, UpstreamResponse
from hookway.upstream.settings import TcpKeepalive, TransportSettings
from hookway.upstream.timeouts import NO_TIMEOUTS, Timeouts
from hookway.upstream.tls import DEFAULT_TLS, TlsContexts, TlsSettings
from hookway.upstream.transport import Transport

__all__ = [
    "DEFAULT_TLS",
    "NO_TIMEOUTS",
    "Headers",
    "Origin",
    "Receiver",
    "RequestHead",
    "TcpKeepalive",
    "Timeouts",
    "TlsContexts",
    "TlsSettings",
    "Transport",
    "TransportSettings",
    "UpstreamRequest",
    "UpstreamResponse",
    "compile_head",
    "make_transport",
]


def make_transport(
    wheel: DeadlineWheel, settings: TransportSettings | None = None, tls: TlsContexts | None = None
) -> Transport:
    """Make the fastest transport this platform can run.

    Args:
        wheel: the worker's deadlines.
        settings: bounds and pools; None takes the defaults.
        tls: contexts, shared with whoever checks TLS settings beforehand.
    """
    if importlib.util.find_spec("httptools") is not None:
        from hookway.upstream.protocol_transport import ProtocolTransport

        return ProtocolTransport(wheel, settings, tls)
    from hookway.upstream.aiohttp_transport import AiohttpTransport

    return AiohttpTransport(wheel, settings, tls)
