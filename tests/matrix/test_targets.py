"""Resilience plugins: what they exclude is not asked, and what they say after a failure happens."""

from __future__ import annotations

from matrix_cells import Cell
from matrix_plugins.controls import Controls
from matrix_policies import TARGETS
from matrix_room import Enter, quiet

from hookway_sdk import AllCandidatesUnavailable, AttemptEnded, Next, Phase, Retry, Stop
from hookway_sdk.testing.scripted_upstream import json_reply

DOWN = json_reply({"error": {"message": "down"}}, 500)


def exclude(controls: Controls, *names: str) -> None:
    """Take targets out."""
    controls.excluded = frozenset(names)


def test_an_excluded_target_is_not_asked(enter: Enter, asking_cell: Cell) -> None:
    room = enter(TARGETS)
    exclude(room.controls, "sample")
    assert room.ask(asking_cell, model="pair").status == 200
    assert room.upstream.asked == ["up-b"]


def test_a_deferred_target_is_asked_when_the_others_have_failed(enter: Enter, asking_cell: Cell) -> None:
    room = enter(TARGETS)
    room.controls.deferred = frozenset({"sample"})
    room.upstream.answers = [DOWN]
    assert room.ask(asking_cell, model="pair").status == 200
    assert room.upstream.asked == ["up-b", "up-a"]


def test_where_all_targets_are_deferred_none_is(enter: Enter, asking_cell: Cell) -> None:
    room = enter(TARGETS)
    room.controls.deferred = frozenset({"sample", "other"})
    assert room.ask(asking_cell, model="pair").status == 200
    assert room.upstream.asked == ["up-a"]


def test_without_any_target_left_the_request_ends_and_nothing_is_sent(
    enter: Enter, asking_cell: Cell
) -> None:
    room = enter(TARGETS)
    exclude(room.controls, "sample", "other")
    for model in ("pair", "sample"):
        reply = room.ask(asking_cell, model=model)
        room.refuses(reply, asking_cell, AllCandidatesUnavailable())
        assert reply.headers["retry-after"] == "30"
    assert room.upstream.requests == []
    assert [one.released for one in room.book.held] == [1, 1]


def test_stop_ends_the_request_with_the_first_failure(enter: Enter, asking_cell: Cell) -> None:
    room = enter(TARGETS)
    room.controls.decision = Stop()
    room.upstream.answers = [DOWN]
    assert room.ask(asking_cell, model="pair").status == 502
    assert room.upstream.asked == ["up-a"]


def test_next_goes_to_the_other_target(enter: Enter, asking_cell: Cell) -> None:
    room = enter(TARGETS)
    room.controls.decision = Next()
    room.upstream.answers = [DOWN]
    assert room.ask(asking_cell, model="pair").status == 200
    assert room.upstream.asked == ["up-a", "up-b"]


def test_retry_asks_the_same_target_again(enter: Enter, asking_cell: Cell) -> None:
    room = enter(TARGETS)
    room.controls.decision = Retry(0.0)
    room.upstream.answers = [DOWN, DOWN]
    assert room.ask(asking_cell, model="pair").status == 200
    assert room.upstream.asked == ["up-a", "up-a", "up-a"]
    assert [one.kind for one in room.running.of(AttemptEnded)] == ["initial", "retry", "retry"]
    assert len(room.book.of("attempt")) == 3


def test_every_attempt_is_told_exactly_once(enter: Enter, asking_cell: Cell) -> None:
    room = enter(TARGETS)
    room.upstream.answers = [DOWN]
    assert room.ask(asking_cell, model="pair").status == 200
    (ended,) = room.ended()
    assert room.book.ended == [f"{ended.request_id}/0", f"{ended.request_id}/1"]


def test_a_plugin_that_crashes_on_the_way_is_passed_by(enter: Enter, asking_cell: Cell) -> None:
    for phase, word in ((Phase.FILTER, "filter"), (Phase.JUDGE, "judge"), (Phase.SETTLE, "ended")):
        room = enter(TARGETS)
        room.controls.crash = phase
        room.upstream.answers = [DOWN]
        reply = room.ask(asking_cell, model="pair")
        assert reply.status == 200
        quiet(reply)
        assert room.failures == {("resilience_rules", word): 2 if word == "ended" else 1}
