"""One complete configuration: chains per caller, bounded caches, and what is closed."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hookway import snapshot as module
from hookway.chains import Step
from hookway.models import ModelCompiler, UpstreamDefaults
from hookway.resources.acceptance import ResourceSet
from hookway.resources.collections import ResourceRegistry
from hookway.resources.identity import row_id
from hookway.snapshot import (
    CALLER_PHASES,
    KEPT,
    CallerChains,
    RowStep,
    Snapshot,
    SnapshotCompiler,
    SnapshotParts,
    refuse_if_closed,
)
from hookway.upstream.tls import TlsSettings
from hookway_sdk import Compiled, ConfigBroken, OnError, Phase, Principal, Resource, Scope
from hookway_sdk.testing import make_principal
from hookway_sdk.walker import convert

TYPES = {name: one.types[""] for name, one in ResourceRegistry().compose().items() if "" in one.types}
DEFAULTS = UpstreamDefaults(
    timeout=None, stream_timeout=None, connect_timeout=None, retries=0, tls=TlsSettings(), answer_limit=1
)


def resource(collection: str, name: str, **value: Any) -> Resource:
    row = convert({"display_name": name, **value}, TYPES[collection])
    return Resource(collection, row_id(collection, name), name, row, "test")


ACCOUNT = resource("provider_keys", "account", api_key="sk")


def direct(name: str, **value: Any) -> Resource:
    return resource("models", name, provider="acme", model_name="m", provider_key_id=ACCOUNT.id, **value)


ROWS: tuple[Resource, ...] = (
    ACCOUNT,
    direct("zeta"),
    direct("alpha"),
    direct("wild/*"),
    resource("api_keys", "alice", allowed_models=["*"]),
)


def step(name: str, priority: int = 500, order: int = 0) -> Step:
    return Step(priority, order, name, name, print, OnError.CLOSED)


class ForSome:
    """A row's kind that applies to some callers only."""

    def __init__(self, **wanted: str) -> None:
        self.wanted = wanted
        self.asked: list[Scope] = []

    def applies(self, scope: Scope) -> bool:
        self.asked.append(scope)
        return all(getattr(scope, field) == value for field, value in self.wanted.items())


def snapshot(
    *resources: Resource,
    closed: dict[tuple[str, str], str] | None = None,
    shared: dict[Phase, list[Step]] | None = None,
    rows: list[RowStep] | None = None,
    closed_for_all: str = "",
) -> Snapshot:
    by_collection: dict[str, tuple[Resource, ...]] = {}
    for one in resources or ROWS:
        by_collection[one.collection] = (*by_collection.get(one.collection, ()), one)
    accepted = ResourceSet(by_collection, closed or {})
    models = ModelCompiler(
        by_collection.get("models", ()),
        by_collection.get("provider_keys", ()),
        {},
        DEFAULTS,
        "x-hookway-",
        accepted.closed,
    )
    return Snapshot(7, SnapshotParts(accepted, models, {}, shared or {}, rows or [], closed_for_all))


def chains(of: Snapshot, model: str, principal: Principal) -> CallerChains:
    found = of.model(model)
    assert found is not None
    return of.chains(found, principal)


# ── rows ────────────────────────────────────────────────────────────────────────────────────


def test_rows_are_found_by_name_and_id_in_the_order_of_their_sources() -> None:
    made = snapshot()
    assert [one.name for one in made.rows("models")] == ["zeta", "alpha", "wild/*"]
    assert made.find("models", "alpha") is ROWS[2]
    assert made.by_id("provider_keys", ACCOUNT.id) is ACCOUNT
    assert made.find("models", "gone") is made.by_id("models", "gone") is made.find("gone", "alpha") is None
    assert made.rows("gone") == ()
    assert made.revision == 7


def test_callers_are_shown_names_in_order_and_no_wildcards() -> None:
    assert snapshot().model_names() == [("alpha", "acme"), ("zeta", "acme")]


def test_what_plugins_compiled_is_found_by_its_key() -> None:
    key: Compiled[dict[str, int]] = Compiled("limit_rate.table")
    made = snapshot()
    with pytest.raises(KeyError):
        made.compiled(key)
    SnapshotCompiler(made, {}).put(key, {"a": 1})
    assert made.compiled(key) == {"a": 1}


def test_a_row_that_a_plugin_rejects_is_closed_and_remembered() -> None:
    made = snapshot()
    compiler = SnapshotCompiler(made, {})
    compiler.reject(ROWS[4], "its hash is no hash")
    assert compiler.rejected == [(ROWS[4], "its hash is no hash")]
    with pytest.raises(ConfigBroken, match="api_keys 'alice' cannot be used: its hash is no hash"):
        refuse_if_closed(chains(made, "alpha", make_principal(ROWS[4].id)))


# ── models ──────────────────────────────────────────────────────────────────────────────────


def test_a_model_is_compiled_once() -> None:
    made = snapshot()
    assert made.model("alpha") is made.model("alpha")
    assert made.model("wild/a") is not made.model("wild/b")
    assert made.model("gone") is None


def test_names_that_callers_invent_do_not_fill_the_memory() -> None:
    made = snapshot()
    alice = make_principal()
    for number in range(KEPT + 100):
        chains(made, f"wild/{number}", alice)
        assert made.model(f"unknown-{number}") is None
    assert len(made._models) <= KEPT
    assert len(made._chains) <= KEPT
    for number in range(KEPT + 100):
        made.any_chains(make_principal(f"key-{number}"))
    assert len(made._chains) <= KEPT


