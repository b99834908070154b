"""That guardrails see every text of a request, and that what they change is what is sent."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from hookway_plugins.dialect_openai.request_view import ChatView, parse_chat
from hookway_plugins.dialect_openai.samples import chat_samples
from hookway_sdk import InvalidRequest, TextSlot, close_envelope


def view(messages: Any, **others: Any) -> ChatView:
    return parse_chat(json.dumps({"model": "m", "messages": messages, **others}).encode())


def sent(seen: ChatView) -> Any:
    return msgspec.json.decode(close_envelope(seen.sealed()))


def at(value: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        value = value[int(token)] if isinstance(value, list) else value[token]
    return value


@pytest.mark.parametrize("sample", chat_samples(), ids=["whole", "stream"])
def test_the_samples_name_every_slot_of_their_bodies(sample: Any) -> None:
    seen = parse_chat(json.dumps(sample.body).encode())
    found = {slot.pointer: slot.text for slot in seen.texts()}
    placeholders = {pointer for pointer, text in found.items() if re.fullmatch(r"\{\{\w+\}\}", text)}
    assert placeholders == set(sample.slots)
    assert len(re.findall(r"\{\{\w+\}\}", json.dumps(sample.body))) == len(sample.slots)
    for pointer, text in found.items():
        assert at(sample.body, pointer) == text


def test_every_slot_writes_back_into_what_is_sent_and_into_the_canonical_form() -> None:
    seen = parse_chat(json.dumps(chat_samples()[0].body).encode())
    for slot in seen.texts():
        slot.replace(f"masked{slot.pointer}")
    body = sent(seen)
    for pointer in chat_samples()[0].slots:
        assert at(body, pointer) == f"masked{pointer}"
    assert "{{" not in json.dumps(body)
    assert b"{{" not in msgspec.json.encode(seen.canonical())


def test_what_was_not_read_is_sent_byte_for_byte() -> None:
    seen = parse_chat(
        b'{"model":"m","messages":[{"role":"user","content":"a"}],"seed": 1e2,"temperature":1.50}'
    )
    seen.texts()[0].replace("b")
    assert close_envelope(seen.sealed()) == (
        b'{"model":"m","messages":[{"role":"user","content":"b"}],"seed":1e2,"temperature":1.50}'
    )


def test_a_member_hidden_twice_is_sent_as_it_was_checked() -> None:
    seen = parse_chat(b'{"model":"m","messages":[{"role":"user","content":"bad","content":"good"}]}')
    assert [slot.text for slot in seen.texts()] == ["good"]
    assert b"bad" not in close_envelope(seen.sealed())


def channels(slots: list[TextSlot]) -> dict[str, tuple[str, str]]:
    return {slot.text: (slot.channel, slot.role) for slot in slots}


def test_a_slot_says_its_channel_and_who_speaks() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "args"}}
    seen = view(
        [
            {"role": "system", "content": "rules"},
            {"role": "user", "content": "question"},
            {
                "role": "assistant",
                "content": "said",
                "reasoning_content": "thought",
                "refusal": "no",
                "tool_calls": [call],
            },
            {"role": "assistant", "function_call": {"name": "f", "arguments": "old"}},
            {"role": "tool", "tool_call_id": "1", "content": "result"},
            {"role": "function", "name": "f", "content": "older"},
        ],
        functions=[{"name": "f", "description": "what it does"}],
        documents=[{"body": "for the prompt"}],
    )
    assert channels(list(seen.texts())) == {
        "rules": ("system", "system"),
        "question": ("content", "user"),
        "said": ("content", "assistant"),
        "thought": ("reasoning", "assistant"),
        "no": ("refusal", "assistant"),
        "args": ("tool_arguments", "assistant"),
        "old": ("tool_arguments", "assistant"),
        "result": ("tool_result", "tool"),
        "older": ("tool_result", "function"),
        "f": ("other", "function"),
        "what it does": ("tool_definition", ""),
        "for the prompt": ("other", ""),
    }


def test_a_tool_parameter_called_name_or_type_is_no_hiding_place() -> None:
    properties = {"name": {"type": "string", "description": "a"}, "type": {"description": "b", "enum": ["c"]}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": properties}}}
    seen = view([{"role": "user", "content": "q"}], tools=[tool])
    assert [slot.text for slot in seen.texts()] == ["q", "a", "b", "c"]


def test_a_part_of_an_unknown_type_is_read_as_well() -> None:
    part = {"type": "video_url", "video_url": {"url": "https://v.test", "caption": "words"}}
    seen = view([{"role": "user", "content": [part]}])
    assert [slot.text for slot in seen.texts()] == ["https://v.test", "words"]


def test_a_member_that_nobody_knows_is_read_as_well() -> None:
    seen = view([{"role": "user", "content": "q"}], system_prompt_of_a_server={"text": "words"})
    assert [slot.text for slot in seen.texts()] == ["q", "words"]


def test_images_sounds_and_files_are_not_read_as_text() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_data": "AAAA"}},
    ]
    assert view([{"role": "user", "content": parts}]).texts() == []


def test_settings_are_not_texts() -> None:
    seen = view([{"role": "user", "content": "q"}], user="u", metadata={"a": "b"}, stop=["s"])
    assert [slot.text for slot in seen.texts()] == ["q"]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (["hi"], "messages.0"),
        ([{"content": "hi"}], "messages.0.role"),
        ([{"role": "user", "content": {"text": "hi"}}], "messages.0.content"),
        ([{"role": "user", "content": ["hi"]}], "messages.0.content.0"),
        ([{"role": "assistant", "tool_calls": {"0": {}}}], "messages.0.tool_calls"),
    ],
)
def test_a_message_that_cannot_be_checked_is_refused(messages: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        view(messages).texts()
    assert refused.value.param == param
