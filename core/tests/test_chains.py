"""Chains: one total order, and what a step that answers, refuses or breaks means in each mode."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway.chains import Chain, ChainRunner, Step, sorted_chain
from hookway_sdk import Exchange, GatewayError, OnError, PermissionDenied, Phase, PluginFailed
from hookway_sdk.testing import make_exchange
from hookway_sdk.trace import Trace

Noted = list[tuple[str, str, str, str]]


class Bench:
    """A runner, what it noted, and the order in which its steps ran."""

    def __init__(self) -> None:
        self.noted: Noted = []
        self.ran: list[str] = []
        self.runner = ChainRunner(
            lambda plugin, phase, error, request_id: self.noted.append(
                (plugin, phase, type(error).__name__, request_id)
            )
        )

    def step(
        self,
        name: str,
        outcome: Any = None,
        *,
        on_error: OnError = OnError.CLOSED,
        asynchronous: bool = True,
        priority: int = 500,
    ) -> Step:
        """Return a step that gives an outcome: an error is raised, anything else returned."""

        def act(subject: Any) -> Any:
            self.ran.append(name)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        async def act_later(subject: Any) -> Any:
            return act(subject)

        call: Callable[[Any], Any] = act_later if asynchronous else act
        return Step(priority, 0, f"{name}:row", name, call, on_error)

    def chain(self, *steps: Step) -> Chain:
        return tuple(steps)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def exchange() -> Exchange:
    return make_exchange(id="the-request")


# ── order ───────────────────────────────────────────────────────────────────────────────────


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.text(max_size=2)), unique=True), st.randoms()
)
def test_the_order_of_registration_never_matters(
    places: list[tuple[int, int, str]], chance: random.Random
) -> None:
    steps = [Step(priority, order, name, name, print, OnError.OPEN) for priority, order, name in places]
    shuffled = steps.copy()
    chance.shuffle(shuffled)
    chain = sorted_chain(shuffled)
    assert chain == sorted_chain(steps)
    assert [(one.priority, one.order, one.name) for one in chain] == sorted(places)


def test_a_lower_priority_runs_earlier_then_a_lower_order_then_the_name() -> None:
    def step(priority: int, order: int, name: str) -> Step:
        return Step(priority, order, name, name, print, OnError.OPEN)

    wanted = [step(1, 9, "z"), step(2, 0, "y"), step(2, 1, "a"), step(2, 1, "b")]
    assert list(sorted_chain(reversed(wanted))) == wanted


# ── each ────────────────────────────────────────────────────────────────────────────────────


async def test_each_runs_every_step(bench: Bench, exchange: Exchange) -> None:
    chain = bench.chain(bench.step("a"), bench.step("b", "an answer is nothing here"), bench.step("c"))
    await bench.runner.each(Phase.AUTHORIZE, chain, exchange)
    assert bench.ran == ["a", "b", "c"]
    assert bench.noted == []


async def test_a_refusal_ends_the_chain_and_is_no_failure(bench: Bench, exchange: Exchange) -> None:
    refusal = PermissionDenied("not you")
    chain = bench.chain(bench.step("a", refusal, on_error=OnError.OPEN), bench.step("b"))
    with pytest.raises(PermissionDenied) as caught:
        await bench.runner.each(Phase.AUTHORIZE, chain, exchange)
    assert caught.value is refusal
    assert bench.ran == ["a"]
    assert bench.noted == []


async def test_a_failure_that_closes_ends_the_request_without_its_text(
    bench: Bench, exchange: Exchange
) -> None:
    bug = ValueError("sk-secret in a message")
    with pytest.raises(PluginFailed) as caught:
        await bench.runner.each(Phase.AUTHORIZE, bench.chain(bench.step("a", bug), bench.step("b")), exchange)
    assert caught.value.message == "plugin 'a' failed in authorize"
    assert caught.value.status == 500
    assert caught.value.detail == "ValueError: sk-secret in a message"
    assert caught.value.__cause__ is bug
    assert bench.ran == ["a"]
    assert bench.noted == [("a", "authorize", "ValueError", "the-request")]


async def test_a_failure_that_opens_is_noted_and_skipped(bench: Bench, exchange: Exchange) -> None:
    chain = bench.chain(bench.step("a", KeyError("x"), on_error=OnError.OPEN), bench.step("b"))
    await bench.runner.each(Phase.AUTHORIZE, chain, exchange)
    assert bench.ran == ["a", "b"]
    assert bench.noted == [("a", "authorize", "KeyError", "the-request")]


# ── first ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("answer", [0, "", False, (), "yes"])
async def test_first_takes_the_first_answer_that_is_not_none(
    bench: Bench, exchange: Exchange, answer: Any
) -> None:
    chain = bench.chain(bench.step("a"), bench.step("b", answer), bench.step("c", "too late"))
    assert await bench.runner.first(Phase.RESOLVE, chain, exchange) == answer
    assert bench.ran == ["a", "b"]


async def test_first_answers_none_when_nobody_does(bench: Bench, exchange: Exchange) -> None:
    assert await bench.runner.first(Phase.RESOLVE, (), exchange) is None
    assert await bench.runner.first(Phase.RESOLVE, bench.chain(bench.step("a")), exchange) is None


async def test_first_asks_the_next_after_a_failure_that_opens(bench: Bench, exchange: Exchange) -> None:
    chain = bench.chain(bench.step("a", OSError(), on_error=OnError.OPEN), bench.step("b", "kept"))
    assert await bench.runner.first(Phase.LOOKUP, chain, exchange) == "kept"
    assert bench.noted == [("a", "lookup", "OSError", "the-request")]


async def test_first_asks_nobody_after_a_failure_that_closes(bench: Bench, exchange: Exchange) -> None:
    chain = bench.chain(bench.step("a", OSError()), bench.step("b", "let in"))
    with pytest.raises(PluginFailed):
        await bench.runner.first(Phase.AUTHENTICATE, chain, exchange)
    assert bench.ran == ["a"]


async def test_first_asks_nobody_after_a_refusal(bench: Bench, exchange: Exchange) -> None:
    chain = bench.chain(bench.step("a", PermissionDenied("no")), bench.step("b", "let in"))
    with pytest.raises(PermissionDenied):
        await bench.runner.first(Phase.AUTHENTICATE, chain, exchange)
    assert bench.ran == ["a"]


# ── notify ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("trouble", [ValueError("bug"), PermissionDenied("no"), GatewayError("odd")])
async def test_nothing_that_notify_meets_reaches_the_client(
    bench: Bench, exchange: Exchange, trouble: Exception
) -> None:
    await bench.runner.notify(
        Phase.STORE, bench.chain(bench.step("a", trouble), bench.step("b", "answer")), exchange
    )
    bench.runner.notify_now(
        Phase.RECORD,
        bench.chain(bench.step("c", trouble, asynchronous=False), bench.step("d", asynchronous=False)),
        object(),
        "id-of-event",
    )
    assert bench.ran == ["a", "b", "c", "d"]
    assert bench.noted == [
        ("a", "store", type(trouble).__name__, "the-request"),
        ("c", "record", type(trouble).__name__, "id-of-event"),
    ]


# ── traces ──────────────────────────────────────────────────────────────────────────────────


async def test_a_traced_exchange_lists_what_each_step_did(bench: Bench, exchange: Exchange) -> None:
    exchange.trace = Trace()
    await bench.runner.each(
        Phase.AUTHORIZE,
        bench.chain(bench.step("a"), bench.step("b", OSError(), on_error=OnError.OPEN)),
        exchange,
    )
    with pytest.raises(PermissionDenied):
        await bench.runner.first(
            Phase.RESOLVE, bench.chain(bench.step("c"), bench.step("d", PermissionDenied("no"))), exchange
        )
    await bench.runner.first(Phase.LOOKUP, bench.chain(bench.step("e", "hit")), exchange)
    assert [(one.phase, one.step, one.effect) for one in exchange.trace.entries] == [
        ("authorize", "a:row", "passed"),
        ("authorize", "b:row", "failed (OSError), open"),
        ("resolve", "c:row", "passed"),
        ("resolve", "d:row", "refused: permission_denied"),
        ("lookup", "e:row", "answered"),
    ]
