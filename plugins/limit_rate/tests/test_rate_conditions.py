"""Truth tables of conditions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hookway_plugins.limit_rate.condition_row import Condition
from hookway_plugins.limit_rate.conditions import compile_conditions
from hookway_plugins.limit_rate.dimensions import Subject, Target
from hookway_sdk import walker
from hookway_sdk.testing.exchanges import make_model, make_principal

CALLER = make_principal("key-id", key_name="ci", team_id="red", user_id="una")
NOBODY = make_principal("key-2", key_name="", team_id="", user_id="")
GROUP = make_model("pool", shape="routing", row=SimpleNamespace(provider=None))
TARGET = Target("id-of-gpt", "gpt", "gpt", "openai")
ROUTED = Subject(CALLER, GROUP, TARGET, attempt=True)
WILD = make_model("gpt-*", requested="gpt-4o")
DIRECT = Subject(CALLER, WILD, Target("id-of-gpt-*", "gpt-*", "gpt-4o", "openai"))
BARE = Subject(NOBODY)


def holds(subject: Subject, *conditions: dict[str, Any]) -> bool:
    return compile_conditions(walker.convert(list(conditions), tuple[Condition, ...]))(subject)


def leaf(dimension: str, operator: str, value: Any, negate: bool = False) -> dict[str, Any]:
    return {"dimension": dimension, "operator": operator, "value": value, "negate": negate}


TRUE = leaf("team", "==", "red")
FALSE = leaf("team", "==", "blue")
ABSENT = leaf("provider", "==", "openai")


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("==", "red", True),
        ("==", "Red", False),
        ("==", "re", False),
        ("~=", "red", False),
        ("~=", "blue", True),
        ("in", ["blue", "red"], True),
        ("in", ["blue"], False),
    ],
)
def test_a_comparison_of_one_word(operator: str, value: Any, expected: bool) -> None:
    assert holds(ROUTED, leaf("team", operator, value)) is expected
    assert holds(ROUTED, leaf("team", operator, value, negate=True)) is not expected


@pytest.mark.parametrize("dimension", ["team", "member", "model", "model_name", "provider"])
@pytest.mark.parametrize(("operator", "value"), [("==", "x"), ("~=", "x"), ("in", ["x"])])
@pytest.mark.parametrize("negate", [False, True])
def test_a_dimension_that_is_absent_is_false_even_when_negated(
    dimension: str, operator: str, value: Any, negate: bool
) -> None:
    assert not holds(BARE, leaf(dimension, operator, value, negate))


@pytest.mark.parametrize(("operator", "value"), [("~~", "x"), ("~*", ".*")])
@pytest.mark.parametrize("negate", [False, True])
def test_an_expression_over_an_absent_dimension_is_false(operator: str, value: str, negate: bool) -> None:
    assert not holds(BARE, leaf("model_name", operator, value, negate))


def test_a_negated_group_around_an_absent_dimension_holds() -> None:
    assert holds(BARE, {"logic": "or", "children": [ABSENT], "negate": True})
    assert not holds(BARE, {"logic": "or", "children": [ABSENT]})
    assert not holds(BARE, {"logic": "or", "children": [{**ABSENT, "negate": True}]})


@pytest.mark.parametrize(
    ("logic", "children", "expected"),
    [
        ("and", [TRUE, TRUE], True),
        ("and", [TRUE, FALSE], False),
        ("or", [FALSE, TRUE], True),
        ("or", [FALSE, FALSE], False),
    ],
)
def test_groups(logic: str, children: list[Any], expected: bool) -> None:
    assert holds(ROUTED, {"logic": logic, "children": children}) is expected
    assert holds(ROUTED, {"logic": logic, "children": children, "negate": True}) is not expected


def test_groups_within_groups() -> None:
    inner = {"logic": "or", "children": [FALSE, TRUE]}
    assert holds(ROUTED, {"logic": "and", "children": [TRUE, inner]})
    assert not holds(ROUTED, {"logic": "and", "children": [TRUE, {**inner, "negate": True}]})


def test_all_top_level_conditions_have_to_hold_and_none_hold_always() -> None:
    assert holds(ROUTED, TRUE, TRUE)
    assert not holds(ROUTED, TRUE, FALSE)
    assert holds(ROUTED)
    assert holds(BARE)


@pytest.mark.parametrize("word", ["id-of-gpt", "gpt", "id-of-pool", "pool"])
def test_a_model_is_its_id_or_name_or_those_of_the_group_that_led_to_it(word: str) -> None:
    assert holds(ROUTED, leaf("model", "==", word))
    assert holds(ROUTED, leaf("model", "in", ["x", word]))
    assert not holds(ROUTED, leaf("model", "~=", word)), "~= needs every one of them to differ"
    assert holds(ROUTED, leaf("model", "~=", word, negate=True))
    assert not holds(ROUTED, leaf("model", "==", word, negate=True))


def test_a_model_that_is_none_of_them_differs() -> None:
    assert holds(ROUTED, leaf("model", "~=", "claude"))
    assert not holds(ROUTED, leaf("model", "~=", "claude", negate=True))
    assert not holds(ROUTED, leaf("model", "==", "claude"))


def test_the_name_of_a_model_is_the_callers_word_and_the_targets_display_name() -> None:
    assert holds(ROUTED, leaf("model_name", "==", "gpt"))
    assert holds(ROUTED, leaf("model_name", "==", "pool"))
    assert holds(DIRECT, leaf("model_name", "==", "gpt-4o"))
    assert not holds(DIRECT, leaf("model_name", "==", "gpt-*"))
    assert not holds(ROUTED, leaf("model_name", "==", "id-of-gpt"))
    assert not holds(ROUTED, leaf("model_name", "~=", "pool"))


def test_a_provider_is_the_targets_only() -> None:
    assert holds(ROUTED, leaf("provider", "==", "openai"))
    assert not holds(Subject(CALLER, GROUP), leaf("provider", "==", "openai"))


def test_a_key_is_its_id_or_its_name() -> None:
    assert holds(ROUTED, leaf("api_key", "==", "key-id"))
    assert holds(ROUTED, leaf("api_key", "==", "ci"))
    assert not holds(ROUTED, leaf("api_key", "~=", "ci"))
    assert holds(BARE, leaf("api_key", "~=", "ci"))


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("~~", "^gpt-", True),
        ("~~", "4o$", True),
        ("~~", "pt-4", True),
        ("~~", "GPT", False),
        ("~*", "^GPT-4O$", True),
        ("~*", "claude", False),
    ],
)
def test_expressions_match_anywhere(operator: str, value: str, expected: bool) -> None:
    assert holds(DIRECT, leaf("model_name", operator, value)) is expected
    assert holds(DIRECT, leaf("model_name", operator, value, negate=True)) is not expected


def test_an_expression_needs_one_match_among_target_and_group() -> None:
    assert holds(ROUTED, leaf("model_name", "~~", "^pool$"))
    assert holds(ROUTED, leaf("model_name", "~~", "^gpt$"))
    assert not holds(ROUTED, leaf("model_name", "~~", "^pool$", negate=True))


def test_no_expression_can_hold_a_request_up() -> None:
    long = Subject(CALLER, make_model("a" * 256 + "!"))
    assert not holds(long, leaf("model_name", "~~", "^(a+)+$"))
