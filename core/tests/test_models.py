"""Model names: what they stand for, where they may go, how long it may take (contracts/aisix-ops.md 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from hookway.models import (
    CompiledModel,
    ModelCompiler,
    Route,
    UpstreamDefaults,
    key_tls,
    read_networks,
    within,
)
from hookway.resources.collections import ResourceRegistry
from hookway.resources.identity import row_id
from hookway.upstream.tls import TlsSettings
from hookway_sdk import (
    Conductor,
    ConfigBroken,
    Deployment,
    InvalidUpstreamConfig,
    NoSettings,
    Provider,
    ProviderUnavailable,
    Resource,
    Row,
    UpstreamTarget,
)
from hookway_sdk.testing import make_services
from hookway_sdk.walker import convert

DEFAULTS = UpstreamDefaults(
    timeout=600.0,
    stream_timeout=None,
    connect_timeout=5.0,
    retries=2,
    tls=TlsSettings(),
    answer_limit=1 << 20,
)


class Ensemble(Row):
    panel: tuple[str, ...] = ()


def row_types() -> Mapping[str, type[Any]]:
    registry = ResourceRegistry()
    registry.plugin = "conductor_ensemble"
    registry.shape("models", key="ensemble", row=Ensemble)
    return {name: one.types[""] for name, one in registry.compose().items() if "" in one.types}


TYPES = row_types()


def resource(collection: str, name: str, **value: Any) -> Resource:
    row = convert({"display_name": name, **value}, TYPES[collection])
    return Resource(collection, row_id(collection, name), name, row, "test")


def account(name: str = "account", **value: Any) -> Resource:
    return resource("provider_keys", name, **{"api_key": "sk", "provider": "acme", **value})


def direct(name: str, model_name: str | None = "upstream-name", **value: Any) -> Resource:
    given = {"provider": "acme", "provider_key_id": row_id("provider_keys", "account"), **value}
    return resource("models", name, **given, **({} if model_name is None else {"model_name": model_name}))


def group(name: str, *targets: str | dict[str, Any], strategy: str = "failover", **value: Any) -> Resource:
    options = value.pop("options", {})
    listed = [{"model": one} if isinstance(one, str) else one for one in targets]
    return resource("models", name, routing={"targets": listed, "strategy": strategy, **options}, **value)


class Acme(Provider[NoSettings]):
    """A provider of the test's own."""

    adapters = ("acme",)
    wires = ("acme.chat", "openai.chat")

    def target(self, deployment: Deployment, wire: str, stream: bool) -> UpstreamTarget:
        return UpstreamTarget(
            f"https://acme.test/{wire}/{stream}", (("x-key", deployment.key.secret.reveal()),)
        )


ACME = Acme("provider_acme", NoSettings(), make_services())


def compiler(
    *resources: Resource,
    defaults: UpstreamDefaults = DEFAULTS,
    closed: Mapping[tuple[str, str], str] | None = None,
    providers: Mapping[str, Provider[Any]] | None = None,
) -> ModelCompiler:
    keys = [one for one in resources if one.collection == "provider_keys"] or [account()]
    models = [one for one in resources if one.collection == "models"]
    known = {"acme": ACME} if providers is None else providers
    return ModelCompiler(models, keys, known, defaults, "x-hookway-", closed or {})


def compiled(name: str, *resources: Resource, **options: Any) -> CompiledModel:
    found = compiler(*resources, **options).compile(name, {})
    assert found is not None
    return found


def upstream_names(model: CompiledModel) -> list[str]:
    return [route.deployment.model for route in model.routes]


def candidates(model: CompiledModel) -> list[str]:
    return [route.name for route in model.routes]


# ── names ───────────────────────────────────────────────────────────────────────────────────


def test_a_name_stands_for_its_row() -> None:
    model = compiled("a", direct("a"), direct("b"))
    assert (model.view.name, model.view.requested, model.view.shape) == ("a", "a", "direct")
    assert model.view.id == row_id("models", "a")
    assert upstream_names(model) == ["upstream-name"]


@pytest.mark.parametrize("name", ["", "A", "a ", "aa", "b"])
def test_another_name_stands_for_nothing(name: str) -> None:
    assert compiler(direct("a")).compile(name, {}) is None


