"""Through a gateway: what its status says as resources come, break and are mended."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
from pathlib import Path
from typing import Any

import pytest

from hookway.testing import GatewayFactory, RunningGateway

NEEDED = (
    "admin_status",
    "auth_keys",
    "dialect_openai",
    "provider_echo",
    "source_file",
    "store_memory",
    "strategy_failover",
)
UNWATCHED: dict[str, Any] = {"plugins": {"source_file": {"watch": 0}}}
HIDDEN = "sk-hidden-0123456789abcdef"
ECHO = {"name": "echo", "model": "echo/echo", "key": HIDDEN}
GROUP = {"name": "group", "routing": {"targets": [{"model": "echo"}]}}
CALLER = {"name": "caller", "key": "hw-caller-0123456789", "allowed_models": ["*"]}
GOOD: dict[str, Any] = {"models": [ECHO, GROUP], "api_keys": [CALLER]}


@pytest.fixture
def running(gateway: GatewayFactory) -> RunningGateway:
    return gateway(UNWATCHED, resources=GOOD, only=NEEDED)


def ask(running: RunningGateway, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    """Return status, content type and body of an answer on the metrics listener."""
    address = running.gateway.serve.operator_addresses["metrics"]
    connection = http.client.HTTPConnection(address.host, address.port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type", ""), answer.read()
    finally:
        connection.close()


def config(running: RunningGateway) -> dict[str, Any]:
    status, kind, body = ask(running, "/status/config")
    assert (status, kind) == (200, "application/json")
    answer: dict[str, Any] = json.loads(body)
    return answer


def reload(running: RunningGateway) -> bool:
    return running.run(running.gateway.control.reload_everything())


def test_a_gateway_that_serves_is_ready(running: RunningGateway) -> None:
    status, kind, body = ask(running, "/status/ready")
    assert (status, kind.partition(";")[0], body) == (200, "text/plain", b"ok")


@pytest.mark.parametrize("path", ["/status/ready", "/status/config", "/status/models"])
def test_head_is_a_get_without_a_body(running: RunningGateway, path: str) -> None:
    status, kind, _ = ask(running, path)
    assert ask(running, path, "HEAD") == (status, kind, b"")


@pytest.mark.parametrize("path", ["/status/ready", "/status/config", "/status/models"])
def test_nothing_can_be_written(running: RunningGateway, path: str) -> None:
    assert ask(running, path, "POST")[0] == 405


def test_other_paths_are_none(running: RunningGateway) -> None:
    assert ask(running, "/status")[0] == 404
    assert running.get("/status/ready").status == 404


def test_what_serves_is_told(running: RunningGateway, tmp_path: Path) -> None:
    answer = config(running)
    assert (answer["state"], answer["last_failure"], answer["rejected"]) == ("synced", None, [])
    data = (tmp_path / "gateway0" / "resources.yaml").read_bytes()
    assert (answer["source"]["type"], answer["source"]["source_hash"]) == (
        "file",
        hashlib.sha256(data).hexdigest(),
    )
    applied = answer["applied"]
    assert (applied["apply_seq"], applied["revision"]) == (1, 1)
    assert applied["resource_counts"]["models"] == 2
    assert re.fullmatch("[0-9a-f]{64}", applied["config_hash"])
    assert answer["last_reload"]["successful"] is True
    assert config(running) == answer


def test_models_are_told_in_their_order(running: RunningGateway) -> None:
    status, kind, body = ask(running, "/status/models")
    assert (status, kind) == (200, "application/json")
    echo, group = json.loads(body)
    assert (echo["display_name"], echo["kind"], echo["status"]) == ("echo", "direct", "healthy")
    assert (group["display_name"], group["kind"], group["status"]) == ("group", "routing", "not_applicable")


BROKEN: dict[str, tuple[str, Any]] = {
    "no yaml": ("non_json", f"models: [{{name: x, key: {HIDDEN}"),
    "an unknown field": ("schema_failed", {"models": [ECHO, {**ECHO, "name": "fast", "timeoutt": 3}]}),
    "a secret under another name": ("schema_failed", {"models": [{**ECHO, "keyy": HIDDEN}]}),
    "a list for a secret": ("schema_failed", {"models": [{**ECHO, "key": [HIDDEN]}]}),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_is_told_without_its_secrets_and_so_is_its_mending(
    running: RunningGateway, gateway: GatewayFactory, tmp_path: Path, how: str
) -> None:
    before = config(running)
    kind, resources = BROKEN[how]
    text = resources if isinstance(resources, str) else json.dumps(resources)
    (tmp_path / "gateway0" / "resources.yaml").write_text(text)
    assert not reload(running)

    broken = config(running)
    assert broken["state"] == "out_of_sync"
    assert broken["last_reload"]["successful"] is False
    assert broken["last_failure"]["last_error_kind"] == kind
    assert "resources.yaml" in broken["last_failure"]["last_error"]
    assert {one["last_error_kind"] for one in broken["rejected"]} == {kind}
    assert broken["applied"] == before["applied"]
    assert HIDDEN not in json.dumps(broken)
    assert ask(running, "/status/ready")[0] == 200

    gateway.write_resources(0, GOOD)
    assert reload(running)
    mended = config(running)
    assert (mended["state"], mended["rejected"]) == ("synced", [])
    assert mended["last_reload"]["successful"] is True
    assert mended["last_failure"] == broken["last_failure"]
    assert mended["applied"]["config_hash"] == before["applied"]["config_hash"]


def test_a_broken_row_of_a_file_is_told_by_kind_and_name(running: RunningGateway, tmp_path: Path) -> None:
    resources = {"models": [ECHO, {**ECHO, "name": "fast", "timeoutt": 3}]}
    (tmp_path / "gateway0" / "resources.yaml").write_text(json.dumps(resources))
    assert not reload(running)
    (row,) = config(running)["rejected"]
    assert (row["resource_kind"], row["resource_name"]) == ("models", "fast")
    assert "timeoutt" in row["last_error"]


def test_a_change_of_what_serves_is_counted(running: RunningGateway, gateway: GatewayFactory) -> None:
    before = config(running)["applied"]
    gateway.write_resources(0, {"models": [ECHO], "api_keys": [CALLER]})
    assert reload(running)
    after = config(running)["applied"]
    assert after["apply_seq"] == before["apply_seq"] + 1
    assert after["config_hash"] != before["config_hash"]
    assert after["resource_counts"]["models"] == 1
