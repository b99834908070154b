"""The matrix with the plugins that are shipped: the real limit and the real metrics, at every endpoint."""

from __future__ import annotations

import http.client
from typing import Any

import pytest
from matrix_cells import Cell
from matrix_plugins.word_blocker import WORD
from matrix_real import (
    LIMITS,
    REAL,
    REAL_CACHE,
    REAL_IGNORED,
    REAL_INPUT,
    REAL_OFF,
    REAL_OPEN,
    REAL_OUTPUT,
    REAL_QUICK,
    REAL_TARGETS,
    ROOMY,
    Scrape,
    asking_cell,
    enter_fresh,
    secret,
    spender,
    tokens_of,
    told_limits,
    used,
)
from matrix_room import Enter, Policy, Room, quiet, wait_until
from test_texts_out import speak

from hookway.testing import KEY
from hookway_sdk import (
    AttemptEnded,
    ConfigBroken,
    ContentBlocked,
    LimitExceeded,
    PluginFailed,
    StateUnavailable,
)
from hookway_sdk.testing.scripted_upstream import Cut, Stall, json_reply

DOWN = json_reply({"error": {"message": "down"}}, 500)

each_store = pytest.mark.parametrize("policy", [REAL, REAL_QUICK], ids=lambda one: one.name)


def ask(room: Room, cell: Cell, key: str, **options: Any) -> Any:
    """Send a cell's request by a limited key."""
    return room.ask(cell, key=secret(key), **options)


# ── limits refuse ───────────────────────────────────────────────────────────────────────────


@each_store
def test_used_up_requests_are_a_429_that_says_when_to_come_back(
    enter: Enter, admitted_cell: Cell, policy: Policy
) -> None:
    room = enter_fresh(enter, policy)
    first = ask(room, admitted_cell, "once")
    assert first.status == 200, first.body
    assert told_limits(first)["remaining-requests"] == "0"
    sent = len(room.upstream.requests)
    before = Scrape(room)
    refused = ask(room, admitted_cell, "once")
    room.refuses(refused, admitted_cell, LimitExceeded("requests"))
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    told = told_limits(refused)
    assert (told["limit-requests"], told["remaining-requests"]) == ("1", "0")
    assert told["reset-requests"] == f"{refused.headers['retry-after']}s"
    assert (told["limit-concurrent"], told["remaining-concurrent"]) == ("1", "1")
    assert len(room.upstream.requests) == sent
    assert [one.status for one in room.ended(2)] == [200, 429]
    before.moves("ratelimit_rejections_total", 1, scope="requests", layer="api_key")
    before.moves("proxy_failed_requests_total", 1, endpoint=admitted_cell.endpoint.path, status="429")


@each_store
def test_used_up_tokens_are_a_429_at_every_endpoint(
    enter: Enter, admitted_cell: Cell, policy: Policy
) -> None:
    room = enter_fresh(enter, policy)
    spends = admitted_cell if admitted_cell.has_upstream else asking_cell()
    key = spender(spends)
    assert ask(room, spends, key).status == 200
    room.ended()
    refused = ask(room, admitted_cell, key)
    room.refuses(refused, admitted_cell, LimitExceeded("tokens"))
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    told = told_limits(refused)
    assert told == {
        "limit-tokens": str(tokens_of(spends)),
        "remaining-tokens": "0",
        "reset-tokens": f"{refused.headers['retry-after']}s",
    }
    assert len(room.upstream.requests) == 1


@each_store
def test_a_slot_that_a_waiting_request_holds_is_a_429_until_it_ends(
    enter: Enter, admitted_cell: Cell, policy: Policy
) -> None:
    room = enter_fresh(enter, policy)
    holder = admitted_cell if admitted_cell.has_upstream else asking_cell()
    room.upstream.speak(holder)
    room.upstream.hold()

    def refused_meanwhile() -> None:
        room.upstream.wait_requests(1)
        refused = ask(room, admitted_cell, "alone", speak=False)
        room.refuses(refused, admitted_cell, LimitExceeded("concurrency"))
        told = told_limits(refused)
        assert (told["limit-concurrent"], told["remaining-concurrent"]) == ("1", "0")
        assert "retry-after" not in refused.headers
        room.upstream.release()

    held = room.meanwhile(lambda: ask(room, holder, "alone", speak=False), refused_meanwhile)
    assert held.status == 200
    assert ask(room, admitted_cell, "alone").status == 200


