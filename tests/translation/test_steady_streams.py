"""A relayed stream is the same to client and ledger, whether its frames are opened or recognised."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hookway.framing import SseFramer
from hookway.produced_text import ProducedText
from hookway.steady_frames import SteadyFrames
from hookway_plugins.dialect_openai.stream_writer import ChatStreamWriter
from hookway_plugins.provider_openai.stream_reader import ChatStreamReader

WORDS = st.text(max_size=12) | st.sampled_from(
    ['"', "\\", '\\"', "\n", "\r", "[DONE]", '"finish_reason":"stop"', '{"error":1}', "\u2028", "é", " the"]
)
DELTAS = st.one_of(
    st.builds(lambda word: {"content": word}, WORDS),
    st.builds(lambda word: {"role": "assistant", "content": word}, WORDS),
    st.builds(lambda word: {"reasoning_content": word}, WORDS),
    st.just({}),
)
CHUNKS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.just("chatcmpl-1"),
            "object": st.just("chat.completion.chunk"),
            "created": st.just(1),
            "model": st.sampled_from(["mini", "mini", "mini", "maxi"]),
            "choices": st.lists(
                st.fixed_dictionaries(
                    {
                        "index": st.sampled_from([0, 0, 0, 1]),
                        "delta": DELTAS,
                        "finish_reason": st.sampled_from([None, None, None, None, "stop", "length"]),
                    }
                ),
                max_size=2,
            ),
        },
        optional={
            "usage": st.sampled_from(
                [None, None, {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}]
            ),
            "obfuscation": st.text(alphabet="abcXYZ019", max_size=6),
        },
    ),
    max_size=30,
)


def relayed(chunks: list[dict[str, Any]], include_usage: bool, ascii_only: bool, steadily: bool) -> Any:
    """Return what the client gets, and what the reader noted."""
    framer, reader = SseFramer(), ChatStreamReader()
    writer = ChatStreamWriter(model="alias", fallback_id="x", now=1, include_usage=include_usage)
    steady = SteadyFrames(reader, writer, ProducedText(lambda: reader))
    sent = b""
    recognised = 0
    for chunk in chunks:
        text = json.dumps(chunk, separators=(",", ":"), ensure_ascii=ascii_only)
        read = b"data: " + text.encode() + b"\n\n"
        piece = steady.rewrite(read) if steadily else None
        if piece is not None:
            recognised += 1
            sent += piece
            continue
        for frame in framer.feed(read):
            reader.observe(frame)
            sent += writer.relay(frame)
            steady.learn(read, frame)
    noted = (reader.usage, reader.upstream_id, reader.upstream_model, reader.stop_reason, reader.done)
    return sent, noted, recognised


@given(CHUNKS, st.booleans(), st.booleans())
def test_recognised_frames_change_nothing(
    chunks: list[dict[str, Any]], include_usage: bool, ascii_only: bool
) -> None:
    opened = relayed(chunks, include_usage, ascii_only, False)
    steadily = relayed(chunks, include_usage, ascii_only, True)
    assert steadily[:2] == opened[:2]


def test_the_words_of_an_ordinary_stream_are_recognised() -> None:
    def chunk(word: str, **more: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
        return {"id": "chatcmpl-1", "model": "mini", "choices": [choice], "usage": None, **more}

    for more in ({}, {"obfuscation": "aB3"}):
        sent, _, recognised = relayed(
            [chunk(f" w{number}", **more) for number in range(50)], True, True, True
        )
        assert recognised == 49
        assert sent.count(b'"model":"alias"') == 50
