"""The contracts of caches and resilience plugins hold for honest ones, and can be broken."""

from __future__ import annotations

from typing import Any

import msgspec
from breaking import Case, awaited, broken, each_case, failure, promises
from reference_plugins import Breaker, Remembered

from hookway_sdk import Plan, Retry
from hookway_sdk.state import Increment, Set
from hookway_sdk.testing import (
    CacheContract,
    PluginContract,
    ResilienceContract,
    make_candidate,
)


class TestCache(CacheContract):
    plugin = Remembered
    name = "cache_remembered"
    ttl = 60.0


class TestSharedCache(CacheContract):
    plugin = type(
        "Shared",
        (Remembered,),
        {
            "__doc__": "Remember answers for everybody.",
            "key": lambda self, exchange: (
                f"{exchange.model.id} {sorted((n, bytes(v)) for n, v in exchange.request.envelope.items())}"
            ),
        },
    )
    name = "cache_shared"
    shared = True


def _key(**left_out: bool) -> Any:
    """Return a cache whose key lacks something."""

    def key(self: Any, exchange: Any) -> str:
        body = {name: bytes(value) for name, value in exchange.request.envelope.items()}
        if left_out.get("members"):
            body = {name: body[name] for name in ("messages", "model")}
        if left_out.get("messages"):
            del body["messages"]
        if left_out.get("model"):
            del body["model"]
        caller = "" if left_out.get("caller") else exchange.principal.key_id
        row = "" if left_out.get("row") else exchange.model.id
        return f"{caller} {row} {sorted(body.items())}"

    return broken(TestCache, key=key)


async def _always_hit(self: Any, exchange: Any) -> Any:
    found = await Remembered.lookup(self, exchange)
    return found or TestCache().reply()


async def _never_hit(self: Any, exchange: Any) -> Any:
    return None


async def _hit_bytes(self: Any, exchange: Any) -> Any:
    found = await Remembered.lookup(self, exchange)
    return found and found.body


async def _hit_without_usage(self: Any, exchange: Any) -> Any:
    found = await Remembered.lookup(self, exchange)
    if found is not None:
        found.usage = type(found.usage)()
    return found


async def _hit_once(self: Any, exchange: Any) -> Any:
    found = await Remembered.lookup(self, exchange)
    await self.services.state.apply((Set(self.key(exchange), b"", 60.0),))
    return found


async def _keep_itself(self: Any, exchange: Any, reply: Any) -> None:
    self.kept = {**getattr(self, "kept", {}), self.key(exchange): reply}


async def _give_itself(self: Any, exchange: Any) -> Any:
    return getattr(self, "kept", {}).get(self.key(exchange))


async def _keep_the_first(self: Any, exchange: Any, reply: Any) -> None:
    if await Remembered.lookup(self, exchange) is None:
        await Remembered.store(self, exchange, reply)


async def _keep_text(self: Any, exchange: Any, reply: Any) -> None:
    reply = msgspec.structs.replace(reply, body=reply.body.decode().encode())
    await Remembered.store(self, exchange, reply)


CACHE: list[Case] = [
    ("test_its_rows_are_known", broken(TestCache, register_resources=classmethod(lambda cls, reg: None))),
    ("test_an_empty_cache_has_no_answer", broken(TestCache, lookup=_always_hit)),
    ("test_a_hit_is_what_was_stored", broken(TestCache, lookup=_hit_bytes)),
    ("test_a_hit_is_what_was_stored", broken(TestCache, lookup=_hit_without_usage)),
    ("test_a_hit_can_be_had_again", broken(TestCache, lookup=_hit_once)),
    (
        "test_what_becomes_of_one_hit_does_not_show_in_the_next",
        broken(TestCache, store=_keep_itself, lookup=_give_itself),
    ),
    ("test_another_question_has_no_answer", _key(messages=True)),
    ("test_every_member_of_a_request_counts", _key(members=True)),
    ("test_another_model_has_no_answer", _key(model=True, row=True)),
    ("test_a_name_that_now_stands_for_another_model_has_no_answer", _key(row=True)),
    ("test_callers_do_not_see_each_others_answers_unless_they_share_on_purpose", _key(caller=True)),
    (
        "test_callers_do_not_see_each_others_answers_unless_they_share_on_purpose",
        broken(TestSharedCache, key=Remembered.key),
    ),
    ("test_an_answer_is_forgotten_in_time", broken(TestCache, ttl=600.0)),
    ("test_an_answer_is_forgotten_in_time", broken(TestCache, ttl=6.0)),
    ("test_a_later_answer_takes_the_place_of_an_earlier_one", broken(TestCache, store=_keep_the_first)),
    ("test_any_bytes_can_be_stored", broken(TestCache, store=_keep_text)),
    ("test_it_says_plainly_whom_it_acts_for", broken(TestCache, applies=lambda self, scope: 1)),
]


