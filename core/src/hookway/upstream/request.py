"""What is sent to a provider: a head that is compiled once, and a request made from it each time."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import AsyncIterable, Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import quote, urlsplit

import msgspec

from hookway.upstream.tls import DEFAULT_TLS, TlsSettings
from hookway_sdk.errors import InvalidUpstreamConfig

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
# Framing and hop-by-hop fields (RFC 9110 7.6.1) are the transport's; a second one would be request smuggling.
_RESERVED = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Methods that say "content-length: 0" when there is no body (RFC 9110 8.6).
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
# What may stand in a request target (RFC 3986), the percent sign included: what is escaped stays so.
_TARGET_SAFE = "!#$%&'()*+,-./:;=?@[]_~"


class Origin(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """Where connections go to; requests of equal origins share them.

    Args:
        scheme: ``http`` or ``https``.
        host: name or address, lower case, without brackets.
        port: TCP port.
        tls: settings of an ``https`` origin; None for ``http``.
        address: connect to this address and do not look the host up; None looks it up.
    """

    scheme: str
    host: str
    port: int
    tls: TlsSettings | None = None
    address: str | None = None

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port, as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


class RequestHead:
    """The part of a request that is the same each time; made by :func:`compile_head`, kept with the route.

    Attributes:
        method: upper case.
        origin: where it goes.
        target: path and query, as sent.
        headers: all static headers, ``host`` among them.
        prefix: request line and static headers, rendered.
        always_length: whether an empty body is announced with ``content-length: 0``.
    """

    __slots__ = ("always_length", "headers", "method", "origin", "prefix", "target")

    def __init__(self, method: str, origin: Origin, target: str, headers: Sequence[tuple[str, str]]) -> None:
        self.method = method
        self.origin = origin
        self.target = target
        self.headers = tuple(headers)
        lines = [f"{method} {target} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in headers)]
        self.prefix = "".join(lines).encode("latin-1")
        self.always_length = method in _BODY_METHODS


def compile_head(
    method: str,
    url: str,
    headers: Iterable[tuple[str, str]] = (),
    *,
    tls: TlsSettings = DEFAULT_TLS,
    address: str | None = None,
    identity: bool = True,
) -> RequestHead:
    """Check and render what does not change between requests.

    Args:
        method: of HTTP.
        url: absolute, ``http`` or ``https``, without user and password; a fragment is dropped.
        headers: static ones. A ``host`` among them replaces the URL's.
        tls: used when the URL is ``https``.
        address: connect here instead of looking the host up.
        identity: ask for an answer without content encoding, unless ``headers`` ask for one. False leaves
            that to the request's own headers.

    Raises:
        InvalidUpstreamConfig: the URL or a header cannot be sent.
    """
    if _TOKEN(method) is None:
        raise InvalidUpstreamConfig(f"'{method}' is not an http method")
    origin, target = _split(url, tls, address)
    given = [(name, value) for name, value in headers]
    for name, value in given:
        if name.lower() != "host":
            _check_name(name)
        _check_value(name, value)
    names = {name.lower() for name, _ in given}
    start = [] if "host" in names else [("host", origin.authority)]
    if identity and "accept-encoding" not in names:
        start.append(("accept-encoding", "identity"))
    return RequestHead(method, origin, target, [*start, *given])


Pieces: TypeAlias = tuple[bytes | memoryview, ...]
"""A large body as it lies in memory; joining it would copy it."""


class UpstreamRequest:
    """One request: a compiled head, further headers, and a body.

    Args:
        head: compiled.
        headers: further ones, sent after the static ones.
        body: bytes; or pieces of them, sent without being joined; or an iterator, read as fast as the
            provider takes it, and closed when it is not needed any more. A request with an iterator is
            never sent twice.
        length: of an iterator's body in bytes; None sends it chunked.
        decode: False hands a compressed answer on as it came, with its ``content-encoding``.
    """

    __slots__ = ("body", "decode", "head", "headers", "length")

    def __init__(
        self,
        head: RequestHead,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | Pieces | AsyncIterable[bytes] = b"",
        *,
        length: int | None = None,
        decode: bool = True,
    ) -> None:
        self.head = head
        self.headers = headers
        self.body = body
        self.length = length
        self.decode = decode

    @property
    def method(self) -> str:
        """The method, upper case."""
        return self.head.method

    @property
    def origin(self) -> Origin:
        """Where it goes."""
        return self.head.origin

    @property
    def target(self) -> str:
        """Path and query, as sent."""
        return self.head.target

    @property
    def replayable(self) -> bool:
        """Whether it can be sent a second time."""
        return isinstance(self.body, (bytes, tuple))

    def check_headers(self) -> None:
        """Refuse what must not be sent.

        Raises:
            InvalidUpstreamConfig: a header's name or value has a character it must not have, or the name is
                one the transport sets itself.
        """
        for name, value in self.headers:
            _check_name(name)
            _check_value(name, value)

    def render(self) -> bytes:
        """Return everything up to the body.

        Raises:
            InvalidUpstreamConfig: as :meth:`check_headers`.
        """
        head = self.head
        body = self.body
        if isinstance(body, bytes):
            length: int | None = len(body)
        elif isinstance(body, tuple):
            length = sum(map(len, body))
        else:
            length = self.length
        lines = ""
        for name, value in self.headers:
            # Printable ASCII, nearly every value, has no line end, no NUL and nothing outside latin-1.
            if not (value.isascii() and value.isprintable()):
                _check_value(name, value)
            lines += f"{_check_name(name)}: {value}\r\n"
        if length is None:
            lines += "transfer-encoding: chunked\r\n\r\n"
        elif length or head.always_length or not self.replayable:
            lines += f"content-length: {length}\r\n\r\n"
        else:
            lines += "\r\n"
        return head.prefix + lines.encode("latin-1")


@lru_cache(maxsize=4096)
def _check_name(name: str) -> str:
    if _TOKEN(name) is None:
        raise InvalidUpstreamConfig(f"header name {name[:64]!r} has a character that a name must not have")
    if name.lower() in _RESERVED:
        raise InvalidUpstreamConfig(f"header '{name}' is set by the transport; leave it out")
    return name


def _check_value(name: str, value: str) -> None:
    # The value may be a secret: it is never part of the message.
    if "\r" in value or "\n" in value or "\0" in value:
        raise InvalidUpstreamConfig(f"the value of header '{name[:64]}' has a line break or a null character")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidUpstreamConfig(
            f"the value of header '{name[:64]}' has a character outside latin-1; percent-encode it"
        ) from None


def _split(url: str, tls: TlsSettings, address: str | None) -> tuple[Origin, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidUpstreamConfig(f"the url is not valid: {error}".lower()) from error
    if parts.scheme not in ("http", "https"):
        raise InvalidUpstreamConfig("the url must begin with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise InvalidUpstreamConfig("the url must not hold a user or a password; use a header")
    target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_TARGET_SAFE)
    secure = parts.scheme == "https"
    origin = Origin(
        parts.scheme,
        _host(parts.hostname or ""),
        port if port is not None else 443 if secure else 80,
        tls if secure else None,
        address,
    )
    return origin, target


def _host(host: str) -> str:
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise InvalidUpstreamConfig("the host of the url is not a valid ipv6 address") from None
    try:
        name = host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        name = ""
    if not name or re.fullmatch(r"[a-z0-9._~-]+", name) is None:
        raise InvalidUpstreamConfig("the url has no valid host")
    return name
