"""``hookway export``: what it prints loads to the same resources, and holds no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from hookway.cli.export import Exporter
from hookway.cli.main import main
from hookway.testing import GatewayFactory
from hookway_sdk import Guardrail, Resource, Row, Secret, fragment

SECRETS = ["sk-one", "sk-$two", "${NOT_A_VARIABLE}", "sk-four"]

RESOURCES: dict[str, Any] = {
    "provider_keys": [
        {
            "name": "account",
            "provider": "openai",
            "api_key": "sk-one",
            "api_base": "http://127.0.0.1:1/v1",
            "request": {
                "default_headers": {"x-id": "$${request.id}", "x-price": "5$$"},
                "default_body_fields": {"user": "a$$b", "nested": {"list": [1, None, True]}},
                "param_constraints": {"temperature_max": 0.5},
                "forward_client_headers": ["x-*"],
            },
            "tls": {"verify": False},
        },
        {"name": "a b", "provider": "openai", "api_key": "sk-$$two"},
        {"name": "a_b", "provider": "openai", "api_key": "$${NOT_A_VARIABLE}"},
    ],
    "models": [
        {"name": "short", "model": "openai/gpt-4o", "key": "sk-four", "timeout": 0},
        {
            "name": "long",
            "provider": "openai",
            "model_name": "gpt-4o",
            "provider_key": "account",
            "retries": 2,
        },
        {"name": "wild/*", "provider": "openai", "provider_key": "a b", "allowed_cidrs": ["10.0.0.0/8"]},
        {
            "name": "group",
            "routing": {
                "targets": [
                    {"model": "long", "priority": 2},
                    {"model": "wild/x", "weight": 3, "tags": ["eu"]},
                ],
                "retries": 0,
                "fallback_on_statuses": [429],
            },
        },
    ],
    "api_keys": [
        {"name": "alice", "allowed_models": ["long", "wild/*"], "key_hash": "ab" * 32, "team_id": "red"}
    ],
}


def write_conf(directory: Path, resources: dict[str, Any] | str) -> list[str]:
    """Write a conf.d and a resources file; return the options of a command that reads them."""
    conf = directory / "conf.d"
    conf.mkdir(parents=True)
    file = directory / "resources.yaml"
    file.write_text(resources if isinstance(resources, str) else json.dumps(resources))
    (conf / "10.yaml").write_text(json.dumps({"plugins": {"source_file": {"path": str(file)}}}))
    return ["--conf-d", str(conf), "--state-dir", str(directory / "state")]


def exported(capsys: pytest.CaptureFixture[str], options: list[str], *more: str) -> tuple[str, str]:
    assert main(["export", *options, *more]) == 0
    return capsys.readouterr()


def rows_of(gateway: GatewayFactory, resources: Any, **environ: str) -> dict[str, dict[str, Resource]]:
    running = gateway(resources=resources, environ=environ)
    found = running.gateway.serve.runtime.snapshot.resources.rows
    return {name: {one.name: one for one in rows} for name, rows in found.items()}


def plain(row: Any) -> Any:
    """Return a row as plain data, secrets in clear; each gateway composes types of its own."""
    return msgspec.to_builtins(
        row, enc_hook=lambda value: value.reveal() if isinstance(value, Secret) else str(value)
    )


def test_what_is_exported_loads_to_the_same_resources(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], gateway: GatewayFactory
) -> None:
    before = rows_of(gateway, RESOURCES)
    text, notes = exported(capsys, write_conf(tmp_path / "one", RESOURCES))
    variables = notes.partition("placeholders: ")[2].strip().split(", ")
    assert len(variables) == len(set(variables)) == len(SECRETS)
    after = rows_of(gateway, yaml.safe_load(text), **dict(zip(variables, SECRETS, strict=True)))
    assert {name: list(rows) for name, rows in after.items()} == {
        name: list(rows) for name, rows in before.items()
    }
    for collection, rows in before.items():
        for name, one in rows.items():
            assert after[collection][name].id == one.id
            assert plain(after[collection][name].row) == plain(one.row)


def test_an_export_of_an_export_is_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    revealed, _ = exported(capsys, write_conf(tmp_path / "one", RESOURCES), "--reveal-secrets")
    again, _ = exported(capsys, write_conf(tmp_path / "two", revealed), "--reveal-secrets")
    assert again == revealed


def test_no_secret_is_printed_unless_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = write_conf(tmp_path, RESOURCES)
    text, notes = exported(capsys, options)
    for secret in SECRETS:
        assert secret not in text + notes
    assert notes.startswith("4 secret value(s) were replaced with ${VAR} placeholders: HOOKWAYSECRET_")
    text, notes = exported(capsys, options, "--reveal-secrets")
    assert notes == ""
    assert [row["api_key"] for row in yaml.safe_load(text)["provider_keys"]] == [
        *("sk-one", "sk-$$two", "$${NOT_A_VARIABLE}", "sk-four")
    ]


def test_the_long_form_is_shown_without_what_nobody_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = yaml.safe_load(exported(capsys, write_conf(tmp_path, RESOURCES))[0])
    assert document["_format_version"] == "1"
    assert document["models"][0] == {
        "display_name": "short",
        "provider": "openai",
        "model_name": "gpt-4o",
        "timeout": 0,
        "provider_key": "short (key)",
    }


def test_configuration_that_is_wrong_is_not_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = write_conf(tmp_path, {"models": [{"name": "a", "routing": {"targets": [{"model": "gone"}]}}]})
    assert main(["export", *options]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert 'unknown model "gone"' in err


class Vault(Row):
    keys: tuple[Secret, ...] = ()
    named: dict[str, Secret] = msgspec.field(default_factory=dict)


class Keeper(Guardrail[Vault]):
    """Keeps secrets."""


def test_secrets_in_lists_and_maps_have_variables_of_their_own(gateway: GatewayFactory) -> None:
    row = {"name": "g", "kind": "keeper", "keys": ["one", "two"], "named": {"a-b": "three", "a_b": "four"}}
    running = gateway(resources={"guardrails": [row]}, plugins={"guardrail_keeper": Keeper})
    [resource] = running.gateway.serve.runtime.snapshot.rows("guardrails")
    assert fragment(resource.row, Vault).keys == (Secret("one"), Secret("two"))
    exporter = Exporter(reveal=False)
    written = exporter.row(resource, {})
    placeholders = [*written["keys"], *written["named"].values()]
    assert len(set(placeholders)) == 4
    assert [one[2:-1] for one in placeholders] == exporter.variables
