"""Rows that name other rows: what leads nowhere is reported, with what is probably meant."""

from __future__ import annotations

from typing import Any

import pytest

from hookway.resources.collections import ResourceRegistry
from hookway.resources.identity import row_id
from hookway.resources.references import broken_references, leads_somewhere
from hookway_sdk import Place, Resource, Row
from hookway_sdk.walker import convert

COLLECTIONS = ResourceRegistry().compose()


def resource(collection: str, name: str, **value: Any) -> Resource:
    row = convert({"display_name": name, **value}, COLLECTIONS[collection].types[""])
    return Resource(collection, row_id(collection, name), name, row, "test", Place("resources.yaml", 7))


ACCOUNT = resource("provider_keys", "account", api_key="secret")


def direct(name: str, model_name: str | None = "gpt-4o", **more: Any) -> Resource:
    given = {"provider": "openai", "provider_key_id": ACCOUNT.id, "model_name": model_name, **more}
    return resource("models", name, **{field: value for field, value in given.items() if value is not None})


def group(name: str, *targets: str) -> Resource:
    return resource("models", name, routing={"targets": [{"model": target} for target in targets]})


def key(name: str, *models: str) -> Resource:
    return resource("api_keys", name, allowed_models=list(models))


def problems(*resources: Resource) -> list[str]:
    rows: dict[str, list[Resource]] = {}
    for one in (ACCOUNT, *resources):
        rows.setdefault(one.collection, []).append(one)
    return [str(one.problem({})) for one in broken_references(rows)]


def test_what_leads_somewhere_is_no_problem() -> None:
    assert (
        problems(direct("a"), direct("b-*"), group("g", "a", "b-1", "h"), group("h", "a"), key("k", "a", "g"))
        == []
    )


def test_every_problem_names_row_place_expectation_and_the_nearest_name() -> None:
    assert problems(direct("gpt-4o"), key("k", "gpt-4")) == [
        'resources.yaml:7: api_keys "k".allowed_models[0]: unknown model "gpt-4"; expected one of gpt-4o; '
        "did you mean 'gpt-4o'?"
    ]


def test_all_problems_are_reported() -> None:
    found = problems(direct("a"), group("g", "x", "a", "y"), key("k", "z"))
    assert [text.partition(": ")[2].partition(";")[0] for text in found] == [
        'models "g".routing.targets[0].model: unknown model "x"',
        'models "g".routing.targets[2].model: unknown model "y"',
        'api_keys "k".allowed_models[0]: unknown model "z"',
    ]


def test_without_any_model_the_message_says_so() -> None:
    assert "expected one of none: no model is defined" in problems(key("k", "a"))[0]


def test_a_key_may_use_globs_that_match_nothing_yet() -> None:
    assert problems(key("k", "*", "gpt-*", "*-mini")) == []


def test_a_key_and_a_group_may_name_what_a_wildcard_serves() -> None:
    assert problems(direct("openai/*", None), key("k", "openai/gpt-4o"), group("g", "openai/o3")) == []
    assert len(problems(direct("openai/*", None), key("k", "openai"), group("g", "azure/o3"))) == 2


def test_an_unknown_account_is_a_problem() -> None:
    found = problems(direct("a", provider_key_id="elsewhere"))
    assert found == [
        'resources.yaml:7: models "a".provider_key_id: unknown provider key "elsewhere"; '
        "expected the id of one of account"
    ]


# ── shapes ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({}, "and this one has nothing"),
        (
            {"provider": "openai", "routing": {"targets": [{"model": "a"}]}},
            "and this one has provider, routing",
        ),
        ({"provider": "openai", "model_name": "x"}, "provider_key: is missing"),
        ({"provider_key_id": ACCOUNT.id, "model_name": "x"}, "provider: is missing"),
        ({"provider": "openai", "provider_key_id": ACCOUNT.id}, "model_name: is missing"),
    ],
)
def test_a_model_has_exactly_one_whole_shape(value: dict[str, Any], complaint: str) -> None:
    found = problems(direct("a"), resource("models", "odd", **value))
    assert len(found) == 1
    assert complaint in found[0]


class Ensemble(Row):
    panel: tuple[str, ...] = ()


def test_a_plugins_shape_counts_as_one() -> None:
    registry = ResourceRegistry()
    registry.plugin = "conductor_ensemble"
    registry.shape("models", key="ensemble", row=Ensemble)
    type_ = registry.compose()["models"].types[""]

    def model(**value: Any) -> Resource:
        return Resource("models", "id", "m", convert({"display_name": "m", **value}, type_), "test")

    assert problems(model(ensemble={})) == []
    both = problems(model(ensemble={}, routing={"targets": [{"model": "m"}]}))
    assert "this one has routing, ensemble" in both[0]


# ── wildcards and cycles ────────────────────────────────────────────────────────────────────


def test_a_wildcard_needs_no_upstream_name() -> None:
    assert problems(direct("openai/*", None)) == []


def test_two_stars_and_wildcard_groups_are_refused() -> None:
    assert "more than one '*'" in problems(direct("a*b*"))[0]
    assert "only a deployment can be a wildcard" in problems(direct("a"), group("g*", "a"))[0]


@pytest.mark.parametrize(
    ("groups", "inside"),
    [
        ([("a", ["a"])], {"a"}),
        ([("a", ["b"]), ("b", ["a"])], {"a", "b"}),
        ([("a", ["m", "b"]), ("b", ["c", "m"]), ("c", ["m", "a"])], {"a", "b", "c"}),
        ([("out", ["a"]), ("a", ["b"]), ("b", ["a"])], {"a", "b"}),
        ([("a", ["b", "c"]), ("b", ["d"]), ("c", ["d"]), ("d", ["m"])], set()),
    ],
)
def test_groups_that_contain_themselves_are_found(
    groups: list[tuple[str, list[str]]], inside: set[str]
) -> None:
    found = problems(direct("m"), *(group(name, *targets) for name, targets in groups))
    assert len(found) == len(inside)
    for name, text in zip(sorted(inside), found, strict=True):
        assert text.startswith(
            f'resources.yaml:7: models "{name}".routing.targets: the group contains itself'
        )


def test_a_long_chain_of_groups_is_no_cycle() -> None:
    chain = [group(f"g{index}", f"g{index + 1}") for index in range(300)]
    assert problems(*chain, direct("g300")) == []


@pytest.mark.parametrize(
    ("name", "names", "leads"),
    [
        ("a", ["a"], True),
        ("a", [], False),
        ("a", ["A"], False),
        ("x/y", ["x/*"], True),
        ("xy", ["x*y"], True),
        ("x", ["x*x"], False),
        ("a", ["**"], False),
    ],
)
def test_a_name_leads_to_its_row_or_a_wildcard(name: str, names: list[str], leads: bool) -> None:
    assert leads_somewhere(name, names) is leads
