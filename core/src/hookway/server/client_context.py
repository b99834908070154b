"""Who is calling: request id, address behind trusted proxies, credential, user agent."""

from __future__ import annotations

import ipaddress
import os
import struct
from collections.abc import Sequence

from multidict import CIMultiDictProxy

from hookway.models import Network, within
from hookway_sdk import Credential, Secret

LONGEST_ID = 256
LONGEST_AGENT = 256


class RequestIds:
    """Makes request ids: UUIDv4 (RFC 9562 5.4) in their usual form, a block of random bytes at a time.

    An eighth of the cost of ``uuid.uuid4``, which is made anew for every request that brings no id.
    """

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: list[str] = []

    def new(self) -> str:
        """Return a fresh id."""
        if not self._made:
            self._made = some_ids()
        return self._made.pop()


IDS_AT_ONCE = 256
_VERSION = bytes(0x40 | byte & 0x0F for byte in range(256))
_VARIANT = bytes(0x80 | byte & 0x3F for byte in range(256))
"""Every byte with the fixed bits of a UUID's version, and of its variant, set."""
_groups = struct.Struct("8s4s4s4s12s").iter_unpack


def some_ids() -> list[str]:
    """Return a block of ids; every step works on the whole block."""
    block = bytearray(os.urandom(16 * IDS_AT_ONCE))
    block[6::16] = block[6::16].translate(_VERSION)
    block[8::16] = block[8::16].translate(_VARIANT)
    return b" ".join(map(b"-".join, _groups(block.hex().encode()))).decode().split()


new_request_id = RequestIds().new


def request_id(headers: CIMultiDictProxy[str], accepted: Sequence[str]) -> str:
    """Adopt the first usable caller's id, or make one; an unusable one is ignored, never refused."""
    for name in accepted:
        value = headers.get(name)
        if (
            value
            and len(value) <= LONGEST_ID
            and value.isascii()
            and value.isprintable()
            and " " not in value
        ):
            return value
    return new_request_id()


class Credentials:
    """Reads what the requests of one connection prove themselves with; they rarely differ in it."""

    __slots__ = ("_authorization", "_credential")

    def __init__(self) -> None:
        self._authorization: str | None = None
        self._credential: Credential | None = None

    def read(self, headers: CIMultiDictProxy[str]) -> Credential | None:
        """Return a request's credential.

        ``Authorization`` has to be ``Bearer`` and wins; ``x-api-key`` counts only where it is absent.
        """
        authorization = headers.get("authorization")
        if authorization is None:
            return _proof("x-api-key", headers.get("x-api-key", ""))
        if authorization != self._authorization:
            self._authorization = authorization
            known = authorization.startswith("Bearer ")
            self._credential = _proof("bearer", authorization[7:]) if known else None
        return self._credential


def _proof(scheme: str, text: str) -> Credential | None:
    token = text.strip()
    return Credential(scheme, Secret(token)) if token and token.isascii() else None


def user_agent(agent: str) -> str:
    """Return a ``User-Agent`` header shortened and without control characters."""
    if agent.isprintable() and len(agent) <= LONGEST_AGENT:
        return agent
    return "".join(one for one in agent if one.isprintable())[:LONGEST_AGENT]


class RealAddress:
    """Finds the client's address behind proxies that are trusted.

    Args:
        trusted: networks of the proxies.
        header: the header they write.
        recursive: skip further trusted addresses from the right.
    """

    def __init__(self, trusted: Sequence[Network], header: str, recursive: bool) -> None:
        self._trusted = tuple(trusted)
        self._header = header
        self._recursive = recursive
        self.believes_anyone = bool(self._trusted)

    def find(self, peer: str, headers: CIMultiDictProxy[str]) -> str:
        """Return the client's address; the peer's own where it is not a trusted proxy."""
        if not self._trusted or not within(self._trusted, peer):
            return peer
        items = ",".join(headers.getall(self._header, [])).split(",")
        addresses = [one for one in map(bare_address, items) if one]
        if not addresses:
            return peer
        if not self._recursive:
            return addresses[-1]
        for address in reversed(addresses):
            if not within(self._trusted, address):
                return address
        return addresses[0]


def bare_address(item: str) -> str:
    """Return the address in a forwarding item, without port and brackets; ``""`` if there is none."""
    text = item.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
