"""A deployment to call the provider with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hookway_plugins.provider_openai import OpenAIProvider
from hookway_sdk import Deployment, NoSettings, ProviderKey, Secret

MakeDeployment = Callable[..., Deployment]


@pytest.fixture
def make_deployment() -> MakeDeployment:
    def make(
        *,
        api_base: str = "http://127.0.0.1:9/v1",
        provider: str = "acme",
        secret: str = "sk-test",
        model: str = "gpt-4o",
        vendor: str = "",
    ) -> Deployment:
        key = ProviderKey("k", "my key", provider, "openai", api_base, Secret(secret))
        return Deployment("d", "fast", model, vendor, key)

    return make


@pytest.fixture
def provider() -> OpenAIProvider:
    # The provider's functions are pure: no service is ever asked for.
    return OpenAIProvider("provider_openai", NoSettings(), None)  # type: ignore[arg-type]
