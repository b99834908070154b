"""Rows and fields of plugins that are installed and off: known, and they refuse what they guard."""

from __future__ import annotations

from typing import Any

import pytest

import hookway.testing
from hookway.discovery import Installed
from hookway.testing import KEY, GatewayFactory, RunningGateway
from hookway_sdk import Manifest, ManifestFields, StartError

OTHER_KEY = "hw-test-key-other-0123456789abcdefghijklmno"


class NeverLoaded:
    """The entry point of a plugin that is off."""

    name = "ghost"
    value = "ghost:Ghost"

    def load(self) -> Any:
        raise AssertionError("a plugin that is off was imported")


def manifest(name: str, *resources: ManifestFields) -> Manifest:
    """Return the manifest of a plugin that contributes to resources."""
    return Manifest(name=name, version="1", api=1, resources=resources)


GHOSTS = {
    "guardrail_ghost": manifest(
        "guardrail_ghost", ManifestFields(collection="guardrails", kind="ghost", fields=("mood",))
    ),
    "limit_ghost": manifest(
        "limit_ghost",
        ManifestFields(collection="api_keys", fields=("haunts",)),
        ManifestFields(collection="models", fields=("ghostly",)),
        ManifestFields(collection="ghost_policies", owner=True, fields=("name", "hours")),
    ),
    "conductor_ghost": manifest(
        "conductor_ghost", ManifestFields(collection="models", key="seance", fields=("seance",))
    ),
    "cache_ghost": manifest("cache_ghost", ManifestFields(collection="cache_policies", kind="ghost")),
}


@pytest.fixture(autouse=True)
def ghosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install plugins that nobody switches on."""
    find = hookway.testing.find_installed
    made = {name: Installed(name, f"hookway-{name}", "1", NeverLoaded(), one) for name, one in GHOSTS.items()}
    monkeypatch.setattr(hookway.testing, "find_installed", lambda: find() | made)


def resources(**more: Any) -> dict[str, Any]:
    """Return two echo models, two keys, and further rows; ``model`` and ``key`` are fields of the first."""
    model, key = more.pop("model", {}), more.pop("key", {})
    echo = {"provider": "echo", "model_name": "echo", "provider_key": "echo"}
    return {
        "provider_keys": [{"name": "echo", "provider": "echo", "adapter": "echo", "api_key": "none"}],
        "models": [
            {"name": "one", **({} if "seance" in model else echo), **model},
            {"name": "two", **echo},
        ],
        "api_keys": [
            {"name": "first", "key": KEY, "allowed_models": ["*"], **key},
            {"name": "second", "key": OTHER_KEY, "allowed_models": ["*"]},
        ],
        **more,
    }


def statuses(running: RunningGateway) -> dict[str, int]:
    """Return what each key gets from each model, and from the list of models."""
    found = {}
    for name, key in (("first", KEY), ("second", OTHER_KEY)):
        for model in ("one", "two"):
            body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
            reply = running.post("/v1/chat/completions", body, key=key)
            if reply.status == 503:
                assert reply.json()["error"]["type"] == "config_error"
                assert "_ghost" in reply.json()["error"]["message"]
                assert "is off" in reply.json()["error"]["message"]
            found[f"{name} {model}"] = reply.status
    return found


GOOD = {"first one": 200, "first two": 200, "second one": 200, "second two": 200}
CASES: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "guardrail": (
        "guardrail_ghost",
        {"guardrails": [{"name": "g", "kind": "ghost", "mood": "dark"}]},
        set(GOOD),
    ),
    "field of a key": ("limit_ghost", {"key": {"haunts": "attic"}}, {"first one", "first two"}),
    "field of a model": ("limit_ghost", {"model": {"ghostly": True}}, {"first one", "second one"}),
    "shape of a model": (
        "conductor_ghost",
        {"model": {"seance": {"members": 3}}},
        {"first one", "second one"},
    ),
    # A cache guards nothing: without it everything is only slower.
    "cache": ("cache_ghost", {"cache_policies": [{"name": "c", "backend": "ghost", "ttl": 5}]}, set()),
}


@pytest.mark.parametrize("how", ["not in conf.d", "enabled: false"])
@pytest.mark.parametrize("case", CASES)
def test_what_a_plugin_that_is_off_guards_is_closed(gateway: GatewayFactory, case: str, how: str) -> None:
    plugin, rows, closed = CASES[case]
    entries = {plugin: {"enabled": False}} if how == "enabled: false" else {}
    running = gateway({"plugins": entries}, resources=resources(**rows))
    assert statuses(running) == {name: 503 if name in closed else 200 for name in GOOD}


@pytest.mark.parametrize("case", [one for one in CASES if one != "shape of a model"])
def test_the_operator_may_have_it_ignored(gateway: GatewayFactory, case: str) -> None:
    plugin, rows, _ = CASES[case]
    entries = {plugin: {"enabled": False, "dormant": "ignore"}}
    running = gateway({"plugins": entries}, resources=resources(**rows))
    assert statuses(running) == GOOD


def test_rows_of_a_collection_of_its_own_are_known_and_close_nothing(gateway: GatewayFactory) -> None:
    rows = {"ghost_policies": [{"name": "night", "hours": 8}]}
    running = gateway(resources=resources(**rows))
    assert statuses(running) == GOOD


def test_a_disabled_guardrail_row_of_a_plugin_that_is_off_closes_nothing(gateway: GatewayFactory) -> None:
    rows = {"guardrails": [{"name": "g", "kind": "ghost", "mood": "dark", "enabled": False}]}
    assert statuses(gateway(resources=resources(**rows))) == GOOD


def test_a_kind_that_nobody_knows_is_an_error_with_the_nearest(gateway: GatewayFactory) -> None:
    with pytest.raises(StartError, match="'ghoost'"):
        gateway(resources=resources(guardrails=[{"name": "g", "kind": "ghoost"}]))


def test_a_field_that_nobody_knows_is_an_error_with_file_and_line(gateway: GatewayFactory) -> None:
    with pytest.raises(StartError, match="hauntz") as told:
        gateway(resources=resources(key={"hauntz": "attic"}))
    assert "resources.yaml:1" in str(told.value)
    assert "did you mean 'haunts'?" in str(told.value)


def test_a_model_of_a_vendor_that_is_off_is_closed(gateway: GatewayFactory) -> None:
    running = gateway({"vendors": {"echo": False}}, resources=resources())
    reply = running.chat("hello", model="one")
    assert reply.status == 503
    assert reply.json()["error"]["type"] == "config_error"
