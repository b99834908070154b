"""What the upstream says it used arrives everywhere, exactly."""

from __future__ import annotations

from typing import Any

import msgspec
from matrix_cells import Cell
from matrix_policies import BLOCK_INPUT, PLAIN
from matrix_room import Enter, Room, counts

from hookway_sdk import AttemptEnded, RequestEnded
from hookway_sdk.testing.scripted_upstream import Cut, json_reply


def expected(cell: Cell) -> dict[str, Any]:
    """Return the usage that a cell's upstream reports."""
    assert cell.sample is not None
    assert cell.sample.usage is not None
    return counts(cell.sample.usage)


def journalled(room: Room, request_id: str) -> list[RequestEnded]:
    """Return what the journal's files hold of a request."""
    journal = room.running.gateway.process.journal
    assert journal.flush()
    reader = journal.reader("matrix")
    found = [one.decode(RequestEnded) for one in reader if one.kind == "request_ended"]
    return [one for one in found if one.request_id == request_id]


def test_scripted_usage_arrives_at_settlement_event_and_journal(enter: Enter, asking_cell: Cell) -> None:
    room = enter(PLAIN)
    assert room.ask(asking_cell).status == 200
    (ended,) = room.ended()
    (attempt,) = room.running.of(AttemptEnded)
    request, tried = room.book.of("request"), room.book.of("attempt")
    assert counts(ended.usage) == counts(attempt.usage) == expected(asking_cell)
    assert [[counts(usage) for usage in one.settled] for one in (*request, *tried)] == [
        [expected(asking_cell)],
        [expected(asking_cell)],
    ]
    (line,) = journalled(room, ended.request_id)
    assert msgspec.structs.asdict(line) == msgspec.structs.asdict(ended)


def test_the_event_says_who_asked_for_what_and_who_answered(enter: Enter, asking_cell: Cell) -> None:
    room = enter(PLAIN)
    assert room.ask(asking_cell, model="pair").status == 200
    (ended,) = room.ended()
    assert (ended.key_name, ended.requested_model) == ("good", asking_cell.model("pair"))
    assert (ended.model, ended.target) == (asking_cell.model("pair"), asking_cell.model("sample"))
    assert (ended.endpoint, ended.protocol) == (asking_cell.endpoint.path, asking_cell.endpoint.protocol)
    assert (ended.stream, ended.status, ended.attempts) == (asking_cell.streams, 200, 1)
    assert ended.latency_ms > 0
    assert (ended.ttft_ms > 0) is asking_cell.streams
    assert ended.client_address == "127.0.0.1"


def test_a_request_that_nobody_answered_used_nothing(enter: Enter, asking_cell: Cell) -> None:
    room = enter(PLAIN)
    room.upstream.answers = [json_reply({"error": {"message": "down"}}, 500)]
    reply = room.ask(asking_cell)
    assert reply.status == 502
    (ended,) = room.ended()
    assert (ended.status, counts(ended.usage), ended.attempts) == (502, {}, 1)
    # Something was sent, so what was held is settled, not given back.
    assert [len(one.settled) for one in room.book.held] == [1, 1]


def test_an_attempt_that_failed_and_one_that_answered_settle_each_for_itself(
    enter: Enter, asking_cell: Cell
) -> None:
    room = enter(PLAIN)
    room.upstream.answers = [json_reply({"error": {"message": "down"}}, 500)]
    assert room.ask(asking_cell, model="pair").status == 200
    (ended,) = room.ended()
    assert (ended.attempts, ended.fallbacks, ended.target) == (2, 1, asking_cell.model("other"))
    assert [counts(one.settled[0]) for one in room.book.of("attempt")] == [{}, expected(asking_cell)]
    assert counts(ended.usage) == expected(asking_cell)
    first, second = room.running.of(AttemptEnded)
    assert (first.error_kind, second.error_kind, second.kind) == ("upstream_status", "", "fallback")


def test_an_answer_that_is_cut_settles_once_and_is_no_success(enter: Enter, asking_cell: Cell) -> None:
    room = enter(PLAIN)
    room.upstream.speak(asking_cell)
    whole = room.upstream.streamed() if asking_cell.streams else room.upstream.finished()
    size = sum(len(one) for one in whole.pieces if isinstance(one, bytes))
    room.upstream.answers = [Cut(whole, after_bytes=size // 2)]
    reply = room.ask(asking_cell, speak=False)
    assert reply.status == (200 if asking_cell.streams else 502)
    (ended,) = room.ended()
    assert ended.error_type == "stream_aborted"
    assert [len(one.settled) for one in room.book.held] == [1, 1]


def test_endpoints_without_upstream_settle_too(enter: Enter, cell: Cell) -> None:
    room = enter(BLOCK_INPUT)
    assert room.ask(cell).status == 200
    (ended,) = room.ended()
    assert room.book.settles == [ended.request_id]
    assert journalled(room, ended.request_id)
