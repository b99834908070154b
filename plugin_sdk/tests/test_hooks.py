"""Phases, hook specifications and markers say the same, and every specification says all there is to say."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from typing import Any

import pluggy
import pytest

from hookway_sdk import Phase, Plugin, hookimpl, hookspec, hookspecs, priorities
from hookway_sdk.markers import PROJECT
from hookway_sdk.phases import DEFAULT_ORDER, RULES, Mode, OnError

SECTIONS = ("When", "May change", "To refuse", "If it fails", "Usual priority")
SPECS: dict[str, Callable[..., Any]] = {
    name: value for name, value in vars(hookspecs).items() if hasattr(value, f"{PROJECT}_spec")
}
HOT = {name: spec for name, spec in SPECS.items() if spec.hookway_phase is not None}  # type: ignore[attr-defined]

each_spec = pytest.mark.parametrize("name", SPECS)
each_hot_spec = pytest.mark.parametrize("name", HOT)


@each_spec
def test_a_specification_says_what_it_is_for_and_answers_every_question(name: str) -> None:
    text = inspect.getdoc(SPECS[name]) or ""
    lines = text.splitlines()
    assert lines[0].endswith(".")
    assert lines[1] == ""
    asked = re.findall(r"^([A-Z][a-z ]+): ", text, re.MULTILINE)
    assert tuple(asked) == SECTIONS, f"{name} answers {asked}"


@each_spec
def test_a_specification_is_annotated_and_takes_one_argument(name: str) -> None:
    signature = inspect.signature(SPECS[name])
    assert len(signature.parameters) == 1
    assert all(one.annotation is not inspect.Parameter.empty for one in signature.parameters.values())
    assert signature.return_annotation is not inspect.Signature.empty


@each_hot_spec
def test_a_hot_hook_is_named_after_its_phase(name: str) -> None:
    assert SPECS[name].hookway_phase == name  # type: ignore[attr-defined]


@each_hot_spec
def test_the_colour_of_a_hook_is_that_of_its_phase(name: str) -> None:
    assert inspect.iscoroutinefunction(SPECS[name]) == RULES[Phase(name)].asynchronous


@each_hot_spec
def test_only_hooks_of_mode_first_give_an_answer(name: str) -> None:
    gives = inspect.signature(SPECS[name]).return_annotation != "None"
    assert gives == (RULES[Phase(name)].mode is Mode.FIRST)


@each_hot_spec
def test_mode_first_and_notify_are_said(name: str) -> None:
    mode = RULES[Phase(name)].mode
    said = f"Mode {mode}" in (inspect.getdoc(SPECS[name]) or "")
    # ``settle`` and ``record`` tell the rest; ``each`` is the plain case and needs no word.
    assert said == (mode is not Mode.EACH)


@each_hot_spec
def test_what_a_failure_means_is_the_phases_policy(name: str) -> None:
    text = inspect.getdoc(SPECS[name]) or ""
    outcome = text.partition("If it fails: ")[2].partition("\n")[0]
    ends = "ends with 500" in outcome
    assert ends == (RULES[Phase(name)].on_error is OnError.CLOSED), outcome


def test_every_phase_has_exactly_one_specification_in_the_order_of_a_request() -> None:
    assert list(HOT) == [phase.value for phase in Phase]
    assert [spec.hookway_phase for spec in HOT.values()] == list(DEFAULT_ORDER)  # type: ignore[attr-defined]


def test_every_phase_has_a_rule() -> None:
    assert list(RULES) == list(Phase)


def test_notifications_cannot_close_and_authentication_is_closed_when_empty() -> None:
    assert all(rule.on_error is OnError.OPEN for rule in RULES.values() if rule.mode is Mode.NOTIFY)
    assert [phase for phase, rule in RULES.items() if rule.empty_closes] == [Phase.AUTHENTICATE]


def test_cold_hooks_come_first() -> None:
    assert list(SPECS)[: len(SPECS) - len(HOT)] == ["register_resources", "compile_resources"]


def test_usual_priorities_are_bands() -> None:
    for name, spec in HOT.items():
        usual = (inspect.getdoc(spec) or "").partition("Usual priority: ")[2]
        bands = re.findall(r"``([A-Z_]+)``", usual)
        assert bands, f"{name} names no band"
        assert set(bands) <= set(priorities.BANDS), f"{name} names {bands}"


def test_bands_are_sorted_apart_and_complete() -> None:
    numbers = [value for name, value in vars(priorities).items() if name.isupper() and isinstance(value, int)]
    assert sorted(priorities.BANDS.values()) == sorted(numbers)
    assert list(priorities.BANDS.values()) == sorted(priorities.BANDS.values())
    assert all(getattr(priorities, name) == value for name, value in priorities.BANDS.items())
    assert all(0 < value < 1000 for value in priorities.BANDS.values())


def test_limits_stand_before_budgets_and_local_guardrails_before_remote_ones() -> None:
    assert priorities.LIMIT < priorities.BUDGET
    assert priorities.GUARD_LOCAL < priorities.GUARD_REMOTE
    assert priorities.NORMAL < priorities.CORE < priorities.LAST


def test_a_marked_implementation_carries_its_priority() -> None:
    @hookimpl(priority=priorities.LIMIT + 10)
    async def authorize(exchange: Any) -> None: ...

    @hookimpl
    async def resolve(exchange: Any) -> None: ...

    assert authorize.hookway_priority == 210
    assert resolve.hookway_priority == priorities.NORMAL


def test_a_marker_leaves_the_function_callable_and_known_to_pluggy() -> None:
    @hookimpl(priority=1)
    async def judge(exchange: Any) -> str:
        return "stop"

    assert asyncio.run(judge(None)) == "stop"
    assert getattr(judge, f"{PROJECT}_impl")


def test_a_specification_carries_its_phase() -> None:
    @hookspec(Phase.JUDGE)
    async def judge(exchange: Any) -> None: ...

    assert judge.hookway_phase is Phase.JUDGE


def test_pluggy_takes_the_specifications_and_refuses_misspelt_and_miscalled_hooks() -> None:
    class Good:
        @hookimpl
        async def authorize(self, exchange: Any) -> None: ...

    class Misspelt:
        @hookimpl
        async def autorize(self, exchange: Any) -> None: ...

    class Miscalled:
        @hookimpl
        async def authorize(self, request: Any) -> None: ...

    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(Good())
    manager.check_pending()
    manager.register(Misspelt())
    with pytest.raises(pluggy.PluginValidationError, match="autorize"):
        manager.check_pending()
    with pytest.raises(pluggy.PluginValidationError, match="request"):
        manager.register(Miscalled())


def test_a_plugin_lets_its_kinds_contribute_through_the_hook() -> None:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    told: list[str] = []

    class Kind:
        @classmethod
        def register_resources(cls, registry: Any) -> None:
            told.append(registry)

    class Two(Plugin):
        kinds = (Kind, Kind)  # type: ignore[assignment]

    manager.register(Two)
    manager.hook.register_resources(registry="registry")
    assert told == ["registry", "registry"]
