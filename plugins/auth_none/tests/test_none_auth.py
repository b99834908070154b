"""Everyone is let in, as one principal."""

from __future__ import annotations

from typing import Any

import pytest

from hookway_plugins.auth_none import NoneAuth
from hookway_sdk import ConfigError, Credential, Principal, Secret, walker
from hookway_sdk.testing.contracts.auth import AuthContract
from hookway_sdk.testing.exchanges import make_exchange
from hookway_sdk.testing.services import make_services

KEY = Credential("bearer", Secret("whatever"))


def make(**settings: Any) -> NoneAuth:
    return NoneAuth("auth_none", walker.convert(settings, NoneAuth.Settings), make_services("auth_none"))


class TestContract(AuthContract):
    plugin = NoneAuth
    good = (None, KEY)
    lets_everyone_in = True


@pytest.mark.parametrize("credential", [None, KEY])
async def test_everyone_is_the_same_principal_and_may_use_every_model(credential: Credential | None) -> None:
    found = await make().authenticate(make_exchange(anonymous=True), credential)
    assert found == Principal("anonymous", key_name="anonymous", method="none", allowed_models=("*",))


async def test_name_and_models_are_settings() -> None:
    auth = make(key_id="desk", allowed_models=["echo"])
    found = await auth.authenticate(make_exchange(anonymous=True), None)
    assert (found.key_id, found.key_name, found.allowed_models) == ("desk", "desk", ("echo",))


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(ConfigError):
        make(key_id="")


def test_it_asks_the_core_for_loopback() -> None:
    assert NoneAuth.loopback_only


def test_it_stands_behind_plugins_that_know_callers() -> None:
    assert NoneAuth.priority > NoneAuth.__base__.priority
