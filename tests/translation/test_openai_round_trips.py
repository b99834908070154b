"""OpenAI's own bytes through the canonical form and back: the same JSON values come out.

Where the wire has two spellings of one thing, the one that comes out may be the other: a member that is
``null`` or absent, ``stop`` as a string or a list, ``max_tokens`` or ``max_completion_tokens`` (whichever the
upstream understands), counts of usage that are zero or absent, ``reasoning`` or ``reasoning_content``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from hookway_plugins.dialect_openai.answers import answer_body
from hookway_plugins.dialect_openai.request_view import parse_chat
from hookway_plugins.dialect_openai.stream_writer import ChatStreamWriter
from hookway_plugins.provider_openai import OpenAIProvider
from hookway_sdk import Deployment, Frame, NoSettings, ProviderKey, Secret

CORPUS = Path(__file__).parent / "openai"
provider = OpenAIProvider("provider_openai", NoSettings(), None)  # type: ignore[arg-type]  # asks for no service


def files(folder: str) -> list[Any]:
    found = sorted((CORPUS / folder).glob("*.json"))
    assert found
    return [pytest.param(json.loads(path.read_text()), id=path.stem) for path in found]


def deployment(model: str, api_base: str = "http://127.0.0.1:9/v1") -> Deployment:
    return Deployment("d", "fast", model, "", ProviderKey("k", "key", "", "openai", api_base, Secret("sk")))


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_null(inner) for name, inner in value.items() if inner is not None}
    return [without_null(inner) for inner in value] if isinstance(value, list) else value


def one_spelling(request: dict[str, Any]) -> dict[str, Any]:
    request = without_null(request)
    if isinstance(request.get("stop"), str):
        request["stop"] = [request["stop"]]
    if "max_completion_tokens" in request:
        request["max_tokens"] = request.pop("max_completion_tokens")
    if request.get("stream") is False:
        del request["stream"]
    return request


@pytest.mark.parametrize("request_body", files("requests"))
def test_a_request_comes_out_as_it_went_in(request_body: dict[str, Any]) -> None:
    canonical = parse_chat(json.dumps(request_body).encode()).canonical()
    encoded = provider.encode(canonical, deployment(request_body["model"]))
    assert one_spelling(json.loads(encoded.body)) == one_spelling(request_body)
    assert encoded.dropped == ()


@pytest.mark.parametrize(
    ("api_base", "word"),
    [
        ("", "max_completion_tokens"),
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://r.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://openai.com.evil.test", "max_tokens"),
        ("http://127.0.0.1:8000", "max_tokens"),
    ],
)
def test_the_token_limit_is_spelt_as_the_upstream_understands_it(api_base: str, word: str) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":5}'
    sent = json.loads(provider.encode(parse_chat(body).canonical(), deployment("m", api_base)).body)
    assert sent[word] == 5


def test_a_request_with_both_token_limits_keeps_both() -> None:
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":5,"max_completion_tokens":7}'
    )
    encoded = provider.encode(parse_chat(body).canonical(), deployment("m", "https://api.openai.com"))
    assert json.loads(encoded.body) == json.loads(body)


def test_the_deprecated_functions_come_out_as_tools() -> None:
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "r"},
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "s"},
        ],
        "functions": [function],
        "function_call": {"name": "f"},
    }
    encoded = provider.encode(parse_chat(json.dumps(body).encode()).canonical(), deployment("m"))

    def called(number: int) -> dict[str, Any]:
        call_id = f"function_call_{number}"
        call = {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    assert encoded.dropped == ()
    assert json.loads(encoded.body) == {
        "model": "m",
        "messages": [
            {"role": "user", "content": "x"},
            called(0),
            {"role": "tool", "tool_call_id": "function_call_0", "content": "r"},
            called(1),
            {"role": "tool", "tool_call_id": "function_call_1", "content": "s"},
        ],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
    }


def said_counts(usage: dict[str, Any]) -> dict[str, Any]:
    """Return usage without what is zero, and without text tokens, which are what the others leave."""
    kept = {}
    for name, value in usage.items():
        if isinstance(value, dict):
            details = {word: count for word, count in value.items() if count and word != "text_tokens"}
            if details:
                kept[name] = details
        else:
            kept[name] = value
    return kept


def plain_answer(answer: dict[str, Any]) -> dict[str, Any]:
    answer = without_null(answer)
    answer["usage"] = said_counts(answer["usage"])
    for choice in answer["choices"]:
        message = choice["message"]
        if "reasoning" in message:
            message["reasoning_content"] = message.pop("reasoning")
    return answer


@pytest.mark.parametrize("answer", files("answers"))
def test_an_answer_comes_out_as_it_went_in(answer: dict[str, Any]) -> None:
    decoded = provider.decode(json.dumps(answer).encode(), deployment("m"))
    body = answer_body(decoded, model=answer["model"], fallback_id="none", now=0, legacy=False)
    assert plain_answer(json.loads(body)) == plain_answer(answer)


@pytest.mark.parametrize("answer", files("answers"))
def test_a_relayed_answer_tells_the_same_as_a_translated_one(answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode()
    decoded = provider.decode(body, deployment("m"))
    facts = provider.facts(parse_members(body), "openai.chat")
    assert (facts.usage, facts.upstream_id, facts.upstream_model) == (
        decoded.usage,
        decoded.id,
        decoded.model,
    )
    assert facts.stop_reason == answer["choices"][-1]["finish_reason"]


def parse_members(body: bytes) -> Any:
    return Frame(body).fields


def data(frame: Any) -> bytes:
    return frame.encode() if isinstance(frame, str) else json.dumps(frame).encode()


def chunks(written: bytes) -> Iterator[dict[str, Any]]:
    events = written.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    yield from (json.loads(event.removeprefix("data: ")) for event in events[:-2])


def final(stream: Iterator[dict[str, Any]]) -> Any:
    """Put a stream together as OpenAI's SDK does."""
    state = ChatCompletionStreamState()
    for one in stream:
        if one.get("choices") is None:
            one = {**one, "choices": []}
        state.handle_chunk(ChatCompletionChunk.model_validate(one))
    answer = without_null(state.current_completion_snapshot.model_dump())
    for word in ("obfuscation", "system_fingerprint", "service_tier"):
        answer.pop(word, None)
    answer["usage"] = said_counts(answer["usage"])
    for choice in answer["choices"]:
        choice["message"] = {
            name: value for name, value in choice["message"].items() if value not in ("", [])
        }
        choice.pop("stop_reason", None)
    return answer


