"""What callers do wrong: each gets the envelope of its wire and a request id, and is recorded."""

from __future__ import annotations

import gzip
import json
import socket
import time
from typing import Any

import openai
import pytest
from callers import HELLO, ID, asynchronous, converse, ended, events_of, journalled, raw_request, read_answer
from watched import Watched

from hookway.testing import HttpReply, RunningGateway
from hookway_sdk import AuthDenied

LIMIT = 64 * 1024
CHAT = "/v1/chat/completions"
INVALID = "invalid_request_error"


@pytest.fixture(scope="module")
def running(start_shared: Watched) -> RunningGateway:
    proxy = {"request_body_limit": LIMIT, "head_timeout": 0.3, "body_timeout": 0.3}
    return start_shared({"proxy": proxy})


@pytest.fixture(autouse=True)
def _it_still_answers(running: RunningGateway) -> Any:
    yield
    assert running.chat("still there").status == 200


def error_of(got: HttpReply) -> dict[str, Any]:
    """Return the error of an answer whose envelope holds nothing else."""
    assert got.headers["content-type"].startswith("application/json")
    assert got.headers[ID]
    body = got.json()
    assert set(body) == {"error"}
    assert set(body["error"]) <= {"message", "type", "code", "param"}
    assert None not in body["error"].values()
    error: dict[str, Any] = body["error"]
    return error


# ── bodies ──────────────────────────────────────────────────────────────────────────────────

NOT_JSON = "invalid JSON request body"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", NOT_JSON),
        (b"{", NOT_JSON),
        (b'{"model": "echo", "messages": [{]}', NOT_JSON),
        (b'{"model": "echo"} trailing', NOT_JSON),
        (b'["model", "echo"]', NOT_JSON),
        (b'"echo"', NOT_JSON),
        (b"null", NOT_JSON),
        (b"\xff\xfe{}", NOT_JSON),
        (b'{"model": "echo", "messages": []}', "messages array must not be empty"),
        (b'{"model": "echo", "messages": [ \n ]}', "messages array must not be empty"),
    ],
)
def test_a_body_that_is_no_chat_request_is_refused(running: RunningGateway, body: bytes, reason: str) -> None:
    name = f"body-{abs(hash(body))}"
    got = running.post(CHAT, body, headers={ID: name})
    assert got.status == 400
    error = error_of(got)
    assert (error["type"], error["message"]) == (INVALID, f"request payload is invalid: {reason}")
    assert got.headers[ID] == name
    event = ended(running, name)
    assert (event.status, event.error_type, event.key_name) == (400, INVALID, "first-key")
    assert event.usage.total_tokens == 0
    assert journalled(running, name) == [event]


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": {"role": "user"}}, "messages"),
        ({"messages": ["hello"]}, "messages"),
        ({"messages": [{"content": "hello"}]}, "messages"),
        ({"messages": [{"role": "wizard", "content": "hello"}]}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages"),
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"model": ["echo"]}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options"),
        ({"tools": {"type": "function"}}, "tools"),
        ({"temperature": "warm"}, "temperature"),
        ({"n": 1.5}, "n"),
        ({"max_tokens": "many"}, "max_tokens"),
    ],
    ids=str,
)
def test_a_member_of_a_wrong_type_is_refused_and_named(
    running: RunningGateway, wrong: dict[str, Any], param: str
) -> None:
    got = running.post(CHAT, {"model": "echo", "messages": HELLO, **wrong})
    assert got.status == 400
    error = error_of(got)
    assert error["type"] == INVALID
    assert error["message"].startswith("request payload is invalid: ")
    assert error["param"].startswith(param)
    assert param in error["message"]


@pytest.mark.parametrize("depth", [1_000, 20_000])
def test_json_that_is_nested_without_end_is_refused(running: RunningGateway, depth: int) -> None:
    body = b'{"model": "echo", "messages": ' + b"[" * depth + b"]" * depth + b"}"
    got = running.post(CHAT, body)
    assert got.status == 400
    assert error_of(got)["type"] == INVALID


