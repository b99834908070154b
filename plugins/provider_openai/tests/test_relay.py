"""Relayed requests and answers: what is changed, what is read, and that the rest is not touched."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookway_plugins.provider_openai import OpenAIProvider
from hookway_sdk import UpstreamInBand, UpstreamUndecodable, Usage, close_envelope, open_envelope

WIRE = "openai.chat"


def relayed(provider: OpenAIProvider, deployment: Any, body: bytes, stream: bool) -> bytes:
    return close_envelope(provider.relay_request(open_envelope(body), deployment, WIRE, stream))


def test_the_upstream_gets_its_own_name_of_the_model_and_the_rest_untouched(
    provider: OpenAIProvider, make_deployment: Any
) -> None:
    body = b'{"model":"fast","messages":[ {"content" : "hi"} ],"new_option":{"a": 1e2}}'
    sent = relayed(provider, make_deployment(), body, False)
    assert sent == b'{"model":"gpt-4o","messages":[ {"content" : "hi"} ],"new_option":{"a": 1e2}}'


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (b"", b'{"include_usage":true}'),
        (b',"stream_options":null', b'{"include_usage":true}'),
        (b',"stream_options":{}', b'{"include_usage":true}'),
        (b',"stream_options":{"include_usage":false}', b'{"include_usage":true}'),
        (b',"stream_options":{"include_usage": true}', b'{"include_usage": true}'),
        (
            b',"stream_options":{"include_obfuscation":false}',
            b'{"include_obfuscation":false,"include_usage":true}',
        ),
    ],
)
def test_usage_is_always_asked_for_on_streams(
    provider: OpenAIProvider, make_deployment: Any, options: bytes, sent: bytes
) -> None:
    body = b'{"model":"fast","stream":true' + options + b"}"
    assert relayed(provider, make_deployment(), body, True) == (
        b'{"model":"gpt-4o","stream":true,"stream_options":' + sent + b"}"
    )


def test_how_the_answer_is_fetched_wins_over_what_the_client_wrote(
    provider: OpenAIProvider, make_deployment: Any
) -> None:
    body = b'{"model":"fast","stream":true,"stream_options":{"include_usage":true}}'
    assert relayed(provider, make_deployment(), body, False) == b'{"model":"gpt-4o","stream":false}'
    body = b'{"model":"fast","stream":false}'
    sent = json.loads(relayed(provider, make_deployment(), body, True))
    assert sent == {"model": "gpt-4o", "stream": True, "stream_options": {"include_usage": True}}


def facts(provider: OpenAIProvider, body: bytes) -> Any:
    return provider.facts(open_envelope(body), WIRE)


def usage(provider: OpenAIProvider, usage: Any) -> Usage:
    return facts(provider, json.dumps({"choices": [], "usage": usage}).encode()).usage


def test_an_answer_says_who_made_it_and_why_it_stopped(provider: OpenAIProvider) -> None:
    text = 'I say \\"finish_reason\\":\\"length\\" myself'
    choice = b'{"finish_reason" : "stop","message":{"content":"' + text.encode() + b'"}}'
    found = facts(provider, b'{"id":"chatcmpl-1","model":"gpt-4o-2024","choices":[' + choice + b"]}")
    assert (found.upstream_id, found.upstream_model, found.stop_reason) == (
        "chatcmpl-1",
        "gpt-4o-2024",
        "stop",
    )


def test_an_answer_without_id_model_and_usage_is_accepted(provider: OpenAIProvider) -> None:
    found = facts(provider, b'{"choices":[{"message":{},"finish_reason":null}]}')
    assert (found.upstream_id, found.upstream_model, found.stop_reason, found.usage) == ("", "", "", Usage())


@pytest.mark.parametrize(
    ("reported", "counts"),
    [
        (None, Usage()),
        ("many", Usage()),
        (
            {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
            Usage(input_tokens=5, output_tokens=2),
        ),
        ({"prompt_tokens": -5, "completion_tokens": "2"}, Usage()),
        ({"prompt_tokens": True, "completion_tokens": 2.0}, Usage(output_tokens=2)),
        (
            {
                "prompt_tokens": 50,
                "completion_tokens": 20,
                "prompt_tokens_details": {
                    "cached_tokens": 10,
                    "audio_tokens": 3,
                    "image_tokens": 4,
                    "cache_write_tokens": 6,
                },
                "completion_tokens_details": {
                    "reasoning_tokens": 7,
                    "audio_tokens": 1,
                    "accepted_prediction_tokens": 2,
                    "rejected_prediction_tokens": 0,
                },
            },
            Usage(
                input_tokens=50,
                output_tokens=20,
                cached_input_tokens=10,
                cache_write_tokens=6,
                reasoning_tokens=7,
                audio_input_tokens=3,
                audio_output_tokens=1,
                image_input_tokens=4,
                other={"accepted_prediction_tokens": 2},
            ),
        ),
        (
            {"prompt_tokens": 50, "prompt_cache_hit_tokens": 10, "prompt_cache_miss_tokens": 40},
            Usage(
                input_tokens=50,
                cached_input_tokens=10,
                other={"prompt_cache_hit_tokens": 10, "prompt_cache_miss_tokens": 40},
            ),
        ),
        ({"prompt_tokens_details": None, "completion_tokens_details": [1]}, Usage()),
    ],
)
def test_usage_is_read_whatever_servers_make_of_it(
    provider: OpenAIProvider, reported: Any, counts: Usage
) -> None:
    assert usage(provider, reported) == counts


def test_a_count_that_no_answer_can_have_is_the_largest_there_is(provider: OpenAIProvider) -> None:
    counts = usage(provider, {"prompt_tokens": 10**30, "completion_tokens": 5})
    assert counts == Usage(input_tokens=2**53 - 1, output_tokens=5)


@pytest.mark.parametrize("odd", [None, -1, "x"])
def test_one_odd_count_does_not_change_how_the_others_are_read(provider: OpenAIProvider, odd: Any) -> None:
    whole = {
        "prompt_tokens": 50,
        "completion_tokens": 20,
        "prompt_tokens_details": {
            "cached_tokens": 10,
            "cache_write_tokens": 6,
            "image_tokens": 4,
            "audio_tokens": 3,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 7,
            "audio_tokens": 1,
            "accepted_prediction_tokens": 2,
            "rejected_prediction_tokens": 1,
        },
        "prompt_cache_hit_tokens": 10,
        "prompt_cache_miss_tokens": 40,
    }
    plain = usage(provider, whole)
    for name in ("completion_tokens", "prompt_cache_hit_tokens"):
        mangled = usage(provider, {**whole, name: odd})
        expected = plain.copy()
        if name == "completion_tokens":
            expected.output_tokens = 0
        else:
            expected.other = {**(plain.other or {}), name: 0}
            if odd is None:
                del expected.other[name]
        assert mangled == expected


@pytest.mark.parametrize("number", [b"1e999", b"-1", b"1e400", b'"\xff"'])
def test_usage_that_is_no_number_never_raises_anything_but_undecodable(
    provider: OpenAIProvider, number: bytes
) -> None:
    try:
        found = facts(provider, b'{"choices":[],"usage":{"prompt_tokens":' + number + b"}}")
    except UpstreamUndecodable:
        return
    assert found.usage == Usage()


@pytest.mark.parametrize(
    "body", [b"{}", b'{"choices":null}', b'{"choices":{}}', b'{"error":null}', b'{"detail":"Not Found"}']
)
def test_a_success_without_choices_is_not_an_answer(provider: OpenAIProvider, body: bytes) -> None:
    with pytest.raises(UpstreamUndecodable):
        facts(provider, body)


@pytest.mark.parametrize(
    ("error", "status", "message", "code"),
    [
        ('"quota"', 502, "upstream returned an error inside its stream", None),
        ('{"message":"slow down","code":429}', 429, "slow down", None),
        ('{"message":"slow down","code":"429"}', 429, "slow down", "429"),
        ('{"message":"host-17 died","code":503}', 502, "upstream returned an error inside its stream", None),
        ('{"message":"m","code":"rate_limit"}', 502, "upstream returned an error inside its stream", None),
        ('{"message":"m","code":200}', 502, "upstream returned an error inside its stream", None),
        ('{"message":"m","code":true}', 502, "upstream returned an error inside its stream", None),
        ('{"code":400}', 400, '{"code":400}', None),
        ("[1]", 502, "upstream returned an error inside its stream", None),
    ],
)
def test_an_error_inside_a_success_is_an_error(
    provider: OpenAIProvider, error: str, status: int, message: str, code: str | None
) -> None:
    with pytest.raises(UpstreamInBand) as failed:
        facts(provider, b'{"error":' + error.encode() + b"}")
    assert (failed.value.status, failed.value.message, failed.value.code) == (status, message, code)
    assert failed.value.detail
