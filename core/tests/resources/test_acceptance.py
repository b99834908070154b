"""Rows of all sources together: names, kinds, off plugins, strict and lenient sources, last good values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway.resources.acceptance import Acceptance, Offer, ResourceSet
from hookway.resources.collections import Collection, ResourceRegistry
from hookway.resources.identity import row_id
from hookway_sdk import (
    ConfigError,
    Manifest,
    ManifestFields,
    Place,
    Problem,
    Resource,
    Row,
    Secret,
    SourceDocument,
    SourceRow,
)


class Shout(Row):
    max_share: float = 0.8


class Memory(Row):
    size: int = 10


def make_collections() -> dict[str, Collection]:
    registry = ResourceRegistry()
    registry.plugin = "guardrail_shout"
    registry.variant("guardrails", kind="shout", row=Shout)
    registry.plugin = "cache_memory"
    registry.variant("cache_policies", kind="memory", row=Memory)
    off = [
        ManifestFields(collection="api_keys", fields=("rate_limit",)),
        ManifestFields(collection="guardrails", kind="loud"),
        ManifestFields(collection="models", key="ensemble", fields=("ensemble",)),
        ManifestFields(collection="models.routing", fields=("hash_on",)),
        ManifestFields(collection="squads", owner=True, fields=("name", "size")),
    ]
    registry.plugin_is_off(Manifest(name="limit_off", version="1", api=1, resources=tuple(off)))
    return registry.compose()


COLLECTIONS = make_collections()


def source_row(file: str, line: int, value: dict[str, Any], id: str = "") -> SourceRow:
    places = {(key,): Place(file, line) for key in value}
    return SourceRow(value, places=places, place=Place(file, line), id=id)


def offer(source: str = "source_file", **rows: Any) -> Offer:
    """Return what a source has; rows are listed by collection, options begin with an underscore."""
    options = {name[1:]: rows.pop(name) for name in [*rows] if name.startswith("_")}
    file = f"{source}.yaml"
    listed = {
        name: [source_row(file, line, value) for line, value in enumerate(values, start=1)]
        for name, values in rows.items()
    }
    places = {name: Place(file, 99) for name in listed}
    return Offer(source, SourceDocument(listed, places=places), **options)


def accept(
    *offers: Offer, last_good: ResourceSet | None = None, dormant: tuple[str, ...] = ()
) -> ResourceSet:
    return Acceptance(COLLECTIONS, last_good, dormant).run(offers)


def refused(*offers: Offer, **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        accept(*offers, **options)
    return [str(problem) for problem in caught.value.problems]


def names(accepted: ResourceSet, collection: str) -> list[str]:
    return [one.name for one in accepted.rows[collection]]


def lenient(source: str = "source_etcd", **rows: Any) -> Offer:
    return offer(source, _strict=False, **rows)


ACCOUNT: dict[str, Any] = {"name": "account", "provider": "openai", "api_key": "sk-secret"}
MODEL: dict[str, Any] = {
    "name": "gpt-4o",
    "provider": "openai",
    "model_name": "gpt-4o",
    "provider_key": "account",
}


# ── what is accepted ────────────────────────────────────────────────────────────────────────


def test_rows_get_ids_types_and_the_place_they_came_from() -> None:
    accepted = accept(offer(provider_keys=[ACCOUNT], models=[MODEL]))
    [model] = accepted.rows["models"]
    assert model.id == "6efd592d-a73b-573d-8e2c-e9e103692f92"
    assert (model.name, model.source, model.place) == ("gpt-4o", "source_file", Place("source_file.yaml", 1))
    [account] = accepted.rows["provider_keys"]
    assert model.row.provider_key_id == account.id == row_id("provider_keys", "account")
    assert isinstance(account.row.api_key, Secret)
    assert accepted.counts() == {"provider_keys": 1, "models": 1}
    assert (accepted.closed, accepted.rejected) == ({}, ())


def test_a_source_with_ids_of_its_own_keeps_them() -> None:
    document = SourceDocument(
        {
            "provider_keys": [source_row("etcd", 0, ACCOUNT, id="id-1")],
            "models": [source_row("etcd", 0, MODEL, id="id-2")],
        }
    )
    accepted = accept(Offer("source_etcd", document, strict=False))
    assert accepted.rows["models"][0].id == "id-2"
    assert accepted.rows["models"][0].row.provider_key_id == "id-1"


def test_references_cross_sources() -> None:
    accepted = accept(offer("source_file", models=[MODEL]), offer("source_env", provider_keys=[ACCOUNT]))
    assert accepted.rows["models"][0].row.provider_key_id == accepted.rows["provider_keys"][0].id


def test_a_short_row_brings_its_account() -> None:
    accepted = accept(offer(models=[{"name": "fast", "model": "openai/gpt-4o", "key": "sk"}]))
    assert names(accepted, "provider_keys") == ["fast (key)"]
    assert accepted.rows["provider_keys"][0].row.api_key == Secret("sk")


def test_rows_keep_the_order_of_their_sources() -> None:
    keys = [{"name": name, "allowed_models": ["*"]} for name in "cab"]
    accepted = accept(offer("one", api_keys=keys[:2]), offer("two", api_keys=keys[2:]))
    assert names(accepted, "api_keys") == ["c", "a", "b"]


def test_a_row_without_a_kind_is_of_the_default_kind() -> None:
    accepted = accept(offer(cache_policies=[{"name": "answers", "size": 3}]))
    assert (accepted.rows["cache_policies"][0].row.backend, accepted.rows["cache_policies"][0].row.size) == (
        "memory",
        3,
    )


# ── what is refused, and how it is said ─────────────────────────────────────────────────────


def test_all_problems_of_all_sources_are_reported_at_once() -> None:
    found = refused(
        offer("one", models=[{**MODEL, "retries": -1}], guardrails=[{"name": "g", "kind": "shot"}]),
        offer("two", provider_keys=[ACCOUNT], api_keys=[{"name": "k"}]),
    )
    assert len(found) == 3
    assert found[0].startswith('one.yaml:1: models[0] ("gpt-4o").retries: ')
    assert found[1] == (
        "one.yaml:1: guardrails[0] (\"g\").kind: no enabled plugin serves 'shot'; expected one of shout; "
        "did you mean 'shout'?"
    )
    assert found[2].startswith('two.yaml:1: api_keys[0] ("k").allowed_models: ')


def test_a_second_row_of_a_name_is_refused_naming_both_places() -> None:
    keys = [{"name": "k", "allowed_models": []}, {"name": "k", "allowed_models": ["*"]}]
    assert refused(offer(api_keys=keys)) == [
        'source_file.yaml:2: api_keys[1]: duplicate api_keys entry "k", which source_file has at '
        "source_file.yaml:1; expected one row of a name"
    ]


def test_a_name_in_two_sources_is_refused_naming_both_places() -> None:
    key = {"name": "k", "allowed_models": []}
    assert refused(offer("one", api_keys=[key]), offer("two", api_keys=[key])) == [
        'two.yaml:1: api_keys[0]: duplicate api_keys entry "k", which one has at one.yaml:1; '
        "expected one row of a name"
    ]


def test_one_name_in_two_collections_is_no_duplicate() -> None:
    accepted = accept(
        offer(provider_keys=[{**ACCOUNT, "name": "gpt-4o"}], models=[{**MODEL, "provider_key": "gpt-4o"}])
    )
    assert names(accepted, "models") == names(accepted, "provider_keys") == ["gpt-4o"]


def test_a_collection_that_nobody_has_is_refused_with_the_nearest() -> None:
    [found] = refused(offer(modles=[]))
    assert found.startswith(
        "source_file.yaml:99: modles: no plugin has resources of this name; expected one of "
    )
    assert found.endswith("did you mean 'models'?")


@pytest.mark.parametrize("value", [{}, {"name": ""}, {"name": 5}, {"name": None}, {"name": ["a"]}])
def test_a_row_without_a_name_is_refused(value: dict[str, Any]) -> None:
    assert refused(offer(guardrails=[{**value, "kind": "shout"}])) == [
        "source_file.yaml:1: guardrails[0]: the row has no name; expected a text under 'name'"
    ]


@pytest.mark.parametrize("kind", [{}, {"kind": None}])
def test_a_row_of_no_kind_is_refused(kind: dict[str, Any]) -> None:
    assert refused(offer(guardrails=[{"name": "g", **kind}])) == [
        'source_file.yaml:1: guardrails[0] ("g").kind: the row says no kind; expected one of shout'
    ]


def test_an_unknown_account_is_reported_once_with_the_nearest() -> None:
    found = refused(offer(provider_keys=[ACCOUNT], models=[{**MODEL, "provider_key": "acount"}]))
    assert found == [
        'source_file.yaml:1: models[0] ("gpt-4o").provider_key: unknown provider key "acount"; '
        "expected one of account; did you mean 'account'?"
    ]


def test_an_account_by_name_beside_an_id_is_refused() -> None:
    found = refused(offer(provider_keys=[ACCOUNT], models=[{**MODEL, "provider_key_id": "x"}]))
    assert found == ['source_file.yaml:1: models[0] ("gpt-4o").provider_key: is given beside provider_key_id']


def test_who_refers_to_a_row_that_is_wrong_is_not_told_that_it_is_unknown() -> None:
    found = refused(
        offer(
            provider_keys=[ACCOUNT],
            models=[{**MODEL, "retries": "many"}, {"name": "odd", "model": "gpt"}],
            api_keys=[{"name": "k", "allowed_models": ["gpt-4o", "odd"]}],
        )
    )
    assert [text.partition(": ")[2].partition(":")[0] for text in found] == [
        'models[1] ("odd").model',
        'models[0] ("gpt-4o").retries',
    ]


def test_no_message_holds_a_secret() -> None:
    found = refused(
        offer(
            provider_keys=[
                {**ACCOUNT, "api_key": ["sk-secret"]},
                {**ACCOUNT, "name": "b", "secret": "sk-other"},
            ],
            models=[{"name": "m", "model": "openai/gpt-4o", "key": {"sk-third": 1}}],
        )
    )
    assert found
    assert "sk-" not in "\n".join(found)


def test_problems_of_a_source_itself_refuse_it() -> None:
    document = SourceDocument({}, problems=(Problem("", "is torn"),))
    assert refused(Offer("source_file", document)) == ["is torn"]


# ── plugins that are off ────────────────────────────────────────────────────────────────────


def off_reason(accepted: ResourceSet, collection: str, name: str) -> str:
    return accepted.closed.get((collection, row_id(collection, name)), "")


def test_a_row_that_sets_a_field_of_a_plugin_that_is_off_is_accepted_and_closed() -> None:
    accepted = accept(
        offer(
            api_keys=[
                {"name": "k", "allowed_models": [], "rate_limit": {"rpm": 1}},
                {"name": "free", "allowed_models": []},
                {"name": "null", "allowed_models": [], "rate_limit": None},
            ]
        )
    )
    assert off_reason(accepted, "api_keys", "k") == (
        "api_keys 'k' sets 'rate_limit', whose plugin limit_off is off"
    )
    assert len(accepted.closed) == 1
    assert len(accepted.rows["api_keys"]) == 3


def test_a_row_of_a_kind_whose_plugin_is_off_is_closed() -> None:
    accepted = accept(offer(guardrails=[{"name": "g", "kind": "loud", "decibel": 3}]))
    assert off_reason(accepted, "guardrails", "g") == (
        "guardrails 'g' is of kind 'loud', whose plugin limit_off is off"
    )
    assert accepted.rows["guardrails"] == ()


def test_a_model_of_a_shape_whose_plugin_is_off_is_closed() -> None:
    accepted = accept(offer(models=[{"name": "m", "ensemble": {"panel": []}}]))
    assert off_reason(accepted, "models", "m") == "models 'm' sets 'ensemble', whose plugin limit_off is off"


def test_a_group_that_sets_a_nested_field_of_a_plugin_that_is_off_is_closed() -> None:
    routing = {"targets": [{"model": "gpt-4o"}], "hash_on": [{"type": "header"}]}
    models = [MODEL, {"name": "group", "routing": routing}]
    accepted = accept(offer(provider_keys=[ACCOUNT], models=models))
    assert off_reason(accepted, "models", "group") == (
        "models 'group' sets 'routing.hash_on', whose plugin limit_off is off"
    )
    assert len(accepted.closed) == 1


def test_rows_of_a_collection_whose_plugin_is_off_are_known() -> None:
    accepted = accept(offer(squads=[{"name": "red", "size": 5}]))
    assert names(accepted, "squads") == ["red"]
    assert "limit_off is off" in off_reason(accepted, "squads", "red")


def test_what_the_operator_lets_sleep_closes_nothing() -> None:
    everything = offer(
        api_keys=[{"name": "k", "allowed_models": [], "rate_limit": {}}],
        guardrails=[{"name": "g", "kind": "loud"}],
    )
    assert accept(everything, dormant=("limit_off",)).closed == {}
    assert len(accept(everything, dormant=("limit_other",)).closed) == 2


# ── sources that give way ───────────────────────────────────────────────────────────────────


def test_a_yielding_source_serves_alone() -> None:
    accepted = accept(offer("env", provider_keys=[ACCOUNT], _yields=True), offer("source_file"))
    assert names(accepted, "provider_keys") == ["account"]


def test_a_yielding_source_gives_way_to_any_row_of_another() -> None:
    key = {"name": "k", "allowed_models": []}
    accepted = accept(offer("env", provider_keys=[ACCOUNT], _yields=True), offer(api_keys=[key]))
    assert accepted.counts() == {"api_keys": 1}


def test_nobody_gives_way_to_the_gateways_own_rows() -> None:
    key = {"name": "first-key", "allowed_models": ["*"]}
    accepted = accept(
        offer("env", provider_keys=[ACCOUNT], _yields=True), offer("state_dir", api_keys=[key], _own=True)
    )
    assert accepted.counts() == {"provider_keys": 1, "api_keys": 1}


def test_the_gateways_own_rows_give_way_to_nobody() -> None:
    own = offer("conf.d", guardrails=[{"name": "g", "kind": "shout"}], _own=True)
    accepted = accept(own, offer(provider_keys=[ACCOUNT]))
    assert accepted.counts() == {"provider_keys": 1, "guardrails": 1}


# ── lenient sources and last good values ────────────────────────────────────────────────────

KEY: dict[str, Any] = {"name": "k", "allowed_models": ["*"]}


@pytest.mark.parametrize(
    "bad",
    [
        {**KEY, "name": "bad", "colour": "red"},
        {"name": "bad"},
        {"allowed_models": []},
        {**KEY, "name": "bad", "allowed_models": [5]},
    ],
)
def test_a_bad_row_of_a_lenient_source_is_refused_alone(bad: dict[str, Any]) -> None:
    accepted = accept(lenient(api_keys=[KEY, bad]))
    assert names(accepted, "api_keys") == ["k"]
    [rejected] = accepted.rejected
    assert (rejected.collection, rejected.source, rejected.serving_last_good) == (
        "api_keys",
        "source_etcd",
        False,
    )
    assert rejected.problems


def test_the_last_good_value_of_a_row_that_went_bad_serves() -> None:
    good = accept(lenient(api_keys=[KEY]))
    later = accept(lenient(api_keys=[{**KEY, "allowed_models": 5}]), last_good=good)
    assert later.rows["api_keys"] == good.rows["api_keys"]
    assert [one.serving_last_good for one in later.rejected] == [True]
    again = accept(lenient(api_keys=[{**KEY, "allowed_models": 6}]), last_good=later)
    assert again.rows["api_keys"] == good.rows["api_keys"]


def test_a_row_that_was_deleted_does_not_come_back() -> None:
    good = accept(lenient(api_keys=[KEY, {**KEY, "name": "other"}]))
    later = accept(lenient(api_keys=[{**KEY, "allowed_models": 5}]), last_good=good)
    assert names(later, "api_keys") == ["k"]


def test_a_strict_source_has_no_last_good_rows() -> None:
    good = accept(offer(api_keys=[KEY]))
    assert len(refused(offer(api_keys=[{**KEY, "allowed_models": 5}]), last_good=good)) == 1


def test_a_lenient_source_costs_a_strict_one_nothing() -> None:
    accepted = accept(
        offer(api_keys=[KEY]), lenient(models=[{"name": "m"}], guardrails=[{"name": "g", "kind": "shot"}])
    )
    assert accepted.counts() == {"api_keys": 1}
    assert sorted(one.name for one in accepted.rejected) == ["g", "m"]


def test_a_lenient_row_of_a_taken_name_is_refused_alone_naming_the_owner() -> None:
    accepted = accept(offer(api_keys=[KEY]), lenient(api_keys=[{**KEY, "allowed_models": []}]))
    assert [one.source for one in accepted.rows["api_keys"]] == ["source_file"]
    [rejected] = accepted.rejected
    assert 'duplicate api_keys entry "k", which source_file has at source_file.yaml:1' in str(
        rejected.problems[0]
    )
    assert not rejected.serving_last_good


def test_an_unknown_collection_or_account_of_a_lenient_source_refuses_nothing_else() -> None:
    accepted = accept(
        lenient(modles=[{"name": "m"}], models=[{**MODEL, "provider_key": "gone"}], api_keys=[KEY])
    )
    assert accepted.counts() == {"api_keys": 1}
    assert len(accepted.rejected) == 2


def test_references_of_a_lenient_source_may_lead_nowhere_for_now() -> None:
    # contracts/aisix-ops.md 2.3: they are resolved when a request needs them.
    models = [
        {"name": "m", "provider": "openai", "model_name": "x", "provider_key_id": "not-yet"},
        {"name": "g", "routing": {"targets": [{"model": "later"}]}},
        {"name": "loop", "routing": {"targets": [{"model": "loop"}]}},
    ]
    accepted = accept(lenient(models=models, api_keys=[{**KEY, "allowed_models": ["later"]}]))
    assert names(accepted, "models") == ["m", "g", "loop"]
    assert accepted.rejected == ()


def test_a_lenient_model_of_no_shape_is_refused_alone_with_its_last_good_value() -> None:
    first = accept(lenient(provider_keys=[ACCOUNT], models=[MODEL]))
    shapeless = {**MODEL, "routing": {"targets": [{"model": "x"}]}}
    later = accept(lenient(provider_keys=[ACCOUNT], models=[shapeless, {"name": "new"}]), last_good=first)
    assert later.rows["models"] == first.rows["models"]
    assert [(one.name, one.serving_last_good) for one in later.rejected] == [("gpt-4o", True), ("new", False)]


def test_problems_of_a_lenient_source_itself_refuse_nothing() -> None:
    document = SourceDocument(
        {"api_keys": [source_row("etcd", 0, KEY)]}, problems=(Problem("/x", "is no JSON"),)
    )
    accepted = accept(Offer("source_etcd", document, strict=False))
    assert names(accepted, "api_keys") == ["k"]
    assert [one.problems[0].message for one in accepted.rejected] == ["is no JSON"]


# ── anything at all ─────────────────────────────────────────────────────────────────────────

WORDS = st.sampled_from(
    "name display_name model key provider provider_key provider_key_id routing targets allowed_models kind "
    "api_key rate_limit ensemble backend order timeout request tls".split()
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "b", "a/b", "*", "shout"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
ROWS = st.dictionaries(
    st.sampled_from(["models", "provider_keys", "api_keys", "guardrails", "cache_policies", "squads", "odd"]),
    st.lists(st.dictionaries(WORDS, ANYTHING, max_size=6), max_size=3),
    max_size=4,
)


@given(ROWS, ROWS)
def test_whatever_rows_say_they_are_accepted_or_refused_with_reasons(
    strict: dict[str, Any], loose: dict[str, Any]
) -> None:
    try:
        accepted = accept(offer(**strict), lenient(**loose))
    except ConfigError as error:
        reasons = error.problems
    else:
        for collection, rows in accepted.rows.items():
            assert all(isinstance(one, Resource) and one.collection == collection for one in rows)
            assert len({one.name for one in rows}) == len(rows)
        return
    assert reasons


@given(ROWS)
def test_a_lenient_source_never_refuses_a_load(loose: dict[str, Any]) -> None:
    accept(lenient(**loose))