async def test_the_sdk_raises_what_fits(running: RunningGateway) -> None:
    async with asynchronous(running) as client:
        with pytest.raises(openai.BadRequestError, match="must not be empty") as caught:
            await client.chat.completions.create(model="echo", messages=[])
    assert (caught.value.type, caught.value.param) == (INVALID, "messages")


async def test_an_unknown_model_is_not_found(running: RunningGateway) -> None:
    async with asynchronous(running) as client:
        with pytest.raises(openai.NotFoundError) as caught:
            await client.chat.completions.create(
                model="ekko", messages=HELLO, stream=True, extra_headers={ID: "unknown-1"}
            )
    assert caught.value.type == "model_not_found"
    assert caught.value.body is not None
    assert 'model "ekko" not found' in caught.value.message
    event = ended(running, "unknown-1")
    assert (event.status, event.error_type, event.model) == (404, "model_not_found", "")


def test_a_name_that_is_no_text_for_a_terminal_is_refused_as_unknown(running: RunningGateway) -> None:
    got = running.chat("hi", model="\ud800\x1b[31m\u2028")
    assert got.status in (400, 404)
    error_of(got)


# ── sizes ───────────────────────────────────────────────────────────────────────────────────


def too_long() -> bytes:
    return json.dumps({"model": "echo", "messages": [{"role": "user", "content": "x" * LIMIT}]}).encode()


def too_large(got: HttpReply) -> None:
    assert got.status == 413
    error = error_of(got)
    assert (error["type"], error["message"]) == (INVALID, f"request body exceeds {LIMIT}-byte limit")


def test_a_body_that_says_it_is_too_large_is_refused(running: RunningGateway) -> None:
    too_large(running.post(CHAT, too_long(), headers={ID: "large-1"}))
    event = ended(running, "large-1")
    assert (event.status, event.error_type) == (413, INVALID)


async def test_the_sdk_learns_that_its_body_is_too_large(running: RunningGateway) -> None:
    async with asynchronous(running) as client:
        with pytest.raises(openai.APIStatusError, match=f"exceeds {LIMIT}-byte limit") as caught:
            await client.chat.completions.create(
                model="echo", messages=[{"role": "user", "content": "x" * LIMIT * 8}]
            )
    assert caught.value.status_code == 413


def test_a_chunked_body_that_grows_too_large_is_refused(running: RunningGateway) -> None:
    body = too_long()
    chunked = b"".join(
        b"%x\r\n%b\r\n" % (len(body[at : at + 4096]), body[at : at + 4096])
        for at in range(0, len(body), 4096)
    )
    received = converse(
        running, raw_request(running, b"", "transfer-encoding: chunked"), chunked + b"0\r\n\r\n"
    )
    status, headers, answered = read_answer(received)
    too_large(HttpReply(status, headers, json.dumps(answered).encode()))


def test_a_compressed_body_is_read(running: RunningGateway) -> None:
    body = gzip.compress(json.dumps({"model": "echo", "messages": HELLO}).encode())
    got = running.post(CHAT, body, headers={"content-encoding": "gzip"})
    assert got.json()["choices"][0]["message"]["content"] == "say hello"


def test_a_compressed_body_that_unpacks_to_too_much_is_refused(running: RunningGateway) -> None:
    bomb = gzip.compress(b"x" * (LIMIT * 500))
    assert len(bomb) < LIMIT
    too_large(running.post(CHAT, bomb, headers={"content-encoding": "gzip"}))


def test_a_body_that_is_not_compressed_as_it_says_is_refused(running: RunningGateway) -> None:
    got = running.post(CHAT, b"not gzip", headers={"content-encoding": "gzip"})
    assert got.status == 400
    assert error_of(got)["type"] == INVALID


def test_a_client_that_waits_for_a_go_ahead_gets_it(running: RunningGateway) -> None:
    body = json.dumps({"model": "echo", "messages": HELLO}).encode()
    with socket.create_connection((running.host, running.port), timeout=5) as connection:
        lines = (f"content-length: {len(body)}", "expect: 100-continue", "connection: close")
        connection.sendall(raw_request(running, b"", *lines))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