def test_a_target_over_its_limit_gives_way_to_the_next_and_is_not_asked(
    enter: Enter, asking_cell: Cell
) -> None:
    room = enter_fresh(enter, REAL_TARGETS)
    assert [ask(room, asking_cell, "roomy", model="pair").status for _ in range(3)] == [200] * 3
    assert room.upstream.asked == ["up-a", "up-b", "up-b"]
    ends = room.ended(3)
    assert [(one.target, one.attempts) for one in ends] == [
        (asking_cell.model("sample"), 1),
        (asking_cell.model("other"), 2),
        (asking_cell.model("other"), 2),
    ]
    # At the witness, what was not sent came back.
    assert [(len(one.settled), one.released) for one in room.book.of("attempt")] == [
        *((1, 0), (0, 1), (1, 0), (0, 1), (1, 0))
    ]
    refused = ask(room, asking_cell, "roomy")
    name = f"one for {asking_cell.model('sample')}"
    room.refuses(refused, asking_cell, LimitExceeded("requests", policy=name, members={"policy": name}))
    assert used(room, "roomy") == {"requests": 3, "tokens": 3 * tokens_of(asking_cell)}


@each_store
def test_a_models_own_limit_refuses_whoever_asks(enter: Enter, asking_cell: Cell, policy: Policy) -> None:
    room = enter_fresh(enter, policy)
    assert room.ask(asking_cell, model="capped").status == 200
    for key in (KEY, secret("roomy")):
        refused = room.ask(asking_cell, model="capped", key=key)
        room.refuses(refused, asking_cell, LimitExceeded("requests"))
        told = told_limits(refused)
        assert (told["limit-requests"], told["remaining-requests"]) == ("1", "0")
    assert room.ask(asking_cell).status == 200, "its target has no limit"
    assert used(room, "roomy") == {"requests": 0, "tokens": 0}


# ── what was not done does not count ────────────────────────────────────────────────────────


def test_a_blocked_request_gives_back_all_that_the_limit_took(enter: Enter, read_cell: Cell) -> None:
    assert read_cell.sample is not None
    room = enter_fresh(enter, REAL_INPUT)
    for slot in read_cell.sample.slots[:3]:
        blocked = ask(room, read_cell, "once", body=read_cell.body(at=slot, text=WORD))
        room.refuses(blocked, read_cell, ContentBlocked("no-words"))
        told = told_limits(blocked)
        assert (told["remaining-requests"], told["remaining-tokens"]) == ("1", str(ROOMY))
    assert ask(room, read_cell, "once").status == 200
    assert ask(room, read_cell, "once").status == 429


def test_a_blocked_answer_was_used_all_the_same(enter: Enter, asking_cell: Cell) -> None:
    room = enter_fresh(enter, REAL_OUTPUT)
    speak(room, asking_cell)
    blocked = ask(room, asking_cell, "roomy", speak=False)
    room.refuses(blocked, asking_cell, ContentBlocked("no-words", subject="response"))
    assert used(room, "roomy") == {"requests": 1, "tokens": tokens_of(asking_cell)}


def test_a_request_that_failed_upstream_counts_without_tokens(enter: Enter, asking_cell: Cell) -> None:
    room = enter_fresh(enter, REAL)
    room.upstream.answers = [DOWN]
    assert ask(room, asking_cell, "roomy").status == 502
    assert used(room, "roomy") == {"requests": 1, "tokens": 0}