@pytest.mark.parametrize(
    ("requested", "row"),
    [
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("openai/gpt-4o-mini", "openai/gpt-4o*"),
        ("openai/gpt-3", "openai/*"),
        ("openai/gpt-3-mini", "openai/*-mini"),
        ("azure/x", "*"),
        ("openai/", "*"),
    ],
)
def test_an_exact_name_wins_and_then_the_longest_literal_part(requested: str, row: str) -> None:
    rows = ["*", "openai/*", "openai/*-mini", "openai/gpt-4o*", "openai/gpt-4o"]
    for order in (rows, rows[::-1]):
        model = compiled(requested, *(direct(name) for name in order))
        assert (model.view.name, model.view.requested) == (row, requested)


@pytest.mark.parametrize(
    ("row", "model_name", "requested", "upstream"),
    [
        ("openai/*", None, "openai/gpt-4o", "gpt-4o"),
        ("openai/*", "*", "openai/gpt-4o", "gpt-4o"),
        ("eu-*", "deployments/*/x", "eu-gpt", "deployments/gpt/x"),
        ("*-eu", "*", "gpt-eu", "gpt"),
        ("a*z", "[*]", "amidz", "[mid]"),
        ("a*", "fixed", "abc", "fixed"),
        ("*", "*/*", "q", "q/*"),
        ("plain", "with-*-star", "plain", "with-*-star"),
    ],
)
def test_what_the_star_took_goes_into_the_upstream_name(
    row: str, model_name: str | None, requested: str, upstream: str
) -> None:
    assert upstream_names(compiled(requested, direct(row, model_name))) == [upstream]


@pytest.mark.parametrize("requested", ["", "ab", "aba", "abba", "ab*ba", "ab?b"])
def test_a_star_takes_one_letter_at_least_and_none_of_the_literal_part(requested: str) -> None:
    assert compiler(direct("ab*ba", None)).compile(requested, {}) is None
    assert upstream_names(compiled("abXba", direct("ab*ba", None))) == ["X"]


@pytest.mark.parametrize("requested", ["openai/*", "*", "openai/gpt-*"])
def test_a_pattern_is_no_model(requested: str) -> None:
    assert compiler(direct("openai/*", None), direct("*", None)).compile(requested, {}) is None


def test_a_group_may_name_what_a_wildcard_serves() -> None:
    model = compiled("g", group("g", "acme/x", "acme/y"), direct("acme/*", None))
    assert upstream_names(model) == ["x", "y"]
    assert candidates(model) == ["acme/*", "acme/*"]


# ── groups ──────────────────────────────────────────────────────────────────────────────────


def test_a_groups_view_and_options() -> None:
    options = {"max_fallbacks": 1, "retry_on_429": True, "fallback_on_statuses": [401, 404]}
    model = compiled("g", direct("a"), group("g", "a", strategy="dice", options=options))
    assert (model.view.shape, model.view.strategy) == ("routing", "dice")
    assert (model.max_fallbacks, model.retry_on_429, model.fallback_on_statuses) == (1, True, {401, 404})


def test_tiers_come_higher_priority_first_in_row_order() -> None:
    targets: list[dict[str, Any]] = [
        {"model": "a", "priority": 1},
        {"model": "b"},
        {"model": "c", "priority": 5},
        {"model": "d", "priority": 1},
        {"model": "e", "priority": -3},
    ]
    model = compiled("g", *(direct(name) for name in "abcde"), group("g", *targets))
    assert candidates(model) == ["c", "a", "d", "b", "e"]
    assert [route.position for route in model.routes] == [2, 0, 3, 1, 4]
    assert [route.priority for route in model.routes] == [5, 1, 1, 0, -3]


def test_a_weight_of_zero_counts_as_one() -> None:
    targets = [{"model": "a", "weight": 0}, {"model": "a", "weight": 7, "tags": ["eu"]}]
    model = compiled("g", direct("a"), group("g", *targets))
    assert [(route.weight, route.tags) for route in model.routes] == [(1, ()), (7, ("eu",))]


def test_a_group_in_a_group_is_written_out_in_its_place() -> None:
    model = compiled(
        "out",
        *(direct(name) for name in "abcd"),
        group("in", {"model": "b", "priority": 1}, {"model": "c", "priority": 2}),
        group("out", "a", {"model": "in", "weight": 4, "tags": ["t"]}, {"model": "d", "priority": 9}),
    )
    assert candidates(model) == ["d", "a", "c", "b"]
    assert [(route.weight, route.priority, route.tags) for route in model.routes[2:]] == [(4, 0, ("t",))] * 2
    assert [route.position for route in model.routes] == [3, 0, 1, 2]


