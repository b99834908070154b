"""An exchange carries what steps give each other, and nothing leaks between exchanges."""

from __future__ import annotations

import os

import pytest

from hookway_sdk import Attempt, Exchange, Plan, Reservation, Slot, Trace, TraceEntry, Usage
from hookway_sdk.testing import make_candidate, make_exchange
from hookway_sdk.unique_names import unique_name

SEEN = Slot[int]("test.seen")
NAMES = Slot[list[str]]("test.names")


class Nothing(Reservation):
    """Reserves nothing."""

    def settle(self, usage: Usage) -> None: ...

    def release(self) -> None: ...


def test_a_slot_is_empty_until_something_is_put_into_it() -> None:
    exchange = make_exchange()
    assert exchange.get(SEEN) is None
    exchange.put(SEEN, 3)
    assert exchange.get(SEEN) == 3
    assert exchange.get(NAMES) is None


def test_what_is_put_into_a_slot_replaces_what_was_there() -> None:
    exchange = make_exchange()
    exchange.put(SEEN, 3)
    exchange.put(SEEN, 0)
    assert exchange.get(SEEN) == 0


def test_slots_of_two_exchanges_are_apart() -> None:
    first, second = make_exchange(), make_exchange()
    first.put(SEEN, 3)
    assert second.get(SEEN) is None


def test_an_exchange_without_scratch_pays_for_none() -> None:
    assert make_exchange().scratch is None


def test_tags_add_up_and_the_later_one_wins() -> None:
    exchange = make_exchange()
    assert exchange.tags is None
    exchange.tag("team", "a")
    before = exchange.tags
    exchange.tag("team", "b")
    exchange.tag("tier", "gold")
    assert exchange.tags == {"team": "b", "tier": "gold"}
    assert before == {"team": "a"}, "an event that was told before keeps what it was told"


def test_headers_and_reservations_are_kept_in_order() -> None:
    exchange = make_exchange()
    one, two = Nothing(), Nothing()
    exchange.add_header("x-a", "1")
    exchange.add_header("x-a", "2")
    exchange.reserve(one)
    exchange.reserve(two)
    assert exchange.reply_headers == [("x-a", "1"), ("x-a", "2")]
    assert exchange.reservations == [one, two]


def test_it_was_dispatched_once_any_attempt_was() -> None:
    exchange = make_exchange()
    assert not exchange.dispatched
    exchange.attempts = [attempt(), attempt()]
    assert not exchange.dispatched
    exchange.attempts[1].dispatched = True
    assert exchange.dispatched


def test_nothing_hangs_on_to_an_exchange_by_a_dictionary() -> None:
    assert not hasattr(make_exchange(), "__dict__")
    assert set(Exchange.__slots__) >= {"request", "model", "plan"}


def test_an_attempt_holds_reservations_of_its_own() -> None:
    first, second = attempt(), attempt()
    reservation = Nothing()
    first.reserve(reservation)
    assert (first.reservations, second.reservations) == ([reservation], [])


def test_a_plan_excludes_with_a_reason_and_keeps_the_row_order() -> None:
    a, b, c = (make_candidate(name) for name in "abc")
    plan = Plan([a, b, c])
    plan.exclude(b, "cooling down")
    assert list(plan.candidates) == [a, c]
    assert plan.excluded == [(b, "cooling down")]


def test_a_plan_defers_with_a_reason() -> None:
    a, b, c = (make_candidate(name) for name in "abc")
    plan = Plan([a, b, c])
    plan.defer(b, "cooling down")
    plan.defer(a, "cooling down, too")
    assert list(plan.candidates) == [c]
    assert list(plan.deferred) == [(b, "cooling down"), (a, "cooling down, too")]
    assert list(plan.excluded) == []


def test_a_plan_can_be_cut_down_while_it_is_walked() -> None:
    plan = Plan([make_candidate(name) for name in "abc"])
    for candidate in plan.candidates:
        plan.exclude(candidate, "all of them")
    assert list(plan.candidates) == []
    assert len(plan.excluded) == 3


def test_a_trace_keeps_its_first_entries() -> None:
    trace = Trace(limit=2)
    for number in range(4):
        trace.add(TraceEntry(number, "filter", "x", "allowed"))
    assert [entry.at for entry in trace.entries] == [0, 1]


def attempt() -> Attempt:
    return Attempt(0, "initial", make_candidate(), 1.0)


def test_the_uid_of_an_exchange_is_its_own_though_the_caller_names_both_alike() -> None:
    one, other = make_exchange(id="mine"), make_exchange(id="mine")
    assert one.id == other.id
    assert one.uid == one.uid
    assert one.uid != other.uid
    assert "mine" not in one.uid


# ── headers that are set, and names of one's own ────────────────────────────────────────────


def test_a_header_that_is_set_takes_the_place_of_its_like() -> None:
    exchange = make_exchange()
    exchange.add_header("x-other", "1")
    exchange.set_header("X-RateLimit-Remaining", "5")
    exchange.set_header("x-ratelimit-remaining", "4")
    assert exchange.reply_headers == [("x-other", "1"), ("x-ratelimit-remaining", "4")]


def test_a_header_that_would_break_the_head_is_not_set() -> None:
    with pytest.raises(ValueError, match="head"):
        make_exchange().set_header("x-a", "b\r\nc: d")


def test_no_two_exchanges_have_one_name_whatever_their_ids() -> None:
    names = {make_exchange(id="same").uid for _ in range(100)}
    assert len(names) == 100
    one = make_exchange()
    assert one.uid == one.uid


def test_a_forked_process_names_its_exchanges_anew() -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, unique_name().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    theirs = os.read(reading, 100).decode()
    os.close(reading)
    os.close(writing)
    assert theirs.partition("-")[0] != unique_name().partition("-")[0]
