"""A finished canonical answer, opened for guardrails and closed again with what they wrote."""

from __future__ import annotations

import msgspec
import pytest

from hookway.canonical_view import CanonicalAnswerView
from hookway_sdk import (
    AudioPart,
    ChatAnswer,
    Choice,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    raw,
)
from hookway_sdk.messages import Citation, MediaSource

SPOKEN = AudioPart(source=MediaSource(data="QUJD"), format="wav", transcript="spoken words")


def choice(*parts: Part, index: int = 0, **more: object) -> Choice:
    message = Message(role="assistant", parts=parts)
    return msgspec.structs.replace(Choice(index=index, message=message, stop_reason="stop"), **more)


def answer(*choices: Choice) -> ChatAnswer:
    return ChatAnswer(id="a", model="m", choices=choices)


EVERYTHING = answer(
    choice(
        ReasoningPart(text="let me think", signature="sig", issuer="anthropic"),
        TextPart(text="hello"),
        ToolCallPart(id="c1", name="look", arguments='{"q": 1}'),
    ),
    choice(RefusalPart(text="no"), TextPart(text=""), SPOKEN, index=1, logprobs=raw({"content": []})),
)


def test_every_text_is_a_slot_with_its_channel_in_order() -> None:
    slots = CanonicalAnswerView(EVERYTHING).texts()
    assert [(slot.pointer, slot.text, slot.channel, slot.role) for slot in slots] == [
        ("/choices/0/message/parts/0/text", "let me think", "reasoning", "assistant"),
        ("/choices/0/message/parts/1/text", "hello", "content", "assistant"),
        ("/choices/0/message/parts/2/arguments", '{"q": 1}', "tool_arguments", "assistant"),
        ("/choices/1/message/parts/0/text", "no", "refusal", "assistant"),
        ("/choices/1/message/parts/1/text", "", "content", "assistant"),
        ("/choices/1/message/parts/2/transcript", "spoken words", "content", "assistant"),
    ]


def test_what_was_only_read_comes_back_equal() -> None:
    view = CanonicalAnswerView(EVERYTHING)
    view.texts()
    assert view.answer() == EVERYTHING
    assert view.body() == b""


@pytest.mark.parametrize(
    ("at", "choice", "part", "field"),
    [(0, 0, 0, "text"), (1, 0, 1, "text"), (2, 0, 2, "arguments"), (3, 1, 0, "text"), (4, 1, 1, "text")],
)
def test_a_masked_text_alone_is_changed(at: int, choice: int, part: int, field: str) -> None:
    view = CanonicalAnswerView(EVERYTHING)
    view.texts()[at].replace("***")
    masked = view.answer()
    assert getattr(masked.choices[choice].message.parts[part], field) == "***"
    for c, before in enumerate(EVERYTHING.choices):
        for p, old in enumerate(before.message.parts):
            if (c, p) != (choice, part):
                assert masked.choices[c].message.parts[p] == old
    assert (masked.id, masked.model, masked.usage) == (EVERYTHING.id, EVERYTHING.model, EVERYTHING.usage)


def test_the_answer_that_was_opened_is_not_changed() -> None:
    before = msgspec.json.encode(EVERYTHING)
    view = CanonicalAnswerView(EVERYTHING)
    for slot in view.texts():
        slot.replace("***")
    view.answer()
    assert msgspec.json.encode(EVERYTHING) == before


def test_log_probabilities_of_a_masked_choice_are_dropped_and_others_kept() -> None:
    spelled = raw({"content": [{"token": "secret"}]})
    two = answer(
        choice(TextPart(text="secret"), logprobs=spelled),
        choice(TextPart(text="fine"), index=1, logprobs=spelled),
    )
    view = CanonicalAnswerView(two)
    view.texts()[0].replace("***")
    assert [one.logprobs for one in view.answer().choices] == [None, spelled]


def test_a_sound_whose_words_were_masked_is_not_played() -> None:
    view = CanonicalAnswerView(EVERYTHING)
    [slot] = [one for one in view.texts() if one.text == "spoken words"]
    slot.replace("*** words")
    part = view.answer().choices[1].message.parts[2]
    assert part == AudioPart(source=MediaSource(), format="wav", transcript="*** words")


def test_thinking_that_was_masked_loses_the_proof_of_what_it_was() -> None:
    view = CanonicalAnswerView(EVERYTHING)
    view.texts()[0].replace("let me ***")
    part = view.answer().choices[0].message.parts[0]
    assert part == ReasoningPart(text="let me ***", issuer="anthropic")


def test_citations_are_judged_too() -> None:
    citations = (Citation(url="http://a", title="A title", quote="cited"), Citation(title="another"))
    cited = answer(choice(TextPart(text="x", citations=citations)))
    view = CanonicalAnswerView(cited)
    texts = {slot.pointer.removeprefix("/choices/0/message/parts/0/"): slot for slot in view.texts()}
    assert {where: slot.text for where, slot in texts.items()} == {
        "text": "x",
        "citations/0/title": "A title",
        "citations/0/quote": "cited",
        "citations/0/url": "http://a",
        "citations/1/title": "another",
    }
    assert view.answer() == cited
    texts["citations/0/quote"].replace("***")
    masked = view.answer().choices[0].message.parts[0]
    assert isinstance(masked, TextPart)
    assert masked.citations == (Citation(url="http://a", title="A title", quote="***"), citations[1])


def test_what_cannot_be_judged_is_left_out() -> None:
    opaque = OpaquePart(kind="thing", value=raw({"a": "unread"}))
    view = CanonicalAnswerView(answer(choice(TextPart(text="a"), opaque, TextPart(text="b"))))
    view.texts()[1].replace("c")
    assert view.answer().choices[0].message.parts == (TextPart(text="a"), TextPart(text="c"))


def test_an_answer_without_texts_has_no_slots() -> None:
    empty = answer(choice())
    view = CanonicalAnswerView(empty)
    assert view.texts() == ()
    assert view.answer() == empty
