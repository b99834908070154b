"""A store that is dead gives the declared answer: limits close, unless the operator opened them."""

from __future__ import annotations

import pytest
from matrix_cells import Cell
from matrix_policies import LIMIT_OPEN, NO_STORE, ONE_AT_ONCE
from matrix_room import Enter, quiet

from hookway_sdk import PluginFailed, StateUnavailable


def test_a_limit_whose_store_is_away_closes(enter: Enter, admitted_cell: Cell) -> None:
    room = enter(ONE_AT_ONCE)
    room.controls.store = "unavailable"
    reply = room.ask(admitted_cell)
    room.refuses(reply, admitted_cell, StateUnavailable("the store was killed"))
    assert reply.status == 503
    assert room.upstream.requests == []
    assert [one.released for one in room.book.held] == [1]
    assert room.failures == {("limit_window", "admit_request"): 1}


def test_a_limit_whose_store_breaks_closes(enter: Enter, admitted_cell: Cell) -> None:
    room = enter(ONE_AT_ONCE)
    room.controls.store = "broken"
    reply = room.ask(admitted_cell)
    room.refuses(reply, admitted_cell, PluginFailed("limit_window", "admit_request"))
    assert reply.status == 500
    assert room.upstream.requests == []
    assert room.failures == {("limit_window", "admit_request"): 1}


@pytest.mark.parametrize("how", ["unavailable", "broken"])
def test_a_limit_that_the_operator_opened_lets_pass_and_is_counted(
    enter: Enter, admitted_cell: Cell, how: str
) -> None:
    room = enter(LIMIT_OPEN)
    room.controls.store = how
    reply = room.ask(admitted_cell)
    assert reply.status == 200, reply.body
    quiet(reply)
    assert room.failures == {("limit_window", "admit_request"): 1}


def test_a_limit_without_any_store_closes(enter: Enter, admitted_cell: Cell) -> None:
    room = enter(NO_STORE)
    reply = room.ask(admitted_cell)
    assert reply.status == 503
    assert b"enable store_memory" in reply.body
    assert room.upstream.requests == []


@pytest.mark.parametrize("how", ["unavailable", "broken"])
def test_a_store_that_dies_while_a_request_runs_costs_nobody_the_answer(
    enter: Enter, asking_cell: Cell, how: str
) -> None:
    room = enter(ONE_AT_ONCE)
    room.upstream.hold()

    def kill() -> None:
        room.upstream.wait_requests(1)
        room.controls.store = how
        room.upstream.release()

    reply = room.meanwhile(lambda: room.ask(asking_cell), kill)
    assert reply.status == 200
    quiet(reply)
    # The window's own reservation could not post; the others settled all the same.
    assert room.failures == {("reservation", "settle"): 1}
    assert [len(one.settled) for one in room.book.held] == [1, 1]


def test_a_store_that_comes_back_serves_again(enter: Enter, admitted_cell: Cell) -> None:
    room = enter(ONE_AT_ONCE)
    room.controls.store = "unavailable"
    assert room.ask(admitted_cell).status == 503
    room.controls.store = "alive"
    assert room.ask(admitted_cell).status == 200