def test_a_target_that_leads_nowhere_fails_the_request_with_its_name() -> None:
    with pytest.raises(InvalidUpstreamConfig, match='routing target "gone" does not resolve to a model'):
        compiled("g", direct("a"), group("g", "a", "gone"))


def test_a_group_that_contains_itself_fails_the_request() -> None:
    for rows in ([group("g", "g")], [group("g", "h"), group("h", "g")]):
        with pytest.raises(InvalidUpstreamConfig, match="contains itself"):
            compiled("g", *rows)


def test_an_account_that_is_gone_fails_the_request_with_its_name() -> None:
    lost = direct("a", provider_key_id="gone")
    for name in ("a", "g"):
        with pytest.raises(
            InvalidUpstreamConfig, match='model "a" references unknown provider_key_id "gone"'
        ):
            compiled(name, lost, group("g", "a"))


def test_a_group_whose_target_is_no_deployment_fails_the_request() -> None:
    with pytest.raises(InvalidUpstreamConfig, match='routing target "e" is no deployment and no group'):
        compiled("g", resource("models", "e", ensemble={}), group("g", "e"))


# ── other shapes, and what is closed ────────────────────────────────────────────────────────


class Answers(Conductor[Ensemble]):
    """Answers by itself."""

    shape = "ensemble"


def test_a_plugins_shape_has_a_conductor_and_no_routes() -> None:
    model_row = resource("models", "e", ensemble={"panel": ["a"]})
    conductor = Answers("conductor_ensemble", model_row.row.ensemble, model_row, make_services())
    model = compiler(model_row).compile("e", {model_row.id: conductor})
    assert model is not None
    assert (model.view.shape, model.conductor, model.routes) == ("ensemble", conductor, ())


def test_a_closed_model_says_why() -> None:
    row = direct("a")
    assert compiled("a", row, closed={("models", row.id): "its limit is off"}).closed == "its limit is off"


def test_a_model_whose_shapes_plugin_is_off_is_closed_and_not_broken() -> None:
    row = resource("models", "e", ensemble={})
    model = compiled("e", row, closed={("models", row.id): "its plugin is off"})
    assert (model.closed, model.routes) == ("its plugin is off", ())


def test_a_target_whose_shapes_plugin_is_off_leaves_the_others() -> None:
    shut = resource("models", "e", ensemble={})
    closed = {("models", shut.id): "its plugin is off"}
    assert candidates(compiled("g", shut, direct("b"), group("g", "e", "b"), closed=closed)) == ["b"]
    with pytest.raises(ConfigBroken, match="its plugin is off"):
        compiled("g", shut, group("g", "e"), closed=closed)


def test_only_the_closed_target_of_a_group_is_closed() -> None:
    shut = direct("a")
    model = compiled("g", shut, direct("b"), group("g", "a", "b"), closed={("models", shut.id): "shut"})
    assert model.closed == ""
    with pytest.raises(ConfigBroken, match="shut"):
        model.routes[0].road("openai.chat", False)
    assert model.routes[1].road("openai.chat", False).relay


def test_a_closed_account_closes_its_models() -> None:
    key = account()
    model = compiled("a", key, direct("a"), closed={("provider_keys", key.id): "shut"})
    with pytest.raises(ConfigBroken, match="shut"):
        model.routes[0].road("openai.chat", False)


# ── timeouts and retries: the table of 3.2.4 ────────────────────────────────────────────────


def only_route(target: dict[str, Any], outer: dict[str, Any] | None, **deployment: Any) -> Route:
    """Return the one candidate of a model, or of a group with that model."""
    defaults = UpstreamDefaults(
        **{**{name: getattr(DEFAULTS, name) for name in DEFAULTS.__struct_fields__}, **deployment}
    )
    if outer is None:
        return compiled("a", direct("a", **target), defaults=defaults).routes[0]
    options = {"retries": outer["retries"]} if "retries" in outer else {}
    rest = {name: value for name, value in outer.items() if name != "retries"}
    return compiled(
        "g", direct("a", **target), group("g", "a", options=options, **rest), defaults=defaults
    ).routes[0]


