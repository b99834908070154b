"""Callers of the gateway: the official OpenAI SDK, and a socket for what no SDK would send."""

from __future__ import annotations

import json
import socket
import ssl
import time
from typing import Any, TypeVar

import openai

from hookway.testing import RunningGateway
from hookway_sdk import AttemptEnded, RequestEnded

T = TypeVar("T")

ID = "x-hookway-request-id"
HELLO: list[Any] = [{"role": "user", "content": "say hello"}]

# The SDK's clients would load the system's certificates each time, which takes longer than most tests.
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def asynchronous(running: RunningGateway, key: str | None = None, **options: Any) -> openai.AsyncOpenAI:
    """Return the asynchronous client, which has to be closed; it tries nothing again by itself."""
    return openai.AsyncOpenAI(
        base_url=running.url + "/v1",
        api_key=key or running.key,
        http_client=openai.DefaultAsyncHttpxClient(verify=_NO_CERTIFICATES),
        **{"max_retries": 0, "timeout": 20.0, **options},
    )


def blocking(running: RunningGateway, key: str | None = None, **options: Any) -> openai.OpenAI:
    """Return the blocking client, which has to be closed; it tries nothing again by itself."""
    return openai.OpenAI(
        base_url=running.url + "/v1",
        api_key=key or running.key,
        http_client=openai.DefaultHttpxClient(verify=_NO_CERTIFICATES),
        **{"max_retries": 0, "timeout": 20.0, **options},
    )


async def read_stream(events: Any) -> tuple[str, Any]:
    """Return the text of a stream, and the error object on which the SDK raised, if it did."""
    text = ""
    try:
        async for one in events:
            text += one.choices[0].delta.content or ""
    except openai.APIError as error:
        return text, error.body
    return text, None


def ended(running: RunningGateway, request_id: str) -> RequestEnded:
    """Wait for the settlement of a request, as sinks get it."""
    return events_of(running, RequestEnded, request_id)[0]


def attempts(running: RunningGateway, request_id: str) -> list[AttemptEnded]:
    """Wait until a request is over, and return its attempts."""
    ended(running, request_id)
    return [one for one in running.of(AttemptEnded) if one.request_id == request_id]


def events_of(running: RunningGateway, kind: type[T], request_id: str) -> list[T]:
    """Wait for events of one request."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        found = [one for one in running.of(kind) if getattr(one, "request_id", "") == request_id]
        if found:
            return found
        time.sleep(0.005)
    raise TimeoutError(f"no {kind.__name__} of {request_id} came")


def journalled(running: RunningGateway, request_id: str) -> list[RequestEnded]:
    """Return what the journal's files hold of a request."""
    journal = running.gateway.process.journal
    assert journal.flush()
    reader = journal.reader("e2e")
    found = [one.decode(RequestEnded) for one in reader if one.kind == "request_ended"]
    reader.forget()
    return [one for one in found if one.request_id == request_id]


def raw_request(
    running: RunningGateway, body: bytes, *lines: str, path: str = "/v1/chat/completions"
) -> bytes:
    """Return the bytes of a POST with a good key; ``lines`` are further header lines."""
    head = [f"POST {path} HTTP/1.1", "host: gateway", f"authorization: Bearer {running.key}", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


def converse(running: RunningGateway, *pieces: bytes, seconds: float = 10.0) -> bytes:
    """Send bytes, and return all that comes back until the gateway closes the connection."""
    with socket.create_connection((running.host, running.port), timeout=seconds) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = bytearray()
        while piece := connection.recv(65536):
            received += piece
        return bytes(received)


def read_answer(received: bytes) -> tuple[int, dict[str, str], Any]:
    """Return status, headers and decoded JSON of one answer's bytes."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split(" ")[1]), headers, json.loads(body) if body else None
