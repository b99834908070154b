"""The whole order of one request: every hook, every event, in one list."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest

from hookway.testing import KEY, GatewayFactory, RunningGateway
from hookway_sdk import (
    Candidate,
    Compiler,
    Decision,
    Event,
    Exchange,
    Guardrail,
    LimitExceeded,
    Phase,
    Plugin,
    Principal,
    Registry,
    Reply,
    Row,
    StartError,
    Text,
    Verdict,
    hookimpl,
    hookspecs,
    priorities,
)

GROUP = {
    "provider_keys": [{"name": "echo", "provider": "echo", "adapter": "echo", "api_key": "none"}],
    "models": [
        {"name": "full", "provider": "echo", "model_name": "echo", "provider_key": "echo"},
        {"name": "free", "provider": "echo", "model_name": "echo", "provider_key": "echo"},
        {"name": "pair", "routing": {"targets": [{"model": "full"}, {"model": "free"}]}},
    ],
    "api_keys": [{"name": "caller", "key": KEY, "allowed_models": ["*"]}],
}
"""A group whose first target is over its limit, so that a request meets ``judge`` as well."""

Say = Callable[[str], None]


def hooked(name: str, say: Say, *, refuses: bool = False, first: bool = False) -> type[Plugin[Any]]:
    """Return a plugin that implements every hook and says which one was called.

    Args:
        refuses: its ``admit_attempt`` refuses the target ``full``.
        first: its hooks stand first, but for ``settle``, which stands last.
    """
    place = priorities.FIRST if first else priorities.NORMAL
    last = priorities.LAST if first else priorities.NORMAL

    class Hooked(Plugin[Any]):
        """Say every hook."""

        async def start(self) -> None:
            say(f"{name} start")

        async def stop(self) -> None:
            say(f"{name} stop")

        @classmethod
        @hookimpl
        def register_resources(cls, registry: Registry) -> None:
            say(f"{name} register_resources")

        @hookimpl
        def compile_resources(self, compiler: Compiler) -> None:
            say(f"{name} compile_resources")

        @hookimpl(priority=priorities.EARLY if not first else place)
        async def authenticate(self, exchange: Exchange) -> Principal | None:
            say(f"{name} authenticate")
            return None

        @hookimpl(priority=place)
        async def resolve(self, exchange: Exchange) -> str | None:
            say(f"{name} resolve {exchange.request.model}")
            return None

        @hookimpl(priority=place)
        async def authorize(self, exchange: Exchange) -> None:
            say(f"{name} authorize {exchange.model.name}")

        @hookimpl(priority=place)
        async def admit_request(self, exchange: Exchange) -> None:
            say(f"{name} admit_request")

        @hookimpl(priority=place)
        async def inspect_request(self, exchange: Exchange) -> None:
            say(f"{name} inspect_request")

        @hookimpl(priority=place)
        async def lookup(self, exchange: Exchange) -> Reply | None:
            say(f"{name} lookup")
            return None

        @hookimpl(priority=place)
        async def filter(self, exchange: Exchange) -> None:
            say(f"{name} filter {'+'.join(one.name for one in exchange.plan.candidates)}")

        @hookimpl(priority=place)
        async def order(self, exchange: Exchange) -> Sequence[Candidate] | None:
            say(f"{name} order")
            return None

        @hookimpl(priority=place)
        async def admit_attempt(self, exchange: Exchange) -> None:
            assert exchange.attempt is not None
            say(f"{name} admit_attempt {exchange.attempt.candidate.name}")
            if refuses and exchange.attempt.candidate.name == "full":
                raise LimitExceeded("requests")

        @hookimpl(priority=place)
        async def judge(self, exchange: Exchange) -> Decision | None:
            assert exchange.attempt is not None
            assert exchange.attempt.error is not None
            say(f"{name} judge {exchange.attempt.error.type}")
            return None

        @hookimpl(priority=place)
        async def inspect_answer(self, exchange: Exchange) -> None:
            say(f"{name} inspect_answer")

        @hookimpl(priority=place)
        async def store(self, exchange: Exchange) -> None:
            say(f"{name} store")

        @hookimpl(priority=last)
        def settle(self, exchange: Exchange) -> None:
            say(f"{name} settle {exchange.usage.total_tokens}")

        @hookimpl(priority=place)
        def record(self, event: Event) -> None:
            say(f"{name} record {type(event).__name__}")

    return Hooked


REQUEST = [
    "authenticate",
    "resolve pair",
    "authorize pair",
    "admit_request",
    "inspect_request",
    "lookup",
    "filter full+free",
    "order",
    "admit_attempt full",
    "record AttemptEnded",
    "judge rate_limit_exceeded",
    "admit_attempt free",
    "record AttemptEnded",
    "inspect_answer",
    "settle 4",
    "record RequestEnded",
    "store",
]
"""What one request meets, in order."""


def ask(running: RunningGateway, **members: Any) -> None:
    """Send one request, and wait until all is over."""
    assert running.chat("hello there", model="pair", **members).status == 200
    running.run(running.gateway.serve.runtime.drained())


def test_one_request_meets_every_hook_in_this_order(gateway: GatewayFactory) -> None:
    said: list[str] = []
    running = gateway(plugins={"hook_spy": hooked("spy", said.append, refuses=True)}, resources=GROUP)
    begun = len(said)
    ask(running)
    ended = len(said)
    running.close()
    assert said[:begun] == [
        "spy start",
        "spy register_resources",
        "spy compile_resources",
        "spy record ConfigApplied",
    ]
    assert said[begun:ended] == [f"spy {one}" for one in REQUEST]
    assert said[ended:] == ["spy stop"]


def test_a_stream_meets_the_same_hooks(gateway: GatewayFactory) -> None:
    said: list[str] = []
    running = gateway(plugins={"hook_spy": hooked("spy", said.append, refuses=True)}, resources=GROUP)
    begun = len(said)
    ask(running, stream=True)
    assert said[begun:] == [f"spy {one}" for one in REQUEST]


def test_the_transcript_leaves_no_hook_out(gateway: GatewayFactory) -> None:
    said: list[str] = []
    running = gateway(plugins={"hook_spy": hooked("spy", said.append, refuses=True)}, resources=GROUP)
    ask(running)
    met = {line.split()[1] for line in said}
    specs = {
        name
        for name, member in vars(hookspecs).items()
        if inspect.isfunction(member) and hasattr(member, "hookway_spec")
    }
    assert specs
    assert specs <= met
    assert {phase.value for phase in Phase} <= met


def both(orders: str) -> list[str]:
    """Return the transcript of two plugins whose phases run in the order of the letters."""
    return [
        f"{letter} {one}" for one in REQUEST for letter in orders if not meets_nobody(letter, orders, one)
    ]


def meets_nobody(letter: str, orders: str, line: str) -> bool:
    """Say whether a plugin is spared a hook: the one before it refused."""
    return line == "admit_attempt full" and letter == orders[1]


@pytest.mark.parametrize("order", [("hook_a", "hook_b"), ("hook_b", "hook_a")], ids=" then ".join)
def test_registration_order_changes_nothing(gateway: GatewayFactory, order: tuple[str, str]) -> None:
    said: list[str] = []
    made = {"hook_a": hooked("a", said.append, refuses=True), "hook_b": hooked("b", said.append)}
    running = gateway(plugins={name: made[name] for name in order}, resources=GROUP)
    begun = len(said)
    ask(running)
    assert said[begun:] == both("ab")


@pytest.mark.parametrize("order", [("hook_a", "hook_b"), ("hook_b", "hook_a")], ids=" then ".join)
def test_a_lower_priority_runs_earlier_whatever_the_name(
    gateway: GatewayFactory, order: tuple[str, str]
) -> None:
    said: list[str] = []
    made = {
        "hook_a": hooked("a", said.append),
        "hook_b": hooked("b", said.append, refuses=True, first=True),
    }
    running = gateway(plugins={name: made[name] for name in order}, resources=GROUP)
    begun = len(said)
    ask(running)
    expected = both("ba")
    # b's settle is written last.
    settles = [index for index, line in enumerate(expected) if "settle" in line]
    expected[settles[0]], expected[settles[1]] = expected[settles[1]], expected[settles[0]]
    assert said[begun:] == expected


def test_conf_d_moves_a_plugin_in_all_phases(gateway: GatewayFactory) -> None:
    said: list[str] = []
    running = gateway(
        {"plugins": {"hook_b": {"priority": 1}}},
        plugins={"hook_a": hooked("a", said.append), "hook_b": hooked("b", said.append, refuses=True)},
        resources=GROUP,
    )
    begun = len(said)
    ask(running)
    assert said[begun:] == both("ba")


def test_conf_d_moves_a_plugin_in_one_phase(gateway: GatewayFactory) -> None:
    said: list[str] = []
    running = gateway(
        {"plugins": {"hook_b": {"priority": {"admit_request": 210, "settle": 100}}}},
        plugins={"hook_a": hooked("a", said.append, refuses=True), "hook_b": hooked("b", said.append)},
        resources=GROUP,
    )
    begun = len(said)
    ask(running)
    expected = both("ab")
    for phase in ("admit_request", "settle"):
        first, second = (index for index, line in enumerate(expected) if line.split()[1] == phase)
        expected[first], expected[second] = expected[second], expected[first]
    assert said[begun:] == expected
    runtime = running.gateway.serve.runtime
    steps = {step.name: step for step in runtime.chain_of(Phase.ADMIT_REQUEST)}
    assert (steps["hook_b"].priority, steps["hook_b"].origin) == (
        210,
        "conf.d plugins.hook_b.priority.admit_request",
    )
    assert (steps["hook_a"].priority, steps["hook_a"].origin) == (500, "declared")


class Named(Row):
    """Fields of a row of the listening guardrails."""


def listener(word: str, heard: list[str], priority: int = priorities.GUARD_LOCAL) -> type[Guardrail[Any]]:
    """Return a guardrail that says which of its rows heard a text."""

    class Listener(Guardrail[Named]):
        """Object to nothing."""

        def check(self, text: Text) -> Verdict | None:
            heard.append(f"{self.resource.name} {text.direction}")
            return None

    Listener.priority = priority
    return Listener


class Rows:
    """Rows of two guardrails, and the order in which they are asked."""

    rows: ClassVar[list[dict[str, Any]]] = [
        {"name": "z", "kind": "one", "order": 1},
        {"name": "y", "kind": "one", "order": 2},
        {"name": "x", "kind": "one", "order": 1},
        {"name": "w", "kind": "two", "order": -5},
        {"name": "v", "kind": "one", "order": -1, "enabled": False},
    ]
    asked: ClassVar[list[str]] = ["x", "z", "y", "w"]


@pytest.mark.parametrize("turned", [False, True], ids=["as written", "turned round"])
def test_rows_are_asked_by_plugin_then_order_then_name(gateway: GatewayFactory, turned: bool) -> None:
    heard: list[str] = []
    rows = Rows.rows[::-1] if turned else Rows.rows
    running = gateway(
        plugins={"guardrail_two": listener("two", heard, 400), "guardrail_one": listener("one", heard, 300)},
        resources={**GROUP, "guardrails": rows},
    )
    assert running.chat("hello", model="free").status == 200
    assert heard == [f"{name} {direction}" for direction in ("input", "output") for name in Rows.asked]


def test_conf_d_moves_a_guardrail_before_another_in_one_direction(gateway: GatewayFactory) -> None:
    heard: list[str] = []
    running = gateway(
        {"plugins": {"guardrail_two": {"priority": {"inspect_answer": 10}}}},
        plugins={"guardrail_two": listener("two", heard, 400), "guardrail_one": listener("one", heard, 300)},
        resources={**GROUP, "guardrails": Rows.rows},
    )
    assert running.chat("hello", model="free").status == 200
    assert [line for line in heard if line.endswith("input")] == [f"{name} input" for name in Rows.asked]
    assert next(line for line in heard if line.endswith("output")) == "w output"


def test_an_unknown_phase_in_conf_d_is_refused_with_the_nearest(gateway: GatewayFactory) -> None:
    with pytest.raises(StartError, match="admit_requests") as told:
        gateway(
            {"plugins": {"hook_a": {"priority": {"admit_requests": 1}}}},
            plugins={"hook_a": hooked("a", lambda line: None)},
        )
    assert "did you mean 'admit_request'?" in str(told.value)
    assert "10-test.yaml:1" in str(told.value)
