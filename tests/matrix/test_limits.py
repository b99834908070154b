"""Limits and budgets: an exhausted one answers 429 and nothing is sent; what was held comes back."""

from __future__ import annotations

import json

import pytest
from matrix_cells import Cell
from matrix_plugins.word_blocker import WORD
from matrix_policies import BUDGET, ONE_AT_ONCE, ONE_REQUEST
from matrix_room import Enter, counts, wait_until

from hookway_sdk import BudgetExceeded, ContentBlocked, LimitExceeded
from hookway_sdk.testing.scripted_upstream import Stall, json_reply


def test_an_exhausted_request_limit_answers_429_and_sends_nothing(enter: Enter, admitted_cell: Cell) -> None:
    room = enter(ONE_REQUEST)
    assert room.ask(admitted_cell).status == 200
    sent = len(room.upstream.requests)
    reply = room.ask(admitted_cell)
    room.refuses(reply, admitted_cell, LimitExceeded("requests"))
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert len(room.upstream.requests) == sent
    held = room.book.of("request")
    assert [(len(one.settled), one.released) for one in held][-1] == (0, 1)
    assert [one.status for one in room.ended(2)] == [200, 429]


def test_a_blocked_request_gives_back_what_it_took_of_the_limit(enter: Enter, read_cell: Cell) -> None:
    assert read_cell.sample is not None
    room = enter(ONE_REQUEST)
    for _ in range(3):
        bad = room.ask(read_cell, read_cell.body(at=read_cell.sample.slots[0], text=WORD))
        room.refuses(bad, read_cell, ContentBlocked("no-words"))
    assert room.ask(read_cell).status == 200
    assert room.ask(read_cell).status == 429


def test_a_request_that_failed_upstream_counts(enter: Enter, asking_cell: Cell) -> None:
    room = enter(ONE_REQUEST)
    room.upstream.answers = [json_reply({"error": {"message": "down"}}, 500)]
    assert room.ask(asking_cell).status == 502
    assert room.ask(asking_cell).status == 429


def test_only_so_many_run_at_once_and_the_place_comes_back(enter: Enter, asking_cell: Cell) -> None:
    room = enter(ONE_AT_ONCE)
    room.upstream.hold()

    def refused_meanwhile() -> None:
        room.upstream.wait_requests(1)
        room.refuses(room.ask(asking_cell, speak=False), asking_cell, LimitExceeded("concurrency"))
        assert len(room.upstream.requests) == 1
        room.upstream.release()

    assert room.meanwhile(lambda: room.ask(asking_cell), refused_meanwhile).status == 200
    assert room.ask(asking_cell).status == 200


def test_a_client_that_leaves_gives_its_place_back(enter: Enter, asking_cell: Cell) -> None:
    room = enter(ONE_AT_ONCE)
    room.upstream.answers = [Stall()]
    room.upstream.speak(asking_cell)
    room.leave(asking_cell, lambda connection: room.upstream.wait_requests(1))
    wait_until(lambda: bool(room.book.settles), "the request that was left did not settle")
    assert room.ask(asking_cell).status == 200
    assert [one.status for one in room.ended(2)] == [499, 200]


def test_a_used_up_budget_refuses_by_what_was_really_used(enter: Enter, asking_cell: Cell) -> None:
    room = enter(BUDGET)
    assert room.ask(asking_cell).status == 200
    reply = room.ask(asking_cell)
    error = BudgetExceeded("the budget is used up", members={"limit": 1})
    room.refuses(reply, asking_cell, error)
    assert json.loads(reply.body)["error"]["code"] == "budget_exceeded"
    assert len(room.upstream.requests) == 1


@pytest.mark.parametrize("fate", ["refused", "failed"])
def test_what_was_not_used_stays_in_the_budget(enter: Enter, asking_cell: Cell, fate: str) -> None:
    room = enter(BUDGET)
    if fate == "refused":
        room.controls.refused = frozenset({asking_cell.model()})
        assert room.ask(asking_cell).status == 429
        room.controls.refused = frozenset()
    else:
        room.upstream.answers = [json_reply({"error": {"message": "down"}}, 500)]
        assert room.ask(asking_cell).status == 502
    assert room.ask(asking_cell).status == 200
    assert room.ask(asking_cell).status == 429


def test_a_target_over_its_limit_is_not_asked(enter: Enter, asking_cell: Cell) -> None:
    room = enter(BUDGET)
    room.controls.refused = frozenset({asking_cell.model("sample")})
    reply = room.ask(asking_cell)
    room.refuses(reply, asking_cell, LimitExceeded("requests", policy="target"))
    assert room.upstream.requests == []
    # Nothing was sent: the attempt and the request give back.
    assert [one.released for one in room.book.held] == [1, 1]


def test_a_target_over_its_limit_gives_way_to_the_next(enter: Enter, asking_cell: Cell) -> None:
    room = enter(BUDGET)
    room.controls.refused = frozenset({asking_cell.model("sample")})
    assert room.ask(asking_cell, model="pair").status == 200
    assert room.upstream.asked == ["up-b"]
    first, second = room.book.of("attempt")
    assert (first.released, len(second.settled)) == (1, 1)
    (request,) = room.book.of("request")
    assert counts(request.settled[0]) == counts(second.settled[0])
