"""Which variables bring which rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hookway_plugins.source_env import EnvSource
from hookway_sdk import ConfigError, SourceDocument, SourceRow, walker
from hookway_sdk.shared_resources import SHARED
from hookway_sdk.testing.contracts.source import SourceContract
from hookway_sdk.testing.services import RecordingServices, make_services

ECHO_ROWS = {
    "provider_keys": [{"display_name": "echo", "provider": "echo", "adapter": "echo", "api_key": "none"}],
    "models": [{"display_name": "echo", "provider": "echo", "model_name": "echo", "provider_key": "echo"}],
}


def make(environment: Mapping[str, str], **settings: Any) -> EnvSource:
    return EnvSource("source_env", walker.convert(settings, EnvSource.Settings), make_services(), environment)


async def load(environment: Mapping[str, str], **settings: Any) -> SourceDocument:
    return await make(environment, **settings).load()


def values(document: SourceDocument) -> dict[str, list[Any]]:
    return {collection: [row.value for row in rows] for collection, rows in document.rows.items()}


def row_of(document: SourceDocument, collection: str, name: str) -> SourceRow:
    return next(row for row in document.rows[collection] if row.value["display_name"] == name)


class TestContract(SourceContract):
    plugin = EnvSource

    def make(self, services: RecordingServices | None = None) -> EnvSource:
        environment = {"OPENAI_API_KEY": "key-of-a-test"}
        return EnvSource(self.token(), EnvSource.Settings(), services or self.services(), environment)


async def test_without_any_variable_there_is_the_model_echo() -> None:
    document = await load({})
    assert values(document) == ECHO_ROWS
    assert document.revision == ""


async def test_a_key_of_openai_brings_all_of_its_models() -> None:
    document = await load({"OPENAI_API_KEY": "key-of-a-test"}, echo=False)
    assert values(document) == {
        "provider_keys": [{"display_name": "openai", "provider": "openai", "api_key": "key-of-a-test"}],
        "models": [
            {
                "display_name": "openai/*",
                "provider": "openai",
                "model_name": "*",
                "provider_key": "openai",
            }
        ],
    }
    assert document.revision == "OPENAI_API_KEY"


async def test_a_base_url_leads_the_account_elsewhere() -> None:
    environment = {"OPENAI_API_KEY": "key-of-a-test", "OPENAI_BASE_URL": " http://127.0.0.1:9/v1\n"}
    document = await load(environment)
    account = row_of(document, "provider_keys", "openai")
    assert account.value["api_base"] == "http://127.0.0.1:9/v1"
    assert document.revision == "OPENAI_API_KEY,OPENAI_BASE_URL"


async def test_a_base_url_alone_brings_nothing() -> None:
    assert values(await load({"OPENAI_BASE_URL": "http://127.0.0.1:9"})) == ECHO_ROWS


@pytest.mark.parametrize("value", ["", " ", "\n"])
async def test_a_blank_key_counts_as_unset(value: str) -> None:
    assert values(await load({"OPENAI_API_KEY": value})) == ECHO_ROWS


async def test_blanks_around_a_key_are_cut_off() -> None:
    document = await load({"OPENAI_API_KEY": " key-of-a-test\r\n"})
    assert row_of(document, "provider_keys", "openai").value["api_key"] == "key-of-a-test"


async def test_further_vendors_are_added_to_the_standard_one() -> None:
    environment = {"OPENAI_API_KEY": "key-1", "ACME_KEY": "key-2", "ACME_URL": "https://acme.example/eu"}
    acme = {
        "key": "ACME_KEY",
        "base_url": "ACME_URL",
        "adapter": "openai",
        "api_base": "https://acme.example",
    }
    document = await load(environment, vendors={"acme": acme})
    assert [row.value["display_name"] for row in document.rows["models"]] == ["openai/*", "acme/*", "echo"]
    assert row_of(document, "provider_keys", "acme").value == {
        "display_name": "acme",
        "provider": "acme",
        "api_key": "key-2",
        "api_base": "https://acme.example/eu",
        "adapter": "openai",
    }
    del environment["ACME_URL"]
    document = await load(environment, vendors={"acme": acme})
    assert row_of(document, "provider_keys", "acme").value["api_base"] == "https://acme.example"


async def test_the_standard_vendor_can_be_changed_and_left_out() -> None:
    environment = {"OPENAI_API_KEY": "key-1", "TEAM_KEY": "key-2"}
    changed = await load(environment, vendors={"openai": {"key": "TEAM_KEY"}})
    assert row_of(changed, "provider_keys", "openai").value["api_key"] == "key-2"
    left_out = await load(environment, vendors={"openai": None})
    assert values(left_out) == ECHO_ROWS


async def test_variables_are_read_at_each_load() -> None:
    environment: dict[str, str] = {}
    source = make(environment)
    await source.load()
    environment["OPENAI_API_KEY"] = "key-of-a-test"
    assert "openai/*" in [row.value["display_name"] for row in (await source.load()).rows["models"]]


async def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-a-test")
    document = await EnvSource("source_env", EnvSource.Settings(), make_services()).load()
    assert row_of(document, "provider_keys", "openai").value["api_key"] == "key-of-a-test"


async def test_a_mistake_names_the_variable_and_not_its_value() -> None:
    document = await load({"OPENAI_API_KEY": "key-of-a-test", "OPENAI_BASE_URL": "secret-host"})
    account = row_of(document, "provider_keys", "openai")
    assert str(account.place) == "environment variable OPENAI_API_KEY"
    assert str(account.places[("api_base",)]) == "environment variable OPENAI_BASE_URL"
    for field in ("api_key", "api_base"):
        (finding,) = walker.check(account.value[field], int)
        assert account.value[field] not in finding.message


async def test_what_it_brings_are_rows_of_the_shared_collections() -> None:
    document = await load({"OPENAI_API_KEY": "key-of-a-test"})
    for collection, rows in document.rows.items():
        for row in rows:
            written = {
                ("provider_key_id" if key == "provider_key" else key): one for key, one in row.value.items()
            }
            assert walker.check(written, SHARED[collection].row) == []


def test_it_gives_way_to_other_sources() -> None:
    assert EnvSource.yields


@pytest.mark.parametrize(
    "vendors", [{"Acme": {"key": "K"}}, {"acme": {}}, {"acme": {"key": ""}}, {"acme": {"kee": "K"}}]
)
def test_a_vendor_that_cannot_be_is_refused(vendors: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        make({}, vendors=vendors)
