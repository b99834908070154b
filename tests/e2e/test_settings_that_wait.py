"""A reload applies what it can, and says what has to wait for the next start."""

from __future__ import annotations

import json
from pathlib import Path

from hookway.config.restart_only import READ_ONCE, value_at
from hookway.config.settings import RootSettings
from hookway.testing import GatewayFactory


def test_every_key_that_is_read_once_exists() -> None:
    for key in READ_ONCE:
        value_at(RootSettings(), key)


def test_a_changed_listener_is_announced_and_the_log_level_changes_at_once(
    gateway: GatewayFactory, tmp_path: Path
) -> None:
    running = gateway()
    changed = {"proxy": {"addr": "127.0.0.1:1"}, "observability": {"log_level": "warning"}}
    (tmp_path / "gateway0" / "conf.d" / "30-changed.yaml").write_text(json.dumps(changed))
    assert running.run(running.gateway.control.reload_everything())
    (line,) = [one for one in running.log if one["event"] == "settings take effect at the next start"]
    assert line["keys"] == ["proxy.addr"]
    assert running.chat("still here").status == 200
    assert running.log[-1]["level"] in ("warning", "error")
