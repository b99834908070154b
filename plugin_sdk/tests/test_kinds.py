"""Kinds take their settings and rows from their type argument, and register their rows themselves."""

from __future__ import annotations

import asyncio
import inspect
from typing import Generic, TypeVar

import pytest

import hookway_sdk
from hookway_sdk import (
    Auth,
    Budget,
    Cache,
    Conductor,
    EntryKind,
    Envelope,
    Guardrail,
    Kind,
    Limit,
    NoSettings,
    Op,
    Plugin,
    PluginError,
    Provider,
    RemoteGuardrail,
    RequestView,
    Row,
    RowKind,
    Settings,
    Sink,
    priorities,
)
from hookway_sdk.errors import InvalidRequest
from hookway_sdk.kinds.base import API
from hookway_sdk.messages import ChatRequest
from hookway_sdk.settings import Settings as SettingsBase
from hookway_sdk.testing import ListedRegistry, make_deployment, make_resource, make_services

KINDS = [
    one
    for one in vars(hookway_sdk).values()
    if inspect.isclass(one) and issubclass(one, Kind) and one not in (Kind, EntryKind, RowKind)
]


class SomeSettings(Settings):
    size: int = 1


class SomeRow(Row):
    share: float = 0.5


class Own(Row):
    title: str


class WithSettings(Sink[SomeSettings]):
    pass


class WithRow(Guardrail[SomeRow]):
    def prepare(self) -> None:
        if self.row.share > 1:
            raise ValueError("share is a part of the whole")


SettingsT = TypeVar("SettingsT", bound=SettingsBase)


class Half(Sink[SettingsT], Generic[SettingsT]):
    """A base of further sinks."""


def test_settings_and_rows_come_from_the_type_argument() -> None:
    assert WithSettings.Settings is SomeSettings
    assert WithRow.Row is SomeRow


def test_a_kind_without_type_argument_has_no_settings() -> None:
    class Plain(Sink):  # type: ignore[type-arg]
        pass

    assert Plain.Settings is NoSettings


def test_a_type_argument_reaches_through_a_generic_base_and_on_to_subclasses() -> None:
    class Whole(Half[SomeSettings]):
        pass

    class More(Whole):
        pass

    assert Whole.Settings is SomeSettings
    assert More.Settings is SomeSettings


def test_a_plugin_takes_its_settings_from_the_type_argument() -> None:
    class Several(Plugin[SomeSettings]):
        pass

    assert Several.Settings is SomeSettings
    plugin = Several("tool_several", SomeSettings(size=3), make_services())
    assert (plugin.name, plugin.settings.size) == ("tool_several", 3)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_has_its_word_and_interface(kind: type[Kind]) -> None:
    assert kind.kind
    assert kind.kind.isidentifier()
    assert kind.api == API
    assert kind.needs == ()
    assert 0 < kind.priority < 1000
    assert kind.__doc__


def test_words_of_kinds_are_shared_only_by_the_two_sorts_of_guardrail() -> None:
    words = [kind.kind for kind in KINDS]
    twice = {word for word in words if words.count(word) > 1}
    assert twice == {"guardrail"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_public_method_of_a_kind_is_documented(kind: type[Kind]) -> None:
    for name, method in inspect.getmembers(kind, callable):
        if not name.startswith("_") and not inspect.isclass(method):
            assert inspect.getdoc(method), f"{kind.__name__}.{name}"


def test_instances_know_their_name_settings_and_services() -> None:
    services = make_services("sink_some")
    sink = WithSettings("sink_some", SomeSettings(), services)
    assert (sink.name, sink.settings.size, sink.services) == ("sink_some", 1, services)


def test_a_row_is_prepared_when_its_instance_is_made() -> None:
    row = SomeRow(share=0.1)
    resource = make_resource("guardrails", row, name="quiet")
    guardrail = WithRow("guardrail_some", row, resource, make_services())
    assert (guardrail.row.share, guardrail.resource.name) == (0.1, "quiet")
    with pytest.raises(ValueError, match="part of the whole"):
        WithRow("guardrail_some", SomeRow(share=2.0), resource, make_services())


def test_kinds_with_rows_add_the_variant_that_is_named_like_the_plugin() -> None:
    registry = ListedRegistry("guardrail_shout")
    WithRow.register_resources(registry)
    assert registry.variants == {("guardrails", "shout"): SomeRow}

    class Memory(Cache[SomeRow]):
        pass

    registry = ListedRegistry("cache_memory")
    Memory.register_resources(registry)
    assert registry.variants == {("cache_policies", "memory"): SomeRow}

    class Panel(Conductor[SomeRow]):
        shape = "panel"

    registry = ListedRegistry("conductor_panel")
    Panel.register_resources(registry)
    assert registry.shapes == {("models", "panel"): SomeRow}


def test_usual_places_in_the_chain_are_given_by_the_kind() -> None:
    assert (Limit.priority, Budget.priority) == (priorities.LIMIT, priorities.BUDGET)
    assert (Guardrail.priority, RemoteGuardrail.priority) == (priorities.GUARD_LOCAL, priorities.GUARD_REMOTE)
    assert Sink.priority == priorities.LAST
    assert issubclass(Budget, Limit)
    assert issubclass(Op, hookway_sdk.Dialect)


def test_a_provider_that_does_not_translate_refuses_and_signs_nothing() -> None:
    class Relay(Provider[NoSettings]):
        pass

    provider = Relay("provider_relay", NoSettings(), make_services())
    with pytest.raises(InvalidRequest, match="provider_relay"):
        provider.encode(ChatRequest(model="m", messages=()), make_deployment())
    assert provider.framer() is None
    target = hookway_sdk.UpstreamTarget("http://127.0.0.1:9/")
    assert asyncio.run(provider.sign(make_deployment(), target, b"")) == ()


def test_what_an_author_has_to_write_says_so_when_it_is_missing() -> None:
    class Lazy(Auth[NoSettings]):
        pass

    auth = Lazy("auth_lazy", NoSettings(), make_services())
    with pytest.raises(NotImplementedError):
        asyncio.run(auth.authenticate(None, None))  # type: ignore[arg-type]


def test_a_request_without_texts_has_none_and_counts_its_bytes() -> None:
    envelope: Envelope = hookway_sdk.open_envelope(b'{"input":"abc","n":1}')
    view = RequestView("m", False, envelope)
    assert view.texts() == ()
    assert view.sealed() is envelope
    assert view.size() == len(b'"abc"') + len(b"1")
    with pytest.raises(NotImplementedError):
        view.canonical()


def test_a_registry_of_the_test_kit_refuses_what_a_gateway_refuses() -> None:
    registry = ListedRegistry("guardrail_x")
    refused = (
        lambda: registry.collection("models", SomeRow),
        lambda: registry.collection("mine", SomeRow, identity="name"),
        lambda: registry.variant("models", kind="x", row=SomeRow),
        lambda: registry.variant("guardrails", kind="", row=SomeRow),
        lambda: registry.variant("no_such", kind="x", row=SomeRow),
        lambda: registry.shape("models", key="routing", row=SomeRow),
        lambda: registry.fields("api_keys", Own),
    )
    for attempt in refused:
        with pytest.raises(PluginError, match="guardrail_x"):
            attempt()
    registry.collection("mine", Own, identity="title")
    registry.fields("mine", SomeRow)
    with pytest.raises(PluginError):
        registry.fields("mine", Own)
