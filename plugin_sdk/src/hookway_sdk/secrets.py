"""Secrets that cannot be printed by accident."""

from __future__ import annotations

import hashlib
import hmac


class Secret:
    """A credential; its ``repr`` and ``str`` are ``***``, and only :meth:`reveal` gives it away.

    Settings and row fields of this type are masked in exports, traces, logs and error messages.
    """

    __slots__ = ("_digest", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._digest: bytes | None = None

    def reveal(self) -> str:
        """Return the plain text; call it where it is sent, and nowhere else."""
        return self._value

    def digest(self) -> bytes:
        """Return the SHA-256 of the text, computed once; keys are looked up by it."""
        digest = self._digest
        if digest is None:
            digest = self._digest = hashlib.sha256(self._bytes()).digest()
        return digest

    def sha256(self) -> str:
        """Return the lower-case hex SHA-256 of the text, the form in which keys are stored."""
        return self.digest().hex()

    def _bytes(self) -> bytes:
        """Return the text as bytes; header bytes that are no UTF-8 arrive as lone surrogates."""
        return self._value.encode(errors="surrogatepass")

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._bytes(), other._bytes())

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return (Secret, (self._value,))
