"""What a stream has said is kept within bounds, and opened only when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence

from hookway.produced_text import MOST, ProducedText, WholeText, text_of_answer
from hookway_sdk import (
    ChatAnswer,
    Frame,
    Message,
    ReasoningDelta,
    ReasoningPart,
    StreamEvent,
    StreamReader,
    TextDelta,
    TextPart,
    ToolCallDelta,
    ToolCallPart,
    UpstreamInBand,
)
from hookway_sdk.messages import Choice


class Words(StreamReader):
    """Reads frames that are words, and breaks at ``error``."""

    def observe(self, frame: Frame) -> None:
        """Note nothing."""

    def decode(self, frame: Frame) -> Sequence[StreamEvent]:
        if frame.data == b"error":
            raise UpstreamInBand("broken")
        return [TextDelta(text=frame.data.decode())]


def test_words_of_steady_frames_are_unescaped() -> None:
    produced = ProducedText(Words)
    produced.words += rb"a \u00e9 \" \n"
    assert produced.text() == 'a é " \n'


def test_words_that_are_no_json_are_taken_as_they_are() -> None:
    produced = ProducedText(Words)
    produced.words += b"broken \\ud800 \\"
    assert produced.text().startswith("broken")


def test_frames_are_opened_up_to_an_error_among_them() -> None:
    produced = ProducedText(Words)
    for word in (b"one", b"two", b"error", b"three"):
        produced.frame(Frame(word))
    assert produced.text() == "onetwo"


def test_thinking_and_calls_count_as_written() -> None:
    produced = ProducedText(Words)
    produced.events(
        [ReasoningDelta(text="hm"), TextDelta(text="ok"), ToolCallDelta(call=0, name="f", arguments="{}")]
    )
    assert produced.text() == "hmokf{}"
    parts = (ReasoningPart(text="hm"), TextPart(text="ok"), ToolCallPart(id="1", name="f", arguments="{}"))
    answer = ChatAnswer(choices=(Choice(message=Message(role="assistant", parts=parts)),))
    assert text_of_answer(answer) == "hmokf{}" == WholeText(answer).text()


def test_what_is_beyond_the_bound_counts_by_its_length() -> None:
    produced = ProducedText(Words)
    for _ in range(4):
        produced.frame(Frame(b"x" * (MOST // 2)))
    assert len(produced.text()) == MOST
    assert produced.scale == 2.0
