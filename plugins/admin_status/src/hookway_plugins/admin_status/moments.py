"""How moments are written: for people, and as two whole numbers."""

from __future__ import annotations

import datetime

import msgspec

NANO = 1_000_000_000


class EpochTime(msgspec.Struct, frozen=True):
    """A moment as whole seconds since 1970 and nanoseconds on top."""

    secs_since_epoch: int
    nanos_since_epoch: int

    @classmethod
    def of(cls, moment: float) -> EpochTime:
        """Write epoch seconds."""
        seconds = int(moment)
        nanoseconds = round((moment - seconds) * NANO)  # a float times 1e9 would be off by a hundred
        return cls(seconds + nanoseconds // NANO, nanoseconds % NANO)


def as_text(moment: float) -> str:
    """Write epoch seconds as RFC 3339 in UTC, to the second."""
    return datetime.datetime.fromtimestamp(int(moment), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