class TestResilience(ResilienceContract):
    plugin = Breaker
    name = "resilience_breaker"
    failures = 3
    recovery = 30.0


def _exclude_all(self: Any, exchange: Any, plan: Any) -> None:
    for candidate in plan.candidates:
        plan.exclude(candidate, "just in case")


async def _exclude_silently(self: Any, exchange: Any, plan: Any) -> None:
    for candidate in await self.broken(plan):
        plan.exclude(candidate, "")


async def _drop(self: Any, exchange: Any, plan: Any) -> None:
    broken_ones = await self.broken(plan)
    plan.candidates = [one for one in plan.candidates if one not in broken_ones]


def _add(self: Any, exchange: Any, plan: Any) -> None:
    plan.candidates = [*plan.candidates[1:], make_candidate("stranger")]


def _counting(amount: int, seconds: float) -> Any:
    """Return an ``ended`` that counts too much, or remembers for another time."""

    def ended(self: Any, exchange: Any, attempt: Any) -> None:
        if attempt.error is not None:
            self.services.state.post((Increment(attempt.candidate.deployment.id, amount, seconds),))

    return ended


def _learn_here(self: Any, exchange: Any, attempt: Any) -> None:
    self.failed = getattr(self, "failed", 0) + (attempt.error is not None)


def _filter_by_what_was_learnt_here(self: Any, exchange: Any, plan: Any) -> None:
    if getattr(self, "failed", 0) >= 3:
        plan.exclude(plan.candidates[0], "it failed three times")


async def _read_at_the_start(self: Any) -> None:
    plan = Plan([make_candidate("failing")])
    self.mirrored = {one.deployment.id for one in await self.broken(plan)}


async def _mirror(self: Any) -> None:
    """Begin to copy the state into the instance each second, and not before the first has passed."""
    self.mirrored = set()
    self.services.tasks.every("look", 1.0, lambda: _read_at_the_start(self))


def _filter_by_the_mirror(self: Any, exchange: Any, plan: Any) -> None:
    for candidate in plan.candidates:
        if candidate.deployment.id in self.mirrored:
            plan.exclude(candidate, "it failed three times")


_remembers_itself = broken(TestResilience, ended=_learn_here, filter=awaited(_filter_by_what_was_learnt_here))
_mirrors = broken(TestResilience, start=_mirror, filter=awaited(_filter_by_the_mirror))
_reads_once = broken(TestResilience, start=_read_at_the_start, filter=awaited(_filter_by_the_mirror))

RESILIENCE: list[Case] = [
    ("test_healthy_targets_stay_in_the_plan", broken(TestResilience, filter=awaited(_exclude_all))),
    ("test_healthy_targets_stay_in_the_plan", broken(TestResilience, filter=awaited(_add))),
    (
        "test_a_target_that_keeps_failing_is_taken_out_with_a_reason",
        broken(TestResilience, filter=awaited(lambda self, exchange, plan: None)),
    ),
    (
        "test_a_target_that_keeps_failing_is_taken_out_with_a_reason",
        broken(TestResilience, filter=_exclude_silently),
    ),
    ("test_a_target_that_keeps_failing_is_taken_out_with_a_reason", broken(TestResilience, filter=_drop)),
    ("test_fewer_failures_take_nothing_out", broken(TestResilience, ended=_counting(2, 30.0))),
    ("test_a_target_comes_back_in_time", broken(TestResilience, ended=_counting(1, 300.0))),
    ("test_a_target_comes_back_in_time", broken(TestResilience, ended=_counting(1, 20.0))),
    ("test_a_target_comes_back_in_time", _remembers_itself),
    ("test_what_it_learnt_outlives_a_reload", _remembers_itself),
    ("test_what_it_learnt_outlives_a_reload", _mirrors),
    ("test_what_one_worker_learns_the_others_know", _remembers_itself),
    ("test_what_one_worker_learns_the_others_know", _reads_once),
    (
        "test_any_failure_gets_a_decision_or_is_left_to_others",
        broken(TestResilience, judge=awaited(lambda self, exchange, attempt: "retry")),
    ),
    (
        "test_any_failure_gets_a_decision_or_is_left_to_others",
        broken(TestResilience, judge=awaited(lambda self, exchange, attempt: Retry(-1.0))),
    ),
    (
        "test_a_dead_target_is_not_tried_for_ever",
        broken(TestResilience, judge=awaited(lambda self, exchange, attempt: Retry())),
    ),
]


@each_case([*CACHE, *RESILIENCE])
def test_a_broken_plugin_fails(promise: str, contract: type[PluginContract]) -> None:
    assert failure(contract, promise) is not None


def test_every_promise_can_be_broken() -> None:
    assert promises(CacheContract, PluginContract) == {promise for promise, _ in CACHE}
    assert promises(ResilienceContract, PluginContract) == {promise for promise, _ in RESILIENCE}
