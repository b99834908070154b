"""A plugin that crashes, in every phase: the phase's policy decides, it is counted, and nobody reads why."""

from __future__ import annotations

import pytest
from matrix_cells import Cell
from matrix_policies import CRASH, CRASH_CLOSED, CRASH_OPEN
from matrix_room import Enter, Policy, Room, quiet

from hookway.testing import HttpReply
from hookway_sdk import OnError, Phase, PluginFailed
from hookway_sdk.phases import RULES, Mode
from hookway_sdk.testing.scripted_upstream import json_reply

PLUGIN = "hook_every"
SENDING = (Phase.FILTER, Phase.ORDER, Phase.ADMIT_ATTEMPT, Phase.JUDGE)
"""Phases of asking a provider."""
UNSENT = (*list(Phase)[: list(Phase).index(Phase.JUDGE)],)
"""Phases in which nothing was sent yet."""


def reaches(cell: Cell, phase: Phase) -> bool:
    """Say whether requests of a cell come to a phase: its endpoint declares it, and there is work for it."""
    if phase in (Phase.SETTLE, Phase.RECORD):
        return True
    if phase in (*SENDING, Phase.RESOLVE, Phase.LOOKUP, Phase.STORE) and not cell.has_upstream:
        return False
    if phase is Phase.INSPECT_REQUEST and cell.sample is None:
        return False
    return cell.runs(phase)


def crash(room: Room, cell: Cell, phase: Phase) -> HttpReply:
    """Send a request whose hooks crash in a phase."""
    room.controls.crash = phase
    if phase is Phase.JUDGE:
        room.upstream.answers = [json_reply({"error": {"message": "down"}}, 500)]
    return room.ask(cell, model="pair" if cell.has_upstream else "sample")


def policies_of(phase: Phase) -> list[tuple[Policy, OnError]]:
    """Return the rooms a phase is tried in, and what a failure means there."""
    return [
        (CRASH, RULES[phase].on_error),
        (CRASH_CLOSED, OnError.CLOSED),
        (CRASH_OPEN, OnError.OPEN),
    ]


@pytest.mark.parametrize("phase", list(Phase))
def test_a_crashing_hook_closes_or_opens_its_phase(enter: Enter, cell: Cell, phase: Phase) -> None:
    for policy, on_error in policies_of(phase):
        room = enter(policy)
        reply = crash(room, cell, phase)
        quiet(reply)
        notifies = RULES[phase].mode is Mode.NOTIFY
        if not reaches(cell, phase):
            assert (reply.status, room.failures) == (200, {}), policy.name
            continue
        if on_error is OnError.CLOSED and not notifies:
            room.refuses(reply, cell, PluginFailed(PLUGIN, phase.value))
            assert reply.status == 500
            (ended,) = room.ended()
            assert (ended.status, ended.error_type) == (500, "internal_error")
            assert len(room.upstream.requests) == (cell.has_upstream and phase not in UNSENT)
        else:
            assert reply.status == 200, (policy.name, reply.body)
            assert len(room.upstream.requests) == (
                2 if phase is Phase.JUDGE else 1 if cell.has_upstream else 0
            )
        room.counted(PLUGIN, phase.value)
        assert {key for key in room.failures} == {(PLUGIN, phase.value)}


def test_a_crash_before_anything_was_sent_gives_back_what_was_held(enter: Enter, admitted_cell: Cell) -> None:
    room = enter(CRASH)
    room.ask(admitted_cell)
    served = [len(one.settled) for one in room.book.held]
    assert served == [1] * len(room.book.held)
    assert room.book.held
    room = enter(CRASH)
    assert crash(room, admitted_cell, Phase.ADMIT_REQUEST).status == 500
    assert [one.released for one in room.book.held] == [1]


def test_the_operator_reads_what_crashed_and_why(enter: Enter, admitted_cell: Cell) -> None:
    room = enter(CRASH)
    reply = crash(room, admitted_cell, Phase.ADMIT_REQUEST)
    request_id = reply.headers[room.running.gateway.process.brand.request_id_header]
    (line,) = [one for one in room.running.log if one.get("request_id") == request_id]
    assert (line["level"], line["plugin"], line["phase"]) == ("error", PLUGIN, "admit_request")
    assert "RuntimeError: sesame" in line["error"]
