"""Make a new connection: look the host up, connect to the first address that answers, put TLS on it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Any, TypeAlias, TypeVar

from hookway.upstream.causes import cause_of
from hookway.upstream.request import Origin
from hookway.upstream.settings import TcpKeepalive
from hookway.upstream.tls import TlsContexts
from hookway_sdk.errors import TransportFailed

_ProtocolT = TypeVar("_ProtocolT", bound=asyncio.Protocol)
# Family and what ``connect`` takes.
Address: TypeAlias = "tuple[int, tuple[Any, ...]]"

# RFC 8305 5: how long an address has before the next is tried beside it.
STAGGER_SECONDS = 0.25
# A name's addresses are kept this long. Short, because the system does not tell how long it may be.
NAMES_SECONDS = 10.0
_NAMES = 1024


class Resolver:
    """Look names up, each only once at a time, and keep the answers for a few seconds.

    A burst of new connections would otherwise queue for the few threads that ``getaddrinfo`` runs in.

    Args:
        now: monotonic seconds.
        seconds: how long an answer is kept.
    """

    def __init__(self, now: Callable[[], float], seconds: float = NAMES_SECONDS) -> None:
        self._now = now
        self._seconds = seconds
        self._known: dict[tuple[str, int], tuple[float, Sequence[Address]]] = {}
        self._asking: dict[tuple[str, int], asyncio.Task[Sequence[Address]]] = {}

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Return the addresses of a host in the order to try, both families in turn.

        Args:
            host: name or address.
            port: TCP port, part of each address.

        Raises:
            OSError: the name has no address, or nobody answers.
        """
        key = (host, port)
        known = self._known.get(key)
        if known is not None and known[0] > self._now():
            return known[1]
        if (literal := _literal(host, port)) is not None:
            return [literal]
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.get_running_loop().create_task(self._ask(host, port))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        # Whoever leaves early does not take the answer from the others.
        return await asyncio.shield(asking)

    async def _ask(self, host: str, port: int) -> Sequence[Address]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        addresses = _in_turn([(family, sockaddr) for family, _, _, _, sockaddr in found])
        if len(self._known) >= _NAMES:
            self._known.clear()
        self._known[host, port] = (self._now() + self._seconds, addresses)
        return addresses


class Dialer:
    """Make connections to origins.

    Args:
        tls: contexts by setting.
        resolver: for names.
        keepalive: set on each socket; None leaves it off.
    """

    def __init__(self, tls: TlsContexts, resolver: Resolver, keepalive: TcpKeepalive | None) -> None:
        self._tls = tls
        self._resolver = resolver
        self._keepalive = keepalive

    async def dial(self, origin: Origin, factory: Callable[[], _ProtocolT]) -> _ProtocolT:
        """Connect, and hand the connection to a protocol.

        Args:
            origin: where to.
            factory: makes the protocol.

        Raises:
            TransportFailed: with ``sent=False``, naming the cause.
            InvalidUpstreamConfig: the TLS settings cannot be used.
        """
        context = self._tls.get(origin.tls) if origin.tls is not None else None
        loop = asyncio.get_running_loop()
        try:
            addresses = await self._resolver.resolve(origin.address or origin.host, origin.port)
            connected = await connect_any(addresses, self._keepalive)
        except OSError as error:
            raise TransportFailed(cause_of(error), sent=False) from error
        try:
            name = origin.host if context is not None else None
            _, protocol = await loop.create_connection(
                factory, sock=connected, ssl=context, server_hostname=name
            )
        except OSError as error:
            connected.close()
            raise TransportFailed(cause_of(error), sent=False) from error
        except BaseException:
            connected.close()
            raise
        return protocol


def socket_for(family: int, keepalive: TcpKeepalive | None) -> socket.socket:
    """Return a socket that does not block, does not wait to fill packets, and notices a peer that is gone.

    Args:
        family: of addresses.
        keepalive: how it notices; None leaves that off.
    """
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if keepalive is None:
        return made
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # macOS names the first differently; Windows before 10.0.15063 has none of them.
    for name, value in (
        ("TCP_KEEPIDLE", keepalive.idle),
        ("TCP_KEEPALIVE", keepalive.idle),
        ("TCP_KEEPINTVL", keepalive.interval),
        ("TCP_KEEPCNT", keepalive.probes),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


async def connect_any(
    addresses: Sequence[Address], keepalive: TcpKeepalive | None = None, stagger: float = STAGGER_SECONDS
) -> socket.socket:
    """Connect to the first of several addresses that answers (RFC 8305, "happy eyeballs").

    Args:
        addresses: in order of preference, at least one.
        keepalive: of the socket.
        stagger: seconds until the next is tried beside those that have not answered.

    Raises:
        OSError: of the first address, when none answers.
    """
    if len(addresses) == 1:
        return await _connect(addresses[0], keepalive)
    loop = asyncio.get_running_loop()
    attempts = [loop.create_task(_connect(addresses[0], keepalive))]
    winner: asyncio.Task[socket.socket] | None = None
    try:
        while winner is None:
            more = len(attempts) < len(addresses)
            pending = [attempt for attempt in attempts if not attempt.done()]
            if pending:
                await asyncio.wait(
                    pending, timeout=stagger if more else None, return_when=asyncio.FIRST_COMPLETED
                )
            winner = next((attempt for attempt in attempts if _succeeded(attempt)), None)
            if winner is None and more:
                attempts.append(loop.create_task(_connect(addresses[len(attempts)], keepalive)))
            elif winner is None and all(attempt.done() for attempt in attempts):
                return attempts[0].result()
        return winner.result()
    finally:
        for attempt in attempts:
            if attempt is not winner and not attempt.cancel() and _succeeded(attempt):
                attempt.result().close()


async def _connect(address: Address, keepalive: TcpKeepalive | None) -> socket.socket:
    family, sockaddr = address
    connecting = socket_for(family, keepalive)
    try:
        await asyncio.get_running_loop().sock_connect(connecting, sockaddr)
    except BaseException:
        connecting.close()
        raise
    return connecting


def _succeeded(attempt: asyncio.Task[socket.socket]) -> bool:
    return attempt.done() and not attempt.cancelled() and attempt.exception() is None


def _literal(host: str, port: int) -> Address | None:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return (socket.AF_INET, (host, port)) if version == 4 else (socket.AF_INET6, (host, port, 0, 0))


def _in_turn(addresses: Sequence[Address]) -> list[Address]:
    """Order so that the families alternate, the system's first choice first (RFC 8305 4)."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    pairs = chain.from_iterable(zip_longest(first, others))
    return [address for address in pairs if address is not None]