def test_a_hit_in_a_cache_is_a_request_without_tokens(enter: Enter, cached_cell: Cell) -> None:
    room = enter_fresh(enter, REAL_CACHE)
    before = Scrape(room)
    assert ask(room, cached_cell, "roomy").status == 200
    wait_until(lambda: bool(room.book.stored), "nothing was kept")
    assert ask(room, cached_cell, "roomy").status == 200
    assert [one.cache_status for one in room.ended(2)] == ["miss", "hit"]
    assert len(room.upstream.requests) == 1
    assert used(room, "roomy") == {"requests": 2, "tokens": tokens_of(cached_cell)}
    path = cached_cell.endpoint.path
    before.moves("proxy_requests_total", 2, endpoint=path, status="200")
    before.moves("llm_total_tokens_total", tokens_of(cached_cell), endpoint=path)


# ── what was done counts, exactly ───────────────────────────────────────────────────────────


@each_store
def test_scripted_usage_arrives_in_the_metrics_and_at_the_limit(
    enter: Enter, asking_cell: Cell, policy: Policy
) -> None:
    assert asking_cell.sample is not None
    usage = asking_cell.sample.usage
    assert usage is not None
    room = enter_fresh(enter, policy)
    before = Scrape(room)
    reply = ask(room, asking_cell, "roomy")
    assert reply.status == 200
    room.ended()
    assert used(room, "roomy") == {"requests": 1, "tokens": usage.total_tokens}
    if not asking_cell.streams:
        left = told_limits(reply)["remaining-tokens"]
        assert int(left) == ROOMY - usage.total_tokens, "a whole answer tells what is left after it"
    ours = {"endpoint": asking_cell.endpoint.path, "model": asking_cell.model()}
    before.moves("llm_input_tokens_total", usage.input_tokens, **ours)
    before.moves("llm_output_tokens_total", usage.output_tokens, **ours)
    before.moves("llm_total_tokens_total", usage.total_tokens, **ours)
    before.moves("tokens_consumed_total", usage.total_tokens, model=ours["model"])
    stream = "true" if asking_cell.streams else "false"
    before.moves("llm_requests_total", 1, **ours, stream=stream, status="200", outcome="success")
    before.moves("deployment_success_responses_total", 1, model=ours["model"], upstream_model="up-a")
    before.moves("request_ttft_seconds_count", 1 if asking_cell.streams else 0, **ours)


@each_store
def test_an_answer_tells_of_its_slot_as_it_is_when_its_head_is_written(
    enter: Enter, admitted_cell: Cell, policy: Policy
) -> None:
    """It is over by the time its head is written: the slot is told as free again."""
    room = enter_fresh(enter, policy)
    left = told_limits(ask(room, admitted_cell, "alone"))["remaining-concurrent"]
    assert left == ("0" if admitted_cell.streams else "1")


@each_store
def test_a_refused_request_tells_of_its_slot_as_free(enter: Enter, asking_cell: Cell, policy: Policy) -> None:
    """Nothing is held any more where the provider refused."""
    room = enter_fresh(enter, policy)
    room.upstream.answers = [DOWN]
    assert told_limits(ask(room, asking_cell, "alone"))["remaining-concurrent"] == "1"


def test_every_endpoint_is_counted_in_the_metrics_and_at_the_limit(enter: Enter, cell: Cell) -> None:
    room = enter_fresh(enter, REAL)
    before = Scrape(room)
    reply = ask(room, cell, "roomy")
    assert reply.status == 200
    assert told_limits(reply)["remaining-requests"] == str(ROOMY - 1)
    room.ended()
    before.moves("proxy_requests_total", 1, endpoint=cell.endpoint.path, status="200")
    before.moves("llm_total_tokens_total", tokens_of(cell), endpoint=cell.endpoint.path)
    assert used(room, "roomy") == {"requests": 1, "tokens": tokens_of(cell)}


def test_an_attempt_that_failed_and_one_that_answered_count_as_one_request(
    enter: Enter, asking_cell: Cell
) -> None:
    room = enter_fresh(enter, REAL)
    before = Scrape(room)
    room.upstream.answers = [DOWN]
    assert ask(room, asking_cell, "roomy", model="pair").status == 200
    assert len(room.running.of(AttemptEnded)) == 2
    assert used(room, "roomy") == {"requests": 1, "tokens": tokens_of(asking_cell)}
    pair, other = asking_cell.model("pair"), asking_cell.model("other")
    before.moves("llm_requests_total", 1, model=pair, status="200", is_fallback="true")
    before.moves("llm_total_tokens_total", tokens_of(asking_cell), model=pair)
    before.moves("deployment_failure_responses_total", 1, model=asking_cell.model("sample"))
    before.moves("deployment_success_responses_total", 1, model=other)
    before.moves("routing_successful_fallbacks_total", 1, model=pair, fallback_model=other)


