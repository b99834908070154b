"""The promises of every provider, kept by this one."""

from __future__ import annotations

from hookway_plugins.provider_openai import OpenAIProvider
from hookway_sdk import Usage
from hookway_sdk.testing import ProviderContract
from hookway_sdk.testing.contracts.provider_trial import Answered

WIRE = "openai.chat"
HEAD = b'{"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","created":5,'
CHUNK = b"data: " + HEAD + b'"object":"chat.completion.chunk","choices":'
COUNTS = (
    b'"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15,'
    b'"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":1}}'
)
USAGE = Usage(12, 3, cached_input_tokens=4, reasoning_tokens=1)


class TestContract(ProviderContract):
    plugin = OpenAIProvider
    name = "provider_openai"
    requests = {  # noqa: RUF012  # read only
        WIRE: (
            b'{"model":"fast","messages":[{"role":"user","content":"hi"}]}',
            b'{"model":"fast","messages":[{"role":"user","content":"hi"}],"stream":true,'
            b'"stream_options":{"include_obfuscation":false}}',
        )
    }
    answers = {  # noqa: RUF012  # read only
        WIRE: (
            Answered(
                HEAD + b'"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",'
                b'"content":"four","refusal":null},"logprobs":null,"finish_reason":"stop"}],' + COUNTS + b"}",
                USAGE,
                "four",
            ),
        )
    }
    streams = {  # noqa: RUF012  # read only
        WIRE: (
            Answered(
                CHUNK
                + b'[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
                + CHUNK
                + b'[{"index":0,"delta":{"content":"fo"},"finish_reason":null}],"usage":null}\n\n'
                + CHUNK
                + b'[{"index":0,"delta":{"content":"ur"},"finish_reason":null}]}\r\n\r\n'
                + CHUNK
                + b'[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
                + CHUNK
                + b"[],"
                + COUNTS
                + b"}\n\n"
                + b"data: [DONE]\n\n",
                USAGE,
                "four",
            ),
        )
    }
    errors = (
        (429, b'{"error":{"message":"slow down","type":"tokens","code":"rate_limit_exceeded"}}', "slow down"),
        (404, b"no such page", "no such page"),
        (503, b'{"error":{"message":"host-17 is down"}}', "host-17 is down"),
    )
