"""Error answers of upstreams, as callers and operators get to see them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookway_plugins.provider_openai import OpenAIProvider

QUOTA = {"message": "slow down", "type": "tokens", "param": "n", "code": "rate_limit_exceeded"}


def test_a_4xx_keeps_status_message_code_and_param(provider: OpenAIProvider) -> None:
    error = provider.error(429, {"retry-after": "7"}, json.dumps({"error": QUOTA}).encode())
    assert (error.status, error.type, error.message) == (429, "upstream_error", "slow down")
    assert (error.code, error.param, error.retry_after) == ("rate_limit_exceeded", "n", 7)


def test_a_5xx_becomes_502_and_its_text_is_for_the_operator_alone(provider: OpenAIProvider) -> None:
    error = provider.error(503, {}, json.dumps({"error": QUOTA}).encode())
    assert (error.status, error.message, error.code, error.param) == (
        502,
        "upstream returned 503",
        None,
        None,
    )
    assert (error.upstream_status, error.detail) == (503, "slow down")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"Bad Gateway Configuration\n", "Bad Gateway Configuration"),
        (b'{"detail":"Not Found"}', '{"detail":"Not Found"}'),
        (b'{"error":"no such model"}', '{"error":"no such model"}'),
        (b'{"error":{"message":"m","code":404}}', '{"error":{"message":"m","code":404}}'),
        (b'{"error":{"message":7}}', '{"error":{"message":7}}'),
        (b"[" * 5000, "[" * 1024),
        (b"\xff!", "\ufffd!"),
        (b"", "upstream returned 404"),
    ],
)
def test_a_body_in_another_shape_is_its_own_message(
    provider: OpenAIProvider, body: bytes, message: str
) -> None:
    error = provider.error(404, {}, body)
    assert (error.status, error.message, error.code) == (404, message, None)


def test_a_long_message_is_cut_at_a_kibibyte_and_never_inside_a_character(provider: OpenAIProvider) -> None:
    error = provider.error(400, {}, json.dumps({"error": {"message": "a" + "é" * 4000}}).encode())
    assert error.message == "a" + "é" * 511
    assert len(provider.error(400, {}, "é".encode() * 4000).message.encode()) == 1024


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.2"}, 2),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 2),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_when_to_come_back_is_read_in_seconds(
    provider: OpenAIProvider, headers: dict[str, str], seconds: int | None
) -> None:
    assert provider.error(429, headers, b"").retry_after == seconds


@pytest.mark.parametrize("body", [b"null", b"[]", b'{"error":[]}', b'{"error":{"message":"m","param":4}}'])
def test_no_body_breaks_the_reading_of_an_error(provider: OpenAIProvider, body: bytes) -> None:
    error: Any = provider.error(400, {}, body)
    assert error.status == 400
    assert error.param is None
