"""Manifests say what the code says: for every installed plugin, and for hooks and kinds of all sorts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookway.discovery import Installed, find_installed
from hookway.manifests import hooks_of, make_manifest, manifest_path, render
from hookway.testing import TestEntryPoint
from hookway_sdk import (
    Conductor,
    Exchange,
    Guardrail,
    Kind,
    Limit,
    Manifest,
    NoSettings,
    Plugin,
    PluginError,
    Registry,
    Row,
    Service,
    Settings,
    Tokens,
    hookimpl,
)

INSTALLED = find_installed()


@pytest.mark.parametrize("name", sorted(INSTALLED))
def test_the_manifest_of_every_installed_plugin_is_current(name: str) -> None:
    one = INSTALLED[name]
    assert manifest_path(one).read_bytes() == render(make_manifest(one)), "run: hookway manifests"
    assert one.manifest is not None
    assert render(one.manifest) == render(make_manifest(one))


def of(cls: type[Kind] | type[Plugin[Any]], name: str = "limit_mine") -> Manifest:
    return make_manifest(Installed(name, "this test", "1.2", TestEntryPoint(name, cls)))


class Loud(Settings):
    """Settings.

    Args:
        volume: how loud.
    """

    volume: int = 3


class ShoutRow(Row):
    """Fields.

    Args:
        max_share: how much may be capitals.
    """

    max_share: float = 0.8


class Shout(Guardrail[ShoutRow]):
    """Refuse shouting."""


class Panel(Row):
    panel: tuple[str, ...] = ()


class Ensemble(Conductor[Panel]):
    """Ask several."""

    shape = "ensemble"


class Rate(Row):
    rpm: int | None = None


class Count(Limit[Loud]):
    """Count requests."""

    needs = (Tokens,)

    @classmethod
    def register_resources(cls, registry: Registry) -> None:
        registry.fields("api_keys", Rate)
        registry.fields("models.routing", Panel)


class Counter(Service[NoSettings]):
    """Count tokens."""

    provides = Tokens


class Several(Plugin[Loud]):
    """Several kinds and hooks.

    More words.
    """

    kinds = (Count, Shout)

    @hookimpl
    async def authorize(self, exchange: Exchange) -> None:
        """Nothing."""

    @hookimpl
    async def admit_request(self, exchange: Exchange) -> None:
        """Nothing."""


def test_a_kind_alone_is_described_by_its_own_words() -> None:
    found = of(Shout, "guardrail_shout")
    assert (found.name, found.version, found.api, found.summary) == (
        "guardrail_shout",
        "1.2",
        1,
        "Refuse shouting.",
    )
    assert (found.kinds, found.hooks) == (("guardrail",), ())
    [fields] = found.resources
    assert (fields.collection, fields.kind, fields.fields) == ("guardrails", "shout", ("max_share",))
    assert "how much may be capitals." in str(fields.schema)


def test_a_plugin_of_several_kinds_lists_all_of_them() -> None:
    found = of(Several)
    assert found.summary == "Several kinds and hooks."
    assert found.kinds == ("guardrail", "limit")
    assert found.hooks == ("authorize", "admit_request")
    assert found.needs == ("Tokens",)
    assert [(one.collection, one.kind, one.fields) for one in found.resources] == [
        ("api_keys", "", ("rpm",)),
        ("models.routing", "", ("panel",)),
        ("guardrails", "limit_mine", ("max_share",)),
    ]
    assert "how loud." in str(found.settings)


def test_shapes_and_services_are_listed() -> None:
    shape = of(Ensemble, "conductor_ensemble").resources[0]
    assert (shape.collection, shape.key, shape.fields) == ("models", "ensemble", ("ensemble",))
    assert of(Counter, "service_tokens").provides == ("Tokens",)


def test_hooks_are_those_that_a_plugin_implements_itself() -> None:
    assert hooks_of(Several) == ["authorize", "admit_request"]
    assert hooks_of(Plugin) == []

    class Registers(Plugin[NoSettings]):
        """Registers by itself."""

        @classmethod
        @hookimpl
        def register_resources(cls, registry: Registry) -> None:
            registry.fields("api_keys", Rate)

    assert hooks_of(Registers) == ["register_resources"]
    assert [one.fields for one in of(Registers).resources] == [("rpm",)]


class Greedy(Limit[NoSettings]):
    """Takes what is the SDK's."""

    @classmethod
    def register_resources(cls, registry: Registry) -> None:
        class Taken(Row):
            allowed_models: tuple[str, ...] = ()

        registry.fields("api_keys", Taken)


def test_what_a_gateway_would_refuse_has_no_manifest() -> None:
    with pytest.raises(PluginError, match="field 'allowed_models' of 'api_keys' belongs to the SDK"):
        of(Greedy)


def test_a_manifest_is_the_same_each_time_and_reads_back() -> None:
    written = render(of(Several))
    assert written == render(of(Several))
    assert written.endswith(b"}\n")
    assert render(msgspec.json.decode(written, type=Manifest)) == written
