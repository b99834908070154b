"""A client's connection under hostile bytes: the process lives, answers are ours, the next one works."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from hookway.testing import GatewayFactory, RunningGateway

TIMEOUT = 0.3
LIMIT = 64 * 1024
ID = "x-hookway-request-id"
LIVE = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n"
LAST = b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
BODY = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "hello"}]}).encode()


class Answer(msgspec.Struct):
    """One answer on a connection."""

    status: int
    headers: dict[str, str]
    body: bytes

    def error(self) -> dict[str, Any]:
        """Return the error of our envelope, which holds nothing else."""
        assert self.headers["content-type"] == "application/json"
        assert self.headers[ID]
        decoded = json.loads(self.body)
        assert set(decoded) == {"error"}
        assert {"message", "type"} <= set(decoded["error"])
        return dict(decoded["error"])


def read_answers(received: bytes) -> list[Answer]:
    """Cut a connection's bytes into answers; every byte has to belong to one, and every one to be ours."""
    answers: list[Answer] = []
    while received:
        if received.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
            received = received[25:]
            continue
        head, found, rest = received.partition(b"\r\n\r\n")
        assert found, f"a torn head: {received[:200]!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        assert re.fullmatch(r"HTTP/1\.1 [1-5]\d\d [A-Za-z -]+", first), first
        pairs = [line.partition(": ") for line in lines]
        headers = {name.lower(): value for name, _, value in pairs}
        assert len(headers) == len(pairs), "a header twice"
        assert headers["server"].startswith("Hookway/")
        assert headers[ID]
        length = int(headers["content-length"])
        assert len(rest) >= length, "a torn body"
        answers.append(Answer(int(first[9:12]), headers, rest[:length]))
        received = rest[length:]
    for answer in answers:
        if answer.status >= 400 and answer.body:
            answer.error()
    return answers


class Wire:
    """Connections to one gateway."""

    def __init__(self, running: RunningGateway) -> None:
        self.running = running
        self.key = f"authorization: Bearer {running.key}\r\n".encode()

    def post(self, *lines: str, path: str = "/v1/chat/completions") -> bytes:
        """Return a POST's head with a good key, but for the lines that frame its body."""
        rest = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
        return b"POST %b HTTP/1.1\r\nhost: a\r\n%b%b\r\n" % (path.encode(), self.key, rest)

    def talk(
        self, *pieces: bytes, pause: float = 0.0, half_close: bool = False, seconds: float = 5.0
    ) -> list[Answer]:
        """Send bytes, and return what comes back until the gateway closes the connection.

        A reset is an end like any other: the gateway does not read on behind what it refused.
        """
        with socket.create_connection((self.running.host, self.running.port), timeout=seconds) as connection:
            received = bytearray()
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(pause)
            with contextlib.suppress(OSError):
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while piece := connection.recv(65536):
                    received += piece
        return read_answers(bytes(received))

    def still_serves(self) -> None:
        """Fail unless a new connection gets a good answer."""
        [answer] = self.talk(self.post(f"content-length: {len(BODY)}", "connection: close") + BODY)
        assert answer.status == 200, answer


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    factory = GatewayFactory(tmp_path_factory.mktemp("wire"))
    proxy = {"head_timeout": TIMEOUT, "body_timeout": TIMEOUT, "request_body_limit": LIMIT}
    running = factory({"proxy": proxy})
    yield Wire(running)
    factory.close()
    assert [line for line in running.log if line["level"] == "error"] == []


@pytest.fixture(autouse=True)
def _the_next_connection_works(wire: Wire) -> Iterator[None]:
    yield
    wire.still_serves()
    assert wire.running.gateway.serve.in_flight == 0


# ── bytes that are no request ───────────────────────────────────────────────────────────────

MALFORMED = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 100,
    "zeros": bytes(100),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "words": b"hello there\r\n\r\n",
    "a method that is none": b"BREW /v1/models HTTP/1.1\r\nhost: a\r\n\r\n",
    "a version that is none": b"GET /v1/models HTTP/9.9\r\nhost: a\r\n\r\n",
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "raw bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n",
    "UTF-8 in the path": "GET /é HTTP/1.1\r\nhost: a\r\n\r\n".encode(),
    "a blank before the colon": b"GET / HTTP/1.1\r\nhost : a\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n",
    "a bare line feed": b"GET / HTTP/1.1\nhost: a\n\n",
    "a bare carriage return": b"GET / HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n",
    "a zero in a header": b"GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n",
    "no name": b"GET / HTTP/1.1\r\nhost: a\r\n: b\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nhost: a\r\nnonsense\r\n\r\n",
    "a large header": b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 20_000 + b"\r\n\r\n",
    "a long line": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_request_is_refused_once_and_the_connection_closed(wire: Wire, name: str) -> None:
    [answer] = wire.talk(MALFORMED[name])
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert answer.error()["type"] == "invalid_request_error"


