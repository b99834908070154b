"""One closed Struct per collection: who owns which field, and what plugins that are off would bring."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from hookway.resources.collections import ResourceRegistry
from hookway_sdk import ConfigError, Manifest, ManifestFields, PluginError, Row
from hookway_sdk.walker import convert, schema


class Shout(Row):
    """Fields of a variant.

    Args:
        max_share: how much may be capitals.
    """

    max_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.8


class Needed(Row):
    pattern: str


class Rate(Row):
    rpm: int | None = None


class Squad(Row):
    name: str
    size: int = 1


class Semantic(Row):
    threshold: float = 0.5


class Cooldown(Row):
    """Fields of a group.

    Args:
        when_all_unavailable: what then.
    """

    when_all_unavailable: str = "fail"


@pytest.fixture
def registry() -> ResourceRegistry:
    made = ResourceRegistry()
    made.plugin = "limit_mine"
    return made


def accepts(type_: type[msgspec.Struct], **value: Any) -> Any:
    return convert(value, type_)


def refused(type_: type[msgspec.Struct], **value: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        convert(value, type_)
    return [problem.key for problem in caught.value.problems]


# ── what is composed ────────────────────────────────────────────────────────────────────────


def test_a_row_has_the_fields_of_the_sdk_the_core_and_plugins(registry: ResourceRegistry) -> None:
    registry.fields("api_keys", Rate)
    composed = registry.compose()
    row = accepts(composed["api_keys"].types[""], allowed_models=["*"], rpm=5)
    assert (row.allowed_models, row.rpm) == (("*",), 5)
    owners = composed["api_keys"].owners
    assert (owners["allowed_models"], owners["rpm"]) == ("the SDK", "limit_mine")
    assert composed["models"].owners["timeout"] == "the core"
    assert accepts(composed["api_keys"].types[""], allowed_models=[]).rpm is None


def test_an_unknown_field_is_refused(registry: ResourceRegistry) -> None:
    types = registry.compose()["api_keys"].types
    assert refused(types[""], allowed_models=["*"], rpm=5) == ["rpm"]


def test_every_kind_has_its_own_fields_and_the_common_ones(registry: ResourceRegistry) -> None:
    registry.plugin = "guardrail_shout"
    registry.variant("guardrails", kind="shout", row=Shout)
    registry.plugin = "guardrail_regex"
    registry.variant("guardrails", kind="regex", row=Needed)
    types = registry.compose()["guardrails"].types
    assert set(types) == {"shout", "regex"}
    row = accepts(types["shout"], name="quiet", kind="shout", max_share=0.5, order=3)
    assert (row.max_share, row.order) == (0.5, 3)
    assert refused(types["shout"], name="quiet", kind="shout", pattern="x") == ["pattern"]
    assert refused(types["regex"], name="quiet", kind="regex") == ["pattern"]
    assert refused(types["shout"], name="quiet", kind="shout", max_share=2) == ["max_share"]


def test_fields_of_every_row_of_a_collection_with_kinds_reach_every_kind(registry: ResourceRegistry) -> None:
    registry.fields("guardrails", Rate)
    registry.plugin = "guardrail_shout"
    registry.variant("guardrails", kind="shout", row=Shout)
    assert accepts(registry.compose()["guardrails"].types["shout"], name="a", kind="shout", rpm=1).rpm == 1


def test_a_shape_is_an_optional_object_that_is_told_from_other_fields(registry: ResourceRegistry) -> None:
    registry.shape("models", key="semantic", row=Semantic)
    composed = registry.compose()["models"]
    row = accepts(composed.types[""], display_name="a", semantic={"threshold": 0.9})
    assert row.semantic.threshold == 0.9
    assert accepts(composed.types[""], display_name="a").semantic is None
    assert composed.shapes == {"semantic": "limit_mine"}
    assert composed.types[""].SHAPES == ("semantic",)  # type: ignore[attr-defined]


def test_a_nested_object_gets_further_fields(registry: ResourceRegistry) -> None:
    registry.fields("models.routing", Cooldown)
    type_ = registry.compose()["models"].types[""]
    routing = {"targets": [{"model": "a"}], "when_all_unavailable": "try_anyway", "max_fallbacks": 1}
    row = accepts(type_, display_name="a", routing=routing)
    assert (row.routing.when_all_unavailable, row.routing.max_fallbacks) == ("try_anyway", 1)
    assert row.routing.strategy == "failover"
    assert accepts(type_, display_name="a").routing is None


def test_a_collection_of_a_plugins_own(registry: ResourceRegistry) -> None:
    registry.collection("squads", Squad)
    registry.plugin = "limit_other"
    registry.fields("squads", Rate)
    composed = registry.compose()["squads"]
    assert (composed.identity, composed.owners) == (
        "name",
        {"name": "limit_mine", "size": "limit_mine", "rpm": "limit_other"},
    )
    assert accepts(composed.types[""], name="red", size=2, rpm=3).rpm == 3


def test_rows_are_frozen_and_compare_by_value(registry: ResourceRegistry) -> None:
    type_ = registry.compose()["api_keys"].types[""]
    row = accepts(type_, allowed_models=["*"])
    assert row == accepts(type_, allowed_models=["*"])
    with pytest.raises(AttributeError):
        row.team_id = "a"


def test_mutable_defaults_are_not_shared(registry: ResourceRegistry) -> None:
    type_ = registry.compose()["provider_keys"].types[""]
    one, two = (accepts(type_, display_name=name, api_key="k") for name in "ab")
    assert one.request.default_headers is not two.request.default_headers or one.request is two.request
    assert one.request == two.request


def test_descriptions_of_all_owners_reach_the_schema(registry: ResourceRegistry) -> None:
    registry.plugin = "guardrail_shout"
    registry.variant("guardrails", kind="shout", row=Shout)
    written = schema(registry.compose()["guardrails"].types["shout"])
    members = written["$defs"]["guardrails_shout"]["properties"]
    assert members["max_share"]["description"] == "how much may be capitals."
    assert members["order"]["description"] == "place among guardrails; the lower is asked first."


# ── two owners, and other contributions that are refused ────────────────────────────────────


def as_plugin(registry: ResourceRegistry, name: str) -> ResourceRegistry:
    registry.plugin = name
    return registry


def test_two_owners_of_a_field_are_refused(registry: ResourceRegistry) -> None:
    registry.fields("api_keys", Rate)
    with pytest.raises(PluginError, match=r"limit_other.*field 'rpm' of 'api_keys' belongs to limit_mine"):
        as_plugin(registry, "limit_other").fields("api_keys", Rate)


class Timeout(Row):
    timeout: int = 0


class Tags(Row):
    tags: tuple[str, ...] = ()


class Order(Row):
    order: int = 0


class Weight(Row):
    retries: int = 0


class Targets(Row):
    targets: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("collection", "fields", "owner"),
    [("models", Timeout, "belongs to the core"), ("api_keys", Tags, "belongs to the SDK")],
)
def test_fields_of_the_core_and_the_sdk_cannot_be_taken(
    registry: ResourceRegistry, collection: str, fields: type[Row], owner: str
) -> None:
    with pytest.raises(PluginError, match=owner):
        registry.fields(collection, fields)


def test_a_variant_cannot_take_a_common_field(registry: ResourceRegistry) -> None:
    with pytest.raises(PluginError, match="field 'order' of 'guardrails' belongs to the SDK"):
        registry.variant("guardrails", kind="mine", row=Order)


def test_a_common_field_cannot_take_a_variants(registry: ResourceRegistry) -> None:
    registry.variant("guardrails", kind="rate", row=Rate)
    with pytest.raises(PluginError, match="field 'rpm' of 'guardrails' belongs to limit_mine"):
        as_plugin(registry, "limit_other").fields("guardrails", Rate)


def test_two_kinds_may_have_fields_of_one_name(registry: ResourceRegistry) -> None:
    registry.variant("guardrails", kind="a", row=Rate)
    as_plugin(registry, "limit_other").variant("guardrails", kind="b", row=Rate)
    assert set(registry.compose()["guardrails"].types) == {"a", "b"}


@pytest.mark.parametrize("fields", [Targets, Weight])
def test_fields_of_a_nested_object_have_one_owner_too(registry: ResourceRegistry, fields: type[Row]) -> None:
    with pytest.raises(PluginError, match=r"of 'models\.routing' is taken"):
        registry.fields("models.routing", fields)


def test_two_plugins_cannot_add_one_nested_field(registry: ResourceRegistry) -> None:
    registry.fields("models.routing", Cooldown)
    with pytest.raises(PluginError, match=r"field 'when_all_unavailable' of 'models\.routing' is taken"):
        as_plugin(registry, "limit_other").fields("models.routing", Cooldown)


def test_two_owners_of_a_kind_a_shape_or_a_collection_are_refused(registry: ResourceRegistry) -> None:
    registry.variant("guardrails", kind="shout", row=Shout)
    registry.shape("models", key="semantic", row=Semantic)
    registry.collection("squads", Squad)
    other = as_plugin(registry, "limit_other")
    with pytest.raises(PluginError, match="guardrails of kind 'shout' belong to limit_mine already"):
        other.variant("guardrails", kind="shout", row=Shout)
    with pytest.raises(PluginError, match="field 'semantic' of 'models' belongs to limit_mine"):
        other.shape("models", key="semantic", row=Semantic)
    with pytest.raises(PluginError, match="collection 'squads' exists already"):
        other.collection("squads", Squad)
    with pytest.raises(PluginError, match="collection 'models' exists already"):
        other.collection("models", Squad)


def test_a_field_needs_a_default(registry: ResourceRegistry) -> None:
    with pytest.raises(PluginError, match="field 'pattern' of 'api_keys' needs a default"):
        registry.fields("api_keys", Needed)
    with pytest.raises(PluginError, match=r"field 'pattern' of 'models\.routing' needs a default"):
        registry.fields("models.routing", Needed)


def test_a_contribution_needs_a_place(registry: ResourceRegistry) -> None:
    with pytest.raises(PluginError, match="there is no collection 'squads'"):
        registry.fields("squads", Rate)
    with pytest.raises(PluginError, match="'models' has no nested 'rooting'"):
        registry.fields("models.rooting", Rate)
    registry.shape("models", key="semantic", row=Semantic)
    with pytest.raises(PluginError, match="'models' has no nested 'semantic'"):
        registry.fields("models.semantic", Rate)
    with pytest.raises(PluginError, match="rows of 'models' have no kinds"):
        registry.variant("models", kind="a", row=Rate)
    with pytest.raises(PluginError, match="names no field 'title' for identity"):
        registry.collection("squads", Squad, identity="title")


# ── plugins that are off ────────────────────────────────────────────────────────────────────


def off(name: str, *resources: ManifestFields) -> Manifest:
    return Manifest(name=name, version="1", api=1, resources=resources)


def test_what_a_plugin_that_is_off_would_bring_is_known(registry: ResourceRegistry) -> None:
    registry.plugin_is_off(
        off(
            "limit_off",
            ManifestFields(collection="api_keys", fields=("rate_limit",)),
            ManifestFields(collection="guardrails", kind="loud", fields=("decibel",)),
            ManifestFields(collection="models", key="ensemble", fields=("ensemble",)),
            ManifestFields(collection="models.routing", fields=("hash_on",)),
            ManifestFields(collection="squads", owner=True, fields=("name", "size")),
        )
    )
    composed = registry.compose()
    assert accepts(composed["api_keys"].types[""], allowed_models=[], rate_limit={"rpm": 1}).rate_limit
    assert composed["api_keys"].off_fields == {"rate_limit": "limit_off"}
    assert composed["guardrails"].off_variants == {"loud": "limit_off"}
    models = composed["models"]
    assert accepts(models.types[""], display_name="a", ensemble={"panel": []}).ensemble == {"panel": []}
    assert "ensemble" in models.types[""].SHAPES  # type: ignore[attr-defined]
    routing = {"targets": [{"model": "b"}], "hash_on": [{"type": "header"}]}
    assert accepts(models.types[""], display_name="a", routing=routing).routing.hash_on
    assert accepts(composed["squads"].types[""], name="red", size=5).name == "red"


def test_a_plugin_that_is_on_keeps_what_one_that_is_off_would_claim(registry: ResourceRegistry) -> None:
    registry.fields("api_keys", Rate)
    registry.plugin_is_off(off("limit_off", ManifestFields(collection="api_keys", fields=("rpm",))))
    composed = registry.compose()["api_keys"]
    assert composed.owners["rpm"] == "limit_mine"
    assert composed.off_fields == {}
