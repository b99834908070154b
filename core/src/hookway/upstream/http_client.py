"""HTTP for plugins (``services.http``): one request, one answer read whole, over the worker's transport."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence

import msgspec

from hookway.upstream.dialing import Resolver
from hookway.upstream.public_addresses import is_public
from hookway.upstream.request import RequestHead, UpstreamRequest, compile_head
from hookway.upstream.response import Headers
from hookway.upstream.timeouts import Timeouts
from hookway.upstream.tls import DEFAULT_TLS, TlsSettings
from hookway.upstream.transport import Transport
from hookway_sdk.errors import (
    InvalidRequest,
    InvalidUpstreamConfig,
    PermissionDenied,
    TransportFailed,
    UpstreamTimeout,
)

_CREDENTIAL = re.compile(
    r"(authorization|authentication|cookie|key|token|secret|password|credentials?|sig|signature)$",
    re.IGNORECASE,
)


class HttpAnswer(msgspec.Struct, frozen=True):
    """An answer, read whole.

    Attributes:
        status: HTTP status.
        headers: of the answer.
        body: decompressed.
    """

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """Return the first value of a header, ``""`` if absent."""
        return self.headers.get(name) or ""


class HttpClient:
    """Fills :class:`hookway_sdk.services.Http`.

    Args:
        transport: the worker's.
        tls: of the deployment; its client certificate is never shown to an address that a caller supplied.
        resolver: looks up hosts that a caller supplied; None makes one.
        permitted: says of an address whether a caller may make us reach it.
    """

    def __init__(
        self,
        transport: Transport,
        tls: TlsSettings = DEFAULT_TLS,
        resolver: Resolver | None = None,
        permitted: Callable[[str], bool] = is_public,
    ) -> None:
        self._transport = transport
        self._tls = tls
        self._anonymous_tls = msgspec.structs.replace(tls, client_cert_file=None, client_key_file=None)
        self._resolver = resolver if resolver is not None else Resolver(time.monotonic)
        self._permitted = permitted

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        timeout: float = 30.0,  # noqa: ASYNC109  # the transport's deadline, in the wheel
        limit: int = 8 * 1024 * 1024,
        caller_supplied: bool = False,
    ) -> HttpAnswer:
        """Send a request and read the answer; redirects are answers like any other.

        Args:
            method: of HTTP.
            url: absolute, ``http`` or ``https``.
            headers: of the request.
            body: of the request.
            timeout: seconds for all of it.
            limit: bytes of the answer at most, after decompression.
            caller_supplied: the URL came from a caller. Every address of its host must be public, and the
                connection goes to an address that was checked: a name cannot lead elsewhere in between.

        Raises:
            UpstreamError: no answer, not in time, or too large a one.
            InvalidUpstreamConfig: the URL or a header cannot be sent.
            InvalidRequest: the same for a URL that a caller supplied.
            PermissionDenied: a caller's URL leads to an address that is not public, or one of the headers
                looks like a credential, which must not travel there.
        """
        if not caller_supplied:
            head = compile_head(method, url, headers, tls=self._tls)
            return await self._exchange(head, body, timeout, limit)
        for name, _ in headers:
            if _CREDENTIAL.search(name):
                raise PermissionDenied(f"header '{name}' must not travel to a url that a caller supplied")
        began = time.monotonic()
        addresses = await self._checked_addresses(method, url, timeout)
        for address in addresses[:-1]:
            head = self._pinned_head(method, url, headers, address)
            try:
                return await self._exchange(head, body, _left(timeout, began), limit)
            except TransportFailed as error:
                if error.sent:
                    raise
        head = self._pinned_head(method, url, headers, addresses[-1])
        return await self._exchange(head, body, _left(timeout, began), limit)

    async def _exchange(self, head: RequestHead, body: bytes, seconds: float, limit: int) -> HttpAnswer:
        response = await self._transport.open(UpstreamRequest(head, body=body), Timeouts(total=seconds))
        return HttpAnswer(response.status, response.headers, await response.read(limit))

    def _pinned_head(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], address: str | None
    ) -> RequestHead:
        try:
            return compile_head(method, url, headers, tls=self._anonymous_tls, address=address)
        except InvalidUpstreamConfig as error:
            raise InvalidRequest(error.message.removeprefix("invalid upstream configuration: ")) from error

    async def _checked_addresses(self, method: str, url: str, seconds: float) -> list[str]:
        origin = self._pinned_head(method, url, (), None).origin
        try:
            async with asyncio.timeout(seconds):
                found = await self._resolver.resolve(origin.host, origin.port)
        except TimeoutError as error:
            raise UpstreamTimeout(round(seconds * 1000), stage="connect") from error
        except (OSError, UnicodeError) as error:
            raise InvalidRequest("the host of the url cannot be found") from error
        addresses = [str(sockaddr[0]) for _, sockaddr in found]
        # One bad address among good ones is how a name is made to lead inside on the second try.
        if not addresses or not all(self._permitted(address) for address in addresses):
            raise PermissionDenied("the url leads to an address that is not public")
        return addresses


def _left(timeout: float, began: float) -> float:
    left = timeout - (time.monotonic() - began)
    if left <= 0:
        raise UpstreamTimeout(round(timeout * 1000))
    return left
