"""The fields of an ``api_keys`` row by which its holder is known again."""

from __future__ import annotations

import datetime
import hashlib
import re
from typing import Annotated, Any, ClassVar, Self

import msgspec

from hookway_sdk import FromText, Row


class KeyDigest(FromText):
    """The SHA-256 of an API key; how it is written is for subclasses to say.

    Attributes:
        digest: the 32 bytes.
        secret: what is written may be a key in plain text, so no message may quote it.
    """

    __slots__ = ("digest",)

    secret: ClassVar[bool] = True

    def __init__(self, digest: bytes) -> None:
        self.digest = digest

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KeyDigest):
            return NotImplemented
        return type(self) is type(other) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return "***"

    def __str__(self) -> str:
        return self.digest.hex()


class StoredHash(KeyDigest):
    """A key that is written as the hex text of its SHA-256."""

    __slots__ = ()

    expected = "the 64 lower-case hex digits of a SHA-256"
    schema: ClassVar[dict[str, Any]] = {"pattern": "^[0-9a-f]{64}$"}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the digits.

        Raises:
            ValueError: they are something else.
        """
        if not re.fullmatch("[0-9a-f]{64}", text):
            raise ValueError("is no SHA-256")
        return cls(bytes.fromhex(text))


class PlainKey(KeyDigest):
    """A key that is written as it is; it is hashed when it is read, and the text is not kept."""

    __slots__ = ()

    expected = "the key as callers send it"
    schema: ClassVar[dict[str, Any]] = {"minLength": 1, "writeOnly": True}
    exported_as: ClassVar[str] = "key_hash"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Hash the key.

        Raises:
            ValueError: it is one that no caller can send.
        """
        if not text or text != text.strip() or not text.isascii() or not text.isprintable():
            raise ValueError("is no key: it is empty, has blanks around it, or characters beyond ASCII")
        return cls(hashlib.sha256(text.encode()).digest())


class KeyFields(Row):
    """Fields of an ``api_keys`` row: exactly one of ``key_hash`` and ``key``, and what makes it void.

    Args:
        key_hash: SHA-256 of the key, in lower-case hex.
        key: the key itself; only its hash is kept.
        disabled: the key does not count.
        expires_at: until when it counts, that moment included.
        trace: requests with this key may be traced on demand.
    """

    key_hash: StoredHash | None = None
    key: PlainKey | None = None
    disabled: bool = False
    expires_at: Annotated[datetime.datetime, msgspec.Meta(tz=True)] | None = None
    trace: bool = False
