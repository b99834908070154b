"""The examples that contracts are tried with hold everything the canonical form knows."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from hookway_sdk import ChatAnswer, ChatRequest, Part, StreamEvent
from hookway_sdk.messages import (
    Choice,
    Message,
    ReasoningOptions,
    ResponseFormat,
    Sampling,
    StopReason,
    TextPart,
    Tool,
)
from hookway_sdk.testing.contracts.one_of_each import (
    event_streams,
    plain_answer,
    plain_chat,
    resolves,
    rich_answer,
    rich_chat,
    tool_chat,
)


def structs(value: Any) -> Iterator[msgspec.Struct]:
    """Yield every Struct in a value, the value included."""
    if isinstance(value, msgspec.Struct):
        yield value
        for name in value.__struct_fields__:
            yield from structs(getattr(value, name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from structs(item)


def test_the_rich_chat_has_every_sort_of_part() -> None:
    found = {type(one) for one in structs(rich_chat())}
    assert set(Part.__subclasses__()) <= found


@pytest.mark.parametrize("kind", [ChatRequest, Message, Tool, Sampling, ReasoningOptions, ResponseFormat])
def test_the_rich_chat_says_something_in_every_field(kind: type[msgspec.Struct]) -> None:
    said = {
        name
        for one in structs(rich_chat())
        if isinstance(one, kind)
        for name in one.__struct_fields__
        if getattr(one, name) not in (None, "", (), {}, False)
    }
    assert set(kind.__struct_fields__) - said <= {"stream"}


def test_the_streams_have_every_event() -> None:
    found = {type(event) for stream in event_streams() for event in stream}
    assert found == set(typing.get_args(StreamEvent))


def test_answers_have_more_than_one_choice_and_stop_reason() -> None:
    choices = [one for one in structs(rich_answer()) if isinstance(one, Choice)]
    assert [choice.index for choice in choices] == [0, 1]
    assert {choice.stop_reason for choice in choices} < set(typing.get_args(StopReason))


def test_the_plain_ones_have_text_and_nothing_else() -> None:
    for value in (plain_chat(), plain_answer()):
        assert {type(one) for one in structs(value) if isinstance(one, Part)} == {TextPart}


@pytest.mark.parametrize("make", [plain_chat, tool_chat, rich_chat, plain_answer, rich_answer])
def test_examples_are_new_each_time(make: Any) -> None:
    first, second = make(), make()
    assert first == second
    assert first is not second
    assert isinstance(first, ChatRequest | ChatAnswer)


@pytest.mark.parametrize(
    ("pointer", "leads"),
    [
        ("/sampling/top_k", True),
        ("/messages/1/parts/0/extra/x_foreign", True),
        ("/tools/0/parameters/type", True),
        ("/extra", True),
        ("/messages/99", False),
        ("/messages/first", False),
        ("/no_such_field", False),
        ("sampling", False),
        ("", False),
    ],
)
def test_a_pointer_resolves_where_it_leads_somewhere(pointer: str, leads: bool) -> None:
    assert resolves(pointer, rich_chat()) is leads
