"""Addresses, networks and header names as they stand in the settings."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, ClassVar, Self

from hookway_sdk.settings import FromText

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")

RESERVED_HEADERS = frozenset(
    "authorization x-api-key x-goog-api-key api-key x-amz-security-token x-amz-date x-amz-content-sha256 "
    "proxy-authorization cookie host".split()
)
"""Headers that carry credentials or addresses, and are never anything else (aisix-ops 5.3)."""


class Address(FromText):
    """Where a listener binds.

    Args:
        host: IP address or host name, without brackets.
        port: 0 to 65535; 0 lets the system choose.
    """

    __slots__ = ("host", "port")
    expected = "an address such as 127.0.0.1:3000, [::1]:3000 or 0.0.0.0:3000"
    schema: ClassVar[dict[str, Any]] = {"examples": ["127.0.0.1:3000", "[::]:3000"]}

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``host:port``; an IPv6 host stands in brackets."""
        host, colon, port = text.rpartition(":")
        if not colon:
            raise ValueError("has no port")
        if not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
            raise ValueError("has a port that is no number from 0 to 65535")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            if not _is_ip(host, 6):
                raise ValueError("has brackets around what is no IPv6 address")
        elif ":" in host:
            raise ValueError("has an IPv6 address without brackets")
        elif not host:
            raise ValueError("has no host; 0.0.0.0 is every interface")
        elif not _is_ip(host, 4) and (not _HOST_NAME.fullmatch(host) or re.fullmatch(r"[0-9.]+", host)):
            raise ValueError("has a host that is neither an IP address nor a host name")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and (self.host, self.port) == (other.host, other.port)

    def __hash__(self) -> int:
        return hash((self.host, self.port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Address({self.host!r}, {self.port})"


class Network(FromText):
    """A range of client addresses: CIDR, or one address.

    Args:
        network: the range; bits beyond the prefix are cleared.
    """

    __slots__ = ("network",)
    expected = "a network such as 10.0.0.0/8, or one IP address"
    schema: ClassVar[dict[str, Any]] = {"examples": ["10.0.0.0/8", "::1"]}

    def __init__(self, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
        self.network = network

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a CIDR or a bare address."""
        try:
            return cls(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ValueError("is no network and no IP address") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self.network == other.network

    def __hash__(self) -> int:
        return hash(self.network)

    def __str__(self) -> str:
        return str(self.network)

    def __repr__(self) -> str:
        return f"Network({str(self.network)!r})"


class HeaderName(FromText, str):
    """The name of a header (RFC 9110, 5.1), as text in lower case."""

    __slots__ = ()
    expected = "a header name such as x-forwarded-for"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name of up to 128 token characters."""
        if not _TOKEN.fullmatch(text):
            raise ValueError("is no header name")
        return cls(text.lower())


class IdHeaderName(HeaderName):
    """The name of a header from which a request id is adopted; not one that means something else."""

    __slots__ = ()
    expected = "a header name such as x-request-id"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name that is neither reserved nor part of W3C trace context (aisix-ops 1.3)."""
        header = super().parse(text)
        if header in RESERVED_HEADERS:
            raise ValueError("is a header that carries credentials or addresses, never an id")
        if header in ("traceparent", "tracestate"):
            raise ValueError("is a header of trace context, never an id")
        return header


def _is_ip(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False
