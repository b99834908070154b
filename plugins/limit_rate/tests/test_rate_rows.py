"""What is refused when it is loaded, and what the message says."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from limited_worker import Worker, key_row, model_row, policy_row

from hookway_plugins.limit_rate.dimensions import DIMENSIONS, DimensionName, GroupName
from hookway_plugins.limit_rate.limits import LimitFields
from hookway_plugins.limit_rate.policy_row import PolicyRow
from hookway_plugins.limit_rate.settings import RateSettings
from hookway_sdk import ConfigError, walker

LEAF = {"dimension": "team", "operator": "==", "value": "red"}
SCHEDULE = {"timezone": "UTC", "days_of_week": ["mon"], "start_time": "08:00", "end_time": "18:00"}
CLASSIC: dict[str, Any] = {"scope": "team", "scope_ref": "red", "window": "minute", "max_requests": 5}
LIMITS: dict[str, Any] = {"limits": {"rpm": 5}}


def deep(levels: int) -> dict[str, Any]:
    return LEAF if levels == 1 else {"logic": "and", "children": [deep(levels - 1)]}


def complaints(row: dict[str, Any], type_: Any = PolicyRow) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        walker.convert(row, type_)
    return [f"{one.key}: {one.message}; {one.expected}; {one.nearest}" for one in caught.value.problems]


def with_condition(**condition: Any) -> dict[str, Any]:
    return {**LIMITS, "conditions": [condition]}


def with_schedule(**changes: Any) -> dict[str, Any]:
    written = {**SCHEDULE, **changes}
    return {**LIMITS, "schedules": [{name: value for name, value in written.items() if value is not None}]}


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"rpm": -1}, "rate_limit.rpm: found the number -1; a whole number from 0 to 9007199254740991"),
        ({"tpd": 2**53}, "rate_limit.tpd: found the number 9007199254740992; a whole number from 0 to"),
        ({"rpm": 1.5}, "rate_limit.rpm: found the number 1.5; a whole number"),
        ({"rpm": "many"}, "rate_limit.rpm: found the text 'many'; a whole number"),
        ({"rpn": 1}, "rate_limit.rpn: unknown key 'rpn'; ; rp"),
        (7, "rate_limit: found the number 7; a map or null"),
    ],
)
def test_limits_that_are_none_are_refused_with_the_key_at_fault(limits: Any, told: str) -> None:
    (found,) = complaints({"rate_limit": limits}, LimitFields)
    assert found.startswith(told)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (
            {**CLASSIC, "scope": "tem"},
            "scope: unknown value 'tem'; api_key, member, model, team or team_member; team",
        ),
        ({**CLASSIC, "window": "week"}, "window: unknown value 'week'; day, hour, minute or second"),
        ({**CLASSIC, "max_requests": 0}, "max_requests: found the number 0; a whole number from 1 to"),
        ({**CLASSIC, "max_tokens": 2**60}, "max_tokens: found the number 1152921504606846976; a whole"),
        ({**CLASSIC, "scope_ref": ""}, "scope_ref: found the text ''; text that is not empty"),
        ({**LIMITS, "action": "queue"}, "action: unknown value 'queue'; reject"),
        (
            {**LIMITS, "group_by": ["model_name"]},
            "group_by[0]: unknown value 'model_name'; api_key, member, model, provider",
        ),
        (
            {**LIMITS, "group_by": ["team", "team"]},
            "group_by: a list of 2 items has 'team' twice; write each",
        ),
        ({**LIMITS, "enabled": "maybe"}, "enabled: found the text 'maybe'; true or false"),
        (with_condition(**{**LEAF, "dimension": "tean"}), "conditions[0].dimension: unknown value 'tean'"),
        (with_condition(**{**LEAF, "operator": "has"}), "conditions[0].operator: unknown value 'has'; =="),
        (with_condition(**{**LEAF, "operator": ">="}), "conditions[0].operator: unknown value '>='; =="),
        (with_condition(**{**LEAF, "value": ""}), "conditions[0].value: found the text ''"),
        (with_condition(**{**LEAF, "value": []}), "conditions[0].value: found a list of 0 items"),
        (
            with_condition(**{**LEAF, "operator": "in", "value": ["x"] * 65}),
            "conditions[0].value: found a list of 65 items",
        ),
        (
            with_condition(**{**LEAF, "operator": "in"}),
            "conditions[0]: operator 'in' takes a list; write value: [red]",
        ),
        (
            with_condition(**{**LEAF, "value": ["red"]}),
            "conditions[0]: operator '==' takes one text; for a list write operator: in",
        ),
        (
            with_condition(**{**LEAF, "operator": "~~"}),
            "conditions[0]: operator '~~' does not fit 'team', whose values are ids; use ==",
        ),
        (
            with_condition(dimension="model", operator="~*", value="gpt"),
            "conditions[0]: operator '~*' does not fit 'model'",
        ),
        (
            with_condition(dimension="model_name", operator="~~", value="x" * 257),
            "conditions[0]: the regular expression has 257 characters; shorten it to at most 256",
        ),
        (
            with_condition(dimension="model_name", operator="~~", value="(gpt"),
            "conditions[0]: the regular expression cannot be used: missing )",
        ),
        (
            with_condition(dimension="provider", operator="~*", value="(?=a)a"),
            "conditions[0]: the regular expression cannot be used: invalid perl operator: (?=; write it in "
            "the syntax of RE2, which has no look-around",
        ),
        (
            with_condition(dimension="team"),
            "conditions[0]: a comparison needs dimension, operator, value; add",
        ),
        (with_condition(negate=True), "conditions[0]: a comparison needs dimension, operator, value"),
        (with_condition(logic="and", children=[]), "conditions[0].children: found a list of 0 items"),
        (with_condition(logic="and"), "conditions[0]: a group needs logic, children; add children"),
        (with_condition(children=[LEAF]), "conditions[0]: a group needs logic, children; add logic"),
        (with_condition(logic="xor", children=[LEAF]), "conditions[0].logic: unknown value 'xor'; and or or"),
        (with_condition(**LEAF, logic="or", children=[LEAF]), "conditions[0]: mixes a comparison (dimension"),
        (
            with_condition(logic="or", children=[{**LEAF, "operator": "in"}]),
            "conditions[0].children[0]: operator 'in' takes a list",
        ),
        ({**LIMITS, "conditions": [deep(4)]}, "conditions: a list of 1 item is nested 4 levels deep; write"),
        (
            {**LIMITS, "conditions": [{"logic": "or", "children": [LEAF] * 16}, LEAF]},
            "conditions: a list of 2 items has 17 comparisons; at most 16 are allowed: use 'in'",
        ),
        (with_schedule(timezone="Europe/Bern"), "schedules[0].timezone: 'Europe/Bern' is no time zone of"),
        (with_schedule(timezone="../passwd"), "schedules[0].timezone: '../passwd' is no time zone of"),
        (with_schedule(timezone="Europe"), "schedules[0].timezone: 'Europe' is no time zone of"),
        (with_schedule(timezone=None), "schedules[0].timezone: the key is missing"),
        (
            with_schedule(start_time="24:00"),
            "schedules[0].start_time: '24:00' is no time of day; write HH:MM",
        ),
        (with_schedule(start_time="8:00"), "schedules[0].start_time: '8:00' is no time of day; write HH:MM"),
        (with_schedule(end_time="24:01"), "schedules[0].end_time: '24:01' is no time of day; write HH:MM"),
        (with_schedule(end_time="12:60\n"), "schedules[0].end_time: '12:60\\n' is no time of day"),
        (with_schedule(days_of_week=["monday"]), "schedules[0].days_of_week[0]: unknown value 'monday'"),
        (with_schedule(days_of_week=None), "schedules[0]: the schedule says no day; give one of"),
        (with_schedule(dates=["2026-12-24"]), "schedules[0]: the schedule has both days_of_week and dates"),
        (
            with_schedule(days_of_week=None, dates=["24.12.2026"]),
            "schedules[0].dates[0]: found the text '24.12.2026'; a date such as 2026-01-31",
        ),
    ],
)
def test_a_bad_policy_is_refused_with_the_key_at_fault_and_what_to_do(row: dict[str, Any], told: str) -> None:
    (found,) = complaints({"name": "cap", **row})
    assert found.startswith(told)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({}, "it limits nothing; give scope, scope_ref, window and max_requests, or limits"),
        (
            {**CLASSIC, **LIMITS},
            "it mixes two forms: scope, scope_ref, window, max_requests belong to the one",
        ),
        ({**CLASSIC, "group_by": ["team"]}, "it mixes two forms"),
        ({"max_tokens": 5, "action": "reject"}, "it mixes two forms: max_tokens belong to the one, action"),
        ({"scope": "team", "max_requests": 1}, "it lacks scope_ref and window; a policy with scope needs"),
        ({"window": "day"}, "it lacks scope and scope_ref; a policy with window needs scope, scope_ref"),
        ({"scope": "team", "scope_ref": "red", "window": "day"}, "it limits nothing; give max_requests"),
        ({"limits": {}}, "its limits are empty; give at least one, such as rpm: 60"),
        ({"group_by": ["team"]}, "it has no limits; add some, such as limits: {rpm: 60}"),
        ({"conditions": [LEAF]}, "it has no limits; add some"),
        (
            {**CLASSIC, "scope": "api_key"},
            "its scope_ref 'red' is neither the row id nor the display name of",
        ),
        ({**CLASSIC, "scope": "model"}, "its scope_ref 'red' is neither the row id nor the display name of"),
    ],
)
def test_a_policy_that_cannot_be_used_is_rejected_with_what_to_do(row: dict[str, Any], told: str) -> None:
    worker = Worker(key_row(), model_row(), policy_row("cap", **row))
    ((name, reason),) = worker.rejected
    assert name == "cap"
    assert reason.startswith(told)


def test_a_policy_that_is_off_may_name_what_is_not_there() -> None:
    assert Worker(policy_row(**{**CLASSIC, "scope": "model", "enabled": False})).rejected == []


@pytest.mark.parametrize(
    "row",
    [
        {**CLASSIC, "max_tokens": 1},
        {**CLASSIC, "window": "second", "max_requests": None, "max_tokens": 1},
        {**LIMITS, "action": "reject"},
        {**LIMITS, "conditions": [deep(3)]},
        {**LIMITS, "conditions": [LEAF] * 16},
        with_condition(dimension="team", operator="in", value=["x"] * 64),
        with_condition(dimension="model_name", operator="~~", value="x" * 256),
        with_schedule(end_time="24:00"),
        with_schedule(start_time="00:00", end_time="00:00"),
        with_schedule(days_of_week=None, dates=["2026-12-24"]),
        {**LIMITS, "group_by": ["provider", "model", "api_key", "member", "team"]},
    ],
)
def test_what_is_at_the_bounds_is_accepted(row: dict[str, Any]) -> None:
    assert Worker(policy_row(**row)).rejected == []


def test_every_mistake_of_a_row_is_told_at_once() -> None:
    row = {"name": "cap", "windw": "day", "max_requests": -1, "schedules": [{**SCHEDULE, "timezone": "x"}]}
    keys = [one.partition(":")[0] for one in complaints(row)]
    assert keys == ["windw", "max_requests", "schedules[0].timezone"]


def test_the_words_for_dimensions_are_those_of_the_table() -> None:
    assert get_args(DimensionName) == tuple(DIMENSIONS)
    assert get_args(GroupName) == tuple(name for name in DIMENSIONS if name != "model_name")


@pytest.mark.parametrize("lease_ttl", ["0s", "2d"])
def test_a_lease_lasts_between_a_second_and_a_day(lease_ttl: str) -> None:
    (found,) = complaints({"lease_ttl": lease_ttl}, RateSettings)
    assert found.startswith("lease_ttl: found the text")


def test_whoever_a_policy_names_and_no_row_has_is_told_once() -> None:
    rows = [
        key_row(team="red", user="una"),
        policy_row("a", **CLASSIC),
        policy_row("b", **{**CLASSIC, "scope": "member", "scope_ref": "ulf"}),
        policy_row("c", **with_condition(dimension="team", operator="in", value=["red", "blue"])),
        policy_row("d", **with_condition(dimension="model", operator="==", value="gtp")),
        policy_row("e", **{**CLASSIC, "scope": "team_member", "scope_ref": "grey"}),
    ]
    worker = Worker(*rows)
    worker.compile(*rows)
    (line,) = worker.services.log.lines
    assert (line.level, line.event) == ("warning", "policies_name_nobody")
    assert line.fields["policies"] == [
        "b: member 'ulf'",
        "c: team 'blue'",
        "d: model 'gtp'",
        "e: team 'grey'",
    ]
    assert worker.rejected == []


def test_a_resources_file_is_refused_with_file_and_key(gateway: Any) -> None:
    bad = {"name": "cap", **with_condition(**{**LEAF, "operator": "~~"})}
    with pytest.raises(ConfigError) as caught:
        gateway({"plugins": {"limit_rate": {}}}, resources={"rate_limit_policies": [bad]})
    text = str(caught.value)
    assert 'rate_limit_policies[0] ("cap").conditions[0]' in text
    assert "resources.yaml:1" in text
    assert "does not fit 'team'" in text


def test_a_policy_without_its_model_refuses_the_file_too(gateway: Any) -> None:
    bad = {"name": "cap", **CLASSIC, "scope": "model", "scope_ref": "no-such-model"}
    with pytest.raises(ConfigError) as caught:
        gateway({"plugins": {"limit_rate": {}}}, resources={"rate_limit_policies": [bad]})
    text = str(caught.value)
    assert 'rate_limit_policies "cap"' in text
    assert "resources.yaml:1" in text
    assert "its scope_ref 'no-such-model' is neither the row id nor the display name" in text
    assert json.dumps(bad) not in text