@pytest.mark.parametrize("name", ["words", "zeros", "no host", "a folded header"])
def test_garbage_behind_a_good_request_costs_that_one_nothing(wire: Wire, name: str) -> None:
    answers = wire.talk(LIVE + MALFORMED[name])
    assert [answer.status for answer in answers] in ([200, 400], [400])
    answers = wire.talk(LIVE, MALFORMED[name], pause=0.05)
    assert [answer.status for answer in answers] == [200, 400]


def test_a_flood_of_headers_is_refused(wire: Wire) -> None:
    lines = b"".join(b"x-%d: a\r\n" % number for number in range(100_000))
    for answer in wire.talk(b"GET / HTTP/1.1\r\nhost: a\r\n" + lines + b"\r\n"):
        assert answer.status == 400


# ── the framing of bodies ───────────────────────────────────────────────────────────────────

FRAMING = {
    "two lengths": (["content-length: 5", "content-length: 6"], b"hello!"),
    "two equal lengths": (["content-length: 5", "content-length: 5"], b"hello"),
    "a list of lengths": (["content-length: 5, 6"], b"hello!"),
    "a length and chunks": (["content-length: 5", "transfer-encoding: chunked"], b"0\r\n\r\n"),
    "chunks and a length": (["transfer-encoding: chunked", "content-length: 5"], b"0\r\n\r\n"),
    "a negative length": (["content-length: -5"], b""),
    "a signed length": (["content-length: +5"], b"hello"),
    "a length in hexadecimal": (["content-length: 0x5"], b"hello"),
    "a length without end": (["content-length: " + "9" * 40], b""),
    "no length": (["content-length: "], b""),
    "another coding": (["transfer-encoding: gzip"], b"0\r\n\r\n"),
    "two codings": (["transfer-encoding: chunked, gzip"], b"0\r\n\r\n"),
    "chunked twice": (["transfer-encoding: chunked, chunked"], b"0\r\n\r\n"),
    "a disguised coding": (["transfer-encoding: xchunked"], b"0\r\n\r\n"),
    "a chunk size that is none": (["transfer-encoding: chunked"], b"zz\r\nhello\r\n0\r\n\r\n"),
    "a negative chunk size": (["transfer-encoding: chunked"], b"-5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size without end": (["transfer-encoding: chunked"], b"f" * 40 + b"\r\nhello"),
    "a chunk that is longer than it says": (["transfer-encoding: chunked"], b"2\r\nhello\r\n0\r\n\r\n"),
    "a chunk that ends in a bare line feed": (["transfer-encoding: chunked"], b"5\nhello\n0\n\n"),
}


@pytest.mark.parametrize("name", FRAMING)
def test_a_body_that_is_framed_in_two_ways_or_none_is_refused(wire: Wire, name: str) -> None:
    lines, body = FRAMING[name]
    smuggled = b"GET /v1/models HTTP/1.1\r\nhost: a\r\n" + wire.key + b"\r\n"
    answers = wire.talk(wire.post(*lines) + body + smuggled)
    assert [answer.status for answer in answers] == [400]
    assert answers[0].headers["connection"] == "close"
    if name.startswith(("two lengths", "two equal")):
        assert (
            answers[0].error()["message"] == "request payload is invalid: conflicting Content-Length headers"
        )


def test_a_chunked_body_is_read_with_extensions_and_trailers(wire: Wire) -> None:
    half = len(BODY) // 2
    chunks = b"%x;a=b\r\n%b\r\n%X\r\n%b\r\n0\r\nx-trailer: 1\r\n\r\n" % (
        half,
        BODY[:half],
        len(BODY) - half,
        BODY[half:],
    )
    [answer] = wire.talk(wire.post("transfer-encoding: chunked", "connection: close") + chunks)
    assert (answer.status, b"hello" in answer.body) == (200, True)


def test_a_chunked_body_may_come_byte_by_byte(wire: Wire) -> None:
    whole = wire.post("transfer-encoding: chunked", "connection: close")
    whole += b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    [answer] = wire.talk(*(whole[at : at + 1] for at in range(len(whole))))
    assert answer.status == 200


@pytest.mark.parametrize("length", [LIMIT + 1, 1 << 40])
def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(wire: Wire, length: int) -> None:
    [answer] = wire.talk(wire.post(f"content-length: {length}"), half_close=True)
    assert answer.status == 413
    assert answer.error()["message"] == f"request body exceeds {LIMIT}-byte limit"


def test_a_body_that_grows_too_large_is_refused(wire: Wire) -> None:
    chunk = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
    answers = wire.talk(wire.post("transfer-encoding: chunked"), *[chunk] * 8, half_close=True)
    assert [answer.status for answer in answers] == [413]


def test_a_refused_body_is_not_taken_for_the_next_request(wire: Wire) -> None:
    inside = b"GET /v1/models HTTP/1.1\r\nhost: a\r\n" + wire.key + b"\r\n"
    refused = wire.post(f"content-length: {len(inside)}", path="/nothing/here") + inside
    answers = wire.talk(refused + LAST)
    assert [(answer.status, answer.body[:2]) for answer in answers] == [(404, b'{"'), (200, b"ok")]


def test_a_get_may_have_a_body_that_nobody_reads(wire: Wire) -> None:
    answers = wire.talk(b"GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello" + LAST)
    assert [answer.body for answer in answers] == [b"ok", b"ok"]


# ── slow clients ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "beginning", [b"G", b"GET /livez HTTP/1.1\r\nhost: a", b"GET /livez HTTP/1.1\r\nhost: a\r\n\r"]
)
def test_a_head_that_does_not_come_in_time_is_a_timeout(wire: Wire, beginning: bytes) -> None:
    began = time.monotonic()
    [answer] = wire.talk(beginning)
    assert (answer.status, answer.error()["type"]) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"
    assert TIMEOUT * 0.9 < time.monotonic() - began < TIMEOUT + 2


