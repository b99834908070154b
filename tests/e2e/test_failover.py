"""Groups and retries: who is asked, in which order, how often, and who learns what of it."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import openai
import pytest
from callers import HELLO, ID, asynchronous, attempts, ended, journalled
from openai_wire import answer, chunk, frame, frames, refusal, stream
from scripted_provider import Answer, Provider
from watched import Watched

from hookway.testing import HttpReply, RunningGateway
from hookway_sdk import Usage
from hookway_sdk.testing.scripted_upstream import Cut, Reply, Stall, json_reply, sse_reply

TIMEOUT = 250
BACKOFF = 0.25


class NoJitter(random.Random):
    """Chance that adds nothing to a back-off."""

    def uniform(self, a: float, b: float) -> float:
        return a


def group(*targets: str | dict[str, Any], **routing: Any) -> dict[str, Any]:
    written = [{"model": one} if isinstance(one, str) else one for one in targets]
    return {"routing": {"targets": written, **routing}}


@pytest.fixture(scope="module")
def running(start_shared: Watched, provider_server: Provider) -> RunningGateway:
    account = provider_server.account()
    default = {name: value for name, value in account.items() if name != "retries"}
    rows: dict[str, dict[str, Any]] = {
        "a": {"model": "openai/model-a", **account},
        "b": {"model": "openai/model-b", **account},
        "c": {"model": "openai/model-c", **account},
        "hasty": {"model": "openai/model-a", **account, "timeout": TIMEOUT},
        "dead": {"model": "openai/model-a", **account, "api_base": "http://127.0.0.1:9"},
        "unserved": {"model": "acme/model-a", **account},
        "broken": {"model": "openai/model-a", **account, "api_base": "ftp://127.0.0.1"},
        "again": {"model": "openai/model-a", **account, "retries": 2},
        "hasty-again": {"model": "openai/model-a", **account, "retries": 1, "timeout": TIMEOUT},
        "default-a": {"model": "openai/model-a", **default},
        "default-b": {"model": "openai/model-b", **default},
        "pair": group("a", "b"),
        "hasty-pair": group("hasty", "b"),
        "dead-pair": group("dead", "b"),
        "mended": group("unserved", "broken", "b"),
        "default-pair": group("default-a", "default-b"),
        "on-429": group("a", "b", retry_on_429=True),
        "on-some": group("a", "b", fallback_on_statuses=[404, 429]),
        "one-more": group("a", "b", "c", max_fallbacks=1),
        "no-more": group("a", "b", max_fallbacks=0),
        "tiers": group("a", {"model": "b", "priority": 10}, {"model": "c", "priority": 10}),
        "outer": group("pair", "c"),
        "patient": group("default-a", "b", retries=1),
    }
    models = [{"name": name, **row} for name, row in rows.items()]
    # Without idle connections: one that breaks at once would count as closed while idle, and be opened again.
    settings = {"upstream": {"retries": 1, "pool_max_idle_per_host": 0}}
    return start_shared(settings, resources={"models": models}, chance=NoJitter())


def ask(running: RunningGateway, model: str, request_id: str = "", stream: bool = False) -> HttpReply:
    asked = {"model": model, "messages": HELLO, "stream": stream}
    return running.post("/v1/chat/completions", asked, headers={ID: request_id} if request_id else {})


HTML = Reply(200, [("content-type", "text/html")], b"<html>")
FAILURES: dict[str, Answer] = {
    "500": refusal(500, "oops"),
    "503": refusal(503, "busy"),
    "529": refusal(529, "overloaded"),
    "html": HTML,
    "reset": Cut(reset=True),
    "cut": Cut(answer(), 40),
    "no choices": json_reply({"id": "x"}),
    "an error inside a success": json_reply({"error": {"message": "gone", "code": 503}}),
}


@pytest.mark.parametrize("how", FAILURES)
def test_the_next_target_answers_when_one_fails(
    running: RunningGateway, provider: Provider, how: str
) -> None:
    name = f"failover-{how}".replace(" ", "-")
    provider.answers(FAILURES[how], model="model-a")
    provider.answers(answer("from b"), model="model-b")
    got = ask(running, "pair", name)
    assert got.status == 200
    assert got.json()["choices"][0]["message"]["content"] == "from b"
    assert got.json()["model"] == "pair"
    assert got.headers["x-hookway-served-by"] == "b"
    event = ended(running, name)
    assert (event.model, event.target, event.attempts, event.fallbacks) == ("pair", "b", 2, 1)
    assert (event.status, event.error_type) == (200, "")
    assert event.usage == Usage(input_tokens=11, output_tokens=4)
    first, second = attempts(running, name)
    assert (first.kind, first.target, bool(first.error_kind)) == ("initial", "a", True)
    assert (second.kind, second.target, second.error_kind) == ("fallback", "b", "")
    assert journalled(running, name) == [event]


STREAM_FAILURES: dict[str, Answer] = {
    "500": refusal(500, "oops"),
    "html": HTML,
    "ends at once": sse_reply([], done=False),
    "cut in the first frame": Cut(stream("hello"), 20),
    "error in the first frame": sse_reply([frame({"error": {"message": "gone"}})]),
    "garbage": sse_reply([b"data: <html>\n\n"]),
}


@pytest.mark.parametrize("how", STREAM_FAILURES)
async def test_the_next_target_streams_when_one_fails_before_its_first_frame(
    running: RunningGateway, provider: Provider, how: str
) -> None:
    provider.answers(STREAM_FAILURES[how], model="model-a")
    provider.answers(stream("from ", "b"), model="model-b")
    async with asynchronous(running) as client:
        opened = await client.chat.completions.create(model="pair", messages=HELLO, stream=True)
        assert opened.response.headers["x-hookway-served-by"] == "b"
        got = [one async for one in opened]
    assert {one.model for one in got} == {"pair"}
    assert "".join(one.choices[0].delta.content or "" for one in got) == "from b"


async def test_no_other_target_is_asked_once_a_frame_has_left(
    running: RunningGateway, provider: Provider
) -> None:
    begun = chunk({"content": "hel"})
    provider.answers(sse_reply([begun, frame({"error": {"message": "gone"}})], 0.05), model="model-a")
    async with asynchronous(running) as client:
        with pytest.raises(openai.APIError) as caught:
            async for _ in await client.chat.completions.create(
                model="pair", messages=HELLO, stream=True, extra_headers={ID: "begun-1"}
            ):
                pass
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["type"] == "upstream_in_band_error"
    assert provider.asked == ["model-a"]
    event = ended(running, "begun-1")
    assert (event.target, event.attempts, event.fallbacks) == ("a", 1, 0)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [400, 405, 409, 413, 422])
def test_a_fault_of_the_request_is_final(
    running: RunningGateway, provider: Provider, status: int, streams: bool
) -> None:
    provider.answers(refusal(status, "no"), model="model-a")
    got = ask(running, "pair", stream=streams)
    assert (got.status, got.json()["error"]["message"]) == (status, "no")
    assert provider.asked == ["model-a"]
    assert "x-hookway-served-by" not in got.headers


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [401, 402, 403, 404, 408, 429])
def test_a_fault_of_the_account_leads_to_the_next_target(
    running: RunningGateway, provider: Provider, status: int, streams: bool
) -> None:
    provider.answers(refusal(status, "no"), model="model-a")
    provider.answers(stream("from b") if streams else answer("from b"), model="model-b")
    got = ask(running, "pair", stream=streams)
    assert (got.status, provider.asked) == (200, ["model-a", "model-b"])


def test_the_last_refusal_reaches_the_client_where_no_target_could_serve(
    running: RunningGateway, provider: Provider
) -> None:
    for model in ("model-a", "model-b"):
        provider.answers(refusal(429, "slow down"), model=model)
    got = ask(running, "pair")
    assert (got.status, got.json()["error"]["message"]) == (429, "slow down")
    assert provider.asked == ["model-a", "model-b"]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
def test_a_target_that_is_too_slow_is_left(
    running: RunningGateway, provider: Provider, streams: bool
) -> None:
    provider.answers(Stall(), model="model-a")
    provider.answers(stream("from b") if streams else answer("from b"), model="model-b")
    began = time.monotonic()
    got = ask(running, "hasty-pair", f"slow-{streams}", streams)
    assert TIMEOUT / 1000 <= time.monotonic() - began < TIMEOUT / 1000 + 1
    assert (got.status, got.headers["x-hookway-served-by"]) == (200, "b")
    assert [one.error_kind for one in attempts(running, f"slow-{streams}")] == ["timeout", ""]
    provider.departure()


def test_a_stream_that_is_silent_before_its_first_frame_is_left(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(Stall(stream("hello")), model="model-a")
    provider.answers(stream("from b"), model="model-b")
    got = ask(running, "hasty-pair", stream=True)
    assert got.headers["x-hookway-served-by"] == "b"
    assert b"from b" in got.body


async def test_many_callers_notice_nothing_while_one_target_is_dead(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(*[answer("from b")] * 32, model="model-b")
    async with asynchronous(running) as client:
        asked = (client.chat.completions.create(model="dead-pair", messages=HELLO) for _ in range(32))
        got = await asyncio.gather(*asked)
    assert [one.choices[0].message.content for one in got] == ["from b"] * 32


def test_targets_that_only_the_operator_can_mend_are_passed_over(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(answer("from b"), model="model-b")
    got = ask(running, "mended", "mended-1")
    assert (got.status, got.headers["x-hookway-served-by"]) == (200, "b")
    assert [(one.target, one.dispatched) for one in attempts(running, "mended-1")] == [
        ("unserved", False),
        ("broken", False),
        ("b", True),
    ]


def test_the_last_error_is_the_callers(running: RunningGateway, provider: Provider) -> None:
    provider.answers(refusal(500, "oops"), model="model-a")
    provider.answers(refusal(404, "no such deployment", code="model_not_found"), model="model-b")
    got = ask(running, "pair", "last-1")
    assert (got.status, got.json()["error"]["code"]) == (404, "model_not_found")
    event = ended(running, "last-1")
    assert (event.status, event.target, event.attempts, event.usage.total_tokens) == (404, "b", 2, 0)


@pytest.mark.parametrize(("model", "status"), [("on-429", 429), ("on-some", 429), ("on-some", 404)])
def test_a_group_may_say_which_refusals_are_not_final(
    running: RunningGateway, provider: Provider, model: str, status: int
) -> None:
    provider.answers(refusal(status, "no"), model="model-a")
    provider.answers(answer("from b"), model="model-b")
    got = ask(running, model)
    assert (got.status, got.headers["x-hookway-served-by"]) == (200, "b")


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("no-more", ["model-a"]),
        ("pair", ["model-a", "model-b"]),
        ("one-more", ["model-a", "model-b"]),
        ("tiers", ["model-b", "model-c", "model-a"]),
        ("outer", ["model-a", "model-b", "model-c"]),
    ],
)
def test_targets_are_asked_in_order_as_far_as_the_group_says(
    running: RunningGateway, provider: Provider, model: str, asked: list[str]
) -> None:
    for name in asked:
        provider.answers(refusal(500, "oops"), model=name)
    assert ask(running, model).status == 502
    assert provider.asked == asked


# ── the same target again ───────────────────────────────────────────────────────────────────


def test_a_target_is_tried_again_as_often_as_its_row_says(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(refusal(500, "oops"), Cut(answer(), 40), answer("at last"), model="model-a")
    began = time.monotonic()
    got = ask(running, "again", "again-1")
    assert time.monotonic() - began >= BACKOFF + 2 * BACKOFF
    assert got.json()["choices"][0]["message"]["content"] == "at last"
    assert [one.kind for one in attempts(running, "again-1")] == ["initial", "retry", "retry"]
    event = ended(running, "again-1")
    assert (event.attempts, event.fallbacks, event.usage.total_tokens) == (3, 0, 15)


def test_a_refusal_is_not_tried_again(running: RunningGateway, provider: Provider) -> None:
    provider.answers(refusal(400, "no"), refusal(429, "no", headers=[("retry-after", "1")]), model="model-a")
    assert [ask(running, "again").status for _ in range(2)] == [400, 429]


def test_the_provider_says_how_long_to_wait(running: RunningGateway, provider: Provider) -> None:
    provider.answers(refusal(503, "busy", headers=[("retry-after", "1")]), answer(), model="model-a")
    began = time.monotonic()
    assert ask(running, "again").status == 200
    assert 1 <= time.monotonic() - began < 1.6


def test_a_wish_that_is_too_long_is_not_granted(running: RunningGateway, provider: Provider) -> None:
    provider.answers(refusal(503, "busy", headers=[("retry-after", "60")]), answer(), model="model-a")
    began = time.monotonic()
    assert ask(running, "again").status == 200
    assert BACKOFF <= time.monotonic() - began < 1


def test_a_stream_that_did_not_begin_is_tried_again(running: RunningGateway, provider: Provider) -> None:
    provider.answers(sse_reply([frame({"error": {"message": "gone"}})]), stream("at last"), model="model-a")
    assert b"at last" in ask(running, "again", stream=True).body


def test_the_deployment_wide_number_counts_for_the_last_target_only(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(refusal(500, "oops"), model="model-a")
    provider.answers(refusal(500, "oops"), answer("from b"), model="model-b")
    assert ask(running, "default-pair", "default-1").status == 200
    assert provider.asked == ["model-a", "model-b", "model-b"]
    assert [one.kind for one in attempts(running, "default-1")] == ["initial", "fallback", "retry"]


def test_a_groups_number_counts_for_each_target_that_has_none(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(refusal(500, "oops"), refusal(500, "oops"), model="model-a")
    provider.answers(answer("from b"), model="model-b")
    assert ask(running, "patient").status == 200
    assert provider.asked == ["model-a", "model-a", "model-b"]


def test_a_timeout_that_a_row_sets_is_tried_again(running: RunningGateway, provider: Provider) -> None:
    provider.answers(Stall(), answer("at last"), model="model-a")
    assert ask(running, "hasty-again").status == 200


def test_a_timeout_that_is_deployment_wide_is_not_tried_again(start: Watched, provider: Provider) -> None:
    account = {**provider.account(), "retries": 3}
    models = [
        {"name": "a", "model": "openai/model-a", **account},
        {"name": "b", "model": "openai/model-b", **account},
        {"name": "pair", **group("a", "b")},
    ]
    running = start({"upstream": {"timeout_ms": TIMEOUT}}, resources={"models": models})
    provider.answers(Stall(), Stall(), model="model-a")
    provider.answers(answer("from b"), model="model-b")
    assert ask(running, "a").status == 504
    assert ask(running, "pair").headers["x-hookway-served-by"] == "b"
    assert provider.asked == ["model-a", "model-a", "model-b"]


def test_what_failed_attempts_consumed_is_settled_too(running: RunningGateway, provider: Provider) -> None:
    counted = {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9}
    begun = frames("")[0].replace(b'"usage": null', b'"usage": {"prompt_tokens": 9, "completion_tokens": 0}')
    provider.answers(
        sse_reply([b"".join([begun, frame({"error": {"message": "gone"}, "usage": counted})])]),
        model="model-a",
    )
    provider.answers(stream("from b"), model="model-b")
    assert ask(running, "pair", "both-1", stream=True).headers["x-hookway-served-by"] == "b"
    assert [one.usage.input_tokens for one in attempts(running, "both-1")] == [9, 11]
    assert ended(running, "both-1").usage == Usage(input_tokens=20, output_tokens=4)
