"""Guardrails on what models answer, streamed or not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from matrix_cells import Cell, compact, put, strings_in, with_strings
from matrix_plugins.word_blocker import MASK as MASKED
from matrix_plugins.word_blocker import WORD
from matrix_policies import BLOCK_OUTPUT, MASK, PLAIN, REMOTE, REMOTE_OPEN, WORD_OPEN
from matrix_room import Enter, Room, counts, quiet

from hookway_sdk import AttemptEnded, ContentBlocked, PluginFailed
from hookway_sdk.testing import make_exchange

SAYS = f"the model says {WORD} things"
HEAD, TAIL = "the model says for", "bidden things"


def answer_slots(cell: Cell) -> list[str]:
    """Return the pointers of texts in the answer that a cell's upstream gives."""
    view = cell.endpoint.view_answer(compact(cell.whole), make_exchange(endpoint=cell.endpoint))
    return [one.pointer for one in view.texts()]


def answers_with(cell: Cell, pointer: str) -> Any:
    """Return the upstream's finished answer with the forbidden word in one text."""
    whole = copy.deepcopy(cell.whole)
    put(whole, pointer, SAYS)
    return whole


def frames_with(cell: Cell) -> Any:
    """Return the upstream's frames with the forbidden word split over two of them."""
    texts = {text for pointer in answer_slots(cell) for text in [text_at(cell.whole, pointer)]}
    pieces = [one for one in strings_in(cell.frames) if len(one) > 1 and any(one in text for text in texts)]
    assert len(pieces) >= 2, "the sample's stream has no text in two frames"
    said = {pieces[0]: HEAD, pieces[1]: TAIL}
    return with_strings(cell.frames, lambda one: said.get(one, one))


def text_at(value: Any, pointer: str) -> str:
    """Return the text a pointer names."""
    for step in pointer.split("/")[1:]:
        value = value[int(step)] if isinstance(value, list) else value[step]
    assert isinstance(value, str)
    return value


def speak(room: Room, cell: Cell) -> None:
    """Let the upstream say the word, however it is asked."""
    room.upstream.speak(
        cell,
        whole=answers_with(cell, answer_slots(cell)[0]),
        frames=frames_with(cell) if cell.frames is not None else None,
    )


def test_without_a_guardrail_the_word_reaches_the_client(enter: Enter, asking_cell: Cell) -> None:
    room = enter(PLAIN)
    speak(room, asking_cell)
    reply = room.ask(asking_cell, speak=False)
    said = reply.body.decode()
    assert HEAD in said and TAIL in said if asking_cell.streams else SAYS in said


@pytest.mark.parametrize("fate", ["local", "remote"])
def test_a_forbidden_answer_is_blocked_whole_and_settled(enter: Enter, asking_cell: Cell, fate: str) -> None:
    room = enter(BLOCK_OUTPUT if fate == "local" else REMOTE)
    room.controls.remote = "blocks"
    speak(room, asking_cell)
    reply = room.ask(asking_cell, speak=False)
    name = "no-words" if fate == "local" else "far-judge"
    room.refuses(reply, asking_cell, ContentBlocked(name, subject="response"))
    for piece in (WORD, HEAD, TAIL):
        assert piece not in reply.body.decode()
    assert asking_cell.sample is not None
    assert asking_cell.sample.usage is not None
    expected = counts(asking_cell.sample.usage)
    request, attempt = room.book.of("request"), room.book.of("attempt")
    assert [counts(one.settled[0]) for one in (*request, *attempt)] == [expected, expected]
    (ended,) = room.ended()
    assert (ended.status, ended.error_type, counts(ended.usage)) == (422, "content_filter", expected)
    (tried,) = room.running.of(AttemptEnded)
    assert (tried.status, tried.error_kind) == (200, "")


def test_every_text_of_an_answer_is_judged_and_masked_alone(enter: Enter, whole_cell: Cell) -> None:
    for pointer in answer_slots(whole_cell):
        says = answers_with(whole_cell, pointer)
        plain = enter(PLAIN)
        plain.upstream.speak(whole_cell, whole=says)
        expected = plain.ask(whole_cell, speak=False).body
        room = enter(MASK)
        room.upstream.speak(whole_cell, whole=says)
        reply = room.ask(whole_cell, speak=False)
        assert reply.status == 200
        assert WORD in expected.decode()
        assert reply.body == expected.replace(WORD.encode(), MASKED.encode())


def test_a_word_that_is_split_over_frames_is_masked_in_the_stream(enter: Enter, streaming_cell: Cell) -> None:
    room = enter(MASK)
    speak(room, streaming_cell)
    reply = room.ask(streaming_cell, speak=False)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    said = reply.body.decode()
    assert SAYS.replace(WORD, MASKED) in said
    for piece in (WORD, HEAD, TAIL):
        assert piece not in said
    (ended,) = room.ended()
    assert (ended.status, ended.stream) == (200, True)


def test_own_answers_of_an_endpoint_are_judged_too(enter: Enter, own_cell: Cell) -> None:
    assert own_cell.sample is not None
    body = own_cell.body(at=own_cell.sample.slots[0], text=SAYS)
    room = enter(BLOCK_OUTPUT)
    reply = room.ask(own_cell, body)
    room.refuses(reply, own_cell, ContentBlocked("no-words", subject="response"))
    masked = enter(MASK).ask(own_cell, body)
    assert masked.status == 200
    assert SAYS.replace(WORD, MASKED) in json.dumps(masked.json())


@pytest.mark.parametrize("fate", ["hangs", "raises", "upstream"])
def test_a_remote_guardrail_that_fails_on_the_answer_closes(
    enter: Enter, asking_cell: Cell, fate: str
) -> None:
    room = enter(REMOTE)
    # The input passes; the guardrail begins to fail once the upstream has been asked.
    room.upstream.hold()
    room.upstream.speak(asking_cell)
    wait = room.upstream.wait_requests

    def fail_then_go() -> None:
        wait()
        room.controls.remote = fate
        room.upstream.release()

    reply = room.meanwhile(lambda: room.ask(asking_cell, speak=False), fail_then_go)
    room.refuses(reply, asking_cell, PluginFailed("guardrail_far", "inspect_answer"))
    assert [len(one.settled) for one in room.book.held] == [1, 1]
    assert room.failures == {("guardrail_far", "inspect_answer"): 1}


def test_a_guardrail_that_fails_open_on_the_answer_lets_it_pass(enter: Enter, answer_cell: Cell) -> None:
    for policy, plugin in ((REMOTE_OPEN, "guardrail_far"), (WORD_OPEN, "guardrail_word")):
        room = enter(policy)
        room.controls.remote = room.controls.word = "raises"
        reply = room.ask(answer_cell)
        assert reply.status == 200
        quiet(reply)
        room.counted(plugin, "inspect_answer")


def test_an_answer_that_cannot_be_read_is_not_let_through(enter: Enter, asking_cell: Cell) -> None:
    room = enter(BLOCK_OUTPUT)
    room.upstream.speak(asking_cell, whole=[WORD])
    reply = room.ask(asking_cell, speak=False)
    assert reply.status == 502
    assert WORD not in reply.body.decode()
