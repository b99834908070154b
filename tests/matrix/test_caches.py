"""Caches: a hit needs no upstream, is still judged, and a cache that fails costs nobody an answer."""

from __future__ import annotations

import http.client
import time

from matrix_cells import Cell, compact
from matrix_plugins.word_blocker import MASK as MASKED
from matrix_plugins.word_blocker import WORD
from matrix_policies import CACHE, CACHE_ALONE, CACHE_BLOCK
from matrix_room import Enter, Room, counts, quiet, wait_until
from matrix_sets import all_cells
from test_texts_out import SAYS, speak

from hookway.testing import KEY
from hookway_sdk import ContentBlocked, Reply
from hookway_sdk.testing import make_exchange
from hookway_sdk.testing.scripted_upstream import json_reply


def stored(room: Room, count: int = 1) -> None:
    """Wait until so many answers were kept."""
    wait_until(lambda: len(room.book.stored) >= count, "nothing was kept")


def test_the_second_time_nobody_is_asked(enter: Enter, cached_cell: Cell) -> None:
    room = enter(CACHE)
    first = room.ask(cached_cell)
    stored(room)
    second = room.ask(cached_cell)
    assert (first.status, second.status) == (200, 200)
    assert len(room.upstream.requests) == 1
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.body == first.body
    one, two = room.ended(2)
    assert (one.cache_status, two.cache_status) == ("miss", "hit")
    assert (counts(two.usage), two.attempts) == ({}, 0)


def test_a_hit_counts_as_a_request_without_usage(enter: Enter, cached_cell: Cell) -> None:
    room = enter(CACHE)
    room.ask(cached_cell)
    stored(room)
    room.ask(cached_cell)
    request = room.book.of("request")[-1]
    assert [counts(one) for one in request.settled] == [{}]
    assert len(room.book.of("attempt")) == 1
    assert len(room.book.stored) == 1, "a hit was kept a second time"


def test_what_is_kept_is_what_the_guardrails_let_out(enter: Enter, cached_cell: Cell) -> None:
    room = enter(CACHE)
    speak(room, cached_cell)
    first = room.ask(cached_cell, speak=False)
    stored(room)
    second = room.ask(cached_cell, speak=False)
    for reply in (first, second):
        assert WORD not in reply.body.decode()
        assert SAYS.replace(WORD, MASKED) in reply.body.decode()
    assert len(room.upstream.requests) == 1


def test_a_hit_is_judged_as_an_answer_is(enter: Enter, cached_cell: Cell) -> None:
    room = enter(CACHE_BLOCK)
    room.ask(cached_cell)
    stored(room)
    # What was kept in good faith is forbidden now.
    ((key, kept),) = room.kept.items()
    if kept.canonical is not None:
        kept.canonical.choices[0].message.parts[0].text = SAYS
    else:
        body = cached_cell.endpoint.view_answer(kept.body, None)  # type: ignore[arg-type]  # it looks at bytes
        body.texts()[0].replace(SAYS)
        kept.body = body.body()
    room.kept[key] = kept
    reply = room.ask(cached_cell)
    room.refuses(reply, cached_cell, ContentBlocked("no-words", subject="response"))
    assert len(room.upstream.requests) == 1
    assert [one.released for one in room.book.of("request")] == [0, 1]


def test_masking_a_hit_leaves_what_is_kept_as_it_was(enter: Enter, cached_cell: Cell) -> None:
    room = enter(CACHE)
    speak(room, cached_cell)
    room.controls.word = "sleeps"
    first = room.ask(cached_cell, speak=False)
    stored(room)
    room.controls.word = "works"
    masked = room.ask(cached_cell, speak=False)
    room.controls.word = "sleeps"
    again = room.ask(cached_cell, speak=False)
    assert SAYS in first.body.decode()
    assert SAYS not in masked.body.decode()
    assert again.body == first.body
    assert len(room.upstream.requests) == 1


