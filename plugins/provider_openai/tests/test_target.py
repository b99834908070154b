"""Where requests go, with which headers, and which settings make no address."""

from __future__ import annotations

from typing import Any

import pytest

from hookway_plugins.provider_openai import OpenAIProvider
from hookway_sdk import InvalidUpstreamConfig, InvalidUpstreamCredential


@pytest.mark.parametrize(
    ("api_base", "url"),
    [
        ("https://h.test", "https://h.test/v1/chat/completions"),
        ("https://h.test/", "https://h.test/v1/chat/completions"),
        ("  https://h.test/v1/ \n", "https://h.test/v1/chat/completions"),
        ("https://h.test/v2", "https://h.test/v2/chat/completions"),
        ("https://h.test/api/paas/v4", "https://h.test/api/paas/v4/chat/completions"),
        ("https://h.test/v1beta/openai/", "https://h.test/v1beta/openai/chat/completions"),
        ("https://h.test/v1/chat/completions", "https://h.test/v1/chat/completions"),
        ("https://h.test/v1/chat/completions/", "https://h.test/v1/chat/completions"),
        ("https://h.test/chat/completions", "https://h.test/v1/chat/completions"),
        ("https://h.test/v1/completions", "https://h.test/v1/chat/completions"),
        ("https://h.test/v1/embeddings", "https://h.test/v1/chat/completions"),
        ("https://h.test/v1/audio/speech", "https://h.test/v1/chat/completions"),
        ("https://h.test/v1/messages", "https://h.test/v1/chat/completions"),
        ("https://h.test/v1/rerank/rerank", "https://h.test/v1/rerank/chat/completions"),
        ("HTTP://h.test:8080", "http://h.test:8080/v1/chat/completions"),
        ("http://[::1]:8000", "http://[::1]:8000/v1/chat/completions"),
    ],
)
def test_a_base_url_is_taken_as_it_is_meant(
    provider: OpenAIProvider, make_deployment: Any, api_base: str, url: str
) -> None:
    assert provider.target(make_deployment(api_base=api_base), "openai.chat", False).url == url


@pytest.mark.parametrize("vendor", ["", "openai", " OpenAI "])
def test_openai_itself_needs_no_base(provider: OpenAIProvider, make_deployment: Any, vendor: str) -> None:
    target = provider.target(make_deployment(api_base=" ", provider=vendor), "openai.chat", False)
    assert target.url == "https://api.openai.com/v1/chat/completions"


@pytest.mark.parametrize(
    ("vendor_of_key", "vendor_of_model"), [("groq", ""), ("", "groq"), ("groq", "openai")]
)
def test_another_vendors_key_never_goes_to_openai(
    provider: OpenAIProvider, make_deployment: Any, vendor_of_key: str, vendor_of_model: str
) -> None:
    deployment = make_deployment(api_base="", provider=vendor_of_key, vendor=vendor_of_model)
    with pytest.raises(InvalidUpstreamConfig) as refused:
        provider.target(deployment, "openai.chat", False)
    assert refused.value.message.endswith('provider_key "my key" has no api_base configured')
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("api_base", "reason"),
    [
        ("ftp://h.test", "http://"),
        ("h.test/v1", "http://"),
        ("file:///etc/passwd", "http://"),
        ("http://", "not a URL"),
        ("http:///v1", "not a URL"),
        ("http://h.test:port", "not a URL"),
        ("http://h.test:99999", "not a URL"),
        ("http://[::1", "not a URL"),
        ("http://h .test", "not a URL"),
        ("http://h.test\\@evil.test", "not a URL"),
        ("http://h.test/\x00", "not a URL"),
        ("https://user:hunter2@h.test/v1", "user or a password"),
        ("https://user@h.test", "user or a password"),
        ("https://h.test/v1?key=1", "query or a fragment"),
        ("https://h.test/v1?", "query or a fragment"),
        ("https://h.test/v1#x", "query or a fragment"),
    ],
)
def test_a_base_that_is_no_root_of_an_api_is_refused_by_the_keys_name(
    provider: OpenAIProvider, make_deployment: Any, api_base: str, reason: str
) -> None:
    with pytest.raises(InvalidUpstreamConfig) as refused:
        provider.target(make_deployment(api_base=api_base), "openai.chat", False)
    assert reason in refused.value.message
    assert '"my key"' in refused.value.message
    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize(("stream", "accept"), [(False, "application/json"), (True, "text/event-stream")])
def test_every_request_carries_the_key_and_says_what_it_accepts(
    provider: OpenAIProvider, make_deployment: Any, stream: bool, accept: str
) -> None:
    assert provider.target(make_deployment(), "openai.chat", stream).headers == (
        ("authorization", "Bearer sk-test"),
        ("content-type", "application/json"),
        ("accept", accept),
    )


@pytest.mark.parametrize("secret", ["", "  "])
def test_a_key_without_a_credential_is_the_operators_mistake(
    provider: OpenAIProvider, make_deployment: Any, secret: str
) -> None:
    with pytest.raises(InvalidUpstreamConfig) as refused:
        provider.target(make_deployment(secret=secret), "openai.chat", False)
    assert refused.value.message.endswith('model "fast" provider_key has empty api_key')


@pytest.mark.parametrize("secret", ["sk\n", "sk\r\nx: y", "sk\x00", "clé"])
def test_a_credential_that_cannot_stand_in_a_header_is_never_sent(
    provider: OpenAIProvider, make_deployment: Any, secret: str
) -> None:
    with pytest.raises(InvalidUpstreamCredential) as refused:
        provider.target(make_deployment(secret=secret), "openai.chat", False)
    assert refused.value.status == 401
    assert secret.strip() not in refused.value.message