def test_what_was_thrown_out_is_made_again_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    made = snapshot(shared={Phase.FILTER: [step("f")]})
    first = chains(made, "wild/a", make_principal())
    for name in ("wild/b", "wild/c", "wild/d"):
        chains(made, name, make_principal())
    again = chains(made, "wild/a", make_principal())
    assert again is not first
    assert again.filter == first.filter


# ── chains ──────────────────────────────────────────────────────────────────────────────────


def test_the_chains_of_a_caller_are_compiled_once() -> None:
    kind = ForSome()
    made = snapshot(rows=[RowStep(cast("Any", kind), {Phase.INSPECT_REQUEST: step("g")})])
    alice, bob = make_principal("alice"), make_principal("bob", team_id="red")
    first = chains(made, "alpha", alice)
    assert chains(made, "alpha", alice) is first
    assert chains(made, "alpha", bob) is not first
    assert chains(made, "zeta", alice) is not first
    assert kind.asked == [
        Scope(row_id("models", "alpha"), "alice", ""),
        Scope(row_id("models", "alpha"), "bob", "red"),
        Scope(row_id("models", "zeta"), "alice", ""),
    ]


def test_shared_steps_and_rows_that_apply_stand_in_one_order() -> None:
    everyone = RowStep(cast("Any", ForSome()), {Phase.INSPECT_REQUEST: step("row-b", 100, order=2)})
    red = RowStep(cast("Any", ForSome(team_id="red")), {Phase.INSPECT_REQUEST: step("row-a", 100, order=1)})
    shared = {Phase.INSPECT_REQUEST: [step("hook", 50), step("late", 900)], Phase.FILTER: [step("f")]}
    made = snapshot(shared=shared, rows=[everyone, red])

    def names(principal: Principal) -> list[str]:
        return [one.name for one in chains(made, "alpha", principal).inspect_request]

    assert names(make_principal("a", team_id="red")) == ["hook", "row-a", "row-b", "late"]
    assert names(make_principal("a")) == ["hook", "row-b", "late"]
    assert [one.name for one in chains(made, "alpha", make_principal()).filter] == ["f"]
    assert chains(made, "alpha", make_principal()).store == ()


def test_every_phase_that_depends_on_the_caller_has_its_own_chain() -> None:
    made = snapshot(shared={phase: [step(phase.value)] for phase in Phase})
    found = chains(made, "alpha", make_principal())
    for phase in CALLER_PHASES:
        assert [one.name for one in getattr(found, phase.value)] == [phase.value]


def test_an_endpoint_without_a_model_has_chains_of_its_own() -> None:
    kind = ForSome(model_id="")
    made = snapshot(rows=[RowStep(cast("Any", kind), {Phase.INSPECT_REQUEST: step("g")})])
    assert [one.name for one in made.any_chains(make_principal()).inspect_request] == ["g"]
    assert chains(made, "alpha", make_principal()).inspect_request == ()
    assert made.any_chains(make_principal()) is made.any_chains(make_principal())


# ── access ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("allowed", "requested", "permitted"),
    [
        (("*",), "alpha", True),
        (("alpha",), "alpha", True),
        (("alpha",), "zeta", False),
        ((), "alpha", False),
        (("wild/*",), "wild/gpt", True),
        (("wild/gpt",), "wild/gpt", True),
        (("wild/gpt",), "wild/other", False),
        (("al*",), "alpha", True),
        (("zeta", "alpha"), "alpha", True),
        (("**",), "alpha", False),
    ],
)
def test_access_compares_the_name_that_was_asked_for(
    allowed: tuple[str, ...], requested: str, permitted: bool
) -> None:
    assert chains(snapshot(), requested, make_principal(allowed_models=allowed)).allowed is permitted


def test_two_callers_under_one_key_do_not_share_what_they_may_use() -> None:
    made = snapshot()
    narrow, wide = make_principal("k", allowed_models=("zeta",)), make_principal("k", allowed_models=("*",))
    assert not chains(made, "alpha", narrow).allowed
    assert chains(made, "alpha", wide).allowed
    assert not chains(made, "alpha", narrow).allowed


# ── what is closed ──────────────────────────────────────────────────────────────────────────


def test_a_closed_key_is_refused_everywhere_and_others_are_not() -> None:
    alice = row_id("api_keys", "alice")
    made = snapshot(closed={("api_keys", alice): "its limit is off"})
    for found in (chains(made, "alpha", make_principal(alice)), made.any_chains(make_principal(alice))):
        with pytest.raises(ConfigBroken, match="its limit is off"):
            refuse_if_closed(found)
    refuse_if_closed(chains(made, "alpha", make_principal("bob")))


def test_a_closed_model_is_refused_for_everyone() -> None:
    made = snapshot(closed={("models", row_id("models", "alpha")): "its provider is off"})
    with pytest.raises(ConfigBroken, match="its provider is off"):
        refuse_if_closed(chains(made, "alpha", make_principal()))
    refuse_if_closed(chains(made, "zeta", make_principal()))


def test_a_guardrail_that_cannot_run_closes_everything() -> None:
    made = snapshot(closed_for_all="guardrail 'g' cannot run")
    for found in (chains(made, "alpha", make_principal()), made.any_chains(make_principal())):
        with pytest.raises(ConfigBroken, match="guardrail 'g' cannot run"):
            refuse_if_closed(found)
