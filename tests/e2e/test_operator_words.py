"""Words an operator writes and their effect: a time limit, a trace, a listener's certificate."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import urllib.request
from pathlib import Path

import pytest

from hookway.testing import KEY, GatewayFactory
from hookway_sdk import Exchange, Plugin, hookimpl


class Slow(Plugin):
    """Take a second over every request."""

    @hookimpl
    async def authorize(self, exchange: Exchange) -> None:
        await asyncio.sleep(1.0)


def test_a_plugin_that_is_too_slow_fails_as_its_phase_says(gateway: GatewayFactory) -> None:
    running = gateway({"plugins": {"auth_slow": {"timeout": 0.05}}}, plugins={"auth_slow": Slow})
    answer = running.chat("hello")
    assert (answer.status, answer.json()["error"]["type"]) == (500, "internal_error")


def test_a_slow_plugin_that_may_fail_is_passed_over(gateway: GatewayFactory) -> None:
    words = {"timeout": "50ms", "on_error": "open"}
    running = gateway({"plugins": {"auth_slow": words}}, plugins={"auth_slow": Slow})
    assert running.chat("hello").status == 200


def test_a_key_that_is_traced_explains_its_requests_in_the_log(gateway: GatewayFactory) -> None:
    key = {"name": "traced", "key": KEY, "allowed_models": ["*"], "trace": True}
    echo = {"name": "echo", "provider": "echo", "model_name": "echo", "provider_key": "echo"}
    account = {"name": "echo", "provider": "echo", "api_key": "none"}
    running = gateway(resources={"api_keys": [key], "models": [echo], "provider_keys": [account]})
    assert running.chat("a secret prompt").status == 200
    (line,) = [one for one in running.log if one["event"] == "trace"]
    assert any(one["step"] == "echo" and "answered" in one["effect"] for one in line["entries"])
    assert "secret prompt" not in json.dumps(running.log)


def test_the_listener_serves_https_with_its_own_certificate(gateway: GatewayFactory, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name]
    try:
        subprocess.run([*make, "-keyout", key, "-out", cert], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs the openssl command")
    tls = {"cert_file": str(cert), "key_file": str(key)}
    running = gateway({"proxy": {"tls": tls}})
    request = urllib.request.Request(
        f"https://{running.host}:{running.port}/v1/models", headers={"authorization": f"Bearer {KEY}"}
    )
    trust = ssl.create_default_context(cafile=cert)
    with urllib.request.urlopen(request, context=trust, timeout=10) as answer:
        assert [model["id"] for model in json.load(answer)["data"]] == ["echo"]
