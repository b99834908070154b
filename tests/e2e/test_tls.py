"""A listener with a certificate."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import Any

import openai
import pytest
from callers import HELLO
from watched import Watched

from hookway_sdk import StartError


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A certificate of its own authority for 127.0.0.1, as ``proxy.tls`` wants it."""
    home = tmp_path_factory.mktemp("certificate")
    files = {"cert_file": str(home / "cert.pem"), "key_file": str(home / "key.pem")}
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=gateway"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    out = ["-keyout", files["key_file"], "-out", files["cert_file"]]
    subprocess.run([*command.split(), *names, *out], check=True, capture_output=True)
    return files


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_the_sdk_talks_to_it(start: Watched, certificate: dict[str, str], streams: bool) -> None:
    running = start({"proxy": {"tls": certificate}})
    trust = ssl.create_default_context(cafile=certificate["cert_file"])
    async with openai.AsyncOpenAI(
        base_url=f"https://{running.host}:{running.port}/v1",
        api_key=running.key,
        http_client=openai.DefaultAsyncHttpxClient(verify=trust),
        max_retries=0,
    ) as client:
        got: Any = await client.chat.completions.create(model="echo", messages=HELLO, stream=streams)
        if streams:
            text = "".join([one.choices[0].delta.content or "" async for one in got])
        else:
            text = got.choices[0].message.content
    assert text == "say hello"


def test_who_speaks_no_tls_gets_no_answer(start: Watched, certificate: dict[str, str]) -> None:
    running = start({"proxy": {"tls": certificate}})
    with pytest.raises(ConnectionError):
        running.get("/livez")


@pytest.mark.parametrize("missing", ["cert_file", "key_file"])
def test_a_certificate_that_cannot_be_read_refuses_the_start(
    start: Watched, certificate: dict[str, str], missing: str, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "nowhere.pem")
    with pytest.raises(StartError, match=r"nowhere\.pem"):
        start({"proxy": {"tls": {**certificate, missing: nowhere}}})