# ── HTTP ────────────────────────────────────────────────────────────────────────────────────


def test_half_a_body_and_then_silence_is_a_timeout(running: RunningGateway) -> None:
    began = time.monotonic()
    received = converse(
        running, raw_request(running, b'{"model": "echo"', "content-length: 100", f"{ID}: half-1")
    )
    assert 0.3 <= time.monotonic() - began < 2
    status, headers, body = read_answer(received)
    assert (status, headers[ID], headers["connection"]) == (408, "half-1", "close")
    assert body["error"]["type"] == "request_timeout"
    event = ended(running, "half-1")
    assert (event.status, event.error_type) == (408, "request_timeout")


def test_a_slow_body_that_keeps_coming_is_read(running: RunningGateway) -> None:
    body = json.dumps({"model": "echo", "messages": HELLO}).encode()
    pieces = [body[at : at + 12] for at in range(0, len(body), 12)]
    with socket.create_connection((running.host, running.port), timeout=5) as connection:
        connection.sendall(raw_request(running, b"", f"content-length: {len(body)}"))
        for piece in pieces:
            time.sleep(0.1)
            connection.sendall(piece)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert len(pieces) * 0.1 > 0.3


def test_half_a_head_and_then_silence_is_a_timeout(running: RunningGateway) -> None:
    began = time.monotonic()
    status, headers, body = read_answer(converse(running, b"POST /v1/chat/completions HTTP/1.1\r\nhost: g"))
    assert 0.3 <= time.monotonic() - began < 2
    assert (status, headers["connection"]) == (408, "close")
    assert body["error"]["type"] == "request_timeout"
    assert headers[ID]


def test_a_client_that_leaves_in_the_middle_of_its_body_is_recorded(running: RunningGateway) -> None:
    with socket.create_connection((running.host, running.port), timeout=5) as connection:
        connection.sendall(raw_request(running, b'{"model"', "content-length: 100", f"{ID}: gone-1"))
        time.sleep(0.05)
    event = ended(running, "gone-1")
    assert (event.status, event.error_type) == (499, "client_disconnected")


@pytest.mark.parametrize("lengths", [(5, 50), (5, 5)], ids=["different", "equal"])
def test_two_content_lengths_are_refused(running: RunningGateway, lengths: tuple[int, int]) -> None:
    lines = [f"content-length: {length}" for length in lengths]
    status, headers, body = read_answer(converse(running, raw_request(running, b"hello", *lines)))
    assert (status, headers["connection"]) == (400, "close")
    assert body["error"] == {
        "message": "request payload is invalid: conflicting Content-Length headers",
        "type": INVALID,
    }
    assert headers[ID]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nno colon here\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: five\r\n\r\nhello",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: -5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: g\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ntransfer-encoding: gzip\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nx-long: " + b"x" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nhost: g\r\n\r\n",
    ],
    ids=lambda value: value[:70].decode("latin-1").replace("\r\n", "|").replace("\x00", "0"),
)
def test_what_is_no_http_is_refused_in_json_and_the_connection_closed(
    running: RunningGateway, request_bytes: bytes
) -> None:
    status, headers, body = read_answer(converse(running, request_bytes))
    assert status in (400, 413, 414, 431)
    assert headers["connection"] == "close"
    assert headers["server"].startswith("Hookway/")
    assert headers["content-type"].startswith("application/json")
    assert headers[ID]
    assert body["error"]["type"] == INVALID


def test_a_broken_chunk_is_refused(running: RunningGateway) -> None:
    received = converse(running, raw_request(running, b"5\r\nhello\r\nZZ\r\n", "transfer-encoding: chunked"))
    status, headers, body = read_answer(received)
    assert (status, headers["connection"], body["error"]["type"]) == (400, "close", INVALID)


def test_a_request_behind_a_refused_one_is_not_taken_for_its_body(running: RunningGateway) -> None:
    refused = raw_request(running, b"{", "content-length: 1")
    body = json.dumps({"model": "echo", "messages": HELLO}).encode()
    good = raw_request(running, body, f"content-length: {len(body)}", "connection: close")
    received = converse(running, refused + good)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 200 " in received


