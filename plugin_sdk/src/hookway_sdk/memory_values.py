"""Values in memory, each with its end."""

from __future__ import annotations

import msgspec


class Value(msgspec.Struct, gc=False):
    """What one key holds.

    Args:
        key: the value's.
        value: its bytes, ``None`` once deleted (the table forgets it at its next look).
        end: when it is gone.
    """

    key: str
    value: bytes | None
    end: float

    def at(self, now: float) -> bytes | None:
        """Return the bytes, if they are not gone."""
        return self.value if now < self.end else None

    def is_over(self, now: float) -> bool:
        """Whether there is nothing any more."""
        return self.value is None or now >= self.end

    def size(self) -> int:
        """Bytes of the value."""
        return len(self.value) if self.value is not None else 0
