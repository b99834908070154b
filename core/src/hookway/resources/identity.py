"""Row ids: stable across reloads and replicas, different after a rename."""

from __future__ import annotations

import uuid

NAMESPACE = uuid.UUID("63e50ab2-677a-54d3-8d1e-c0cb29ceae94")
"""UUIDv5 namespace of row ids; the field's own, so that ids survive a move to Hookway."""


def row_id(collection: str, identity: str) -> str:
    """Return the UUIDv5 of ``collection/identity``."""
    return str(uuid.uuid5(NAMESPACE, f"{collection}/{identity}"))
