"""What OpenAI's chat endpoint answers, as a provider of these tests writes it.

Source: https://platform.openai.com/docs/api-reference/chat/object and .../chat-streaming
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hookway_sdk.testing.scripted_upstream import Reply, json_reply, sse_reply

UPSTREAM_MODEL = "gpt-4o-2024-08-06"
"""The name under which the provider says it answered; no caller may ever see it."""

USAGE = {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15}


def completion(text: str | None = "hello", *, finish: str = "stop", **more: Any) -> dict[str, Any]:
    """Return an answer with one choice; further members replace what stands in it."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-upstream",
        "object": "chat.completion",
        "created": 1741569952,
        "model": UPSTREAM_MODEL,
        "choices": [choice],
        "usage": USAGE,
        "system_fingerprint": "fp_e2e",
        **more,
    }


def answer(text: str = "hello", **more: Any) -> Reply:
    """Return an answer as the provider sends it."""
    return json_reply(completion(text, **more))


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """Return one frame of a stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return frame(
        {
            "id": "chatcmpl-upstream",
            "object": "chat.completion.chunk",
            "created": 1741569952,
            "model": UPSTREAM_MODEL,
            "choices": choices,
            **more,
        }
    )


def frame(value: Any) -> bytes:
    """Return a value as one server-sent event."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def frames(*texts: str) -> list[bytes]:
    """Return a whole stream, as OpenAI sends it when usage was asked for; ``[DONE]`` is not among it."""
    return [
        chunk({"role": "assistant", "content": ""}, usage=None),
        *(chunk({"content": text}, usage=None) for text in texts),
        chunk({}, "stop", usage=None),
        chunk(None, usage=USAGE),
    ]


def stream(*texts: str, delay: float = 0.0, **more: Any) -> Reply:
    """Return a streamed answer as the provider sends it."""
    return sse_reply(frames(*texts), delay, **more)


def refusal(status: int, message: str, *, headers: Any = (), **more: Any) -> Reply:
    """Return an error in OpenAI's envelope."""
    return json_reply({"error": {"message": message, "type": "some_type", **more}}, status, headers)


def events_in(body: bytes) -> Iterator[tuple[str, Any]]:
    """Yield name and decoded data of each event in a stream's bytes; ``[DONE]`` stays text."""
    for block in body.split(b"\n\n"):
        lines = [line for line in block.split(b"\n") if line and not line.startswith(b":")]
        if lines:
            fields = dict(line.split(b": ", 1) for line in lines)
            data = fields[b"data"]
            name = fields.get(b"event", b"").decode()
            yield name, "[DONE]" if data == b"[DONE]" else json.loads(data)
