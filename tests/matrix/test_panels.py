"""Model shapes that ask nested calls: charged to the caller, admitted each, judged at the end."""

from __future__ import annotations

import pytest
from matrix_cells import Cell
from matrix_plugins.word_blocker import WORD
from matrix_policies import PANEL
from matrix_room import Enter, Room, counts, wait_until
from test_texts_out import speak

from hookway_sdk import ContentBlocked, RequestEnded, Usage
from hookway_sdk.testing.scripted_upstream import Stall, json_reply


def twice(cell: Cell) -> Usage:
    """Return what two answers of a cell's upstream use together."""
    assert cell.sample is not None
    assert cell.sample.usage is not None
    total = cell.sample.usage.copy()
    total.add(cell.sample.usage)
    return total


def nested(room: Room, count: int) -> list[RequestEnded]:
    """Wait for the ends of nested calls."""

    def found() -> list[RequestEnded]:
        return [one for one in room.running.of(RequestEnded) if one.parent_id]

    wait_until(lambda: len(found()) >= count, "nested calls did not end")
    return found()


def test_a_panel_asks_its_members_and_the_caller_pays_for_both(enter: Enter, chat_cell: Cell) -> None:
    room = enter(PANEL)
    reply = room.ask(chat_cell, model="panel")
    assert reply.status == 200, reply.body
    assert room.upstream.asked == ["up-a", "up-b"]
    (ended,) = room.ended()
    assert counts(ended.usage) == counts(twice(chat_cell))
    assert [counts(one.settled[0]) for one in room.book.of("request")] == [counts(twice(chat_cell))]
    members = nested(room, 2)
    assert [one.parent_id for one in members] == [ended.request_id] * 2
    assert [one.key_name for one in members] == ["good", "good"]
    # Each nested call has an attempt of its own, with what that attempt used.
    assert chat_cell.sample is not None
    assert chat_cell.sample.usage is not None
    one = counts(chat_cell.sample.usage)
    assert [counts(held.settled[0]) for held in room.book.of("attempt")] == [one, one]
    assert [counts(member.usage) for member in members] == [one, one]


def test_a_panel_is_streamed_where_the_client_streams(enter: Enter, streaming_cell: Cell) -> None:
    if not streaming_cell.chat:
        return
    room = enter(PANEL)
    reply = room.ask(streaming_cell, model="panel")
    assert reply.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("where", ["request", "answer"])
def test_a_panel_is_guarded_like_any_model(enter: Enter, chat_cell: Cell, where: str) -> None:
    room = enter(PANEL)
    assert chat_cell.sample is not None
    if where == "request":
        reply = room.ask(chat_cell, chat_cell.body("panel", at=chat_cell.sample.slots[-1], text=WORD))
        room.refuses(reply, chat_cell, ContentBlocked("no-words"))
        assert room.upstream.requests == []
        return
    speak(room, chat_cell)
    reply = room.ask(chat_cell, model="panel", speak=False)
    room.refuses(reply, chat_cell, ContentBlocked("no-words", subject="response"))
    (ended,) = room.ended()
    assert counts(ended.usage) == counts(twice(chat_cell))


def test_a_member_that_fails_ends_the_panel_and_the_other_is_paid(enter: Enter, chat_cell: Cell) -> None:
    room = enter(PANEL)
    room.upstream.speak(chat_cell)
    room.upstream.answers = [room.upstream.finished(), json_reply({"error": {"message": "down"}}, 500)]
    assert room.ask(chat_cell, model="panel").status == 502
    (ended,) = room.ended()
    assert chat_cell.sample is not None
    assert chat_cell.sample.usage is not None
    assert counts(ended.usage) == counts(chat_cell.sample.usage)
    assert [one.status for one in nested(room, 2)] == [200, 502]


def test_a_client_that_leaves_cancels_the_nested_call(enter: Enter, chat_cell: Cell) -> None:
    room = enter(PANEL)
    room.upstream.speak(chat_cell)
    room.upstream.answers = [room.upstream.finished(), Stall()]
    room.leave(chat_cell, lambda connection: room.upstream.wait_requests(2), model="panel")
    room.upstream.wait_departure()
    (ended,) = room.ended()
    assert ended.status == 499
    answered, left = nested(room, 2)
    assert (answered.status, left.status) == (200, 499)
    assert chat_cell.sample is not None
    assert chat_cell.sample.usage is not None
    assert counts(answered.usage) == counts(chat_cell.sample.usage)
    # The provider had read the second question when nobody waited for its answer any more.
    assert left.usage.estimated
    assert 0 < left.usage.input_tokens < 100
    assert ended.usage.input_tokens == answered.usage.input_tokens + left.usage.input_tokens
    assert ended.usage.output_tokens == answered.usage.output_tokens
