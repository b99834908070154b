"""What a client sent, without what plugins must not see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from hookway_sdk.secrets import Secret

CREDENTIAL_HEADERS = frozenset(
    {"authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"}
)
"""Headers that carry a caller's credential; plugins never see them."""


def safe_header(text: str) -> bool:
    """Say whether a text can stand in a header without breaking it (RFC 9110 5.5)."""
    return not ("\n" in text or "\r" in text or "\0" in text)


class HeaderSource(Protocol):
    """A case-insensitive multi-map of headers (aiohttp's ``CIMultiDictProxy`` is one)."""

    def get(self, key: str, /) -> str | None:
        """Return the first value, or ``None``."""

    def getall(self, key: str, default: list[str], /) -> list[str]:
        """Return every value in order, or the default."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return name and value of each header line in order."""


class Headers:
    """A client's headers, read-only, without the ones that carry credentials."""

    __slots__ = ("_source",)

    def __init__(self, source: HeaderSource) -> None:
        self._source = source

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a header, or the default; credential headers read as absent."""
        if name.lower() in CREDENTIAL_HEADERS:
            return default
        value = self._source.get(name)
        return default if value is None else value

    def getall(self, name: str) -> list[str]:
        """Return every value of a header in order."""
        return [] if name.lower() in CREDENTIAL_HEADERS else list(self._source.getall(name, []))

    def items(self) -> list[tuple[str, str]]:
        """Return every header line in order, credential headers left out."""
        return [
            (name, value) for name, value in self._source.items() if name.lower() not in CREDENTIAL_HEADERS
        ]

    def __contains__(self, name: str) -> bool:
        return name.lower() not in CREDENTIAL_HEADERS and self._source.get(name) is not None


class Credential(msgspec.Struct, frozen=True):
    """What a caller proves itself with; given to ``Auth`` kinds only.

    Args:
        scheme: ``bearer``, ``x-api-key``, or another header's lower-case name.
        token: the secret.
    """

    scheme: str
    token: Secret


class Client(msgspec.Struct, frozen=True):
    """Who is on the other end of the connection.

    Args:
        address: IP address after the trusted proxies were believed; ``""`` for an in-process call.
        user_agent: at most 256 characters, without control characters.
        tls: the connection is encrypted.
    """

    address: str = ""
    user_agent: str = ""
    tls: bool = False


class Principal(msgspec.Struct, frozen=True):
    """Who a request runs as, and what that one may do.

    Args:
        key_id: row id of the API key; the unit of limits, budgets and metrics.
        key_name: its display name.
        method: how it was proven (``api_key``, ``jwt``, ``anonymous``, ``internal``).
        allowed_models: names or globs with one ``*``; an empty tuple allows none.
        team_id: team, ``""`` for none.
        user_id: user, ``""`` for none.
        user_name: label for metrics.
        tags: labels that steps may act on.
        trace: requests of this principal may be traced on demand.
        claims: further facts about the caller that an ``Auth`` kind vouches for (a JWT's subject).
    """

    key_id: str
    key_name: str = ""
    method: str = "api_key"
    allowed_models: tuple[str, ...] = ()
    team_id: str = ""
    user_id: str = ""
    user_name: str = ""
    tags: tuple[str, ...] = ()
    trace: bool = False
    claims: Mapping[str, str] = {}


def glob_matches(pattern: str, name: str) -> bool:
    """Match the field's one-star globs: no ``*`` is equality, one matches any run, two match nothing."""
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern == name
    if "*" in tail:
        return False
    return len(name) >= len(head) + len(tail) and name.startswith(head) and name.endswith(tail)