@pytest.mark.parametrize(
    ("target", "outer", "total", "explicit"),
    [
        ({}, None, 600.0, False),
        ({}, {}, 600.0, False),
        ({"timeout": 1500}, None, 1.5, True),
        ({"timeout": 1500}, {"timeout": 9000}, 1.5, True),
        ({}, {"timeout": 9000}, 9.0, True),
        ({"timeout": 0}, {"timeout": 9000}, None, True),
        ({"timeout": 0}, None, None, True),
        ({}, {"timeout": 0}, None, True),
    ],
)
def test_the_deadline_of_a_request(
    target: dict[str, Any], outer: dict[str, Any] | None, total: float | None, explicit: bool
) -> None:
    road = only_route(target, outer).road("openai.chat", False)
    assert (road.timeouts.total, road.timeouts.connect) == (total, 5.0)
    assert (road.timeouts.head, road.timeouts.chunk) == (None, None)
    assert road.explicit_timeout is explicit


@pytest.mark.parametrize(
    ("target", "outer", "deployment", "gap", "explicit"),
    [
        ({}, None, {}, 600.0, False),
        ({}, {}, {"stream_timeout": 30.0}, 30.0, False),
        ({}, None, {"timeout": None}, None, False),
        ({"stream_timeout": 1500}, {"stream_timeout": 9000}, {}, 1.5, True),
        ({"stream_timeout": 0}, {"stream_timeout": 9000}, {}, 9.0, True),
        ({}, {"stream_timeout": 9000}, {"stream_timeout": 30.0}, 9.0, True),
        ({"timeout": 2000}, {"stream_timeout": 9000}, {}, 9.0, True),
        ({"timeout": 2000}, {}, {"stream_timeout": 30.0}, 2.0, True),
        ({}, {"timeout": 4000}, {"stream_timeout": 30.0}, 4.0, True),
        ({"timeout": 0}, {"timeout": 4000}, {"stream_timeout": 30.0}, None, True),
        ({"stream_timeout": 0, "timeout": 2000}, {"stream_timeout": 0}, {"stream_timeout": 30.0}, 2.0, True),
        ({"stream_timeout": 0}, {"stream_timeout": 0}, {"stream_timeout": 30.0}, 30.0, False),
    ],
)
def test_the_budget_of_a_stream(
    target: dict[str, Any],
    outer: dict[str, Any] | None,
    deployment: dict[str, Any],
    gap: float | None,
    explicit: bool,
) -> None:
    road = only_route(target, outer, **deployment).road("openai.chat", True)
    assert (road.timeouts.head, road.timeouts.chunk, road.timeouts.total) == (gap, gap, None)
    assert road.timeouts.connect == 5.0
    assert road.explicit_timeout is explicit


@pytest.mark.parametrize(
    ("target", "outer", "retries"),
    [
        ({}, None, None),
        ({}, {}, None),
        ({"retries": 3}, {"retries": 7}, 3),
        ({"retries": 0}, {"retries": 7}, 0),
        ({}, {"retries": 7}, 7),
        ({}, {"retries": 0}, 0),
    ],
)
def test_retries_are_the_targets_or_the_groups_or_left_to_the_deployment(
    target: dict[str, Any], outer: dict[str, Any] | None, retries: int | None
) -> None:
    assert only_route(target, outer).retries == retries


@pytest.mark.parametrize(
    ("target", "inner", "outer", "total", "retries"),
    [
        ({}, {"timeout": 2000, "retries": 1}, {"timeout": 9000, "retries": 5}, 2.0, 1),
        ({}, {}, {"timeout": 9000, "retries": 5}, 9.0, 5),
        ({}, {"timeout": 2000, "retries": 1}, {}, 2.0, 1),
        ({}, {"timeout": 0, "retries": 0}, {"timeout": 9000, "retries": 5}, None, 0),
        ({"timeout": 1000, "retries": 2}, {"timeout": 2000}, {"retries": 5}, 1.0, 2),
    ],
)
def test_the_nearest_group_decides_for_a_group_in_a_group(
    target: dict[str, Any], inner: dict[str, Any], outer: dict[str, Any], total: float | None, retries: int
) -> None:
    def made(name: str, holds: str, said: dict[str, Any]) -> Resource:
        options = {"retries": said["retries"]} if "retries" in said else {}
        return group(
            name, holds, options=options, **{key: one for key, one in said.items() if key != "retries"}
        )

    route = compiled("out", direct("a", **target), made("in", "a", inner), made("out", "in", outer)).routes[0]
    assert route.road("openai.chat", False).timeouts.total == total
    assert route.retries == retries


