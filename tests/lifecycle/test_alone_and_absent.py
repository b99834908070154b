"""The core without any plugin, each plugin alone, and each one missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hookway.config.configuration import load_configuration
from hookway.discovery import find_installed
from hookway.gateway import Gateway
from hookway.testing import GatewayFactory, RunningGateway

INSTALLED = sorted(find_installed())
DEFAULTS = tuple(
    name for name, entry in load_configuration(None, {}).settings.plugins.items() if entry.enabled
)


def test_the_core_serves_probes_without_any_plugin(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10-test.yaml").write_text(
        json.dumps({"proxy": {"addr": "127.0.0.1:0"}, "state_dir": str(tmp_path / "state")})
    )
    running = RunningGateway(lambda log: Gateway(tmp_path / "conf.d", {}, installed={}, log=log), [], "")
    try:
        assert running.gateway.serve.runtime.plugins == {}
        check_bare(running)
    finally:
        running.close()


def check_bare(running: RunningGateway) -> None:
    """Fail unless a gateway has its probes and nothing else."""
    for probe in ("/livez", "/readyz"):
        reply = running.get(probe)
        assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert running.request("HEAD", probe).status == 200
    for method, path in (
        ("GET", "/"),
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("PUT", "/x"),
    ):
        reply = running.request(method, path, {} if method != "GET" else None)
        assert reply.status == 404
        assert reply.json()["error"]["type"] == "not_found"


def test_without_any_installed_plugin_switched_on_there_are_only_probes(gateway: GatewayFactory) -> None:
    check_bare(gateway(only=()))


@pytest.mark.parametrize("name", INSTALLED)
def test_each_plugin_boots_alone(gateway: GatewayFactory, name: str) -> None:
    running = gateway(only=(name,))
    assert set(running.gateway.serve.runtime.plugins) == {name, "sink_recorder"}
    assert running.get("/readyz").status == 200
    # Whatever it serves, nobody gets in while nothing authenticates.
    for method, path, _ in running.gateway.serve.runtime.routes.items():
        expected = 401 if not name.startswith("auth_") else 200
        assert running.request(method, path, {} if method == "POST" else None).status == expected


@pytest.mark.parametrize("name", INSTALLED)
def test_the_rest_boots_without_it(gateway: GatewayFactory, name: str) -> None:
    running = gateway(only=tuple(one for one in DEFAULTS if one != name))
    assert name not in running.gateway.serve.runtime.plugins
    assert running.get("/readyz").status == 200
    reply = running.chat("hello")
    assert reply.status < 500 or reply.json()["error"]["type"] in ("provider_unavailable", "config_error")


SCRIPT = """
import asyncio, json, sys
from pathlib import Path
from hookway.gateway import Gateway

async def main():
    gateway = Gateway(Path(sys.argv[1]), {})
    await gateway.start()
    on = sorted(gateway.serve.runtime.plugins)
    await gateway.stop()
    print(json.dumps([on, sorted(name for name in sys.modules if name.startswith("hookway_plugins."))]))

asyncio.run(main())
"""


def modules_with(directory: Path, on: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the plugins of a gateway in a process of its own, and the modules of plugins it imported."""
    settings = {
        "proxy": {"addr": "127.0.0.1:0"},
        "state_dir": str(directory / "state"),
        "shutdown": {"min_drain_secs": 0},
        "plugins": {name: {"enabled": name in on} for name in INSTALLED},
    }
    (directory / "10-test.yaml").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(directory)], capture_output=True, text=True, timeout=30, check=True
    )
    plugins, modules = json.loads(done.stdout.splitlines()[-1])
    return plugins, modules


@pytest.mark.parametrize("on", [(), ("store_memory",), ("auth_keys", "strategy_failover")], ids=str)
def test_nothing_of_a_plugin_that_is_off_is_imported(tmp_path: Path, on: tuple[str, ...]) -> None:
    plugins, modules = modules_with(tmp_path, on)
    assert plugins == sorted(on)
    assert {name.split(".")[1] for name in modules} == set(on)
