"""What providers do wrong: the caller gets its own envelope with the right status, and it is recorded."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from callers import HELLO, ID, asynchronous, attempts, ended, journalled
from openai_wire import answer, completion, frame, frames, refusal, stream
from scripted_provider import KEY, Answer, Provider
from watched import Watched

from hookway.testing import HttpReply, RunningGateway
from hookway_sdk.testing.scripted_upstream import Cut, Malformed, Reply, Stall, json_reply, sse_reply

TIMEOUT = 300
LIMIT = 64 * 1024
HTML = Reply(200, [("content-type", "text/html")], b"<!doctype html><title>Welcome to nginx</title>")


@pytest.fixture(scope="module")
def dead_port() -> Iterator[int]:
    """A port that is taken, and at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(scope="module")
def running(start_shared: Watched, provider_server: Provider, dead_port: int) -> RunningGateway:
    account = provider_server.account()
    plain = provider_server.url
    return start_shared(
        # A pooled connection that breaks at once counts as closed while idle, and the request is sent again.
        {"upstream": {"answer_limit": LIMIT, "pool_max_idle_per_host": 0}},
        resources={
            "models": [
                {"name": "fast", "model": "openai/gpt-4o", **account},
                {"name": "hasty", "model": "openai/gpt-4o", **account, "timeout": TIMEOUT},
                {
                    "name": "dead",
                    "model": "openai/gpt-4o",
                    **account,
                    "api_base": f"http://127.0.0.1:{dead_port}",
                },
                {
                    "name": "tls",
                    "model": "openai/gpt-4o",
                    **account,
                    "api_base": plain.replace("http", "https", 1),
                },
                {"name": "ftp", "model": "openai/gpt-4o", **account, "api_base": "ftp://127.0.0.1/v1"},
                {"name": "bad-key", "model": "openai/gpt-4o", **account, "key": "sk-\nx-evil: 1"},
                {"name": "no-plugin", "model": "acme/one", **account},
            ]
        },
    )


def ask(running: RunningGateway, request_id: str, stream: bool = False, model: str = "fast") -> HttpReply:
    asked = {"model": model, "messages": HELLO, "stream": stream}
    return running.post("/v1/chat/completions", asked, headers={ID: request_id})


def failed(running: RunningGateway, got: HttpReply, status: int, kind: str) -> dict[str, Any]:
    """Check a failed answer and what is recorded of it; return its error."""
    assert got.status == status, got.body
    assert got.headers["content-type"].startswith("application/json")
    error: dict[str, Any] = got.json()["error"]
    assert error["type"] == kind
    event = ended(running, got.headers[ID])
    assert (event.status, event.error_type, event.requested_model) == (status, kind, event.model)
    assert event.usage.total_tokens == 0
    assert journalled(running, event.request_id) == [event]
    return error


