"""Keys derived from the root secret: one per purpose, the previous secret still accepted."""

from __future__ import annotations

import hashlib
import hmac

from hookway_sdk import Secret


class RootSecrets:
    """See :class:`hookway_sdk.Secrets`.

    Args:
        current: signs and verifies.
        previous: verifies what was signed before a rotation.
    """

    def __init__(self, current: Secret, previous: Secret | None = None) -> None:
        self._current = current
        self._previous = previous

    def sign(self, purpose: str, data: bytes) -> bytes:
        """Return the HMAC-SHA-256 of the data under the purpose's key."""
        return mac(self._current, purpose, data)

    def verify(self, purpose: str, data: bytes, signature: bytes) -> bool:
        """Check a MAC, in constant time, against both secrets."""
        good = hmac.compare_digest(mac(self._current, purpose, data), signature)
        if self._previous is not None:
            good |= hmac.compare_digest(mac(self._previous, purpose, data), signature)
        return good


def mac(secret: Secret, purpose: str, data: bytes) -> bytes:
    """Return a MAC under a key that is the secret's for one purpose only."""
    key = hmac.digest(secret.reveal().encode(), purpose.encode(), hashlib.sha256)
    return hmac.digest(key, data, hashlib.sha256)
