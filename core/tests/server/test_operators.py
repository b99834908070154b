"""The operators' listener: guarded routes, whole bodies, and failures that stay inside."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Any

import pytest

import hookway.server.operators
from hookway.testing import GatewayFactory, RunningGateway
from hookway_sdk import Admin, Guard, OperatorReply, OperatorRequest, OperatorRoute


class Rooms(Admin[Any]):
    """Routes: a measure, a guarded one, one that breaks, and one that answers in pieces."""

    def routes(self) -> Sequence[OperatorRoute]:
        return [
            OperatorRoute("admin", "POST", "/size", self.size, Guard.NONE),
            OperatorRoute("admin", "POST", "/guarded", self.size),
            OperatorRoute("admin", "GET", "/broken", self.broken, Guard.NONE),
            OperatorRoute("admin", "GET", "/pieces", self.pieces, Guard.NONE),
        ]

    async def size(self, request: OperatorRequest) -> OperatorReply:
        return OperatorReply(str(len(request.body)).encode())

    async def pieces(self, request: OperatorRequest) -> OperatorReply:
        return OperatorReply([b"one ", b"", b"x" * 1_000_000, b" three"], content_type="text/plain")

    async def broken(self, request: OperatorRequest) -> OperatorReply:
        raise ValueError("sk-secret of the plugin")


@pytest.fixture
def running(gateway: GatewayFactory) -> RunningGateway:
    return gateway({"admin": {"addr": "127.0.0.1:0"}}, plugins={"admin_rooms": Rooms})


def ask(running: RunningGateway, first: str, *pieces: bytes, headers: str = "") -> tuple[int, bytes]:
    """Send a request whose body comes in pieces; return status and body of the answer."""
    bound = running.gateway.serve.operator_addresses["admin"]
    address = bound.host, bound.port
    length = sum(map(len, pieces))
    head = f"{first} HTTP/1.1\r\nhost: a\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(head.encode())
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    line, _, rest = received.partition(b"\r\n")
    return int(line.split()[1]), rest.partition(b"\r\n\r\n")[2]


def test_a_guarded_route_refuses_everyone_while_nobody_knows_admin_keys(running: RunningGateway) -> None:
    for headers in ("", f"authorization: Bearer {running.key}\r\n", "authorization: Bearer admin\r\n"):
        status, body = ask(running, "POST /guarded", b"x", headers=headers)
        assert (status, body) == (401, b'{"error_msg":"missing or malformed admin authorization"}')


@pytest.mark.parametrize(
    "pieces", [(b"hello", b"world"), (b"a" * (1 << 20),), ()], ids=["two", "large", "none"]
)
def test_a_body_reaches_its_route_whole(running: RunningGateway, pieces: tuple[bytes, ...]) -> None:
    assert ask(running, "POST /size", *pieces) == (200, str(sum(map(len, pieces))).encode())


def test_a_body_over_the_limit_is_refused(running: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hookway.server.operators, "BODY_LIMIT", 8)
    assert ask(running, "POST /size", b"12345", b"678")[0] == 200
    assert ask(running, "POST /size", b"12345", b"6789")[0] == 413


def test_a_route_that_breaks_tells_the_log_and_not_the_client(running: RunningGateway) -> None:
    status, body = ask(running, "GET /broken")
    assert (status, body) == (500, b'{"error_msg":"the request could not be served; the log says why"}')
    (line,) = [line for line in running.log if line["event"] == "plugin_failed"]
    assert (line["plugin"], line["phase"]) == ("admin", "/broken")


def test_a_body_in_pieces_arrives_whole(running: RunningGateway) -> None:
    reply = running.operator("/pieces", listener="admin")
    assert (reply.status, reply.body) == (200, b"one " + b"x" * 1_000_000 + b" three")
    assert reply.headers["content-length"] == "1000010"
    assert running.operator("/pieces", listener="admin", method="HEAD").body == b""
    assert running.operator("/pieces", listener="admin").status == 200