# ── roads and providers ─────────────────────────────────────────────────────────────────────


def test_equal_wires_are_relayed_and_others_translated_to_the_providers_first() -> None:
    route = compiled("a", direct("a")).routes[0]
    relayed, translated = route.road("openai.chat", False), route.road("anthropic.messages", False)
    assert (relayed.relay, relayed.wire) == (True, "openai.chat")
    assert (translated.relay, translated.wire) == (False, "acme.chat")
    assert route.road("openai.chat", False) is relayed
    assert relayed.head is not None
    assert (relayed.head.target, dict(relayed.head.headers)["x-key"]) == ("/openai.chat/False", "sk")


class Other(Acme):
    """Another provider."""


@pytest.mark.parametrize(
    ("key", "model_provider", "served_by"),
    [
        ({"provider": "acme"}, "other", "acme"),
        ({"provider": "unknown"}, "other", "other"),
        ({"provider": "unknown", "adapter": "acme"}, "unheard", "acme"),
        ({"provider": "", "adapter": "acme"}, "other", "other"),
    ],
)
def test_the_keys_vendor_decides_then_the_models_then_the_keys_adapter(
    key: dict[str, Any], model_provider: str, served_by: str
) -> None:
    providers = {"acme": ACME, "other": Other("provider_other", NoSettings(), make_services())}
    model = compiled("a", account(**key), direct("a", provider=model_provider), providers=providers)
    assert model.routes[0].provider is providers[served_by]


def test_a_vendor_that_nobody_serves_is_unavailable_and_named() -> None:
    route = compiled("a", account(provider="groq"), direct("a"), providers={}).routes[0]
    with pytest.raises(ProviderUnavailable, match="no provider plugin serves 'groq'"):
        route.road("openai.chat", False)


def test_trust_of_an_account_lies_on_top_of_the_deployments() -> None:
    deployment = TlsSettings(ca_file="/ca.pem", client_cert_file="/cert.pem", verify=True)

    def of(**tls: Any) -> TlsSettings:
        return key_tls(account(tls=tls).row.tls, deployment)

    assert of() is deployment
    assert of(ca_cert="PEM") == TlsSettings(
        ca_file="/ca.pem", ca_pem="PEM", client_cert_file="/cert.pem", verify=True
    )
    assert of(verify=False) == TlsSettings(ca_file="/ca.pem", client_cert_file="/cert.pem", verify=False)
    loose = TlsSettings(verify=False)
    assert not key_tls(account(tls={"ca_cert": "PEM", "verify": True}).row.tls, loose).verify


def test_two_accounts_with_different_trust_do_not_share_connections() -> None:
    strict, loose = account("account"), account("loose", tls={"verify": False})
    rows: Sequence[Resource] = (
        strict,
        loose,
        direct("a"),
        direct("b", provider_key_id=loose.id),
    )
    roads = [compiled(name, *rows).routes[0].road("openai.chat", False) for name in "ab"]
    origins = [road.head.origin for road in roads if road.head is not None]
    assert [origin.tls.verify for origin in origins if origin.tls is not None] == [True, False]
    assert origins[0] != origins[1]


# ── networks ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("networks", "address", "inside"),
    [
        ([], "192.0.2.7", True),
        ([], "", True),
        (["192.0.2.0/24"], "192.0.2.7", True),
        (["192.0.2.0/24"], "192.0.3.7", False),
        (["192.0.2.9/24"], "192.0.2.7", True),
        (["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1", True),
        (["10.0.0.0/8"], "2001:db8::1", False),
        (["0.0.0.0/0"], "", False),
        (["0.0.0.0/0"], "not an address", False),
        (["0.0.0.0/0"], "192.0.2.7:80", False),
    ],
)
def test_a_model_is_reachable_from_its_networks_only(networks: list[str], address: str, inside: bool) -> None:
    assert compiled("a", direct("a", allowed_cidrs=networks)).reachable_from(address) is inside


def test_an_unreadable_address_lies_nowhere() -> None:
    networks = read_networks(["0.0.0.0/0", "::/0"])
    assert networks is not None
    assert not within(networks, "nonsense")
    assert within(networks, "::1")