def test_bytes_that_trickle_do_not_extend_the_time_for_a_head(wire: Wire) -> None:
    began = time.monotonic()
    [answer] = wire.talk(*[b"x"] * 40, pause=0.02)
    assert answer.status in (400, 408)
    head = b"GET /livez HTTP/1.1\r\nhost: a\r\nx: "
    [answer] = wire.talk(head, *[b"y"] * 40, pause=0.02)
    assert answer.status == 408
    assert time.monotonic() - began < 5


def test_the_time_for_a_head_begins_anew_with_each_request(wire: Wire) -> None:
    answers = wire.talk(LIVE, LIVE[:10], pause=0.05)
    assert [answer.status for answer in answers] == [200, 408]


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["content-length: 500"], b""),
        (["content-length: 500"], b'{"model"'),
        (["transfer-encoding: chunked"], b""),
        (["transfer-encoding: chunked"], b"5\r\nhel"),
        (["transfer-encoding: chunked"], b"5\r\nhello\r\n0\r\n"),
    ],
)
def test_a_body_that_does_not_come_in_time_is_a_timeout(wire: Wire, lines: list[str], body: bytes) -> None:
    [answer] = wire.talk(wire.post(*lines) + body)
    assert (answer.status, answer.error()["type"]) == (408, "request_timeout")


@pytest.mark.parametrize("first", [b"", LIVE], ids=["before a request", "behind one"])
def test_a_connection_that_says_nothing_is_closed_after_the_idle_time(
    gateway: GatewayFactory, first: bytes
) -> None:
    idle = Wire(gateway({"downstream": {"idle_timeout": TIMEOUT}}))
    began = time.monotonic()
    answers = idle.talk(first)
    assert [answer.status for answer in answers] == [200] * bool(first)
    assert TIMEOUT * 0.9 < time.monotonic() - began < TIMEOUT + 2


def test_a_slow_body_that_keeps_coming_is_read(wire: Wire) -> None:
    pieces = [BODY[at : at + 10] for at in range(0, len(BODY), 10)]
    [answer] = wire.talk(
        wire.post(f"content-length: {len(BODY)}", "connection: close"), *pieces, pause=TIMEOUT / 4
    )
    assert answer.status == 200


# ── Expect ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("expectation", ["100-continue", "100-Continue"])
def test_a_client_that_waits_for_a_go_ahead_gets_it(wire: Wire, expectation: str) -> None:
    address = (wire.running.host, wire.running.port)
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(
            wire.post(f"content-length: {len(BODY)}", f"expect: {expectation}", "connection: close")
        )
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert [answer.status for answer in read_answers(received)] == [200]


