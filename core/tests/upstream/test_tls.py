"""Who the provider is, is checked; who we are, is shown; and settings that cannot hold are refused early."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from hookway.upstream import TlsContexts, TlsSettings
from hookway_sdk.errors import InvalidUpstreamConfig, TransportFailed
from hookway_sdk.testing.scripted_upstream import Cut, Delay, Reply, ScriptedUpstream, sse_reply


def local(upstream: ScriptedUpstream, host: str = "localhost") -> str:
    """The upstream's address under a name its certificate holds."""
    return f"https://{host}:{upstream.port}/"


@pytest.mark.parametrize("how", ["ca_file", "ca_pem"])
async def test_an_added_authority_is_trusted(lab: Any, certificates: Any, how: str) -> None:
    trust = TlsSettings(**{how: str(certificates.ca) if how == "ca_file" else certificates.ca.read_text()})
    body = bytes(range(256)) * 4096
    echo = Reply(body=body)
    async with ScriptedUpstream(default=echo, tls=certificates.server_context()) as upstream, lab() as it:
        for _ in range(3):
            assert await it.ask(local(upstream), body, tls=trust) == (200, body)
        assert await it.ask(local(upstream, "127.0.0.1"), tls=trust) == (200, body)
    assert upstream.requests[0].body == body
    assert upstream.requests[0].header("host") == f"localhost:{upstream.port}"
    assert upstream.connections == 2


async def test_an_unknown_authority_is_refused_before_anything_is_sent(lab: Any, certificates: Any) -> None:
    async with ScriptedUpstream(tls=certificates.server_context()) as upstream, lab() as it:
        with pytest.raises(TransportFailed, match="certificate verify failed") as failed:
            await it.ask(local(upstream), connect=5)
    assert not failed.value.sent
    assert upstream.requests == []


async def test_a_certificate_for_another_name_is_refused(lab: Any, certificates: Any) -> None:
    trust = TlsSettings(ca_file=str(certificates.ca))
    async with ScriptedUpstream(tls=certificates.server_context(), host="127.0.0.2") as upstream, lab() as it:
        with pytest.raises(TransportFailed, match=r"certificate verify failed: .* mismatch"):
            await it.ask(local(upstream, "127.0.0.2"), tls=trust)


async def test_checking_can_be_switched_off(lab: Any, certificates: Any) -> None:
    server = certificates.server_context()
    async with ScriptedUpstream([Reply(body=b"x")], tls=server) as upstream, lab() as it:
        assert await it.ask(local(upstream), tls=TlsSettings(verify=False)) == (200, b"x")


async def test_connections_of_different_settings_are_not_shared(lab: Any, certificates: Any) -> None:
    trust = TlsSettings(ca_file=str(certificates.ca))
    async with ScriptedUpstream(default=Reply(), tls=certificates.server_context()) as upstream, lab() as it:
        await it.ask(local(upstream), tls=TlsSettings(verify=False))
        await it.ask(local(upstream), tls=trust)
        with pytest.raises(TransportFailed, match="certificate"):
            await it.ask(local(upstream))
    assert {request.connection for request in upstream.requests} == {1, 2}


async def test_a_client_certificate_is_shown(lab: Any, certificates: Any) -> None:
    trust = TlsSettings(ca_file=str(certificates.ca))
    ours = TlsSettings(
        ca_file=str(certificates.ca),
        client_cert_file=str(certificates.client),
        client_key_file=str(certificates.client_key),
    )
    server = certificates.server_context(ask_client=True)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's handshake error
    async with ScriptedUpstream(default=Reply(body=b"x"), tls=server) as upstream, lab() as it:
        assert await it.ask(local(upstream), tls=ours) == (200, b"x")
        with pytest.raises(TransportFailed, match=r"tls failed|connection"):
            await it.ask(local(upstream), tls=trust)
    assert len(upstream.requests) == 1


async def test_a_server_without_tls_is_a_transport_failure(lab: Any) -> None:
    async with ScriptedUpstream() as upstream, lab() as it:
        with pytest.raises(TransportFailed, match=r"tls failed|connection") as failed:
            await it.ask(local(upstream), connect=5)
        upstream.faults.clear()  # a TLS greeting is no request
    assert not failed.value.sent


async def test_streams_retries_and_aborts_work_over_tls(lab: Any, notes: Any, certificates: Any) -> None:
    trust = TlsSettings(ca_file=str(certificates.ca))
    frames = [b"data: %d\n\n" % index for index in range(5)]
    script = [sse_reply(frames), Cut(), Reply(body=b"again"), [Reply(body=[b"x", Delay(5), b"y"])]]
    async with ScriptedUpstream(script, tls=certificates.server_context()) as upstream, lab() as it:
        receiver = notes()
        (await it.open(local(upstream), tls=trust)).start(receiver)
        await receiver.over.wait()
        assert receiver.body == b"".join(frames) + b"data: [DONE]\n\n"
        assert await it.ask(local(upstream), b"x", tls=trust) == (200, b"again")
        response = await it.open(local(upstream), tls=trust)
        began = time.monotonic()
        response.abort()
        assert (await upstream.wait_disconnect(2)).time - began < 2
    assert upstream.connections == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "ca_file cannot be read: no such file"),
        ("", "ca_file holds no certificate"),
        ("-----BEGIN PRIVATE KEY-----\n", "ca_file holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nabcd\n-----END CERTIFICATE-----\n", "ca_file is not a valid pem"),
    ],
)
def test_a_bundle_without_certificates_is_refused(tmp_path: Path, content: str | None, words: str) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(InvalidUpstreamConfig, match=words) as refused:
        TlsContexts().get(TlsSettings(ca_file=str(bundle)))
    assert str(tmp_path) not in refused.value.message
    if content is not None:
        with pytest.raises(InvalidUpstreamConfig, match="the inline ca certificate"):
            TlsContexts().get(TlsSettings(ca_pem=content))


def test_a_client_certificate_that_cannot_be_used_is_refused(certificates: Any) -> None:
    with pytest.raises(InvalidUpstreamConfig, match="without client_cert_file"):
        TlsContexts().get(TlsSettings(client_key_file=str(certificates.client_key)))
    for key in (certificates.server_key, certificates.ca, None):
        settings = TlsSettings(
            client_cert_file=str(certificates.client), client_key_file=str(key) if key is not None else None
        )
        with pytest.raises(InvalidUpstreamConfig, match="the client certificate cannot be used"):
            TlsContexts().get(settings)


def test_a_context_is_loaded_once_for_equal_settings() -> None:
    contexts = TlsContexts()
    assert contexts.get(TlsSettings(verify=False)) is contexts.get(TlsSettings(verify=False))
    assert contexts.get(TlsSettings()) is not contexts.get(TlsSettings(verify=False))


async def test_a_pause_stops_the_provider_over_tls_too(lab: Any, notes: Any, certificates: Any) -> None:
    trust = TlsSettings(ca_file=str(certificates.ca))
    size = 16 << 20
    reply = Reply(body=[b"x" * 65536] * (size // 65536))
    async with ScriptedUpstream([reply], tls=certificates.server_context()) as upstream, lab() as it:
        response = await it.open(local(upstream), tls=trust)
        receiver = notes(lambda chunk: response.pause() if len(receiver.chunks) == 1 else None)
        response.start(receiver)
        await asyncio.sleep(0.2)
        assert len(receiver.chunks) == 1
        assert not receiver.over.is_set()
        response.resume()
        await asyncio.wait_for(receiver.over.wait(), 20)
    assert len(receiver.body) == size
