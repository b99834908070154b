"""HTTP for plugins, and what a caller's URL must not reach."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from typing import Any

import pytest

from hookway.upstream import TlsSettings
from hookway.upstream.dialing import Resolver
from hookway.upstream.http_client import HttpClient
from hookway.upstream.public_addresses import is_public
from hookway_sdk.errors import (
    InvalidRequest,
    InvalidUpstreamConfig,
    PermissionDenied,
    TransportFailed,
    UpstreamTimeout,
    UpstreamTooLarge,
)
from hookway_sdk.testing.scripted_upstream import Reply, ScriptedUpstream, Stall, json_reply


class FixedResolver(Resolver):
    """Answers with given addresses, the first list first."""

    def __init__(self, *answers: list[str]) -> None:
        super().__init__(time.monotonic)
        self.answers = list(answers)

    async def resolve(self, host: str, port: int) -> Sequence[Any]:
        """Give the next answer; the last one again and again."""
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, (address, port)) for address in addresses]


async def test_a_plugin_asks_and_reads_the_answer_whole(lab: Any) -> None:
    async with ScriptedUpstream([json_reply({"a": 1}, 201, [("X-Tag", "t")])]) as upstream, lab() as it:
        client = HttpClient(it.transport)
        answer = await client.request(
            "PUT", upstream.url + "/p?q=1", headers=[("Authorization", "Bearer k")], body=b"hello"
        )
    assert (answer.status, answer.body) == (201, b'{"a":1}')
    assert (answer.header("x-tag"), answer.header("X-None")) == ("t", "")
    request = upstream.requests[0]
    assert (request.method, request.target, request.body) == ("PUT", "/p?q=1", b"hello")
    assert request.header("authorization") == "Bearer k"


async def test_time_and_size_are_bounded(lab: Any) -> None:
    async with ScriptedUpstream([Stall(), Reply(body=b"x" * 11)]) as upstream, lab() as it:
        client = HttpClient(it.transport)
        with pytest.raises(UpstreamTimeout):
            await client.request("GET", upstream.url, timeout=0.05)
        with pytest.raises(UpstreamTooLarge):
            await client.request("GET", upstream.url, limit=10)


async def test_a_url_that_cannot_be_sent_is_an_error_of_whoever_gave_it(lab: Any) -> None:
    async with lab() as it:
        client = HttpClient(it.transport)
        for url in (
            "ftp://a.example/",
            "//a.example",
            "http://u:p@a.example/",
            "http:///x",
            "http://a:99999/",
        ):
            with pytest.raises(InvalidUpstreamConfig):
                await client.request("GET", url)
            with pytest.raises(InvalidRequest) as refused:
                await client.request("GET", url, caller_supplied=True)
            assert "configuration" not in refused.value.message
            assert "p@" not in refused.value.message


NOT_PUBLIC = [
    "127.0.0.1",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:8.8.8.8]",
    "[fe80::1]",
    "[fc00::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[::7f00:1]",
]


async def test_a_callers_url_reaches_only_public_addresses(lab: Any) -> None:
    async with ScriptedUpstream() as upstream, lab() as it:
        client = HttpClient(it.transport)
        outcomes = {}
        for host in NOT_PUBLIC:
            url = f"http://{host}:{upstream.port}/"
            asking = client.request("GET", url, caller_supplied=True, timeout=2)
            outcomes[host] = (await asyncio.gather(asking, return_exceptions=True))[0]
    reached = [host for host, outcome in outcomes.items() if not isinstance(outcome, PermissionDenied)]
    assert reached == []
    assert upstream.connections == 0


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::200e"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", ["not an address", "", "fe80::1%eth0"])
def test_what_is_no_address_is_not_public(address: str) -> None:
    assert not is_public(address)


async def test_one_bad_address_among_good_ones_refuses_the_url(lab: Any) -> None:
    async with lab() as it:
        client = HttpClient(it.transport, resolver=FixedResolver(["8.8.8.8", "10.0.0.1"]))
        with pytest.raises(PermissionDenied):
            await client.request("GET", "http://a.example/", caller_supplied=True)


async def test_the_connection_goes_to_the_address_that_was_checked(lab: Any) -> None:
    # The name leads elsewhere from the second question on; the transport must not ask it.
    resolver = FixedResolver(["127.0.0.1"], ["192.0.2.1"])
    async with ScriptedUpstream([Reply(body=b"x")]) as upstream, lab() as it:
        client = HttpClient(it.transport, resolver=resolver, permitted=lambda address: address == "127.0.0.1")
        url = f"http://does-not-exist.invalid:{upstream.port}/"
        assert (await client.request("GET", url, caller_supplied=True)).body == b"x"
    assert upstream.requests[0].header("host") == f"does-not-exist.invalid:{upstream.port}"
    assert len(resolver.answers) == 1


async def test_the_next_address_is_tried_when_one_does_not_answer(lab: Any) -> None:
    async with ScriptedUpstream([Reply(body=b"x")]) as upstream, lab() as it:
        client = HttpClient(
            it.transport, resolver=FixedResolver(["127.0.0.3", "127.0.0.1"]), permitted=lambda address: True
        )
        url = f"http://a.example:{upstream.port}/"
        assert (await client.request("GET", url, caller_supplied=True)).body == b"x"


async def test_a_name_that_does_not_exist_is_the_callers_error(lab: Any) -> None:
    async with lab() as it:
        with pytest.raises(InvalidRequest, match="cannot be found"):
            await HttpClient(it.transport).request("GET", "http://nowhere.invalid/", caller_supplied=True)


async def test_a_redirect_of_a_callers_url_is_not_followed(lab: Any) -> None:
    reply = Reply(307, [("Location", "http://169.254.169.254/latest/meta-data")])
    async with ScriptedUpstream([reply]) as upstream, lab() as it:
        client = HttpClient(it.transport, permitted=lambda address: True)
        answer = await client.request("GET", upstream.url, caller_supplied=True)
    assert (answer.status, len(upstream.requests)) == (307, 1)


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "Cookie", "X-Amz-Security-Token", "x-sig"])
async def test_no_credential_travels_to_a_callers_url(lab: Any, name: str) -> None:
    async with ScriptedUpstream() as upstream, lab() as it:
        client = HttpClient(it.transport, permitted=lambda address: True)
        with pytest.raises(PermissionDenied, match=name) as refused:
            await client.request("GET", upstream.url, headers=[(name, "s3cret")], caller_supplied=True)
    assert "s3cret" not in refused.value.message
    assert upstream.connections == 0


async def test_tls_checks_a_callers_url_and_hides_our_certificate(lab: Any, certificates: Any) -> None:
    ours = TlsSettings(
        ca_file=str(certificates.ca),
        client_cert_file=str(certificates.client),
        client_key_file=str(certificates.client_key),
    )
    reply = Reply(body=b"x")
    async with ScriptedUpstream(default=reply, tls=certificates.server_context()) as upstream, lab() as it:
        client = HttpClient(it.transport, ours, FixedResolver(["127.0.0.1"]), permitted=lambda address: True)
        good = f"https://localhost:{upstream.port}/"
        assert (await client.request("GET", good, caller_supplied=True)).body == b"x"
        with pytest.raises(TransportFailed, match="certificate"):
            await client.request("GET", f"https://other.example:{upstream.port}/", caller_supplied=True)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's handshake error
    server = certificates.server_context(ask_client=True)
    async with ScriptedUpstream(default=reply, tls=server) as upstream, lab() as it:
        client = HttpClient(it.transport, ours, FixedResolver(["127.0.0.1"]), permitted=lambda address: True)
        url = f"https://localhost:{upstream.port}/"
        assert (await client.request("GET", url)).body == b"x"
        with pytest.raises(TransportFailed):
            await client.request("GET", url, caller_supplied=True)