# ── credentials ─────────────────────────────────────────────────────────────────────────────

MISSING = "missing or malformed Authorization header"


@pytest.mark.parametrize(
    ("headers", "message", "reason"),
    [
        ({}, MISSING, "missing_credentials"),
        ({"authorization": ""}, MISSING, "missing_credentials"),
        ({"authorization": "Bearer "}, MISSING, "missing_credentials"),
        ({"authorization": "Basic aGk6aGk="}, MISSING, "missing_credentials"),
        ({"authorization": "bearer KEY"}, MISSING, "missing_credentials"),
        ({"authorization": "KEY"}, MISSING, "missing_credentials"),
        ({"authorization": "Bearer k\xe9y"}, MISSING, "missing_credentials"),
        ({"authorization": "Basic aGk6aGk=", "x-api-key": "KEY"}, MISSING, "missing_credentials"),
        ({"authorization": "Bearer nonsense"}, "invalid API key", "unknown_key"),
        ({"x-api-key": "nonsense"}, "invalid API key", "unknown_key"),
    ],
    ids=str,
)
def test_a_caller_without_a_good_key_is_turned_away(
    running: RunningGateway, headers: dict[str, str], message: str, reason: str
) -> None:
    sent = {name: value.replace("KEY", running.key) for name, value in headers.items()}
    name = f"denied-{abs(hash(str(headers)))}"
    got = running.post(CHAT, {"model": "echo", "messages": HELLO}, headers={**sent, ID: name}, key=None)
    assert got.status == 401
    assert error_of(got) == {"message": message, "type": "invalid_api_key"}
    (denied,) = events_of(running, AuthDenied, name)
    assert (denied.reason, denied.endpoint) == (reason, CHAT)


def test_a_key_is_judged_before_the_body(running: RunningGateway) -> None:
    assert running.post(CHAT, b"{", key="nonsense").status == 401


def test_a_good_key_may_come_in_the_other_header(running: RunningGateway) -> None:
    got = running.post(
        CHAT, {"model": "echo", "messages": HELLO}, headers={"x-api-key": running.key}, key=None
    )
    assert got.status == 200


async def test_the_sdk_raises_for_a_wrong_key(running: RunningGateway) -> None:
    async with asynchronous(running, key="sk-nonsense-0123456789") as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model="echo", messages=HELLO)
    assert (caught.value.type, caught.value.code) == ("invalid_api_key", None)
    assert "nonsense" not in str(caught.value)


def test_no_key_and_no_text_is_ever_logged(running: RunningGateway) -> None:
    running.post(CHAT, {"model": "echo", "messages": HELLO}, key="sk-very-secret-0123456789")
    running.chat("a very private text")
    written = json.dumps(running.log) + repr(running.events)
    assert running.key not in written
    assert "sk-very-secret" not in written
    assert "very private text" not in written


# ── paths ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path", ["/", "/v1/chat/completion", "/v1/chat/completions/", "/v2/chat/completions"]
)
def test_an_unknown_path_is_not_found(running: RunningGateway, path: str) -> None:
    got = running.post(path, {"model": "echo", "messages": HELLO})
    assert got.status == 404
    error_of(got)


def test_a_path_with_a_slip_names_the_nearest(running: RunningGateway) -> None:
    assert CHAT in error_of(running.post("/v1/chat/completion", {}))["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", CHAT, "POST"), ("DELETE", CHAT, "POST"), ("POST", "/v1/models", "GET, HEAD")],
)
def test_a_known_path_with_another_method_says_which_it_has(
    running: RunningGateway, method: str, path: str, allowed: str
) -> None:
    got = running.request(method, path)
    assert (got.status, got.headers["allow"], got.body) == (405, allowed, b"")
    assert got.headers[ID]


def test_head_is_a_get_without_its_body(running: RunningGateway) -> None:
    whole = running.get("/v1/models")
    head = running.request("HEAD", "/v1/models")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert running.request("HEAD", "/v1/nothing").status == 404
