"""The contracts of auth plugins, strategies and sinks hold for honest ones, and can be broken."""

from __future__ import annotations

import random
from typing import Any

from breaking import Case, awaited, broken, each_case, failure, promises, shown
from reference_plugins import Everyone, Lines, OneToken, Shuffled

from hookway_sdk import Credential, Principal, Secret, Unauthenticated
from hookway_sdk.testing import (
    AuthContract,
    PluginContract,
    SinkContract,
    StrategyContract,
    make_candidate,
)


class TestAuth(AuthContract):
    plugin = OneToken
    name = "auth_one_token"
    settings = {"token": "open-sesame"}  # noqa: RUF012
    good = (Credential("bearer", Secret("open-sesame")),)
    bad = (Credential("bearer", Secret("close-sesame")),)
    foreign = (None, Credential("x-other", Secret("open-sesame")))


class TestAuthOfEveryone(AuthContract):
    plugin = Everyone
    name = "auth_everyone"
    good = (None, Credential("bearer", Secret("anything-at-all")))
    lets_everyone_in = True


class TestStrategy(StrategyContract):
    plugin = Shuffled
    name = "strategy_shuffled"


class TestSink(SinkContract):
    plugin = Lines
    name = "sink_lines"


async def _nobody(self: Any, exchange: Any, credential: Any) -> Any:
    return Principal("")


async def _always_another(self: Any, exchange: Any, credential: Any) -> Any:
    return Principal(f"key-{random.random()}")


async def _shrug(self: Any, exchange: Any, credential: Any) -> Any:
    return None


async def _hold_a_grudge(self: Any, exchange: Any, credential: Any) -> Any:
    if getattr(self, "angry", False):
        raise Unauthenticated("go away")
    try:
        return await OneToken.authenticate(self, exchange, credential)
    except Unauthenticated:
        self.angry = True
        raise


async def _refuse_all(self: Any, exchange: Any, credential: Any) -> Any:
    raise Unauthenticated("no")


async def _compare_badly(self: Any, exchange: Any, credential: Any) -> Any:
    if credential is not None and self.settings.token.reveal().startswith(credential.token.reveal()):
        return Principal("the-one")
    return await OneToken.authenticate(self, exchange, credential)


async def _choke(self: Any, exchange: Any, credential: Any) -> Any:
    if credential is not None:
        credential.token.reveal().encode("ascii")
    return await OneToken.authenticate(self, exchange, credential)


async def _repeat_the_token(self: Any, exchange: Any, credential: Any) -> Any:
    if credential is not None:
        raise Unauthenticated(f"'{credential.token.reveal()}' is unknown")


async def _log_the_token(self: Any, exchange: Any, credential: Any) -> Any:
    self.services.log.info("tried", token=credential.token.reveal())
    return await OneToken.authenticate(self, exchange, credential)


AUTH: list[Case] = [
    ("test_it_is_shown_a_credential_that_counts", shown(TestAuth, good=())),
    ("test_it_is_shown_a_credential_that_counts", shown(TestAuth, bad=())),
    ("test_a_credential_that_counts_names_its_owner", broken(TestAuth, authenticate=_nobody)),
    ("test_a_credential_that_counts_names_its_owner", broken(TestAuth, authenticate=_shrug)),
    ("test_the_same_credential_gives_the_same_principal", broken(TestAuth, authenticate=_always_another)),
    ("test_a_credential_that_does_not_count_is_refused", broken(TestAuth, authenticate=_shrug)),
    ("test_a_refusal_is_forgotten_by_the_next_request", broken(TestAuth, authenticate=_hold_a_grudge)),
    ("test_what_is_none_of_its_business_is_left_to_others", broken(TestAuth, authenticate=_refuse_all)),
    (
        "test_odd_tokens_are_refused_or_left_to_others_and_never_let_in",
        broken(TestAuth, authenticate=_compare_badly),
    ),
    (
        "test_odd_tokens_are_refused_or_left_to_others_and_never_let_in",
        broken(TestAuth, authenticate=_choke),
    ),
    ("test_a_token_is_never_repeated", broken(TestAuth, authenticate=_repeat_the_token)),
    ("test_a_token_is_never_repeated", broken(TestAuth, authenticate=_log_the_token)),
]


def _sorted_in_place(self: Any, exchange: Any, group: Any, tier: Any) -> Any:
    tier.reverse()
    return tier


STRATEGY: list[Case] = [
    (
        "test_it_names_each_candidate_at_most_once_and_no_stranger",
        broken(TestStrategy, order=awaited(lambda self, exchange, group, tier: [*tier, tier[0]])),
    ),
    (
        "test_it_names_each_candidate_at_most_once_and_no_stranger",
        broken(TestStrategy, order=awaited(lambda self, exchange, group, tier: [make_candidate("stranger")])),
    ),
    (
        "test_it_leaves_somebody_to_try",
        broken(TestStrategy, order=awaited(lambda self, exchange, group, tier: [])),
    ),
    ("test_it_leaves_the_tier_as_it_was", broken(TestStrategy, order=awaited(_sorted_in_place))),
    (
        "test_it_copes_with_any_weights_and_any_number_of_candidates",
        broken(
            TestStrategy,
            order=awaited(
                lambda self, exchange, group, tier: (
                    [tier[int(tier[-1].weight > 99)]][:199] if len(tier) < 200 else []
                )
            ),
        ),
    ),
    (
        "test_chance_and_time_come_from_the_services",
        broken(
            TestStrategy, order=awaited(lambda self, exchange, group, tier: random.sample(tier, len(tier)))
        ),
    ),
]


def _answer(self: Any, event: Any) -> Any:
    return "noted"


def _write_latin(self: Any, event: Any) -> None:
    event.path.encode("latin-1").decode("ascii")
    event.error.encode()


def _change(self: Any, event: Any) -> None:
    event.path = "/redacted"


def _send(self: Any, event: Any) -> None:
    self.services.http.calls.append(event)


async def _write_empty_batches(self: Any) -> None:
    self.services.tasks.on_tick(lambda: self.services.log.error("empty_batch"))


async def _close(self: Any) -> None:
    del self.waiting


SINK: list[Case] = [
    ("test_it_wants_events_that_there_are", broken(TestSink, events=())),
    ("test_it_wants_events_that_there_are", broken(TestSink, events=(str,))),
    ("test_it_takes_every_event_it_wants", broken(TestSink, record=_answer)),
    ("test_it_takes_events_with_odd_texts", broken(TestSink, record=_write_latin)),
    ("test_it_leaves_events_as_they_were", broken(TestSink, record=_change)),
    ("test_it_waits_for_nothing_while_it_records", broken(TestSink, record=_send)),
    ("test_nothing_happens_on_a_tick_without_events", broken(TestSink, start=_write_empty_batches)),
    ("test_an_event_after_the_stop_harms_nobody", broken(TestSink, stop=_close)),
]


@each_case([*AUTH, *STRATEGY, *SINK])
def test_a_broken_plugin_fails(promise: str, contract: type[PluginContract]) -> None:
    assert failure(contract, promise) is not None


def test_every_promise_can_be_broken() -> None:
    for contract, cases in ((AuthContract, AUTH), (StrategyContract, STRATEGY), (SinkContract, SINK)):
        assert promises(contract, PluginContract) == {promise for promise, _ in cases}
