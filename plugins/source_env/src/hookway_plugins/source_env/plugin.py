"""Rows made of environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from hookway_sdk import Place, Services, Settings, Source, SourceDocument, SourceRow
from hookway_sdk.scalars import VariableText
from hookway_sdk.shared_resources import NonEmpty, ProviderName


class VendorVariables(Settings):
    """Which variables make a vendor's account.

    Args:
        key: variable with the credential; set, it brings the vendor's models.
        base_url: variable with the root of the vendor's API, for a proxy or a region of one's own.
        api_base: root of the vendor's API where that variable is unset.
        adapter: wire family, where the vendor's name does not say it.
    """

    key: NonEmpty
    base_url: NonEmpty | None = None
    api_base: NonEmpty | None = None
    adapter: NonEmpty | None = None


BUILT_IN = Place("source_env")
"""Where rows stand that are always there."""

STANDARD: Mapping[str, VendorVariables] = {
    "openai": VendorVariables(key="OPENAI_API_KEY", base_url="OPENAI_BASE_URL"),
}
"""The vendors that need no setting; the names are those of their own client libraries."""


class EnvSourceSettings(Settings):
    """Settings under ``plugins.source_env``.

    Args:
        vendors: variables by vendor, beside those of OpenAI; ``null`` leaves a vendor out.
        echo: bring the model ``echo``, which answers without any vendor.
    """

    vendors: Mapping[ProviderName, VendorVariables | None] = msgspec.field(default_factory=dict)
    echo: bool = True


class EnvSource(Source[EnvSourceSettings]):
    """Brings ``vendor/*`` for each vendor whose key is in the environment, and the model ``echo``.

    It gives way to any other source that has rows. It brings no API key: the core makes the first one.

    Args:
        environment: the variables; those of the process, read at each load, unless a test brings its own.
    """

    strict = True
    yields = True

    def __init__(
        self,
        name: str,
        settings: EnvSourceSettings,
        services: Services,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name, settings, services)
        self._environment = os.environ if environment is None else environment

    async def load(self) -> SourceDocument:
        """Read the variables; the revision names those that were found."""
        provider_keys: list[SourceRow] = []
        models: list[SourceRow] = []
        found: list[str] = []
        for vendor, variables in {**STANDARD, **self.settings.vendors}.items():
            if variables is not None and self._get(variables.key):
                found += (name for name in (variables.key, variables.base_url) if name and self._get(name))
                provider_keys.append(self._account(vendor, variables))
                models.append(model_row(f"{vendor}/*", vendor, "*", variable_place(variables.key)))
        if self.settings.echo:
            # A provider key needs a credential, also where nobody asks for it.
            account = {"display_name": "echo", "provider": "echo", "adapter": "echo", "api_key": "none"}
            provider_keys.append(SourceRow(account, place=BUILT_IN))
            models.append(model_row("echo", "echo", "echo", BUILT_IN))
        return SourceDocument({"provider_keys": provider_keys, "models": models}, revision=",".join(found))

    def _account(self, vendor: str, variables: VendorVariables) -> SourceRow:
        value = {"display_name": vendor, "provider": vendor}
        value["api_key"] = VariableText(self._get(variables.key))
        place = variable_place(variables.key)
        places: dict[tuple[str | int, ...], Place] = {("api_key",): place}
        if variables.base_url and self._get(variables.base_url):
            value["api_base"] = VariableText(self._get(variables.base_url))
            places[("api_base",)] = variable_place(variables.base_url)
        elif variables.api_base:
            value["api_base"] = variables.api_base
        if variables.adapter:
            value["adapter"] = variables.adapter
        return SourceRow(value, places, place)

    def _get(self, variable: str) -> str:
        """Return a variable's value; one that is empty, or blank, counts as unset."""
        return self._environment.get(variable, "").strip()


def model_row(name: str, vendor: str, upstream: str, place: Place) -> SourceRow:
    """Return a deployment whose account has the vendor's name."""
    value = {"display_name": name, "provider": vendor, "model_name": upstream, "provider_key": vendor}
    return SourceRow(value, place=place)


def variable_place(variable: str) -> Place:
    """Return how messages name a variable."""
    return Place(f"environment variable {variable}")
