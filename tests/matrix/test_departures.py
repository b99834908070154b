"""Clients that leave in the middle: the upstream is left too, and everything settles once, with 499."""

from __future__ import annotations

import http.client

import pytest
from matrix_cells import Cell
from matrix_policies import BLOCK_OUTPUT, CRASH, PLAIN, REMOTE
from matrix_room import Enter, Policy, Room, counts, wait_until
from test_crashes import reaches

from hookway_sdk import Phase
from hookway_sdk.testing.scripted_upstream import Reply, Stall

WAITING = (
    Phase.AUTHENTICATE,
    Phase.RESOLVE,
    Phase.AUTHORIZE,
    Phase.ADMIT_REQUEST,
    Phase.INSPECT_REQUEST,
    Phase.LOOKUP,
    Phase.ADMIT_ATTEMPT,
    Phase.INSPECT_ANSWER,
)
"""Phases that may wait while a request is not yet answered."""


def left(room: Room) -> None:
    """Fail unless exactly one request ended with 499."""
    (ended,) = room.ended()
    assert (ended.status, ended.error_type) == (499, "client_disconnected")
    assert room.book.settles == [ended.request_id]


@pytest.mark.parametrize("phase", WAITING)
def test_leaving_in_any_phase_settles_once(enter: Enter, cell: Cell, phase: Phase) -> None:
    room = enter(CRASH)
    if not reaches(cell, phase):
        assert room.ask(cell).status == 200
        return
    room.upstream.speak(cell)
    room.controls.wait = phase
    room.leave(cell, lambda connection: room.controls.waiting.wait(5))
    left(room)
    made = phase is Phase.INSPECT_ANSWER
    assert len(room.upstream.requests) == (made and cell.has_upstream)
    for held in room.book.held:
        assert (len(held.settled), held.released) == ((1, 0) if made else (0, 1))
    assert room.failures == {}


@pytest.mark.parametrize("policy", [PLAIN, BLOCK_OUTPUT], ids=lambda one: one.name)
def test_leaving_while_the_upstream_is_silent_leaves_the_upstream(
    enter: Enter, asking_cell: Cell, policy: Policy
) -> None:
    room = enter(policy)
    room.upstream.speak(asking_cell)
    room.upstream.answers = [Stall()]
    room.leave(asking_cell, lambda connection: room.upstream.wait_requests(1))
    room.upstream.wait_departure()
    left(room)
    assert [len(one.settled) for one in room.book.held] == [1, 1]


def test_leaving_in_the_middle_of_an_answer_settles_what_was_seen(enter: Enter, asking_cell: Cell) -> None:
    room = enter(PLAIN)
    room.upstream.speak(asking_cell)
    whole = room.upstream.streamed() if asking_cell.streams else room.upstream.finished()
    size = sum(len(one) for one in whole.pieces if isinstance(one, bytes))
    room.upstream.answers = [Stall(whole, after_bytes=size // 2)]

    def read_some(connection: http.client.HTTPConnection) -> None:
        if asking_cell.streams:
            answer = connection.getresponse()
            assert answer.status == 200
            assert answer.read(20)
        else:
            room.upstream.wait_requests(1)

    room.leave(asking_cell, read_some)
    room.upstream.wait_departure()
    left(room)
    (ended,) = room.ended()
    assert ended.stream is asking_cell.streams
    assert [counts(one.settled[0]) for one in room.book.held] == [counts(ended.usage)] * 2


def test_leaving_after_usage_was_seen_settles_that_usage(enter: Enter, streaming_cell: Cell) -> None:
    room = enter(PLAIN)
    room.upstream.speak(streaming_cell)
    whole = room.upstream.streamed()
    pieces = [one for one in whole.pieces if isinstance(one, bytes)]
    before_end = sum(len(one) for one in pieces[:-1])
    room.upstream.answers = [
        Stall(Reply(200, whole.headers, pieces, framing="chunked"), after_bytes=before_end)
    ]

    def read_all(connection: http.client.HTTPConnection) -> None:
        answer = connection.getresponse()
        last = pieces[-2].strip()[-20:]
        read = b""
        while last not in read:
            read += answer.read1(4096)

    room.leave(streaming_cell, read_all)
    room.upstream.wait_departure()
    left(room)
    assert streaming_cell.sample is not None
    assert streaming_cell.sample.usage is not None
    expected = counts(streaming_cell.sample.usage)
    assert [counts(one.settled[0]) for one in room.book.held] == [expected, expected]


def test_leaving_while_a_remote_guardrail_is_asked_cancels_it(enter: Enter, read_cell: Cell) -> None:
    room = enter(REMOTE)
    room.controls.remote = "hangs"
    room.leave(read_cell, lambda connection: room.controls.waiting.wait(5))
    left(room)
    assert room.upstream.requests == []
    assert [one.released for one in room.book.held] == [1]


def test_the_next_request_is_served_as_if_nothing_had_been(enter: Enter, cell: Cell) -> None:
    room = enter(CRASH)
    if reaches(cell, Phase.ADMIT_REQUEST):
        room.controls.wait = Phase.ADMIT_REQUEST
        room.leave(cell, lambda connection: room.controls.waiting.wait(5))
        wait_until(lambda: bool(room.book.settles), "the request that was left did not settle")
        room.controls.wait = None
    assert room.ask(cell).status == 200
