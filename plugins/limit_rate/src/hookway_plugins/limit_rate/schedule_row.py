"""When a policy rests, as it is written."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Literal, TypeAlias

from hookway_sdk import Row, checked

Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def known_zone(name: str) -> None:
    """Check that a time zone is known here.

    Raises:
        ValueError: it is not; the message goes on where the name is quoted.
    """
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            "is no time zone of the IANA database; write one such as Europe/Berlin or UTC"
        ) from None


def start_of_window(text: str) -> None:
    """Check a time of day at which a window can begin.

    Raises:
        ValueError: it is none.
    """
    if not _CLOCK.fullmatch(text):
        raise ValueError("is no time of day; write HH:MM, from 00:00 to 23:59")


def end_of_window(text: str) -> None:
    """Check a time of day at which a window can end.

    Raises:
        ValueError: it is none.
    """
    if text != "24:00" and not _CLOCK.fullmatch(text):
        raise ValueError("is no time of day; write HH:MM, from 00:00 to 24:00")


class Schedule(Row):
    """Times during which a policy does not act; its counts go on from where they are.

    Args:
        timezone: name in the IANA database (``Europe/Berlin``).
        start_time: ``HH:MM`` on the clocks there.
        end_time: ``HH:MM`` or ``24:00``, not included; before ``start_time`` it is the next day's, and equal
            to it the window never comes.
        days_of_week: days on which the window begins.
        dates: the same by date (``2026-12-24``); one of the two is given.
    """

    timezone: Annotated[str, checked(known_zone)]
    start_time: Annotated[str, checked(start_of_window)]
    end_time: Annotated[str, checked(end_of_window)]
    days_of_week: tuple[Day, ...] = ()
    dates: tuple[datetime.date, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.days_of_week) == bool(self.dates):
            given = "has both days_of_week and dates" if self.dates else "says no day"
            raise ValueError(f"the schedule {given}; give one of days_of_week and dates")
