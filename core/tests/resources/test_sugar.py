"""Short model rows are written out; what contradicts itself is refused."""

from __future__ import annotations

from typing import Any

import pytest

from hookway.resources.sugar import write_out_model
from hookway_sdk import Place, SourceRow


def row(**value: Any) -> SourceRow:
    places = {(name,): Place("resources.yaml", line) for line, name in enumerate(value, start=10)}
    return SourceRow(value, places=places, place=Place("resources.yaml", 9), id="row-id")


def written(**value: Any) -> tuple[dict[str, Any], dict[str, Any] | None]:
    model, account, problems = write_out_model(row(**value))
    assert problems == []
    return dict(model.value), None if account is None else dict(account.value)


def complaints(**value: Any) -> list[str]:
    model, account, problems = write_out_model(row(**value))
    assert account is None
    assert dict(model.value) == value
    return [str(problem) for problem in problems]


def test_the_short_form_is_a_deployment_with_an_account_of_its_own() -> None:
    assert written(name="fast", model="openai/gpt-4o", key="sk") == (
        {"name": "fast", "provider": "openai", "model_name": "gpt-4o", "provider_key": "fast (key)"},
        {"display_name": "fast (key)", "provider": "openai", "api_key": "sk"},
    )


def test_further_members_go_where_they_belong() -> None:
    model, account = written(
        display_name="fast", model="acme/m", key="sk", api_base="http://h", adapter="openai", retries=3
    )
    assert model == {
        "display_name": "fast",
        "provider": "acme",
        "model_name": "m",
        "retries": 3,
        "provider_key": "fast (key)",
    }
    assert account == {
        "display_name": "fast (key)",
        "provider": "acme",
        "api_key": "sk",
        "api_base": "http://h",
        "adapter": "openai",
    }


def test_an_upstream_that_needs_no_key_gets_none() -> None:
    assert written(name="a", model="acme/m", api_base="http://h")[1] == {
        "display_name": "a (key)",
        "provider": "acme",
        "api_key": "none",
        "api_base": "http://h",
    }


def test_the_short_form_may_share_an_account() -> None:
    assert written(name="a", model="openai/gpt-4o", provider_key="shared") == (
        {"name": "a", "provider": "openai", "model_name": "gpt-4o", "provider_key": "shared"},
        None,
    )


def test_only_the_first_slash_divides() -> None:
    assert (
        written(name="a", model="groq/meta-llama/llama-3", key="k")[0]["model_name"] == "meta-llama/llama-3"
    )


def test_the_long_form_is_left_alone() -> None:
    given = row(name="a", provider="openai", model_name="gpt-4o", provider_key="shared")
    assert write_out_model(given) == (given, None, [])


def test_places_and_id_survive() -> None:
    model, account, _ = write_out_model(row(name="a", model="openai/gpt-4o", key="k", retries=1))
    assert model.id == "row-id"
    assert model.places["retries",] == Place("resources.yaml", 13)
    assert account is not None
    assert account.places == {("api_key",): Place("resources.yaml", 12)}
    assert account.place == Place("resources.yaml", 9)
    assert account.id == ""


@pytest.mark.parametrize("reference", ["gpt-4o", "", "/gpt-4o", "openai/", 5, None, ["openai/gpt-4o"]])
def test_a_model_without_a_provider_is_refused(reference: Any) -> None:
    assert complaints(name="a", model=reference) == [
        "resources.yaml:11: model: is not written as provider/model; expected openai/gpt-4o"
    ]


@pytest.mark.parametrize("beside", ["provider", "model_name", "routing"])
def test_the_short_form_beside_the_long_one_is_refused(beside: str) -> None:
    assert complaints(name="a", model="openai/gpt-4o", **{beside: "x"}) == [
        f"resources.yaml:12: {beside}: is said twice; expected either the short form or this field"
    ]


@pytest.mark.parametrize("own", ["key", "api_base", "adapter"])
@pytest.mark.parametrize("shared", ["provider_key", "provider_key_id"])
def test_an_account_of_its_own_beside_a_shared_one_is_refused(own: str, shared: str) -> None:
    found = complaints(name="a", model="openai/gpt-4o", **{own: "x", shared: "y"})
    assert found == [
        f"resources.yaml:13: {shared}: is said twice; expected either the short form or this field"
    ]


@pytest.mark.parametrize("own", ["key", "api_base", "adapter"])
def test_account_members_without_the_short_form_are_refused(own: str) -> None:
    found = complaints(name="a", provider="openai", **{own: "x"})
    assert found == [
        f"resources.yaml:12: {own}: goes with the short form; expected model: provider/model beside it"
    ]


def test_a_short_form_that_is_misspelt_is_named() -> None:
    assert complaints(name="a", modle="o/m", key="k") == [
        "resources.yaml:11: modle: unknown member; expected model: provider/model; did you mean 'model'?"
    ]


def test_everything_that_is_said_twice_is_reported() -> None:
    assert len(complaints(name="a", model="o/m", key="k", provider="o", routing={}, provider_key="p")) == 3
