"""Guardrails on what callers send: every text slot of every endpoint."""

from __future__ import annotations

import pytest
from matrix_cells import Cell
from matrix_plugins.word_blocker import MASK as MASKED
from matrix_plugins.word_blocker import WORD
from matrix_policies import (
    BLOCK_INPUT,
    BLOCK_OUTPUT,
    MASK,
    MONITOR,
    REMOTE,
    REMOTE_OPEN,
    SAID_CLOSED,
    SAID_OPEN,
    WORD_MANDATORY,
    WORD_OPEN,
)
from matrix_room import Enter, Policy, quiet

from hookway_sdk import ContentBlocked, PluginFailed

SAYS = f"please say {WORD} twice"
GUARDED = (BLOCK_INPUT, REMOTE)


def blocked(policy: Policy) -> ContentBlocked:
    """Return the refusal of a policy's guardrail."""
    return ContentBlocked("no-words" if policy is BLOCK_INPUT else "far-judge")


@pytest.mark.parametrize("policy", GUARDED, ids=lambda one: one.name)
def test_a_forbidden_word_is_blocked_wherever_it_stands(
    enter: Enter, slot: tuple[Cell, str], policy: Policy
) -> None:
    cell, pointer = slot
    room = enter(policy)
    room.controls.remote = "blocks"
    reply = room.ask(cell, cell.body(at=pointer, text=SAYS))
    room.refuses(reply, cell, blocked(policy))
    assert (reply.status, WORD in reply.body.decode()) == (422, False)
    assert room.upstream.requests == []
    (held,) = room.book.held
    assert (held.settled, held.released) == ([], 1)
    (ended,) = room.ended()
    assert (ended.status, ended.error_type, ended.attempts) == (422, "content_filter", 0)


def test_harmless_texts_pass_every_guardrail(enter: Enter, read_cell: Cell) -> None:
    for policy in (*GUARDED, MASK, MONITOR):
        room = enter(policy)
        assert room.ask(read_cell).status == 200
        assert len(room.upstream.requests) == (1 if read_cell.has_upstream else 0)


def test_a_masked_text_arrives_masked_and_every_other_byte_is_the_same(
    enter: Enter, sent_slot: tuple[Cell, str]
) -> None:
    cell, pointer = sent_slot
    body = cell.body(at=pointer, text=SAYS)
    # A guardrail on answers reads nothing of the request, and makes a stream be asked for whole as well.
    unread = enter(BLOCK_OUTPUT)
    unread.ask(cell, body)
    (expected,) = unread.upstream.requests
    room = enter(MASK)
    assert room.ask(cell, body).status == 200
    (sent,) = room.upstream.requests
    assert WORD in expected.body.decode()
    assert sent.body == expected.body.replace(WORD.encode(), MASKED.encode())


@pytest.mark.parametrize("fate", ["blocks", "masks"])
def test_a_remote_guardrail_acts_like_a_local_one(enter: Enter, read_cell: Cell, fate: str) -> None:
    assert read_cell.sample is not None
    room = enter(REMOTE)
    room.controls.remote = fate
    reply = room.ask(read_cell, read_cell.body(at=read_cell.sample.slots[-1], text=SAYS))
    if fate == "blocks":
        room.refuses(reply, read_cell, blocked(REMOTE))
        return
    assert reply.status == 200
    assert WORD not in reply.body.decode()
    for sent in room.upstream.requests:
        assert MASKED in sent.body.decode()


def test_monitoring_lets_pass_unchanged_and_tells_what_it_would_have_done(
    enter: Enter, slot: tuple[Cell, str]
) -> None:
    cell, pointer = slot
    room = enter(MONITOR)
    assert room.ask(cell, cell.body(at=pointer, text=SAYS)).status == 200
    for sent in room.upstream.requests:
        assert WORD in sent.body.decode()
    (ended,) = room.ended()
    assert (ended.tags or {})["guardrail_monitor_hits"] == "no-words"


@pytest.mark.parametrize("fate", ["hangs", "raises", "upstream"])
def test_a_remote_guardrail_that_fails_closes(enter: Enter, read_cell: Cell, fate: str) -> None:
    room = enter(REMOTE)
    room.controls.remote = fate
    reply = room.ask(read_cell)
    assert reply.status == 500, reply.body
    room.refuses(reply, read_cell, PluginFailed("guardrail_far", "inspect_request"))
    assert room.upstream.requests == []
    assert [one.released for one in room.book.held] == [1]
    assert room.failures == {("guardrail_far", "inspect_request"): 1}


@pytest.mark.parametrize("fate", ["hangs", "raises", "upstream"])
def test_a_remote_guardrail_that_fails_open_is_counted(enter: Enter, read_cell: Cell, fate: str) -> None:
    room = enter(REMOTE_OPEN)
    room.controls.remote = fate
    reply = room.ask(read_cell)
    assert reply.status == 200, reply.body
    quiet(reply)
    assert ("guardrail_far", "inspect_request") in room.failures


def test_a_crashing_guardrail_closes_unless_row_or_operator_open_it(enter: Enter, read_cell: Cell) -> None:
    for policy, status in (
        (BLOCK_INPUT, 500),
        (WORD_OPEN, 200),
        (WORD_MANDATORY, 500),
        (SAID_OPEN, 200),
        (SAID_CLOSED, 500),
    ):
        room = enter(policy)
        room.controls.word = "raises"
        reply = room.ask(read_cell)
        assert reply.status == status, policy.name
        quiet(reply)
        assert room.failures[("guardrail_word", "inspect_request")] == 1