def test_no_go_ahead_is_given_to_a_request_that_is_refused(wire: Wire) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 50\r\n"
    address = (wire.running.host, wire.running.port)
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(head + b"authorization: Bearer wrong\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_another_expectation_is_ignored(wire: Wire) -> None:
    head = wire.post(f"content-length: {len(BODY)}", "expect: 200-ok", "connection: close")
    [answer] = wire.talk(head + BODY)
    assert answer.status == 200


# ── other protocols ─────────────────────────────────────────────────────────────────────────

UPGRADES = {
    "websocket": [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: x",
    ],
    "h2c": ["connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABk"],
    "tcp": ["connection: upgrade", "upgrade: tcp"],
}


@pytest.mark.parametrize("name", UPGRADES)
def test_a_request_for_another_protocol_gets_an_ordinary_answer_and_the_connection_goes_on(
    wire: Wire, name: str
) -> None:
    lines = "".join(f"{line}\r\n" for line in UPGRADES[name])
    get = f"GET /livez HTTP/1.1\r\nhost: a\r\n{lines}\r\n".encode()
    assert [answer.status for answer in wire.talk(get, LAST, pause=0.05)] == [200, 200]
    post = wire.post(*UPGRADES[name], f"content-length: {len(BODY)}") + BODY
    answers = wire.talk(post, LAST, pause=0.1)
    assert [answer.status for answer in answers] == [200, 200]
    assert b"hello" in answers[0].body


def test_what_follows_a_websocket_handshake_at_once_is_served(wire: Wire) -> None:
    lines = "".join(f"{line}\r\n" for line in UPGRADES["websocket"])
    get = f"GET /livez HTTP/1.1\r\nhost: a\r\n{lines}\r\n".encode()
    assert [answer.status for answer in wire.talk(get + LIVE + LAST)] == [200, 200, 200]


def test_a_tunnel_is_not_opened(wire: Wire) -> None:
    connect = b"CONNECT evil.test:443 HTTP/1.1\r\nhost: evil.test\r\n" + wire.key + b"\r\n"
    [answer] = wire.talk(connect, b"\x16\x03\x01 not http", pause=0.05, half_close=True)[:1]
    assert answer.status == 404


@pytest.mark.parametrize("target", ["http://a/v1/models", "HTTPS://evil.test:99/v1/models"])
def test_a_target_in_absolute_form_is_its_path(wire: Wire, target: str) -> None:
    # RFC 9112 3.2.2: a server has to accept it.
    head = f"GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n".encode() + wire.key + b"\r\n"
    [answer] = wire.talk(head)
    assert (answer.status, json.loads(answer.body)["object"]) == (200, "list")


@pytest.mark.parametrize(
    "target", ["http://evil.test", "*", "//v1/models", "/v1/models/../models", "/v1/%6dodels"]
)
def test_no_other_way_to_write_a_target_leads_to_an_endpoint(wire: Wire, target: str) -> None:
    method = "OPTIONS" if target == "*" else "GET"
    head = f"{method} {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n".encode() + wire.key + b"\r\n"
    [answer] = wire.talk(head)
    assert answer.status == 404


# ── HTTP/1.0, pipelines and half-closed connections ─────────────────────────────────────────


def test_a_client_of_http_1_0_is_answered_and_the_connection_closed(wire: Wire) -> None:
    [answer] = wire.talk(b"GET /livez HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    kept, last = wire.talk(
        b"GET /livez HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", b"GET /livez HTTP/1.0\r\n\r\n"
    )
    assert (kept.headers["connection"], last.headers["connection"]) == ("keep-alive", "close")


def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    names = [f"id-{number}" for number in range(100)]
    requests = [f"GET /livez HTTP/1.1\r\nhost: a\r\n{ID}: {name}\r\n\r\n".encode() for name in names]
    post = wire.post(f"content-length: {len(BODY)}", f"{ID}: the-post") + BODY
    answers = wire.talk(b"".join(requests[:50]) + post + b"".join(requests[50:]) + LAST)
    assert [answer.headers[ID] for answer in answers][:-1] == [*names[:50], "the-post", *names[50:]]
    assert {answer.status for answer in answers} == {200}


def test_many_connections_that_ask_at_once_are_all_answered_in_order(wire: Wire) -> None:
    """Answers of one turn leave together: none may be lost, overtaken, or cut off by the close behind it."""
    streamed = BODY.replace(b"{", b'{"stream": true, ', 1)
    whole = wire.post(f"content-length: {len(BODY)}") + BODY
    stream = wire.post(f"content-length: {len(streamed)}") + streamed
    last = wire.post(f"content-length: {len(BODY)}", "connection: close") + BODY
    address = (wire.running.host, wire.running.port)
    for pieces in ((whole, stream, last), (last,)):
        with contextlib.ExitStack() as stack:
            connections = [
                stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(40)
            ]
            for connection in connections:
                connection.sendall(b"".join(pieces))
            for connection in connections:
                received = b"".join(iter(lambda: connection.recv(65536), b""))  # noqa: B023 - used at once
                words = re.findall(
                    rb'"object": ?"(chat.completion|chat.completion.chunk)"|(\[DONE\])', received
                )
                found = [name or mark for name, mark in words]
                assert received.count(b"HTTP/1.1 200 OK\r\n") == len(pieces)
                if len(pieces) == 3:
                    assert (found[0], found[-2:]) == (b"chat.completion", [b"[DONE]", b"chat.completion"])
                    assert set(found[1:-2]) == {b"chat.completion.chunk"}
                else:
                    assert found == [b"chat.completion"]


def test_a_client_that_closes_its_side_behind_a_whole_request_gets_its_answer(wire: Wire) -> None:
    [answer] = wire.talk(wire.post(f"content-length: {len(BODY)}") + BODY, half_close=True)
    assert answer.status == 200


@pytest.mark.parametrize("part", [b"", b"GET /livez HT"])
def test_a_client_that_closes_its_side_early_gets_nothing(wire: Wire, part: bytes) -> None:
    assert wire.talk(part, half_close=True) == []


def test_a_client_that_closes_its_side_inside_its_body_gets_no_good_answer(wire: Wire) -> None:
    answers = wire.talk(wire.post(f"content-length: {len(BODY)}") + BODY[:10], half_close=True)
    assert [answer.status for answer in answers] in ([], [400])


def test_empty_lines_before_a_request_are_passed_over(wire: Wire) -> None:
    assert [answer.status for answer in wire.talk(b"\r\n\r\n" + LAST)] == [200]


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "DELETE", "PATCH"])
def test_a_method_that_a_path_does_not_have_is_said(wire: Wire, method: str) -> None:
    [answer] = wire.talk(f"{method} /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "GET, HEAD", b"")


def test_nothing_a_caller_sends_comes_back_in_a_head(wire: Wire) -> None:
    lines = [f"{ID}: a b", "user-agent: \xff\x80", "x-evil: \xe9", "cookie: a=b", "accept: \xff"]
    body = json.dumps(
        {
            "model": "echo",
            "messages": [{"role": "user", "content": "hello", "x\r\nx-evil: 1\r\n\r\n": 1}],
            "y\r\nx-evil: 2": 1,
            "größe": 1,
        }
    ).encode()
    [answer] = wire.talk(wire.post(*lines, f"content-length: {len(body)}", "connection: close") + body)
    assert answer.status in (200, 400)
    assert "x-evil" not in answer.headers
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers[ID])


