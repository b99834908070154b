"""A warning that would come with every request, and is written once a minute."""

from __future__ import annotations

from hookway_sdk import Clock, Log

PAUSE_SECONDS = 60.0


class RepeatedWarning:
    """Writes the first of many equal warnings, then one a minute with the number of those since.

    Args:
        event: name of the log line.
        log: where it goes.
        clock: time.
    """

    __slots__ = ("_clock", "_event", "_log", "_next", "_times")

    def __init__(self, event: str, log: Log, clock: Clock) -> None:
        self._event = event
        self._log = log
        self._clock = clock
        self._next = 0.0
        self._times = 0

    def note(self, **fields: str) -> None:
        """Count it, and write it if a minute has passed."""
        self._times += 1
        now = self._clock.monotonic()
        if now >= self._next:
            self._next = now + PAUSE_SECONDS
            self._log.warning(self._event, times=self._times, **fields)
            self._times = 0