def test_a_stream_that_is_cut_is_charged_by_what_came_of_it(enter: Enter, streaming_cell: Cell) -> None:
    room = enter_fresh(enter, REAL)
    before = Scrape(room)
    room.upstream.speak(streaming_cell)
    whole = room.upstream.streamed()
    size = sum(len(one) for one in whole.pieces if isinstance(one, bytes))
    room.upstream.answers = [Cut(whole, after_bytes=size // 2)]
    assert ask(room, streaming_cell, "roomy", speak=False).status == 200
    (ended,) = room.ended()
    assert ended.error_type == "stream_aborted"
    assert ended.usage.estimated
    assert used(room, "roomy") == {"requests": 1, "tokens": ended.usage.total_tokens}
    before.moves("llm_total_tokens_total", ended.usage.total_tokens, model=streaming_cell.model())


# ── callers who leave ───────────────────────────────────────────────────────────────────────


def leave(room: Room, cell: Cell, *, in_the_middle: bool) -> None:
    """Ask by the key that has one slot, and leave while the answer is awaited, or half of it is there."""
    room.upstream.speak(cell)
    whole = room.upstream.streamed() if cell.streams else room.upstream.finished()
    size = sum(len(one) for one in whole.pieces if isinstance(one, bytes))
    room.upstream.answers = [Stall(whole, after_bytes=size // 2) if in_the_middle else Stall()]
    connection = http.client.HTTPConnection(room.running.host, room.running.port, timeout=10)
    try:
        headers = {"authorization": f"Bearer {secret('alone')}"}
        connection.request(cell.endpoint.method, cell.path(), cell.body(), headers)
        if in_the_middle:
            answer = connection.getresponse()
            assert answer.status == 200
            assert answer.getheader("x-ratelimit-remaining-concurrent") == "0"
            assert answer.read(20)
        else:
            room.upstream.wait_requests(1)
        assert ask(room, cell, "alone", speak=False).status == 429, "its slot was not taken"
    finally:
        connection.close()


def check_left(room: Room, cell: Cell, before: Scrape) -> None:
    """Fail unless the request that was left is settled once, by an estimate, and its slot is free."""
    room.upstream.wait_departure()
    ended = next(one for one in room.ended(2) if one.status == 499)
    assert ended.usage.estimated
    assert ended.usage.total_tokens > 0
    assert used(room, "alone") == {"requests": 1, "tokens": ended.usage.total_tokens}
    before.moves("llm_total_tokens_total", ended.usage.total_tokens, model=cell.model())
    before.moves("llm_requests_total", 1, model=cell.model(), status="499" if not ended.begun else "200")
    assert ask(room, cell, "alone").status == 200


@each_store
def test_leaving_in_the_middle_of_a_stream_frees_the_slot_and_settles_an_estimate(
    enter: Enter, streaming_cell: Cell, policy: Policy
) -> None:
    room = enter_fresh(enter, policy)
    before = Scrape(room)
    leave(room, streaming_cell, in_the_middle=True)
    check_left(room, streaming_cell, before)


@each_store
def test_leaving_before_an_answer_frees_the_slot_and_settles_an_estimate(
    enter: Enter, asking_cell: Cell, policy: Policy
) -> None:
    room = enter_fresh(enter, policy)
    before = Scrape(room)
    leave(room, asking_cell, in_the_middle=False)
    check_left(room, asking_cell, before)
    before.moves("proxy_client_cancelled_requests_total", 1, model=asking_cell.model())


# ── a store that is dead ────────────────────────────────────────────────────────────────────


def test_a_limit_whose_store_is_away_closes_for_limited_callers_alone(
    enter: Enter, admitted_cell: Cell
) -> None:
    room = enter_fresh(enter, REAL)
    room.controls.store = "unavailable"
    reply = ask(room, admitted_cell, "roomy")
    assert reply.status == 503
    room.refuses(reply, admitted_cell, StateUnavailable("the store was killed"))
    assert told_limits(reply) == {}
    assert room.upstream.requests == []
    assert room.failures == {("limit_rate", "admit_request"): 1}
    assert room.ask(admitted_cell).status == 200, "a caller without limits is served"
    room.controls.store = "alive"
    assert ask(room, admitted_cell, "roomy").status == 200


def test_a_limit_whose_store_breaks_closes_and_says_nothing_of_why(enter: Enter, admitted_cell: Cell) -> None:
    room = enter_fresh(enter, REAL)
    room.controls.store = "broken"
    reply = ask(room, admitted_cell, "roomy")
    room.refuses(reply, admitted_cell, PluginFailed("limit_rate", "admit_request"))
    assert room.upstream.requests == []
    assert room.failures == {("limit_rate", "admit_request"): 1}


@pytest.mark.parametrize("how", ["unavailable", "broken"])
def test_a_limit_that_the_operator_opened_lets_pass_and_is_counted(
    enter: Enter, admitted_cell: Cell, how: str
) -> None:
    room = enter_fresh(enter, REAL_OPEN)
    before = Scrape(room)
    room.controls.store = how
    reply = ask(room, admitted_cell, "once")
    assert reply.status == 200, reply.body
    quiet(reply)
    assert room.failures == {("limit_rate", "admit_request"): 1}
    before.moves("plugin_failures_total", 1, plugin="limit_rate", phase="admit_request")


@pytest.mark.parametrize("how", ["unavailable", "broken"])
def test_a_store_that_dies_while_a_request_runs_costs_nobody_the_answer(
    enter: Enter, asking_cell: Cell, how: str
) -> None:
    room = enter_fresh(enter, REAL)
    before = Scrape(room)
    room.upstream.hold()

    def kill() -> None:
        room.upstream.wait_requests(1)
        room.controls.store = how
        room.upstream.release()

    reply = room.meanwhile(lambda: ask(room, asking_cell, "roomy"), kill)
    assert reply.status == 200
    quiet(reply)
    assert room.failures == {("reservation", "settle"): 1}
    assert [len(one.settled) for one in room.book.held] == [1, 1]
    before.moves("llm_total_tokens_total", tokens_of(asking_cell), model=asking_cell.model())


# ── a limit that is off ─────────────────────────────────────────────────────────────────────


def test_a_limited_key_is_closed_while_the_limit_is_off(enter: Enter, admitted_cell: Cell) -> None:
    room = enter_fresh(enter, REAL_OFF)
    for key in LIMITS:
        reply = ask(room, admitted_cell, key)
        assert (reply.status, told_limits(reply)) == (503, {}), reply.body
        quiet(reply)
        assert ConfigBroken.type in reply.body.decode()
        assert "limit_rate" in reply.body.decode()
        assert "is off" in reply.body.decode()
    assert room.upstream.requests == []
    assert room.ask(admitted_cell, key=KEY).status == 200, "a key without limits is served"


def test_a_limited_model_is_closed_to_all_while_the_limit_is_off(enter: Enter, asking_cell: Cell) -> None:
    room = enter_fresh(enter, REAL_OFF)
    reply = room.ask(asking_cell, model="capped")
    assert (reply.status, ConfigBroken.type in reply.body.decode()) == (503, True), reply.body
    assert room.upstream.requests == []
    assert room.ask(asking_cell).status == 200, "a model without limits serves"


def test_the_operator_may_have_limits_ignored_while_they_are_off(enter: Enter, admitted_cell: Cell) -> None:
    room = enter_fresh(enter, REAL_IGNORED)
    for _ in range(2):
        reply = ask(room, admitted_cell, "once")
        assert (reply.status, told_limits(reply)) == (200, {}), reply.body
    if admitted_cell.has_upstream:
        assert [room.ask(admitted_cell, model="capped").status for _ in range(2)] == [200, 200]
