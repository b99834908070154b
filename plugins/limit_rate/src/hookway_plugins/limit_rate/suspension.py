"""Whether a policy rests at a moment."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence

from hookway_plugins.limit_rate.schedule_row import Schedule

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = datetime.timedelta(days=1)


class Suspension:
    """The times at which one policy does not act.

    Windows begin and end with a minute, so the answer is worked out once for each.

    Args:
        schedules: the policy's rows.
    """

    __slots__ = ("_holds", "_minute", "_windows")

    def __init__(self, schedules: Sequence[Schedule]) -> None:
        self._windows = [_window(one) for one in schedules]
        self._minute = -1
        self._holds = False

    def holds(self, now: float) -> bool:
        """Say whether the policy rests.

        Args:
            now: epoch seconds.
        """
        minute = int(now // 60)
        if minute != self._minute:
            moment = datetime.datetime.fromtimestamp(minute * 60, datetime.UTC)
            self._holds = any(window(moment) for window in self._windows)
            self._minute = minute
        return self._holds


def _window(schedule: Schedule) -> Callable[[datetime.datetime], bool]:
    """Return what says whether a moment lies in a schedule's window, by the clocks of its time zone.

    When clocks go forward the skipped hour is no part of it, and when they go back the hour comes twice.
    """
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(schedule.timezone)
    start, end = _minutes(schedule.start_time), _minutes(schedule.end_time)
    weekdays = frozenset(_DAYS.index(day) for day in schedule.days_of_week)
    dates = frozenset(schedule.dates)

    def begins_on(day: datetime.date) -> bool:
        return day.weekday() in weekdays or day in dates

    def window(moment: datetime.datetime) -> bool:
        there = moment.astimezone(zone)
        minute = there.hour * 60 + there.minute
        if start <= end:
            return start <= minute < end and begins_on(there.date())
        if minute >= start:
            return begins_on(there.date())
        return minute < end and begins_on(there.date() - _DAY)

    return window


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
