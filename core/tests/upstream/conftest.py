"""Transports under test: ours on both event loops, and the fallback; contract tests run over all of them."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hookway.deadlines import DeadlineWheel
from hookway.upstream import (
    DEFAULT_TLS,
    TlsSettings,
    Transport,
    TransportSettings,
    UpstreamRequest,
    UpstreamResponse,
    compile_head,
)
from hookway.upstream.aiohttp_transport import AiohttpTransport
from hookway.upstream.protocol_transport import ProtocolTransport
from hookway.upstream.timeouts import Timeouts
from hookway_sdk.errors import UpstreamError


@dataclass
class Lab:
    """A transport, and short ways to use it."""

    transport: Transport
    wheel: DeadlineWheel

    async def open(
        self,
        url: str,
        body: Any = b"",
        *,
        method: str = "POST",
        headers: list[tuple[str, str]] | None = None,
        tls: TlsSettings = DEFAULT_TLS,
        length: int | None = None,
        decode: bool = True,
        **timeouts: float,
    ) -> UpstreamResponse:
        """Open one exchange."""
        head = compile_head(method, url, [("x-static", "s")], tls=tls)
        request = UpstreamRequest(head, headers or [], body, length=length, decode=decode)
        return await self.transport.open(request, Timeouts(**timeouts))

    async def ask(
        self, url: str, body: Any = b"", *, limit: int = 1 << 24, **options: Any
    ) -> tuple[int, bytes]:
        """Open one exchange and read its answer."""
        response = await self.open(url, body, **options)
        return response.status, await response.read(limit)


class Notes:
    """A receiver that writes down what it is told."""

    def __init__(self, at_data: Callable[[bytes], None] | None = None) -> None:
        import asyncio

        self.chunks: list[bytes] = []
        self.error: UpstreamError | None = None
        self.over = asyncio.Event()
        self.told = 0
        self._at_data = at_data

    @property
    def body(self) -> bytes:
        """All that was delivered."""
        return b"".join(self.chunks)

    def data(self, chunk: bytes) -> None:
        """Take a chunk."""
        assert chunk
        assert not self.over.is_set()
        self.chunks.append(chunk)
        if self._at_data is not None:
            self._at_data(chunk)

    def end(self) -> None:
        """Take the end."""
        self.told += 1
        self.over.set()

    def failed(self, error: UpstreamError) -> None:
        """Take the failure."""
        self.told += 1
        self.error = error
        self.over.set()


MakeLab = Callable[..., AbstractAsyncContextManager[Lab]]


@pytest.fixture(params=["protocol-asyncio", "protocol-uvloop", "aiohttp-asyncio"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The transport under test and the loop it runs on."""
    transport, loop = request.param.split("-")
    monkeypatch.setenv("HOOKWAY_LOOP", loop)
    return str(transport)


@pytest.fixture
def lab(kind: str) -> MakeLab:
    """Make a lab inside the test's loop: ``async with lab(idle_timeout=1) as it``."""

    @asynccontextmanager
    async def make(tick: float = 0.01, **settings: Any) -> AsyncIterator[Lab]:
        wheel = DeadlineWheel(tick)
        maker = ProtocolTransport if kind == "protocol" else AiohttpTransport
        transport: Transport = maker(wheel, TransportSettings(**settings))
        try:
            yield Lab(transport, wheel)
        finally:
            await transport.close()
            wheel.close()

    return make


@pytest.fixture
def notes() -> type[Notes]:
    """The recording receiver."""
    return Notes


@dataclass(frozen=True)
class Certificates:
    """A test authority and what it signed."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path

    def server_context(self, ask_client: bool = False) -> ssl.SSLContext:
        """The server's side; it may ask for a client certificate of the authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server, self.server_key)
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made with the ``openssl`` command; valid for ``localhost`` and 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        try:
            subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("needs the openssl command")

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=tests")
    for name, subject in (("server", "/CN=localhost"), ("client", "/CN=gateway")):
        (folder / f"{name}.ext").write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nbasicConstraints=CA:FALSE\n"
        )
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
        files = ["-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", f"{name}.ext"]
        openssl("x509", "-req", *files, *signing)
    made = ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")
    return Certificates(*(folder / name for name in made))