# ── anything at all ─────────────────────────────────────────────────────────────────────────


def mangled(whole: bytes, chance: random.Random) -> bytes:
    """Return a request with a few bytes changed, dropped, doubled, or moved."""
    made = bytearray(whole)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(made))
        match chance.randrange(5):
            case 0:
                made[at] = chance.randrange(256)
            case 1:
                del made[at : at + chance.randint(1, 10)]
            case 2:
                made[at:at] = made[at : at + chance.randint(1, 30)]
            case 3:
                made[at:at] = chance.choice(
                    [b"\r\n", b"\n", b"\0", b":", b" ", b"\xff", b"\r\n\r\n", b"0\r\n"]
                )
            case 4:
                del made[at:]
        if not made:
            return b"\n"
    return bytes(made)


@pytest.mark.parametrize("seed", range(6))
def test_mangled_requests_break_nothing(wire: Wire, seed: int) -> None:
    chance = random.Random(seed)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    wholes = [
        wire.post(f"content-length: {len(BODY)}") + BODY,
        wire.post("transfer-encoding: chunked") + chunked,
        wire.post(f"content-length: {len(BODY)}", "expect: 100-continue") + BODY,
        LIVE * 3,
    ]
    for _ in range(25):
        bytes_ = mangled(chance.choice(wholes), chance)
        place = chance.randrange(len(bytes_) + 1)
        for answer in wire.talk(bytes_[:place], bytes_[place:], half_close=True):
            assert 200 <= answer.status < 500


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_break_nothing(wire: Wire, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        bytes_ = chance.randbytes(chance.randint(1, 3000))
        for answer in wire.talk(bytes_, half_close=True):
            assert answer.status == 400


def test_connections_that_are_dropped_at_any_moment_leave_nothing_behind(wire: Wire) -> None:
    whole = wire.post(f"content-length: {len(BODY)}") + BODY
    for at in range(0, len(whole), 7):
        with socket.create_connection((wire.running.host, wire.running.port), timeout=5) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.sendall(whole[:at])