def test_a_failed_answer_is_not_kept(enter: Enter, cached_cell: Cell) -> None:
    room = enter(CACHE)
    room.upstream.answers = [json_reply({"error": {"message": "down"}}, 500)]
    assert room.ask(cached_cell).status == 502
    assert room.ask(cached_cell).status == 200
    assert len(room.upstream.requests) == 2


def test_a_blocked_answer_is_not_kept(enter: Enter, cached_cell: Cell) -> None:
    room = enter(CACHE_BLOCK)
    speak(room, cached_cell)
    for _ in range(2):
        reply = room.ask(cached_cell, speak=False)
        room.refuses(reply, cached_cell, ContentBlocked("no-words", subject="response"))
    assert len(room.upstream.requests) == 2
    assert room.kept == {}


def test_a_client_that_leaves_with_its_answer_does_not_keep_it_from_being_kept(
    enter: Enter, cached_cell: Cell
) -> None:
    room = enter(CACHE)
    room.controls.cache = "slow"
    assert room.ask(cached_cell).status == 200
    stored(room)
    assert room.ask(cached_cell).status == 200
    assert len(room.upstream.requests) == 1


def test_a_slow_cache_keeps_no_client_waiting(enter: Enter, cached_cell: Cell) -> None:
    room = enter(CACHE)
    room.controls.cache = "slow"
    room.upstream.speak(cached_cell)
    connection = http.client.HTTPConnection(room.running.host, room.running.port, timeout=10)
    headers = {"authorization": f"Bearer {KEY}"}
    began = time.monotonic()
    for _ in range(3):
        connection.request(cached_cell.endpoint.method, cached_cell.path(), cached_cell.body(), headers)
        connection.getresponse().read()
    assert time.monotonic() - began < 0.1
    stored(room)
    connection.close()


def test_a_cache_that_crashes_is_passed_by_and_counted(enter: Enter, cached_cell: Cell) -> None:
    room = enter(CACHE)
    room.controls.cache = "raises"
    for _ in range(2):
        reply = room.ask(cached_cell)
        assert reply.status == 200
        quiet(reply)
    assert len(room.upstream.requests) == 2
    wait_until(lambda: room.failures.get(("cache_dict", "store")) == 2, "failures to keep were not counted")
    assert room.failures == {("cache_dict", "lookup"): 2, ("cache_dict", "store"): 2}


def test_a_cache_sees_no_endpoint_that_does_not_look_into_it(enter: Enter, cell: Cell) -> None:
    room = enter(CACHE_ALONE)
    if cell.has_upstream:
        return
    assert room.ask(cell).status == 200
    room.ended()
    assert (room.kept, room.book.stored, room.failures) == ({}, [], {})


def test_an_answer_that_cannot_be_delivered_as_asked_is_a_miss(enter: Enter, cached_cell: Cell) -> None:
    room = enter(CACHE_ALONE)
    # Bytes alone cannot be streamed.
    room.kept["*"] = Reply(compact(cached_cell.whole))
    assert room.ask(cached_cell).status == 200
    assert len(room.upstream.requests) == (1 if cached_cell.streams else 0)
    (ended,) = room.ended()
    assert ended.cache_status == ("miss" if cached_cell.streams else "hit")


def test_a_canonical_answer_is_a_hit_for_streams_and_for_others(enter: Enter, cached_cell: Cell) -> None:
    room = enter(CACHE)
    room.upstream.speak(cached_cell)
    room.ask(cached_cell)
    stored(room)
    (kept,) = room.kept.values()
    if kept.canonical is None:
        return
    room.kept["*"] = kept
    whole = next(one for one in all_cells() if one.endpoint is cached_cell.endpoint and not one.streams)
    reply = room.ask(whole)
    assert (reply.status, len(room.upstream.requests)) == (200, 1)
    view = whole.endpoint.view_answer(reply.body, make_exchange(endpoint=whole.endpoint))
    told = whole.endpoint.view_answer(compact(whole.whole), make_exchange(endpoint=whole.endpoint))
    assert [one.text for one in view.texts()] == [one.text for one in told.texts()]
