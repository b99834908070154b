"""How long an exchange with a provider may take, by stage."""

from __future__ import annotations

import msgspec

# A connection that the provider closed while nobody used it breaks within a round trip of the next request.
# One that breaks later was carrying the request: repeated, it could make the provider work and charge twice.
STALE_SECONDS = 1.0


class Timeouts(msgspec.Struct, frozen=True, gc=False):
    """Deadlines in seconds; None means there is none.

    Args:
        connect: from asking for a connection to having one: name lookup, TCP, TLS, and waiting for a free one
            where their number is limited.
        head: from sending the request to the head of the answer. While a body is being streamed upwards, each
            chunk of it begins this time anew.
        chunk: between two reads of the body. Does not run while the receiver has paused.
        total: the whole exchange, connecting included.
    """

    connect: float | None = None
    head: float | None = None
    chunk: float | None = None
    total: float | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                raise ValueError(f"timeout '{name}' must be over 0 seconds, not {seconds}; None disables it")


NO_TIMEOUTS = Timeouts()
