"""Collects events, and once per tick makes lines of them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hookway_plugins.sink_access_log.access_line import LineWriter, known_field
from hookway_plugins.sink_access_log.output import Output, reason
from hookway_plugins.sink_access_log.writer_thread import WriterThread
from hookway_sdk import Event, Family, PluginError, RequestEnded, Services, Settings, Sink, checked
from hookway_sdk.shared_resources import NonEmpty

STANDARD_OUTPUT = "-"
STOP_SECONDS = 5.0

AT_ONCE = 16
"""Events whose lines are made together: those after the first cost half as much."""

FieldName = Annotated[str, checked(known_field)]


class AccessLogSettings(Settings):
    """Settings under ``plugins.sink_access_log``.

    Args:
        path: the file that lines are appended to; ``-`` is standard output.
        fields: the fields of a line, unset for all; their order is fixed.
        sample: share of successful requests that are logged; what failed always is.
    """

    path: NonEmpty = STANDARD_OUTPUT
    fields: Annotated[tuple[Annotated[str, checked(known_field)], ...], msgspec.Meta(min_length=1)] | None = (
        None
    )
    sample: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0


class AccessLogSink(Sink[AccessLogSettings]):
    """Writes one line of JSON for each request that came past authentication."""

    events = (RequestEnded,)

    def __init__(self, name: str, settings: AccessLogSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._events: list[RequestEnded] = []
        self._waiting: list[bytes] = []
        self._lines = LineWriter(settings.fields)
        self._every_one = settings.sample >= 1
        self._writer: WriterThread | None = None
        self._lost_lines: Family | None = None
        self._reported = 0
        self._faulty = False

    async def start(self) -> None:
        """Open the output.

        Raises:
            PluginError: it cannot be opened.
        """
        path = self.settings.path
        try:
            output = Output("" if path == STANDARD_OUTPUT else path, self.services.clock.monotonic)
        except OSError as error:
            raise PluginError(self.name, f"cannot write to '{path}': {reason(error)}; set path") from error
        self._lost_lines = self.services.metrics.counter(
            "access_log_lost_lines_total", "Lines of the access log that could not be written."
        )
        self._writer = WriterThread(output, self.name)
        self.services.tasks.on_tick(self._tick)

    async def stop(self) -> None:
        """Write what is left, within five seconds."""
        writer = self._writer
        if writer is None:
            return
        self._tick()
        self._writer = None
        if not await writer.close(STOP_SECONDS):
            self.services.log.error("access_log_not_flushed", path=self.settings.path)
        self._report(writer)

    def record(self, event: Event) -> None:
        """Keep an event for the next tick; its line is made soon, while what it says is in the caches."""
        if isinstance(event, RequestEnded) and self._wants(event):
            self._events.append(event)
            if len(self._events) >= AT_ONCE:
                self._make_lines()

    def _make_lines(self) -> None:
        events, self._events = self._events, []
        encode, failed = self._lines.encode, None
        for event in events:
            try:
                self._waiting.append(encode(event))
            except Exception as error:  # it must not cost the lines of others
                failed = error
        if failed is not None:
            raise failed

    def _tick(self) -> None:
        writer = self._writer
        if writer is None:
            return
        self._make_lines()
        if lines := self._waiting:
            self._waiting = []
            lines.append(b"")
            writer.put(b"\n".join(lines))
        self._report(writer)

    def _wants(self, event: RequestEnded) -> bool:
        """Leave out who was turned away unknown, which the operator's log tells, and what sampling spares."""
        if event.status >= 400 or event.error_type:
            return event.status != 401 or bool(event.key_id)
        return self._every_one or self.services.random.random() < self.settings.sample

    def _report(self, writer: WriterThread) -> None:
        """Count lines that were lost, and say once that writing fails, and once that it works again."""
        lost = writer.output.lost + writer.dropped
        fault = writer.output.fault or ("the writer does not keep up" if lost > self._reported else "")
        if lost > self._reported and self._lost_lines is not None:
            self._lost_lines.add(lost - self._reported)
            self._reported = lost
        if fault and not self._faulty:
            self.services.log.error("access_log_write_failed", path=self.settings.path, error=fault)
        elif self._faulty and not fault:
            self.services.log.info("access_log_written_again", path=self.settings.path, lost_lines=lost)
        self._faulty = bool(fault)
