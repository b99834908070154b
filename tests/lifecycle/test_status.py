"""What the status says follows what happens, and quotes no secret."""

from __future__ import annotations

import json
from typing import Any

from hookway.testing import GatewayFactory, RunningGateway

HIDDEN = "sk-secret-of-a-variable"


def config(running: RunningGateway) -> Any:
    return running.operator("/status/config").json()


def model(**more: Any) -> dict[str, Any]:
    return {"name": "fast", "model": "echo/echo", "key": "none", **more}


def test_a_reload_that_changes_no_row_is_no_change(gateway: GatewayFactory) -> None:
    running = gateway(resources={"models": [model()]})
    before = config(running)["applied"]
    assert running.reload({"observability": {"log_level": "info"}})
    after = config(running)["applied"]
    assert (after["apply_seq"], after["config_hash"]) == (before["apply_seq"], before["config_hash"])
    assert after["revision"] > before["revision"]


def test_a_value_from_a_variable_is_quoted_nowhere(gateway: GatewayFactory) -> None:
    running = gateway(resources={"models": [model()]}, environ={"HIDDEN": HIDDEN})
    gateway.write_resources(0, {"models": [model(retries="${HIDDEN}")]})
    assert not running.reload()
    status = config(running)
    assert status["state"] == "out_of_sync"
    assert "retries" in status["last_failure"]["last_error"]
    assert HIDDEN not in json.dumps(status)
    assert HIDDEN not in json.dumps(running.log)


def test_a_conf_d_that_is_refused_stands_there_until_it_is_right(gateway: GatewayFactory) -> None:
    running = gateway()
    assert not running.reload({"proxy": {"body_timeout": -1}})
    status = config(running)
    assert (status["state"], status["last_reload"]["successful"]) == ("out_of_sync", False)
    assert running.reload({})
    assert config(running)["state"] == "synced"
    assert running.chat("hello").status == 200