@pytest.mark.parametrize("frames", files("streams"))
def test_a_translated_stream_adds_up_to_the_same_answer(frames: list[Any]) -> None:
    model = frames[0]["model"]
    reader = provider.reader(deployment("m"), "openai.chat")
    writer = ChatStreamWriter(model=model, fallback_id="none", now=0, include_usage=True)
    written = b""
    for frame in frames:
        written += b"".join(writer.write(event) for event in reader.decode(Frame(data(frame))))
    written += b"".join(writer.write(event) for event in reader.close()) + writer.end(reader.usage)
    assert final(chunks(written)) == final(frame for frame in frames if frame != "[DONE]")


@pytest.mark.parametrize("frames", files("streams"))
def test_a_relayed_stream_is_the_same_but_for_the_models_name(frames: list[Any]) -> None:
    reader = provider.reader(deployment("m"), "openai.chat")
    writer = ChatStreamWriter(model="fast", fallback_id="none", now=0, include_usage=True)
    for frame in frames:
        sent = Frame(data(frame))
        reader.observe(sent)
        event = writer.relay(sent).removeprefix(b"data: ").removesuffix(b"\n\n")
        if frame != "[DONE]":
            assert json.loads(event) == {**frame, "model": "fast"}
    assert reader.close() == ()
    assert reader.usage.input_tokens > 0


@pytest.mark.parametrize("frames", files("streams"))
def test_a_client_that_did_not_ask_for_usage_gets_the_same_answer_without(frames: list[Any]) -> None:
    writer = ChatStreamWriter(model="fast", fallback_id="none", now=0, include_usage=False)
    written = [writer.relay(Frame(data(frame))) for frame in frames]
    shown = [json.loads(event[6:]) for event in written if event and event != b"data: [DONE]\n\n"]
    assert shown == [
        {name: value for name, value in frame.items() if name != "usage" or value is not None}
        | {"model": "fast"}
        for frame in frames
        if frame != "[DONE]" and frame["choices"]
    ]
