"""The limits of one bucket, as rows write them, and the windows they stand for."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hookway_sdk import Row
from hookway_sdk.state import MAX_COUNT

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]

REQUEST_WINDOWS = (("rps", 1.0), ("rpm", 60.0), ("rph", 3600.0), ("rpd", 86400.0))
"""Fields that limit requests and the seconds of their windows, the shortest first."""
TOKEN_WINDOWS = (("tps", 1.0), ("tpm", 60.0), ("tph", 3600.0), ("tpd", 86400.0))
"""Fields that limit tokens and the seconds of their windows, the shortest first."""


class Limits(Row):
    """How much is allowed; 0 allows nothing, and what is absent is not limited.

    Args:
        rps: requests a second.
        rpm: requests a minute.
        rph: requests an hour.
        rpd: requests a day.
        tps: tokens a second, read and written ones together.
        tpm: tokens a minute.
        tph: tokens an hour.
        tpd: tokens a day.
        concurrency: requests at once; a stream is one until it ends.
    """

    rps: Count | None = None
    rpm: Count | None = None
    rph: Count | None = None
    rpd: Count | None = None
    tps: Count | None = None
    tpm: Count | None = None
    tph: Count | None = None
    tpd: Count | None = None
    concurrency: Count | None = None

    @property
    def given(self) -> bool:
        """Whether anything is limited."""
        return any(getattr(self, name) is not None for name in self.__struct_fields__)


class LimitFields(Row):
    """The field of an ``api_keys`` or ``models`` row that limits it.

    Args:
        rate_limit: what callers with this key, or of this model, may use.
    """

    rate_limit: Limits | None = None