BROKEN: dict[str, tuple[Answer, int, str]] = {
    "closes at once": (Cut(), 502, "transport_error"),
    "resets at once": (Cut(reset=True), 502, "transport_error"),
    "closes inside the head": (Cut(answer(), head_bytes=20), 502, "transport_error"),
    "cuts the body": (Cut(answer(), 40), 502, "stream_aborted"),
    "cuts a chunked body": (Cut(json_reply(completion(), framing="chunked"), 40), 502, "stream_aborted"),
    "is no http": (Malformed(b"SSH-2.0-OpenSSH_9.6\r\n"), 502, "transport_error"),
    "breaks its chunks": (
        Malformed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n"),
        502,
        "transport_error",
    ),
    "answers html": (HTML, 502, "upstream_decode_error"),
    "answers nothing": (Reply(200), 502, "upstream_decode_error"),
    "answers half of json": (
        Reply(200, [("content-type", "application/json")], b'{"id": "x", "choi'),
        502,
        "upstream_decode_error",
    ),
    "answers a list": (json_reply([completion()]), 502, "upstream_decode_error"),
    "answers no choices": (
        json_reply({"id": "x", "object": "chat.completion"}),
        502,
        "upstream_decode_error",
    ),
    "answers too much": (answer("x" * LIMIT), 502, "upstream_decode_error"),
    "redirects": (Reply(307, [("location", "/v1/elsewhere")]), 502, "upstream_error"),
    "fails": (refusal(500, "stack trace of host 10.0.0.7"), 502, "upstream_error"),
    "is overloaded": (refusal(529, "overloaded"), 502, "upstream_error"),
    "fails in html": (
        Reply(503, [("content-type", "text/html")], b"<h1>10.0.0.7</h1>"),
        502,
        "upstream_error",
    ),
    "fails inside a success": (
        json_reply({"error": {"message": "host 10.0.0.7 is gone", "code": 503}}),
        502,
        "upstream_error",
    ),
    "refuses inside a success": (
        json_reply({"error": {"message": "slow down", "code": 429}}),
        429,
        "upstream_error",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_provider_that_breaks_is_reported_in_the_clients_envelope(
    running: RunningGateway, provider: Provider, how: str
) -> None:
    scripted, status, kind = BROKEN[how]
    provider.answers(scripted)
    error = failed(running, ask(running, f"broken {how}".replace(" ", "-")), status, kind)
    assert "10.0.0.7" not in error["message"]
    assert len(provider.requests) == 1


IN_STREAM: dict[str, tuple[Answer, int, str]] = {
    "closes at once": (Cut(), 502, "transport_error"),
    "closes after the head": (Cut(stream("hello"), 0), 502, "stream_aborted"),
    "ends after the head": (sse_reply([], done=False), 502, "stream_aborted"),
    "closes inside the first frame": (Cut(stream("hello"), 20), 502, "stream_aborted"),
    "answers html": (HTML, 502, "upstream_decode_error"),
    "answers garbage": (sse_reply([b"data: <html>\n\n"]), 502, "upstream_decode_error"),
    "fails": (refusal(500, "stack trace of host 10.0.0.7"), 502, "upstream_error"),
    "fails in its first frame": (
        sse_reply([frame({"error": {"message": "host 10.0.0.7 is gone"}})]),
        502,
        "upstream_error",
    ),
    "refuses in its first frame": (
        sse_reply([frame({"error": {"message": "slow down", "code": "429"}})]),
        429,
        "upstream_error",
    ),
    "fails in a document": (
        json_reply({"error": {"message": "host 10.0.0.7 is gone"}}),
        502,
        "upstream_error",
    ),
    "refuses in a document": (
        json_reply({"error": {"message": "slow down", "code": 429}}),
        429,
        "upstream_error",
    ),
}


@pytest.mark.parametrize("how", IN_STREAM)
def test_a_stream_that_never_begins_is_an_ordinary_error(
    running: RunningGateway, provider: Provider, how: str
) -> None:
    scripted, status, kind = IN_STREAM[how]
    provider.answers(scripted)
    error = failed(running, ask(running, f"unbegun {how}".replace(" ", "-"), stream=True), status, kind)
    assert "10.0.0.7" not in error["message"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("how", ["before the head", "inside the head", "after the head"])
def test_a_provider_that_stalls_is_given_up_in_time(
    running: RunningGateway, provider: Provider, how: str, stream: bool
) -> None:
    begun = sse_reply(frames("hello")) if stream else answer()
    silent = {
        "before the head": Stall(),
        "inside the head": Stall(begun, head_bytes=20),
        "after the head": Stall(begun),
    }
    provider.answers(silent[how])
    began = time.monotonic()
    error = failed(
        running, ask(running, f"stall-{how}-{stream}".replace(" ", "-"), stream, "hasty"), 504, "timeout"
    )
    assert TIMEOUT / 1000 <= time.monotonic() - began < TIMEOUT / 1000 + 1
    assert error["message"] == f"upstream request timed out after {TIMEOUT}ms"
    provider.departure()


def test_a_stall_in_the_middle_of_a_body_is_given_up_in_time(
    running: RunningGateway, provider: Provider
) -> None:
    provider.answers(Stall(answer(), 40))
    failed(running, ask(running, "stall-body", model="hasty"), 504, "timeout")
    provider.departure()


@pytest.mark.parametrize("model", ["dead", "tls"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_connection_that_cannot_be_made_is_a_transport_error(
    running: RunningGateway, dead_port: int, model: str, stream: bool
) -> None:
    error = failed(running, ask(running, f"{model}-{stream}", stream, model), 502, "transport_error")
    assert "127.0.0.1" not in error["message"]
    assert str(dead_port) not in error["message"]
    (attempt,) = attempts(running, f"{model}-{stream}")
    assert (attempt.error_kind, attempt.status, attempt.target) == ("transport", 0, model)


@pytest.mark.parametrize(
    ("model", "status", "kind", "message"),
    [
        ("ftp", 400, "invalid_request_error", "api_base of provider_key"),
        ("bad-key", 401, "authentication_error", "api_key of provider_key"),
        ("no-plugin", 503, "provider_unavailable", "no provider plugin serves 'acme'"),
    ],
)
def test_what_the_operator_has_to_mend_is_said(
    running: RunningGateway, model: str, status: int, kind: str, message: str
) -> None:
    error = failed(running, ask(running, f"mend-{model}", model=model), status, kind)
    assert message in error["message"]
    assert "sk-" not in error["message"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (402, openai.APIStatusError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (413, openai.APIStatusError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
    ],
)
async def test_a_refusal_keeps_status_message_code_and_param(
    running: RunningGateway,
    provider: Provider,
    status: int,
    raised: type[openai.APIStatusError],
    stream: bool,
) -> None:
    provider.answers(
        refusal(status, "the prompt is too long", code="context_length_exceeded", param="messages")
    )
    async with asynchronous(running) as client:
        with pytest.raises(raised) as caught:
            await client.chat.completions.create(
                model="fast", messages=HELLO, stream=stream, extra_headers={ID: f"refused-{status}-{stream}"}
            )
    assert caught.value.status_code == status
    assert caught.value.body == {
        "message": "the prompt is too long",
        "type": "upstream_error",
        "code": "context_length_exceeded",
        "param": "messages",
    }
    assert caught.value.response.headers[ID] == f"refused-{status}-{stream}"
    (attempt,) = attempts(running, f"refused-{status}-{stream}")
    assert (attempt.status, attempt.error_kind, attempt.dispatched) == (status, "upstream_status", True)


def test_a_refusal_that_is_no_json_is_its_own_message(running: RunningGateway, provider: Provider) -> None:
    provider.answers(Reply(403, [("content-type", "text/plain")], b"region not supported\n" + b"x" * 5000))
    error = failed(running, ask(running, "plain-1"), 403, "upstream_error")
    assert error["message"].startswith("region not supported")
    assert len(error["message"]) <= 1024
    assert "code" not in error


async def test_how_long_to_wait_is_passed_on(running: RunningGateway, provider: Provider) -> None:
    provider.answers(refusal(429, "slow down", headers=[("retry-after", "17")]))
    async with asynchronous(running) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="fast", messages=HELLO)
    assert caught.value.response.headers["retry-after"] == "17"


def test_what_the_provider_said_is_kept_for_the_operator(running: RunningGateway, provider: Provider) -> None:
    provider.answers(refusal(500, "stack trace of host 10.0.0.7"))
    error = failed(running, ask(running, "operator-1"), 502, "upstream_error")
    assert error == {"message": "upstream returned 500", "type": "upstream_error"}
    assert "stack trace of host 10.0.0.7" in ended(running, "operator-1").error


REPEATS = {
    "refusal": refusal(401, f"Incorrect API key provided: {KEY}", code=f"bad {KEY}", param=KEY),
    "text": Reply(400, [("content-type", "text/plain")], f"you sent Authorization: Bearer {KEY}".encode()),
    "server's fault": refusal(500, f"cannot use {KEY}"),
    "inside a success": json_reply({"error": {"message": f"no {KEY}", "code": 401, "type": KEY}}),
    "inside a stream": sse_reply([*frames("hello"), frame({"error": {"message": f"no {KEY}", "code": 400}})]),
}


@pytest.mark.parametrize("how", REPEATS)
def test_a_provider_that_repeats_its_key_tells_it_to_nobody(
    running: RunningGateway, provider: Provider, how: str
) -> None:
    provider.answers(REPEATS[how])
    request_id = "repeats-" + how.replace(" ", "-").replace("'", "")
    reply = ask(running, request_id, stream=how == "inside a stream")
    told = (ended(running, request_id), attempts(running, request_id), journalled(running, request_id))
    assert KEY not in reply.body.decode() + repr(told)
    assert "***" in repr(told)


def test_a_redirect_is_not_followed_with_the_key(running: RunningGateway, provider: Provider) -> None:
    provider.answers(Reply(302, [("location", provider.url + "/chat/completions?again")]))
    failed(running, ask(running, "redirect-1"), 502, "upstream_error")
    assert provider.request.header("authorization") == f"Bearer {KEY}"


def test_interim_answers_are_passed_over(running: RunningGateway, provider: Provider) -> None:
    provider.answers([Reply(103, [("link", "</a>")]), Reply(102), answer("after all")])
    assert ask(running, "interim-1").json()["choices"][0]["message"]["content"] == "after all"
