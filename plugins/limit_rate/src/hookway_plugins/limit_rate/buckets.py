"""Names of buckets, and of what the shared state keeps for each."""

from __future__ import annotations

import hashlib

_LONGEST = 440


def model_bucket(name: str) -> str:
    """Return the bucket of a model row, which all names share that a wildcard serves."""
    return f"model:{name}"


def escaped(value: str) -> str:
    """Return a value so that it cannot be taken for several parts of a bucket's name."""
    return value.replace("%", "%25").replace(":", "%3A").replace("=", "%3D")


def state_key(bucket: str, what: str) -> str:
    """Return the key of one window, or of the slots, of a bucket.

    The braces keep what belongs to one bucket on one node of a Redis Cluster. User and team ids may be of any
    length and keys may not: the end of a long name is replaced by a digest of the whole.

    Args:
        bucket: its name.
        what: the limit (``rpm``, ``concurrency``).
    """
    if len(bucket) > _LONGEST:
        digest = hashlib.sha256(bucket.encode("utf-8", "surrogatepass")).hexdigest()
        bucket = f"{bucket[: _LONGEST - 65]}:{digest}"
    return f"{{{bucket}}}:{what}"
