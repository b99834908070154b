"""When policies rest."""

from __future__ import annotations

import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from limited_worker import Worker, policy_row, settle

from hookway_plugins.limit_rate.schedule_row import Schedule
from hookway_plugins.limit_rate.suspension import Suspension
from hookway_sdk import walker

ZURICH = ZoneInfo("Europe/Zurich")


def at(text: str, zone: datetime.tzinfo = ZURICH, fold: int = 0) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def rests(schedule: dict[str, Any], moment: float) -> bool:
    read = walker.convert({"timezone": "Europe/Zurich", **schedule}, Schedule)
    return Suspension([read]).holds(moment)


OFFICE = {"days_of_week": ["mon", "fri"], "start_time": "08:00", "end_time": "18:00"}
NIGHT = {"days_of_week": ["fri"], "start_time": "22:00", "end_time": "06:00"}
CHRISTMAS = {"dates": ["2026-12-24"], "start_time": "12:00", "end_time": "24:00"}


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-30T07:59:59", False),
        ("2026-01-30T08:00:00", True),
        ("2026-01-30T17:59:59", True),
        ("2026-01-30T18:00:00", False),
        ("2026-01-31T12:00:00", False),
        ("2026-02-02T12:00:00", True),
    ],
)
def test_a_window_within_a_day(moment: str, expected: bool) -> None:
    assert rests(OFFICE, at(moment)) is expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-30T05:00:00", False),
        ("2026-01-30T21:59:59", False),
        ("2026-01-30T22:00:00", True),
        ("2026-01-30T23:59:59", True),
        ("2026-01-31T00:00:00", True),
        ("2026-01-31T05:59:59", True),
        ("2026-01-31T06:00:00", False),
        ("2026-01-31T22:30:00", False),
    ],
)
def test_a_window_across_midnight_belongs_to_the_day_it_begins_on(moment: str, expected: bool) -> None:
    assert rests(NIGHT, at(moment)) is expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-12-24T11:59:00", False),
        ("2026-12-24T23:59:00", True),
        ("2026-12-25T00:00:00", False),
        ("2025-12-24T13:00:00", False),
    ],
)
def test_a_window_on_a_date_up_to_midnight(moment: str, expected: bool) -> None:
    assert rests(CHRISTMAS, at(moment)) is expected


def test_a_date_across_midnight_and_across_the_year() -> None:
    party = {"dates": ["2026-12-31"], "start_time": "20:00", "end_time": "04:00"}
    assert rests(party, at("2027-01-01T03:59:00"))
    assert not rests(party, at("2026-12-31T03:00:00"))
    assert not rests(party, at("2027-01-01T04:00:00"))


def test_the_days_are_those_of_the_time_zone() -> None:
    tokyo = {"timezone": "Asia/Tokyo", "days_of_week": ["sat"], "start_time": "00:00", "end_time": "24:00"}
    assert rests(tokyo, at("2026-01-30T15:00:00", datetime.UTC))
    assert not rests(tokyo, at("2026-01-30T14:59:00", datetime.UTC))
    assert not rests(tokyo, at("2026-01-31T15:00:00", datetime.UTC))


def test_equal_times_never_match() -> None:
    never = {"days_of_week": ["fri", "sat"], "start_time": "12:00", "end_time": "12:00"}
    assert not any(rests(never, at(f"2026-01-30T{hour:02}:00:00")) for hour in range(24))


def test_when_clocks_go_forward_the_skipped_hour_is_no_part_of_the_window() -> None:
    # 2026-03-29, Zurich: 02:00 is followed by 03:00.
    lost = {"dates": ["2026-03-29"], "start_time": "02:00", "end_time": "03:00"}
    first = at("2026-03-29T00:00:00", datetime.UTC)
    assert not any(rests(lost, first + minute * 60) for minute in range(240))
    around = {**lost, "start_time": "01:30", "end_time": "03:30"}
    resting = [minute for minute in range(240) if rests(around, first + minute * 60)]
    assert resting == list(range(30, 90)), "an hour of real time"


def test_when_clocks_go_back_the_hour_comes_twice() -> None:
    # 2026-10-25, Zurich: 03:00 is followed by 02:00.
    twice = {"dates": ["2026-10-25"], "start_time": "02:15", "end_time": "02:30"}
    assert rests(twice, at("2026-10-25T02:20:00", fold=0))
    assert rests(twice, at("2026-10-25T02:20:00", fold=1))
    assert at("2026-10-25T02:20:00", fold=1) - at("2026-10-25T02:20:00", fold=0) == 3600
    assert not rests(twice, at("2026-10-25T02:40:00", fold=0))


def test_several_windows_add_up() -> None:
    read = [walker.convert({"timezone": "Europe/Zurich", **one}, Schedule) for one in (OFFICE, NIGHT)]
    both = Suspension(read)
    assert both.holds(at("2026-01-30T12:00:00"))
    assert not both.holds(at("2026-01-30T20:00:00"))
    assert both.holds(at("2026-01-31T01:00:00"))


async def test_a_policy_rests_for_its_window_and_goes_on_counting_where_it_was() -> None:
    noon = {"timezone": "UTC", "days_of_week": ["fri"], "start_time": "12:00", "end_time": "13:00"}
    worker = Worker(policy_row(limits={"rpd": 2}, schedules=[noon]), policy_row("other", limits={"rpd": 5}))
    worker.clock.jump(at("2026-01-30T11:59:30", datetime.UTC) - worker.clock.now())
    settle(await worker.admit())
    settle(await worker.admit())
    assert (await worker.refused()).policy == "cap"
    worker.clock.advance(30)
    for _ in range(3):
        settle(await worker.admit())
    assert (await worker.refused()).policy == "other", "what is no part of the window acts on"
    worker.clock.advance(3600)
    assert (await worker.refused()).policy == "cap", "its counts were kept"


async def test_a_clock_that_is_set_back_is_noticed() -> None:
    noon = {"timezone": "UTC", "days_of_week": ["fri"], "start_time": "12:00", "end_time": "13:00"}
    worker = Worker(policy_row(limits={"rpd": 0}, schedules=[noon]))
    worker.clock.jump(at("2026-01-30T12:00:00", datetime.UTC) - worker.clock.now())
    assert await worker.fits()
    worker.clock.jump(-60)
    assert not await worker.fits()
